"""Operations between neurons as linear nodes: exactly, or refused with the line that does them.

Layers and functions whose weights can be read become a node of their kind (Linear, Conv2d,
AvgPool2d, Scale, Reshape ...). Every other function is asked (probe.py).
"""

from typing import Any

import numpy as np
import torch
from torch import nn

from spikeloop.golden.interchange.graph.maps import plain_convolution
from spikeloop.golden.interchange.graph.node import Node
from spikeloop.golden.interchange.modules.probe import (
    MAX_MATRIX,
    Piece,
    affine_node,
    array,
    asked,
    asked_of_several,
    gate,
    reshape_node,
    said,
    scale_node,
)
from spikeloop.golden.interchange.trace.moves import DROPOUTS
from spikeloop.golden.interchange.trace.record import Op, Value, values_in
from spikeloop.pysim.common.errors import InputError

__all__ = ["Piece", "is_layer", "piece_of"]

NO_SPIKES = "{} must pool spikes, not currents: put the pool behind the neurons"
LAYERS = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.AvgPool1d, nn.AvgPool2d, nn.MaxPool1d, nn.MaxPool2d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.Flatten,
    nn.Unflatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Identity, nn.PixelShuffle,
    nn.PixelUnshuffle, nn.ZeroPad2d,
)  # fmt: skip


def is_layer(module: nn.Module) -> bool:
    """Whether a call of a module is one operation: a known layer that nobody changed."""
    forward = getattr(type(module).forward, "__module__", "")
    changed = "forward" in vars(module) or module._forward_hooks or module._forward_pre_hooks
    known = forward.startswith(("torch.", "spikingjelly.", "sinabs.")) and not changed
    return known and isinstance(module, LAYERS)


def piece_of(op: Op, name: str) -> Piece:
    """The nodes of one operation; their names begin with ``name``."""
    sources = list(dict.fromkeys(values_in((op.args, op.kwargs))))
    if not sources:
        raise InputError(f"{said(op)} must depend on spikes or the input, not be a constant")
    shape = op.results[0].shape[1:]
    batch = {value.tensor.shape[:1] for value in sources} | {op.results[0].shape[:1]}
    if len(batch) != 1:
        raise InputError(f"{said(op)} must leave the samples of a batch apart, not mix them")
    if op.kind == "module" and op.call.training:
        raise InputError(f"layer {op.name!r} must be in eval mode, not training: call net.eval()")
    if len(sources) > 1:
        return asked_of_several(op, name, sources)
    read = _layer if op.kind == "module" else _function
    nodes = read(op, name, sources[0], shape)
    if nodes is None:
        return asked(op, name, sources[0])
    if nodes[-1].kind == "Leaky" or any(node.kind == "Leaky" for node in nodes):
        return Piece(nodes, [(sources[0], [])], NO_SPIKES.format(said(op)))
    return Piece(nodes, [(sources[0], [])])


def _layer(op: Op, name: str, source: Value, shape: torch.Size) -> list[Node] | None:
    layer = op.call
    match layer:
        case nn.Linear() if source.tensor.dim() == 2:
            return [affine_node(name, layer.weight, layer.bias)]
        case nn.Conv1d() | nn.Conv2d() if layer.padding_mode == "zeros":
            geometry = {k: getattr(layer, k) for k in ("stride", "padding", "dilation", "groups")}
            return [_convolution(name, layer.weight, layer.bias, **geometry)]
        case nn.BatchNorm1d() | nn.BatchNorm2d() if layer.track_running_stats:
            return [_batch_norm(name, layer, shape)]
        case nn.AvgPool2d() if _plain_pool(layer):
            return [_pool(name, "AvgPool2d", layer.kernel_size, layer.stride, layer.padding)]
        case nn.AdaptiveAvgPool2d():
            return _even_pool(name, source, shape)
        case nn.MaxPool1d() | nn.MaxPool2d() if layer.dilation in (1, (1, 1), (1,)):
            if not layer.ceil_mode:
                return _or(name, source, layer.kernel_size, layer.stride, layer.padding, shape)
    return None


def _function(op: Op, name: str, source: Value, shape: torch.Size) -> list[Node] | None:
    short = op.name.removesuffix("_")
    if short == "reshape":
        return [reshape_node(name, shape)]
    if short == "pick":
        return _pick(op, name, source, shape)
    if short in DROPOUTS:
        raise InputError(f"{said(op)} must be off in eval mode: pass training=self.training")
    if short in ("linear", "conv1d", "conv2d") and isinstance(op.args[0], Value):
        call = _bound(op, ("input", "weight", "bias", "stride", "padding", "dilation", "groups"))
        if short == "linear":
            return [affine_node(name, call["weight"], call.get("bias"))]
        usual = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
        geometry = {key: call.get(key, value) for key, value in usual.items()}
        return [_convolution(name, call["weight"], call.get("bias"), **geometry)]
    if short in ("max_pool1d", "max_pool2d", "boolean_dispatch", "fn"):
        keys = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")
        call = _bound(op, keys)
        plain = not call.get("ceil_mode") and np.all(np.equal(call.get("dilation", 1), 1))
        if plain and "kernel_size" in call:
            place = call["kernel_size"], call.get("stride"), call.get("padding", 0)
            return _or(name, source, *place, shape)
    if short == "avg_pool2d":
        call = _bound(op, ("input", "kernel_size", "stride", "padding", "ceil_mode"))
        if not call.get("ceil_mode") and not np.any(call.get("padding", 0)):
            size = call["kernel_size"]
            return [_pool(name, "AvgPool2d", size, call.get("stride") or size, 0)]
    if short == "adaptive_avg_pool2d":
        return _even_pool(name, source, shape)
    if short == "mean" and _over_map(op, source):
        return _even_pool(name, source, torch.Size((*source.tensor.shape[1:2], 1, 1)), shape)
    return None


# -- nodes that can be read ------------------------------------------------------------------------


def _pick(op: Op, name: str, source: Value, shape: torch.Size) -> list[Node]:
    """The elements ``op.args[1]`` of a value, 0 where it says -1."""
    places = np.asarray(op.args[1])
    size = source.tensor[0].numel()
    maps = source.tensor.dim() == 4 and len(shape) == 3 and source.tensor.shape[2:] == shape[1:]
    if maps:
        area = int(np.prod(shape[1:]))
        channels = places.reshape(shape[0], area)
        if (channels // area == channels[:, :1] // area).all() and (
            (channels == -1) | (channels % area == np.arange(area))
        ).all():  # whole channels
            mix = np.arange(source.tensor.shape[1]) == (channels[:, :1] // area)
            return [plain_convolution(Node(name, "Conv2d", _point(mix.astype(np.float64)), {}))]
    if size * places.size > MAX_MATRIX:
        raise InputError(
            f"{said(op)} must move whole channels or at most {MAX_MATRIX:,} pairs of values, not "
            f"{size:,} to {places.size:,}"
        )
    matrix = np.arange(size) == places[:, None]
    nodes = [reshape_node(f"{name}_in", (size,))]
    nodes.append(affine_node(f"{name}_map", torch.as_tensor(matrix.astype(np.float64)), None))
    return [*nodes, reshape_node(name, shape)]


def _point(mix: np.ndarray) -> dict[str, Any]:
    """Values of a convolution that mixes channels at each place."""
    geometry = {"stride": 1, "padding": 0, "dilation": 1}
    values = {key: np.array([n, n]) for key, n in geometry.items()}
    return {"weight": mix[:, :, None, None], "groups": np.array(1), **values}


def _pair(value: Any, axes: int) -> list[int]:
    flat = [int(n) for n in np.ravel(value)]
    return flat * axes if len(flat) == 1 else flat


def _convolution(name: str, weight: Any, bias: Any, **geometry: Any) -> Node:
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
    return scale_node(name, scale.reshape(-1, *rest), bias.reshape(-1, *rest), shape)


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


def _even_pool(
    name: str, source: Value, shape: torch.Size, then: torch.Size | None = None
) -> list[Node] | None:
    """The mean over windows of one size, which make up the whole map; None if they do not."""
    before = source.tensor.shape[1:]
    if len(before) != 3 or any(n % m for n, m in zip(before[1:], shape[1:], strict=True)):
        return None
    kernel = [n // m for n, m in zip(before[1:], shape[1:], strict=True)]
    pool = _pool(name if then is None else f"{name}_pool", "AvgPool2d", kernel, None, 0)
    return [pool] if then is None else [pool, reshape_node(name, then)]


def _over_map(op: Op, source: Value) -> bool:
    """Whether a mean is that over height and width."""
    axes: Any = op.kwargs.get("dim", op.args[1] if len(op.args) > 1 else None)
    if source.tensor.dim() != 4 or op.axis is not None or not isinstance(axes, (list, tuple)):
        return False
    return {axis % 4 for axis in axes} == {2, 3}


def _or(
    name: str, source: Value, kernel: Any, stride: Any, padding: Any, shape: torch.Size
) -> list[Node] | None:
    stride = kernel if stride is None or stride == [] else stride
    if source.tensor.dim() not in (3, 4):
        return None
    nodes = []
    if source.tensor.dim() == 3:  # length only: a map of height 1
        channels, length = source.tensor.shape[1:]
        nodes = [reshape_node(f"{name}_map", (channels, 1, length))]
        kernel, stride, padding = (
            [usual, _pair(value, 1)[0]] for value, usual in ((kernel, 1), (stride, 1), (padding, 0))
        )
    nodes.append(_pool(f"{name}_sum", "SumPool2d", kernel, stride, padding))
    nodes.append(gate(name, 0.5))
    if source.tensor.dim() == 3:
        nodes.append(reshape_node(f"{name}_flat", shape))
    return nodes


def _bound(op: Op, names: tuple[str, ...]) -> dict[str, Any]:
    """Arguments by name."""
    return dict(zip(names, op.args, strict=False)) | op.kwargs
