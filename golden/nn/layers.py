"""Layers to write a trainable network with, in a row, as in PyTorch.

    model = sequential(
        Linear(784, 100, bits=8), LIF(leak=0.875),
        Linear(100, 10, bits=4), LIF(leak=0.875, reset="soft"),
        input=(784,), steps=8,
    )

Each group of synapses (Linear, Conv1d, Conv2d, a pool in front) ends in neurons. The weights of one
group share a scale. Thresholds and the other constants of its neurons are given in the same real
units.
"""

from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
import torch

from spikeloop.golden.nn.model import IntegerModel
from spikeloop.golden.nn.neurons import ALIF, LIF, CubaALIF, CubaLIF, population
from spikeloop.golden.quantize.leak import round_half_away
from spikeloop.golden.quantize.scales import best_scale
from spikeloop.golden.quantize.states import ADAPTATION_BITS, CURRENT_BITS
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import Edge, Input, Population, Reset
from spikeloop.pysim.network.graph import Network, start_ticks

__all__ = [
    "ALIF",
    "LIF",
    "AvgPool2d",
    "Conv1d",
    "Conv2d",
    "CubaALIF",
    "CubaLIF",
    "Linear",
    "MaxPool2d",
    "sequential",
]

Map = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Synapses:
    """What all synapses share. ``bits`` of a weight, 2..16; ``bias``: a current in each step."""

    bits: int = 8
    bias: bool = True


@dataclass(frozen=True)
class Linear(Synapses):
    """Every line to every neuron."""

    lines: int
    neurons: int


@dataclass(frozen=True)
class Conv2d(Synapses):
    """A convolution; sizes are one number or (vertical, horizontal)."""

    channels: int
    filters: int
    kernel: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] = 0
    groups: int = 1


@dataclass(frozen=True)
class Conv1d(Synapses):
    """A convolution over length."""

    channels: int
    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1


@dataclass(frozen=True)
class AvgPool2d:
    """The mean of the spikes in windows of ``size``, which the synapses behind it take in."""

    size: int


@dataclass(frozen=True)
class MaxPool2d:
    """A spike where any spikes in a window of ``size``: neurons of their own."""

    size: int


@dataclass
class _Row:
    """The network as far as it is built."""

    inputs: tuple[Input, ...]
    source: str = "input"
    shape: tuple[int, ...] = ()
    populations: list[Population] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    scales: dict[str, float] = field(default_factory=dict)
    tied: dict[int, np.ndarray] = field(default_factory=dict)
    weights: dict[int, np.ndarray] = field(default_factory=dict)


def sequential(
    *layers: Synapses | AvgPool2d | MaxPool2d | LIF,
    input: tuple[int, ...],
    steps: int,
    name: str = "net",
    membrane_bits: int = 24,
    seed: int = 0,
) -> IntegerModel:
    """The model of layers in a row; weights are drawn from ``seed`` as PyTorch draws them.

    input: shape of one input: (lines,), (channels, length) or (channels, height, width).
    steps: of a sample. InputError names the layer that does not fit.
    """
    generator = torch.Generator().manual_seed(seed)
    row = _Row(inputs=(Input(name="input", size=prod(input)),), shape=tuple(input))
    pending: list[Any] = []
    for number, layer in enumerate(layers):
        if isinstance(layer, MaxPool2d):
            if pending:
                raise InputError(f"layer {number} must follow neurons: a max pool is one of spikes")
            _or_pool(row, layer, number)
        elif isinstance(layer, LIF):
            if not pending or not isinstance(pending[-1], Synapses):
                raise InputError(f"layer {number} must follow synapses (Linear, Conv1d, Conv2d)")
            _group(row, pending, layer, number, generator, membrane_bits)
            pending = []
        else:
            pending.append(layer)
    if pending or not row.populations:
        raise InputError("last layer must be neurons (LIF), not synapses or a pool")
    return _finished(row, steps, name, membrane_bits)


def _finished(row: _Row, steps: int, name: str, membrane_bits: int) -> IntegerModel:
    delays = [(e.source, e.target, e.delay) for e in row.edges]
    starts = start_ticks([p.name for p in row.populations], delays)
    populations = tuple(replace(p, start=starts[p.name]) for p in row.populations)
    network = Network(
        name=name,
        inputs=row.inputs,
        populations=populations,
        edges=tuple(row.edges),
        steps=steps,
        output=populations[-1].name,
        membrane_bits=membrane_bits,
        current_bits=CURRENT_BITS if any(p.has_current for p in populations) else 0,
        adaptation_bits=ADAPTATION_BITS if any(p.has_adaptation for p in populations) else 0,
        readout="spikes" if populations[-1].fire.all() else "membrane",
        metadata={"scales": row.scales, "source": "spikeloop.nn"},
    )
    model = IntegerModel(network, tied=row.tied)
    with torch.no_grad():  # the real weights, not their rounded ones
        for number, weights in row.weights.items():
            parameter = model.part(number).weight
            parameter.copy_(torch.as_tensor(weights).reshape(parameter.shape))
    return model


def _group(
    row: _Row,
    pending: list[Any],
    neurons: LIF,
    number: int,
    generator: torch.Generator,
    membrane_bits: int,
) -> None:
    """Synapses and the neurons they end in."""
    *pools, synapses = pending
    if len(pools) > 1 or any(not isinstance(pool, AvgPool2d) for pool in pools):
        raise InputError(f"layer {number} must follow one group of synapses, not several")
    pool = pools[0].size if pools else 1
    weights, index, conv, shape = _kernel(row.shape, synapses, pool, number, generator)
    name = f"layer{len(row.populations) + 1}"
    size = prod(shape)
    real = [weights]
    if neurons.recurrent:
        bound = size**-0.5
        real.append(_uniform((size, size), bound, generator))
    scale = best_scale(np.concatenate([w.ravel() for w in real]), synapses.bits)
    edge = len(row.edges)
    whole = _integers(weights, scale, synapses.bits)
    row.edges.append(
        Edge(source=row.source, target=name, weights=whole.ravel()[index], conv=conv)
        if index is not None
        else Edge(source=row.source, target=name, weights=whole, conv=conv)
    )
    row.weights[edge] = weights
    if index is not None:
        row.tied[edge] = index
    if neurons.recurrent:
        loop = _integers(real[1], scale, synapses.bits)
        row.edges.append(Edge(source=name, target=name, weights=loop, delay=1))
        row.weights[edge + 1] = real[1]
    fan = prod(weights.shape[1:]) if conv else weights.shape[0]
    axes = tuple(range(1, whole.ndim)) if conv else (0,)
    if index is not None:
        whole = whole.ravel()[index]
    arriving = float(np.abs(whole).sum(axes).max())
    if neurons.recurrent:
        arriving += float(np.abs(loop).sum(0).max())
    bias = _uniform((size,), fan**-0.5, generator)
    row.populations.append(
        population(
            name, size, neurons, scale, synapses.bits, bias if synapses.bias else None, arriving
        )
    )
    row.scales[name] = scale
    row.source, row.shape = name, shape


def _uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> np.ndarray:
    drawn = torch.rand(shape, generator=generator, dtype=torch.float64)
    return ((2 * drawn - 1) * bound).numpy()


def _integers(weights: np.ndarray, scale: float, bits: int) -> np.ndarray:
    limit = 1 << (bits - 1)
    return np.clip(round_half_away(weights * scale), -limit, limit - 1).astype(np.int32)


def _kernel(
    shape: tuple[int, ...], synapses: Synapses, pool: int, number: int, generator: torch.Generator
) -> tuple[np.ndarray, np.ndarray | None, Conv | None, tuple[int, ...]]:
    """Real weights, the flat index of each wide one among them if a pool spreads them, geometry,
    and the shape of the neurons."""
    if isinstance(synapses, Linear):
        lines = prod(shape) // pool**2
        if synapses.lines != lines or (pool > 1 and not _pools(shape, pool)):
            raise InputError(
                f"layer {number - 1} must take the {lines} lines in front of it, not "
                f"{synapses.lines}"
            )
        weights = _uniform((lines, synapses.neurons), lines**-0.5, generator)
        if pool == 1:
            return weights, None, None, (synapses.neurons,)
        c, h, w = shape
        cells = np.arange(lines).reshape(c, h // pool, w // pool)
        wide = cells.repeat(pool, 1).repeat(pool, 2).ravel()
        index = wide[:, None] * synapses.neurons + np.arange(synapses.neurons)
        return weights / pool**2, index, None, (synapses.neurons,)
    if not isinstance(synapses, (Conv1d, Conv2d)):
        raise InputError(f"layer {number - 1} must be Linear, Conv1d or Conv2d, not {synapses}")
    source, kernel, stride, padding = _geometry(shape, synapses, number)
    if pool > 1 and (not _pools(shape, pool) or isinstance(synapses, Conv1d)):
        raise InputError(f"pool in front of layer {number - 1} must divide the map {shape[1:]}")
    inner = (source[0], source[1] // pool, source[2] // pool)
    small = Conv.make(
        inner, synapses.filters, kernel, stride=stride, padding=padding, groups=synapses.groups
    )
    small.check(f"layer {number - 1}")
    fan = prod(small.weights_shape[1:])
    weights = _uniform(small.weights_shape, fan**-0.5, generator)
    result = (small.target[0], small.target[2]) if isinstance(synapses, Conv1d) else small.target
    if pool == 1:
        return weights, None, small, result
    conv = Conv(
        source=source,
        target=small.target,
        kernel=(kernel[0] * pool, kernel[1] * pool),
        stride=(stride[0] * pool, stride[1] * pool),
        padding=(padding[0] * pool, padding[1] * pool),
        groups=synapses.groups,
    )
    place = np.arange(weights.size).reshape(weights.shape)
    return weights / pool**2, place.repeat(pool, 2).repeat(pool, 3), conv, result


def _geometry(
    shape: tuple[int, ...], layer: Any, number: int
) -> tuple[Map, tuple[int, int], tuple[int, int], tuple[int, int]]:
    flat = isinstance(layer, Conv1d)
    if len(shape) != (2 if flat else 3) or shape[0] != layer.channels:
        raise InputError(
            f"layer {number - 1} must take {layer.channels} channels of a map, not the shape "
            f"{shape}"
        )
    if flat:
        source = (shape[0], 1, shape[1])
        return source, (1, layer.kernel), (1, layer.stride), (0, layer.padding)
    source = (shape[0], shape[1], shape[2])
    return source, _pair(layer.kernel), _pair(layer.stride), _pair(layer.padding)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _pools(shape: tuple[int, ...], pool: int) -> bool:
    return len(shape) == 3 and shape[1] % pool == 0 and shape[2] % pool == 0


def _or_pool(row: _Row, layer: MaxPool2d, number: int) -> None:
    """A population that spikes where any spikes in a window; its weights stay 1."""
    if not _pools(row.shape, layer.size):
        raise InputError(f"pool {number} must divide the map, not {row.shape} by {layer.size}")
    c, h, w = row.shape
    size = (layer.size, layer.size)
    conv = Conv.make((c, h, w), c, size, stride=size, groups=c)
    name = f"layer{len(row.populations) + 1}"
    row.edges.append(
        Edge(
            source=row.source, target=name, weights=np.ones(conv.weights_shape, np.int32), conv=conv
        )
    )
    row.populations.append(
        Population.make(name, prod(conv.target), v_th=1, k0=False, weight_bits=2, reset=Reset.NONE)
    )
    row.scales[name] = 1.0
    row.source, row.shape = name, conv.target
