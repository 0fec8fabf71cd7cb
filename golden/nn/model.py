"""A network that trains in the chip's own arithmetic.

Parameters are real numbers, the weights and biases of the layers. Forward rounds them to the
integers of the network and runs the integer network step by step, so its spikes and membranes are
those of the chip. Backward sees through the rounding (golden/nn/step.py).

    model = IntegerModel(network)     any network: quantised, imported, of golden/nn/layers.py
    spikes = model(x)                 x [sample, step, line] of 0 and 1
    network = model.to_network()      the very integers that forward used
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikeloop.golden.nn.exact import EXACT, Sums
from spikeloop.golden.nn.states import State
from spikeloop.golden.nn.step import Neurons, rounded
from spikeloop.golden.quantize.states import finer
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import Edge, weight_range
from spikeloop.pysim.network.graph import Network

__all__ = ["IntegerModel", "Run", "from_float"]


@dataclass(frozen=True, eq=False)
class Run:
    """By population, [sample, step, neuron], whole numbers: ``spikes``, ``membranes``, and of those
    that have them synaptic currents (``synaptic``) and ``adaptations``."""

    spikes: dict[str, Tensor]
    membranes: dict[str, Tensor]
    synaptic: dict[str, Tensor] = field(default_factory=dict)
    adaptations: dict[str, Tensor] = field(default_factory=dict)


class Synapses(nn.Module):
    """One edge. ``weight`` is real; forward multiplies it by ``scale``, rounds and clips it."""

    def __init__(
        self, edge: Edge, scale: float, low: int, high: int, tied: np.ndarray | None
    ) -> None:
        super().__init__()
        self.edge, self.scale, self.low, self.high = edge, scale, low, high
        weights = torch.as_tensor(edge.weights, dtype=torch.float32) / scale
        if tied is not None:  # several weights are one parameter
            _, first = np.unique(tied, return_index=True)
            weights = weights.flatten()[torch.as_tensor(first)]
        index = None if tied is None else torch.as_tensor(tied)
        self.register_buffer("tied", index)
        self.weight = nn.Parameter(weights)

    def integers(self) -> Tensor:
        """The weights of the network, whole numbers."""
        whole = rounded(self.weight * self.scale).clamp(self.low, self.high)
        return whole if self.tied is None else whole.flatten()[self.tied]  # type: ignore[index]

    def forward(self, spikes: Tensor, weights: Tensor) -> Tensor:
        """The sums [sample, neuron] of spikes [sample, line]."""
        conv = self.edge.conv
        if conv is None:
            return spikes @ weights
        x = spikes.reshape(len(spikes), *conv.source)
        y = nn.functional.conv2d(
            x, weights, stride=conv.stride, padding=conv.padding, groups=conv.groups
        )
        return y[:, :, : conv.target[1], : conv.target[2]].flatten(1)


class IntegerModel(nn.Module):
    """The trainable twin of ``network``; its PIM layer, if any, is refused.

    scales: real value of one unit of a population's weights is 1 / scale (default: those that the
            network's metadata keep, else 1). Behind a current the units of the membrane are finer
            (golden/quantize/states.py); ``units`` has how many are one real unit, [neuron].
    width:  of the spike's slope, in thresholds of each population.
    tied:   by number of an edge, for each of its weights the parameter it is.
    """

    def __init__(
        self,
        network: Network,
        scales: Mapping[str, float] | None = None,
        width: float = 0.5,
        tied: Mapping[int, np.ndarray] | None = None,
    ) -> None:
        super().__init__()
        if network.pim is not None:
            raise InputError("network to train must be without a PIM layer, not with one")
        self.network, self.width = network, width
        known = network.metadata.get("scales", {}) if scales is None else scales
        self.scales = {p.name: _scale(known, p.name) for p in network.populations}
        self.units = {
            p.name: torch.as_tensor(self.scales[p.name] * finer(p)).float()
            for p in network.populations
        }
        self._sums = {p.name: Sums(p, network.widths) for p in network.populations}
        self.neurons, self.synapses = nn.ModuleDict(), nn.ModuleDict()
        self.biases = nn.ParameterDict()
        for p in network.order():
            reach = np.maximum(np.abs(p.v_th[0].astype(np.float64)), 1.0) * width
            self.neurons[p.name] = Neurons(p, network.widths, torch.as_tensor(reach))
            bias = torch.as_tensor(p.bias)
            # Larger ones call for model.double(), which could not bring back what is lost here.
            fits = not bias.abs().gt(EXACT).any()
            bias = bias.to(torch.float32 if fits else torch.float64) / self.units[p.name]
            self.biases[p.name] = nn.Parameter(bias)
        for i, edge in enumerate(network.edges):
            p = network.population(edge.target)
            low, high = weight_range(p.weight_format, p.weight_bits)
            part = Synapses(edge, self.scales[p.name], low, high, (tied or {}).get(i))
            self.synapses[str(i)] = part

    def part(self, edge: int) -> Synapses:
        """The synapses of an edge of the network, by its number."""
        part = self.synapses[str(edge)]
        assert isinstance(part, Synapses)
        return part

    def neurons_of(self, name: str) -> Neurons:
        """The neurons of a population."""
        part = self.neurons[name]
        assert isinstance(part, Neurons)
        return part

    @torch.no_grad()
    def take_parameters(self, other: "IntegerModel") -> None:
        """The real weights and biases of a model of the same shape, with other bits."""
        for i in range(len(self.network.edges)):
            self.part(i).weight.copy_(other.part(i).weight)
        for name, bias in self.biases.items():
            bias.copy_(other.biases[name])

    def forward(self, x: Tensor | Mapping[str, Tensor]) -> Tensor:
        """Spikes of the output population [sample, step, neuron]; its membranes, in real units, if
        it is a read-out. ``x``: spikes [sample, step, ...] of the one input, or by input."""
        trace = self.run(x)
        name = self.network.output
        if self.network.population(name).fire.all():
            return trace.spikes[name]
        return trace.membranes[name] / self.units[name].to(trace.membranes[name])

    def run(self, x: Tensor | Mapping[str, Tensor]) -> Run:
        """Every spike and every state."""
        edges, emitted = self.network.edges, self._inputs(x)
        some = next(iter(emitted.values()))
        samples, steps = some.shape[:2]
        parts = [self.part(i) for i in range(len(edges))]
        weights = [part.integers() for part in parts]
        neurons = {name: self.neurons_of(name) for name in self.neurons}
        biases = {name: self._bias(name) for name in neurons}
        self._check_exact(weights, biases)
        states = {name: part.begin(samples, some) for name, part in neurons.items()}
        into = {name: [i for i, e in enumerate(edges) if e.target == name] for name in neurons}
        rows: dict[str, list[Tensor]] = {name: [] for name in neurons}
        kept: dict[str, list[State]] = {name: [] for name in neurons}
        for step in range(steps):
            for name, part in neurons.items():
                total = some.new_zeros(samples, part.size)
                for i in into[name]:
                    at = step - edges[i].delay
                    if at >= 0:
                        source = emitted.get(edges[i].source)
                        spikes = rows[edges[i].source][at] if source is None else source[:, at]
                        total = total + parts[i](spikes, weights[i])
                fired, states[name] = part(total, biases[name], states[name], step)
                rows[name].append(fired)
                kept[name].append(states[name])
        fired_all = {name: torch.stack(row, 1) for name, row in rows.items()}
        return Run(fired_all, *(_stacked(kept, letter) for letter in "vya"))

    @torch.no_grad()
    def to_network(self) -> Network:
        """The integer network whose spikes and membranes forward computes."""
        edges = tuple(
            replace(e, weights=_whole(self.part(i).integers(), np.int32))
            for i, e in enumerate(self.network.edges)
        )
        populations = tuple(
            replace(p, bias=_whole(self._bias(p.name), np.int64)) for p in self.network.populations
        )
        metadata = {**self.network.metadata, "scales": dict(self.scales)}
        return replace(self.network, populations=populations, edges=edges, metadata=metadata)

    def _bias(self, name: str) -> Tensor:
        """The biases of a population, whole numbers in units of its membrane."""
        return rounded(self.biases[name] * self.units[name].to(self.biases[name]))

    def _inputs(self, x: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
        nodes = self.network.inputs
        if isinstance(x, Tensor):
            if len(nodes) != 1:
                names = ", ".join(node.name for node in nodes)
                raise InputError(f"inputs must be given by name ({names}), not as one tensor")
            x = {nodes[0].name: x}
        if sorted(x) != sorted(node.name for node in nodes):
            raise InputError(
                f"inputs must be {', '.join(n.name for n in nodes)}, not {', '.join(x)}"
            )
        emitted = {}
        for node in nodes:
            value = x[node.name]
            if value.dim() < 3 or value[0, 0].numel() != node.size:
                raise InputError(
                    f"input {node.name!r} must be of shape [sample, step, {node.size}], not "
                    f"{tuple(value.shape)}"
                )
            emitted[node.name] = value.flatten(2).to(next(self.parameters()).dtype)
        return emitted

    def _check_exact(self, weights: Sequence[Tensor], biases: Mapping[str, Tensor]) -> None:
        """InputError if float32 could not hold a sum exactly: whole numbers beyond 2^24."""
        if next(self.parameters()).dtype == torch.float64:
            return
        for p in self.network.populations:
            arriving = 0.0
            for i, edge in enumerate(self.network.edges):
                if edge.target == p.name:
                    value = weights[i].detach().abs()
                    axes = value.flatten(1).sum(1) if edge.conv else value.sum(0)
                    arriving = arriving + float(axes.max()) if axes.numel() else arriving
            bias = float(biases[p.name].detach().abs().max())
            if self._sums[p.name].largest(arriving, bias) >= EXACT:
                raise InputError(
                    f"sums of population {p.name!r} must stay below 2^24 in float32: call "
                    "model.double()"
                )


def _stacked(kept: dict[str, list[State]], letter: str) -> dict[str, Tensor]:
    """One state of the populations that have it, [sample, step, neuron]."""
    return {
        name: torch.stack([getattr(state, letter) for state in states], 1)
        for name, states in kept.items()
        if states and getattr(states[0], letter) is not None
    }


def _scale(known: Mapping[str, Any], name: str) -> float:
    scale = float(known.get(name, 1.0))
    if not (np.isfinite(scale) and scale > 0):
        raise InputError(f"scale of population {name!r} must be positive, not {scale}")
    return scale


def _whole(x: Tensor, dtype: Any) -> np.ndarray:
    return np.rint(x.detach().cpu().double().numpy()).astype(dtype)


def from_float(
    net: nn.Module,
    shape: tuple[int, ...] | None = None,
    *,
    bits: int | Mapping[str, int] = 8,
    steps: int = 32,
    **options: Any,
) -> IntegerModel:
    """The trainable twin of a float module, to tune it further; read as import_module reads it.

    It is imported with weights of 16 bits, then takes ``bits``: one number, or one a population.
    The parameters stay the float ones. ``options`` as of import_module.
    """
    from spikeloop.golden.interchange.modules.read import import_module
    from spikeloop.golden.quantize.scales import with_bits

    fine = import_module(net, shape, steps=steps, bits=16, **options).network
    model = IntegerModel(with_bits(fine, bits))
    model.take_parameters(IntegerModel(fine))
    return model
