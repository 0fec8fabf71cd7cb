"""Operations between neurons as linear nodes: exactly, or refused with the line that does them.

Layers and functions whose weights can be read become a node of their kind (Linear, Conv2d,
AvgPool2d, Scale, Reshape ...). Every other function is asked. If its answers on random numbers are
affine, the matrix is read off from unit vectors (up to :data:`MAX_PROBED` inputs); if not, it is
refused.

A max pool behind spikes is a logical or: a sum over the window, then a neuron without memory.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from spikeloop.golden.interchange.graph.maps import plain_convolution
from spikeloop.golden.interchange.graph.node import Node
from spikeloop.golden.interchange.graph.semantics import FIXED
from spikeloop.golden.interchange.modules.trace import Op, Value, values_in
from spikeloop.pysim.common.errors import InputError

__all__ = ["Piece", "is_layer", "piece_of"]

MAX_PROBED = 4096  # inputs of a function whose matrix is read off
MAX_MATRIX = 1 << 24  # entries of one

LAYERS = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.AvgPool1d, nn.AvgPool2d, nn.MaxPool1d, nn.MaxPool2d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.Flatten,
    nn.Unflatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Identity,
)  # fmt: skip
SAME = {
    "contiguous", "clone", "detach", "float", "double", "to", "dropout", "dropout1d", "dropout2d",
    "alpha_dropout", "feature_dropout", "requires_grad_", "data", "type_as",
}  # fmt: skip
"""Functions that leave the values of a trained net as they are."""
SHAPES = {
    "flatten",
    "view",
    "reshape",
    "squeeze",
    "unsqueeze",
    "unflatten",
    "view_as",
    "reshape_as",
}
SUMS = {"add", "__add__", "__radd__", "__iadd__", "add_"}
DIFFERENCES = {"sub", "__sub__", "__rsub__", "__isub__", "sub_", "subtract", "rsub"}


@dataclass
class Piece:
    """What an operation becomes: ``nodes`` in a row; each of ``sources`` leads to the first of them
    with a factor of its own. ``spikes``: the input must be spikes for this to be true."""

    nodes: list[Node] = field(default_factory=list)
    sources: list[tuple[Value, float]] = field(default_factory=list)
    spikes: bool = False


def is_layer(module: nn.Module) -> bool:
    return isinstance(module, LAYERS)


def piece_of(op: Op, name: str) -> Piece:
    """The nodes of one operation; their names begin with ``name``."""
    sources = list(values_in((op.args, op.kwargs)))
    shape = op.results[0].shape[1:]
    batch = {value.tensor.shape[:1] for value in sources} | {op.results[0].shape[:1]}
    if len(batch) != 1:
        raise InputError(f"{_said(op)} must leave the samples of a batch apart, not mix them")
    if op.kind == "module":
        return _layer(op, name, sources[0], shape)
    return _function(op, name, sources, shape)


def _layer(op: Op, name: str, source: Value, shape: torch.Size) -> Piece:
    layer = op.call
    if layer.training:
        raise InputError(f"layer {op.name!r} must be in eval mode, not training: call net.eval()")
    match layer:
        case nn.Dropout() | nn.Dropout1d() | nn.Dropout2d() | nn.Identity():
            nodes = [Node(name, "Pass", {}, {})]
        case nn.Flatten() | nn.Unflatten():
            nodes = [_reshape(name, shape)]
        case nn.Linear() if source.tensor.dim() == 2:
            nodes = [_affine(name, layer.weight, layer.bias)]
        case nn.Conv1d() | nn.Conv2d() if layer.padding_mode == "zeros":
            geometry = {k: getattr(layer, k) for k in ("stride", "padding", "dilation", "groups")}
            nodes = [_convolution(name, layer.weight, layer.bias, source, **geometry)]
        case nn.BatchNorm1d() | nn.BatchNorm2d() if layer.track_running_stats:
            nodes = [_batch_norm(name, layer, shape)]
        case nn.AvgPool2d() if _plain_pool(layer):
            nodes = [_pool(name, "AvgPool2d", layer.kernel_size, layer.stride, layer.padding)]
        case nn.MaxPool1d() | nn.MaxPool2d() if layer.dilation in (1, (1, 1), (1,)):
            return _or(op, name, source, layer.kernel_size, layer.stride, layer.padding, shape)
        case _:
            nodes = _probe(op, name, [source])
    return Piece(nodes, [(source, 1.0)])


def _function(op: Op, name: str, sources: list[Value], shape: torch.Size) -> Piece:
    short = (
        op.name.removesuffix("_") if op.name not in SAME | SHAPES | SUMS | DIFFERENCES else op.name
    )
    if short in SAME:
        return Piece([Node(name, "Pass", {}, {})], [(sources[0], 1.0)])
    if short in SHAPES:
        return Piece([_reshape(name, shape)], [(sources[0], 1.0)])
    same = all(value.tensor.shape == op.results[0].shape for value in sources)
    if short in SUMS | DIFFERENCES and same and len(sources) == 2 and not op.kwargs:
        signs = (1.0, 1.0)
        if short in DIFFERENCES:
            signs = (-1.0, 1.0) if short in ("__rsub__", "rsub") else (1.0, -1.0)
        nodes = [Node(name, "Pass", {}, {})]
        return Piece(nodes, list(zip(sources, signs, strict=True)))
    if short in ("linear", "conv1d", "conv2d") and len(sources) == 1:
        call = _bound(op, ("input", "weight", "bias", "stride", "padding", "dilation", "groups"))
        if short == "linear":
            nodes = [_affine(name, call["weight"], call.get("bias"))]
        else:
            geometry = {
                key: call.get(key, usual)
                for key, usual in (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1))
            }
            nodes = [_convolution(name, call["weight"], call.get("bias"), sources[0], **geometry)]
        return Piece(nodes, [(sources[0], 1.0)])
    if short in ("max_pool1d", "max_pool2d", "boolean_dispatch", "fn"):
        keys = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")
        call = _bound(op, keys)
        return _or(
            op,
            name,
            sources[0],
            call["kernel_size"],
            call.get("stride"),
            call.get("padding", 0),
            shape,
        )
    if short == "avg_pool2d":
        call = _bound(op, ("input", "kernel_size", "stride", "padding", "ceil_mode"))
        if not call.get("ceil_mode") and not np.any(call.get("padding", 0)):
            size = call["kernel_size"]
            nodes = [_pool(name, "AvgPool2d", size, call.get("stride") or size, 0)]
            return Piece(nodes, [(sources[0], 1.0)])
    if len(sources) == 1 and (scale := _elementwise(op, name, sources[0])) is not None:
        return Piece([scale], [(sources[0], 1.0)])
    if len(sources) == 1:
        return Piece(_probe(op, name, sources), [(sources[0], 1.0)])
    raise InputError(
        f"{_said(op)} must be a sum or a difference of its inputs, not another function"
    )


# -- nodes that can be read ------------------------------------------------------------------------


def array(value: Any) -> np.ndarray:
    return np.asarray(torch.as_tensor(value).detach().cpu().double().numpy(), np.float64)


def _affine(name: str, weight: Any, bias: Any) -> Node:
    values = {"weight": array(weight)} | ({} if bias is None else {"bias": array(bias)})
    return Node(name, "Linear" if bias is None else "Affine", values, {})


def _reshape(name: str, shape: torch.Size) -> Node:
    return Node(name, "Reshape", {"shape": np.array(shape, np.int64)}, {})


def _pair(value: Any, axes: int) -> list[int]:
    flat = [int(n) for n in np.ravel(value)]
    return flat * axes if len(flat) == 1 else flat


def _convolution(name: str, weight: Any, bias: Any, source: Value, **geometry: Any) -> Node:
    kernel = array(weight)
    axes = kernel.ndim - 2
    values: dict[str, Any] = {"weight": kernel, "groups": np.array(geometry["groups"])}
    for key in ("stride", "padding", "dilation"):
        value = geometry[key]
        values[key] = value if isinstance(value, str) else np.array(_pair(value, axes))
    if bias is not None:
        values["bias"] = array(bias)
    return plain_convolution(Node(name, f"Conv{axes}d", values, {}))


def _batch_norm(name: str, layer: Any, shape: torch.Size) -> Node:
    scale = 1 / np.sqrt(array(layer.running_var) + layer.eps)
    if layer.weight is not None:
        scale = scale * array(layer.weight)
    bias = -array(layer.running_mean) * scale
    if layer.bias is not None:
        bias = bias + array(layer.bias)
    rest = (1,) * (len(shape) - 1)
    return _scale(name, scale.reshape(-1, *rest), bias.reshape(-1, *rest), shape)


def _scale(name: str, scale: np.ndarray, bias: np.ndarray, shape: torch.Size) -> Node:
    whole = tuple(shape)
    values = {"scale": np.broadcast_to(scale, whole).ravel().copy()}
    if np.any(bias):
        values["bias"] = np.broadcast_to(bias, whole).ravel().copy()
    return Node(name, "Scale", values, {})


def _plain_pool(layer: Any) -> bool:
    padded = layer.count_include_pad or not np.any(layer.padding)
    return not layer.ceil_mode and layer.divisor_override is None and padded


def _pool(name: str, kind: str, kernel: Any, stride: Any, padding: Any) -> Node:
    values = {
        "kernel_size": kernel,
        "stride": kernel if stride is None else stride,
        "padding": padding,
    }
    return Node(name, kind, {k: np.array(_pair(v, 2)) for k, v in values.items()}, {})


def _or(
    op: Op, name: str, source: Value, kernel: Any, stride: Any, padding: Any, shape: torch.Size
) -> Piece:
    stride = kernel if stride is None or stride == [] else stride
    ceil = op.kwargs.get("ceil_mode") or getattr(op.call, "ceil_mode", False)
    if ceil or source.tensor.dim() not in (3, 4):
        raise InputError(f"{_said(op)} must pool without ceil_mode over channels and a map")
    nodes = []
    if source.tensor.dim() == 3:  # length only: a map of height 1
        channels, length = source.tensor.shape[1:]
        nodes = [Node(f"{name}_map", "Reshape", {"shape": np.array([channels, 1, length])}, {})]
        kernel, stride, padding = (
            [usual, _pair(value, 1)[0]] for value, usual in ((kernel, 1), (stride, 1), (padding, 0))
        )
    nodes.append(_pool(f"{name}_sum", "SumPool2d", kernel, stride, padding))
    values = {"beta": np.float64(0), "v_threshold": np.float64(0.5), "v_reset": np.float64(0)}
    nodes.append(Node(name, "Leaky", values, FIXED))
    if source.tensor.dim() == 3:
        nodes.append(_reshape(f"{name}_flat", shape))
    return Piece(nodes, [(source, 1.0)], spikes=True)


# -- functions that are asked ----------------------------------------------------------------------


def _bound(op: Op, names: tuple[str, ...]) -> dict[str, Any]:
    """Arguments by name."""
    return dict(zip(names, op.args, strict=False)) | op.kwargs


def _replay(op: Op, source: Value, x: torch.Tensor) -> torch.Tensor:
    """The operation on ``x`` in place of ``source``."""

    def put(item: Any) -> Any:
        if isinstance(item, Value):
            return x
        if isinstance(item, tuple):
            return tuple(put(value) for value in item)
        if isinstance(item, dict):
            return {key: put(value) for key, value in item.items()}
        return item

    with torch.no_grad():
        out = op.call(*put(op.args), **put(op.kwargs))
    return out if isinstance(out, torch.Tensor) else out[0]


def _answers(op: Op, source: Value, x: torch.Tensor) -> torch.Tensor:
    """The operation on each of ``x``, as many at once as the trace had samples: shapes that forward
    wrote down stay true."""
    batch = source.tensor.shape[0]
    missing = -len(x) % batch
    padded = torch.cat([x, x[:1].expand(missing, *x.shape[1:])]) if missing else x
    parts = [_replay(op, source, part.clone()) for part in padded.split(batch)]
    return torch.cat(parts)[: len(x)]


def _check_affine(op: Op, source: Value) -> torch.Tensor:
    """The answer to zeros; InputError unless the operation is affine on random numbers."""
    shape = source.tensor.shape[1:]
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 3, *shape, generator=generator, dtype=torch.float64) * 3
    try:
        zero = _answers(op, source, torch.zeros(1, *shape, dtype=torch.float64))
        total = _answers(op, source, a) + _answers(op, source, b) - zero
        together = _answers(op, source, a + b)
        twice = _answers(op, source, 2 * a) + zero - 2 * _answers(op, source, a)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        reason = str(error).splitlines()[0][:120]
        raise InputError(
            f"{_said(op)} must run on other numbers too, not end with {reason}"
        ) from None
    good = together.shape == total.shape and together.is_floating_point()
    if not good or not torch.allclose(total, together, 1e-9, 1e-9) or twice.abs().max() > 1e-8:
        raise InputError(f"{_said(op)} must be affine between two neurons, not another function")
    return zero


def _elementwise(op: Op, name: str, source: Value) -> Node | None:
    """The node of a function that scales and shifts each value on its own, or None."""
    if op.name.strip("_").removeprefix("r").removeprefix("i") not in (
        "mul", "truediv", "div", "add", "sub", "neg", "batch_norm", "multiply", "divide",
    ):  # fmt: skip
        return None
    if op.results[0].shape != source.tensor.shape:
        return None
    zero = _check_affine(op, source)
    ones = _answers(op, source, torch.ones(1, *source.tensor.shape[1:], dtype=torch.float64))
    scale, bias = (ones - zero)[0].numpy(), zero[0].numpy()
    return _scale(name, scale, bias, source.tensor.shape[1:])


def _probe(op: Op, name: str, sources: list[Value]) -> list[Node]:
    """The matrix of an affine function of one value, read off from unit vectors."""
    (source,) = sources
    shape, result = source.tensor.shape[1:], op.results[0].shape[1:]
    lines, neurons = int(np.prod(shape)), int(np.prod(result))
    zero = _check_affine(op, source)
    if lines > MAX_PROBED or lines * neurons > MAX_MATRIX:
        raise InputError(
            f"{_said(op)} must have at most {MAX_PROBED:,} inputs for its matrix to be read off, "
            f"not {lines:,}"
        )
    units = torch.eye(lines, dtype=torch.float64).reshape(lines, *shape)
    matrix = (_answers(op, source, units) - zero).reshape(lines, neurons).numpy()
    bias = zero.reshape(neurons).numpy()
    nodes = [Node(f"{name}_in", "Reshape", {"shape": np.array([lines])}, {})]
    nodes.append(_affine(f"{name}_map", matrix.T, bias if bias.any() else None))
    return [*nodes, Node(name, "Reshape", {"shape": np.array(result, np.int64)}, {})]


def _said(op: Op) -> str:
    what = f"layer {op.name!r}" if op.kind == "module" else f"{op.name.strip('_')}()"
    return f"{what} at {op.where}"
