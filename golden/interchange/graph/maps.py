"""Everything linear between two spiking nodes of a graph as one map: weights, or a kernel.

    Linear, Affine         y = W x
    Conv1d, Conv2d         y[o, p] = sum over i, q of
                                     W[o, i, q] x[i, stride p + dilation q - padding]
    SumPool2d, AvgPool2d   convolutions of equal weights (1, 1/area), one channel each
    Flatten, Reshape       another shape
    Scale                  each value times a factor

A product of maps is dense, W = A B. One case stays a convolution, with a larger kernel and stride:
a pooling without overlap, or a factor for each channel, before a convolution. Biases are not part
of a map (golden/interchange/graph/order.py adds them up).
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.functional import conv_transpose2d

from spikeloop.golden.interchange.common import MAX_VALUES
from spikeloop.golden.interchange.graph.node import Node
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv

__all__ = [
    "LinearMap",
    "Route",
    "Shape",
    "apply",
    "merged",
    "node_shape",
    "plain_convolution",
    "with_gain",
]

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class LinearMap:
    """A linear map between spiking nodes.

    weights: float64 ``[lines, neurons]`` or, with ``conv``, a kernel.
    shape:   of the result.
    last:    node that the result comes from.
    """

    weights: np.ndarray
    shape: Shape
    conv: Conv | None = None
    last: str = ""

    @classmethod
    def one(cls, shape: Shape, factor: float | np.ndarray = 1.0) -> "LinearMap":
        """The map of each line to its own neuron, times a factor (or one a channel)."""
        c, h, w = shape if len(shape) == 3 else (int(np.prod(shape)), 1, 1)
        return cls(
            np.broadcast_to(factor, (c,)).reshape(c, 1, 1, 1).copy(),
            shape,
            Conv(source=(c, h, w), target=(c, h, w), kernel=(1, 1), groups=c),
        )

    def image(self, x: np.ndarray) -> np.ndarray:
        """The map of one vector, float64 ``[lines]`` to ``[neurons]``."""
        if self.conv is None:
            return x @ self.weights
        c, x = self.conv, x.reshape(self.conv.source)
        x = np.pad(x, ((0, 0), *((p, p) for p in c.padding)))
        windows = np.lib.stride_tricks.sliding_window_view(x, c.kernel, (1, 2))
        windows = windows[:, :: c.stride[0], :: c.stride[1]][:, : c.target[1], : c.target[2]]
        of_group = windows.reshape(c.groups, -1, *windows.shape[1:])
        kernels = self.weights.reshape(c.groups, -1, *self.weights.shape[1:])
        return np.einsum("gcyxij,gocij->goyx", of_group, kernels).ravel()

    def then(self, weight: np.ndarray) -> np.ndarray:
        """Weights float64 ``[lines, results]`` of the map with a linear layer behind it.

        weight: of that layer, ``[results, neurons]``. The transpose of a convolution leads from
        each result back to the lines, so the convolution is never written out as a matrix.
        """
        if self.conv is None:
            product: np.ndarray = self.weights @ weight.T
            return product
        c, used = self.conv, []
        for axis in range(2):
            size = (c.target[1 + axis] - 1) * c.stride[axis] + c.kernel[axis]
            used.append(c.source[1 + axis] + 2 * c.padding[axis] - size)
        maps = conv_transpose2d(
            torch.as_tensor(weight, dtype=torch.float64).reshape(-1, *c.target),
            torch.as_tensor(self.weights, dtype=torch.float64),
            None,
            c.stride,
            c.padding,
            used,
            c.groups,
        )
        return maps.flatten(1).T.contiguous().numpy()

    def dense(self, where: str) -> np.ndarray:
        """Weights float64 ``[lines, neurons]``; InputError, naming ``where``, for too many."""
        if self.conv is None:
            return self.weights
        lines, neurons = int(np.prod(self.conv.source)), int(np.prod(self.conv.target))
        _bound(lines * neurons, where)
        index = np.arange(1, self.weights.size + 1, dtype=np.int32).reshape(self.weights.shape)
        weights = np.concatenate([[0.0], self.weights.ravel()])
        block: np.ndarray = self.conv.block(index, np.arange(lines), np.arange(neurons))
        return weights[block]


def apply(node: Node, before: LinearMap, last: str, fresh: bool) -> LinearMap:
    """The linear node ``node`` behind ``before``, which comes from node ``last``.

    fresh: ``before`` is the identity.
    """
    where, shape = f"edge {last!r}->{node.name!r}", before.shape
    if node.kind in ("Pass", "Delay"):
        return before
    if node.kind == "Reshape":
        return replace(before, shape=node_shape(node, "shape"))
    if node.kind == "Scale":
        return _scaled(before, _values(node, "scale").ravel(), where)
    if node.kind == "Flatten":
        first, end = (
            int(node.values.get(key, usual)) for key, usual in (("start_dim", 0), ("end_dim", -1))
        )
        first, end = first % max(1, len(shape)), end % max(1, len(shape))
        flat = (*shape[:first], int(np.prod(shape[first : end + 1])), *shape[end + 1 :])
        return replace(before, shape=flat)
    if node.kind in ("Affine", "Linear"):
        weight = _values(node, "weight")
        if weight.ndim != 2 or shape != (weight.shape[1],):
            raise InputError(
                f"{where} must carry the shape that {node.kind} takes, {weight.shape[1:]}, not "
                f"{shape}"
            )
        _bound(weight.shape[0] * int(np.prod(shape)), where)
        return LinearMap(weight.T if fresh else before.then(weight), (weight.shape[0],))
    conv, weight, result = _convolution(node, shape, where)
    step = LinearMap(weight, result, conv)
    if fresh:
        return step
    whole = _pool_then(before, step) or _channels_then(before, step)
    return whole or LinearMap(before.dense(where) @ step.dense(where), result)


def _scaled(linear: LinearMap, scale: np.ndarray, where: str) -> LinearMap:
    """The map with each value of its result times a factor: one for all, or one for each."""
    size = int(np.prod(linear.shape))
    if scale.size not in (1, size):
        raise InputError(
            f"{where} must carry as many values as Scale has, {scale.size}, not {size}"
        )
    return with_gain(linear, np.broadcast_to(scale, (size,)), linear.shape, where)


def with_gain(linear: LinearMap, gain: np.ndarray, shape: Shape, where: str) -> LinearMap:
    """The map with each neuron's input scaled.

    A kernel stays a kernel if all neurons of each channel have the same gain.
    """
    if linear.conv is None:
        return replace(linear, weights=linear.weights * gain)
    channel = gain.reshape(linear.conv.target[0], -1)
    if not np.ptp(channel, axis=1).any():
        return replace(linear, weights=linear.weights * channel[:, 0, None, None, None])
    return LinearMap(linear.dense(where) * gain, shape)


class Route(NamedTuple):
    """What leads from a spiking node or an input to a node of neurons."""

    source: str
    delay: int
    map: LinearMap


def merged(routes: list[Route], where: str) -> list[Route]:
    """The routes with those of one source and delay added up: an axon has one weight a neuron."""
    maps: dict[tuple[str, int], LinearMap] = {}
    for source, delay, linear in routes:
        old = maps.get((source, delay))
        if old is not None:
            linear = LinearMap(old.dense(where) + linear.dense(where), linear.shape)
        maps[source, delay] = linear
    return [Route(source, delay, linear) for (source, delay), linear in maps.items()]


def node_shape(node: Node, key: str) -> Shape:
    """The shape that a node states under ``key``: 1 to 4 positive sizes."""
    shape = tuple(int(n) for n in _values(node, key).ravel())
    if not 1 <= len(shape) <= 4 or any(n < 1 for n in shape):
        raise InputError(f"shape of node {node.name!r} must be 1 to 4 positive sizes, not {shape}")
    _bound(int(np.prod(shape, dtype=object)), f"node {node.name!r}")
    return shape


def plain_convolution(node: Node) -> Node:
    """A convolution whose padding is numbers."""
    values, kernel = dict(node.values), node.values.get("weight")
    padding = values.get("padding", 0)
    if not isinstance(padding, str) or not isinstance(kernel, np.ndarray):
        return node
    axes = kernel.ndim - 2
    if padding == "valid":
        return replace(node, values=values | {"padding": np.zeros(axes, np.int64)})
    if padding != "same":
        raise InputError(
            f"padding of node {node.name!r} must be numbers, 'same' or 'valid', not {padding!r}"
        )
    dilation = [int(n) for n in np.ravel(values.get("dilation", 1))]
    dilation = dilation * axes if len(dilation) == 1 else dilation
    sizes = []
    for axis in range(axes):
        total = dilation[axis] * (kernel.shape[2 + axis] - 1)
        if total % 2:  # one more behind than in front: zeros in front of the kernel, both padded
            margin = [(0, 0)] * kernel.ndim
            margin[2 + axis] = (1, 0)
            kernel, dilation[axis] = np.pad(_spread(kernel, axis, dilation[axis]), margin), 1
            total += 1
        sizes.append(total // 2)
    plain = {"weight": kernel, "dilation": np.array(dilation), "padding": np.array(sizes)}
    return replace(node, values=values | plain)


def _spread(kernel: np.ndarray, axis: int, dilation: int) -> np.ndarray:
    """The kernel with its dilation written out along one axis."""
    shape = list(kernel.shape)
    shape[2 + axis] = (shape[2 + axis] - 1) * dilation + 1
    wide = np.zeros(shape)
    index: list[Any] = [slice(None)] * kernel.ndim
    index[2 + axis] = slice(None, None, dilation)
    wide[tuple(index)] = kernel
    return wide


def _convolution(node: Node, shape: Shape, where: str) -> tuple[Conv, np.ndarray, Shape]:
    """Geometry and kernel of a convolution or a pooling, and the shape of its result."""
    flat = node.kind == "Conv1d"
    if len(shape) != 2 + (not flat):
        axes_of = "channels and length" if flat else "channels, height and width"
        raise InputError(f"{where} must carry {axes_of}, not the shape {shape}")
    source = (shape[0], 1, shape[1]) if flat else (shape[0], shape[1], shape[2])
    axes = 1 if flat else 2
    stride, padding = _two(node, "stride", 1, axes), _two(node, "padding", 0, axes)
    if "Pool" in node.kind:
        kernel, groups = _two(node, "kernel_size", 1), source[0]
        value = 1.0 / (kernel[0] * kernel[1]) if node.kind == "AvgPool2d" else 1.0
        weight = np.full((source[0], 1, *kernel), value)
    else:
        weight, groups = _values(node, "weight"), int(np.ravel(node.values.get("groups", 1))[0])
        if weight.ndim != 3 + (not flat) or groups < 1:
            raise InputError(
                f"weights of node {node.name!r} must have {3 + (not flat)} axes and groups >= 1, "
                f"not {weight.ndim} and {groups}"
            )
        weight = weight[:, :, None] if flat else weight
        if source[0] != weight.shape[1] * groups:
            want = (weight.shape[1] * groups, *shape[1:])
            raise InputError(
                f"{where} must carry the shape that {node.kind} takes, {want}, not {shape}"
            )
        given = node.values.get("input_shape")
        if isinstance(given, np.ndarray) and given.size == axes:
            want = (shape[0], *given.ravel().tolist())
            if want != shape:
                raise InputError(
                    f"{where} must carry the shape that {node.kind} takes, {want}, not {shape}"
                )
        dilation = _two(node, "dilation", 1, axes)
        if min(dilation) < 1:
            raise InputError(
                f"dilation of node {node.name!r} must be at least 1, not {min(dilation)}"
            )
        for axis in (0, 1):
            weight = _spread(weight, axis, dilation[axis])
    if min(stride) < 1 or any(
        n + 2 * p < k for n, p, k in zip(source[1:], padding, weight.shape[2:], strict=True)
    ):
        raise InputError(
            f"{where} must carry a map as large as the kernel {weight.shape[2:]} of {node.kind}, "
            f"and strides be positive, not {shape} and {stride}"
        )
    conv = Conv.make(
        source, weight.shape[0], weight.shape[2:], stride=stride, padding=padding, groups=groups
    )
    conv.check(where)
    return conv, weight, (conv.target[0], conv.target[2]) if flat else conv.target


def _pool_then(pool: LinearMap, then: LinearMap) -> LinearMap | None:
    """One convolution for a pooling, or a factor for each channel, and the convolution behind it.

    The pooling has equal weights in a channel and windows that do not overlap. None where one
    convolution would not be the same.
    """
    p, c = pool.conv, then.conv
    if (
        p is None
        or c is None
        or p.groups != p.source[0]
        or p.target[0] != p.source[0]
        or p.kernel != p.stride
        or p.padding != (0, 0)
        or any(n != m * k for n, m, k in zip(p.source[1:], p.target[1:], p.kernel, strict=True))
        or np.ptp(pool.weights.reshape(p.groups, -1), axis=1).any()
    ):
        return None
    k = p.kernel
    factors = pool.weights.reshape(p.groups, -1)[:, 0].reshape(c.groups, 1, -1, 1, 1)
    kernels = then.weights.reshape(c.groups, -1, *then.weights.shape[1:]) * factors
    return LinearMap(
        np.kron(kernels.reshape(then.weights.shape), np.ones((1, 1, *k))),
        then.shape,
        Conv(
            source=p.source,
            target=c.target,
            kernel=(c.kernel[0] * k[0], c.kernel[1] * k[1]),
            groups=c.groups,
            stride=(c.stride[0] * k[0], c.stride[1] * k[1]),
            padding=(c.padding[0] * k[0], c.padding[1] * k[1]),
        ),
    )


def _channels_then(point: LinearMap, then: LinearMap) -> LinearMap | None:
    """One convolution for a mix of channels, the same at every place, and the one behind it."""
    p, c = point.conv, then.conv
    if (
        p is None
        or c is None
        or (p.kernel, p.stride, p.padding, p.groups, c.groups) != ((1, 1), (1, 1), (0, 0), 1, 1)
    ):
        return None
    kernels = np.einsum("oikl,ij->ojkl", then.weights, point.weights[:, :, 0, 0])
    return LinearMap(kernels, then.shape, replace(c, source=p.source))


def _two(node: Node, key: str, usual: int, axes: int = 2) -> tuple[int, int]:
    """A size per axis, as (vertical, horizontal)."""
    value = node.values.get(key, np.int64(usual))
    if isinstance(value, str):
        raise InputError(f"{key} of node {node.name!r} must be numbers, not {value!r}")
    flat = [int(n) for n in np.ravel(value)]
    flat = flat * axes if len(flat) == 1 else flat
    if len(flat) != axes or any(n < 0 for n in flat):
        raise InputError(f"{key} of node {node.name!r} must be {axes} sizes, not {flat}")
    return (flat[0], flat[1]) if axes == 2 else ({"padding": 0}.get(key, 1), flat[0])


def _values(node: Node, key: str) -> np.ndarray:
    if not isinstance(node.values.get(key), np.ndarray):
        raise InputError(f"node {node.name!r} must have numbers {key}, not none")
    return node.values[key]


def _bound(count: int, where: str) -> None:
    if count > MAX_VALUES:
        raise InputError(f"weights of {where} must be at most {MAX_VALUES:,}, not {count:,}")
