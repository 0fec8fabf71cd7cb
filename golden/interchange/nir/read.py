"""NIR graphs (Pedersen et al. 2024) as integer networks.

NIR describes neurons in continuous time; golden/interchange/nir/semantics.py settles what a step of it is. One step, by Euler's method with dt:

    IF    v := v + dt r I                        I      as IF, never spikes
    LIF   v := v + dt / tau (v_leak - v + r I)   LI     as LIF, never spikes
    Leaky v := beta v + I                        not of NIR: golden/interchange/snntorch.py has them
    spike if v > v_threshold (or >=); then hard: v := v_reset, soft: v := v - v_threshold (late: subtracted one step later), none

I is the sum over what leads to the neuron. Everything linear between two spiking nodes becomes one edge of that product of maps
(golden/interchange/nir/maps.py). Edges that close a cycle carry the spikes of the step before; all others those of the same step.

To integers: per population one scale multiplies weights, biases and thresholds; a power of two if that is exact, else the one with which
the largest weight takes all bits. Decay 1 - dt / tau becomes a sum of up to three shifts (golden/quantize/quantize.py), whose error is stated.
"""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.golden.interchange.common import Assumption, Imported
from spikeloop.golden.interchange.nir.file import NirNode, identifier, read_nir
from spikeloop.golden.interchange.nir.maps import (
    LinearMap,
    Shape,
    apply,
    merged,
    node_shape,
    with_gain,
)
from spikeloop.golden.interchange.nir.semantics import SPIKING, Semantics, Settled
from spikeloop.golden.quantize.leak import best_leak, round_half_away
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.limits import LEAK_TERMS
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import Edge, Input, Population, Reset
from spikeloop.pysim.network.graph import Network, start_ticks

__all__ = ["Importer", "import_nir"]

READOUT = ("I", "LI")
LINEAR = ("Affine", "Linear", "Conv1d", "Conv2d", "SumPool2d", "AvgPool2d", "Flatten", "Pass")
KINDS = ("IF", "LIF", *READOUT, *LINEAR, "Input", "Output")


def import_nir(
    path: str | Path, semantics: Semantics | None = None, *, steps: int = 32, bits: int = 8
) -> Imported:
    """Read a NIR file. steps: of a sample; bits: of a weight, 2..16. InputError names the node or edge that cannot be had."""
    nodes, edges = read_nir(path)
    return Importer(nodes, edges, semantics or Semantics(), steps, bits, Path(path).stem).build()


class Importer:
    """Graph to network; one method a step. ``source`` is what the graph comes from, ``name`` of the network."""

    def __init__(
        self,
        nodes: dict[str, NirNode],
        edges: list[tuple[str, str]],
        semantics: Semantics,
        steps: int,
        bits: int,
        name: str,
        source: str = "NIR",
    ) -> None:
        if not 2 <= bits <= 16:
            raise InputError(f"weight bits must be in 2..16, not {bits}")
        self.nodes, self.steps, self.bits, self.name, self.source = nodes, steps, bits, name, source
        for node in nodes.values():
            if node.kind not in KINDS and (source == "NIR" or node.kind not in SPIKING):
                why = (
                    ": its synaptic current is a second state, which the core does not have"
                    if "Cuba" in node.kind
                    else ""
                )
                known = ", ".join(kind for kind in KINDS if kind != "Pass")
                raise InputError(
                    f"type of node {node.name!r} must be one of {known}, not {node.kind!r}{why}"
                )
        self.before: dict[str, list[str]] = defaultdict(list)
        self.after: dict[str, list[str]] = defaultdict(list)
        for source, target in edges:
            if source not in self.before[target]:
                self.before[target].append(source)
                self.after[source].append(target)
        self.outputs = [n for n in nodes if nodes[n].kind == "Output"]
        self.entries = [n for n in nodes if nodes[n].kind == "Input"]
        if len(self.outputs) != 1 or not self.entries:
            raise InputError(
                f"NIR graph must have one Output and at least one Input, not {len(self.outputs)} and {len(self.entries)}"
            )
        settled = Settled(nodes, semantics, "file" if self.source == "NIR" else "module")
        self.dt, self.compare, self.reset, self.assumed = (
            settled.dt,
            settled.compare,
            settled.reset,
            settled.assumed,
        )
        self.shapes: dict[str, Shape] = {}
        self.scales: dict[str, float] = {}

    # -- graph -----------------------------------------------------------------------------------------------

    def build(self) -> Imported:
        late = self._closing()
        neurons = [n for n in self._order(late) if self.nodes[n].kind in SPIKING + READOUT]
        output = self.outputs[0]
        last = self._through(output)
        if len(last) == 1 and self.nodes[last[0]].kind in SPIKING + READOUT:
            answer = last[0]
        else:  # what leads to the output is summed by a population without memory
            neurons, answer = [*neurons, output], output
        names = {n: identifier(n) for n in (*self.entries, *neurons)}
        if len(set(names.values())) < len(names):
            names = {n: f"n{i}_{name}"[:60] for i, (n, name) in enumerate(names.items())}
        for n in self.entries:
            self.shapes[n] = node_shape(self.nodes[n], "shape")
        populations, weights = {}, []
        for n in neurons:
            paths = self._paths(n, late)
            shape = self._neuron_shape(n, [m for _, _, m in paths])
            self.shapes[n] = shape
            population, some = self._population(names[n], n, shape, paths)
            populations[n] = population
            weights += [(names[s], names[n], d, w, conv) for s, d, w, conv in some]
        starts = start_ticks(
            [p.name for p in populations.values()], [(s, t, d) for s, t, d, _, _ in weights]
        )
        network = Network(
            name=identifier(self.name),
            inputs=tuple(
                Input(name=names[n], size=int(np.prod(self.shapes[n]))) for n in self.entries
            ),
            populations=tuple(replace(p, start=starts[p.name]) for p in populations.values()),
            steps=self.steps,
            output=names[answer],
            edges=tuple(
                Edge(source=s, target=t, delay=d, weights=w, conv=conv)
                for s, t, d, w, conv in weights
            ),
            readout="spikes" if populations[answer].fire.all() else "membrane",
            metadata={
                "source": self.source,
                "dt": self.dt,
                "compare": _one(self.compare),
                "reset": _one(self.reset),
                "nodes": {names[n]: n for n in names},
                "shapes": {names[n]: list(self.shapes[n]) for n in names},
                "scales": self.scales,
            },
        )
        self.assumed += [
            Assumption("order of a step", "leak and input, compare, reset", "Euler's method"),
            Assumption(
                "spikes between nodes", "arrive in the same step", "NIR has no delay of its own"
            ),
            Assumption("steps of a sample", str(self.steps), "--steps: NIR does not store them"),
        ]
        if late:
            edges = ", ".join(f"{s}->{t}" for s, t in sorted(late))
            self.assumed.append(
                Assumption("edges that close a cycle", edges, "carry the spikes of the step before")
            )
        return Imported(network, self.assumed, axons=1152)

    def _closing(self) -> set[tuple[str, str]]:
        """Edges that close a cycle, found depth first from the inputs; a cycle without a neuron is refused."""
        late, state = set(), dict.fromkeys(self.nodes, 0)
        for first in [*self.entries, *sorted(self.nodes)]:
            stack = [(first, iter(sorted(self.after[first])))] if not state[first] else []
            state[first] = state[first] or 1
            while stack:
                name, rest = stack[-1]
                step = next(rest, None)
                if step is None:
                    state[name] = 2
                    stack.pop()
                elif state[step] == 1:
                    late.add((name, step))
                    cycle = [n for n, _ in stack][[n for n, _ in stack].index(step) :]
                    if not any(self.nodes[n].kind in SPIKING for n in cycle):
                        raise InputError(
                            f"cycle {'->'.join(cycle)} must hold a spiking node (IF or LIF), not only linear ones"
                        )
                elif state[step] == 0:
                    state[step] = 1
                    stack.append((step, iter(sorted(self.after[step]))))
        return late

    def _order(self, late: set[tuple[str, str]]) -> list[str]:
        done: dict[str, None] = {}
        pending = sorted(self.nodes)
        while pending:
            ready = [n for n in pending if all(b in done or (b, n) in late for b in self.before[n])]
            done |= dict.fromkeys(ready)
            pending = [n for n in pending if n not in done]
        return list(done)

    def _through(self, name: str) -> list[str]:
        """What leads to a node, through those that pass everything on."""
        return [
            m
            for b in self.before[name]
            for m in (self._through(b) if self.nodes[b].kind == "Pass" else [b])
        ]

    def _paths(self, name: str, late: set[tuple[str, str]]) -> list[tuple[str, int, LinearMap]]:
        """Of every way from a spiking node or input: source, delay (1 if an edge of it closes a cycle) and the product of its maps."""
        found = []

        def back(at: str, way: list[str], delay: int) -> None:
            for b in self.before[at]:
                delayed = delay + ((b, at) in late)
                if self.nodes[b].kind in LINEAR:
                    back(b, [b, *way], delayed)
                elif self.nodes[b].kind in READOUT:
                    raise InputError(
                        f"edge {b!r}->{at!r} must come from a spiking node, not from {self.nodes[b].kind}, "
                        "whose value is no spike"
                    )
                else:
                    found.append((b, way, delayed))
                    if len(found) > 256:
                        raise InputError(
                            f"ways that lead to node {name!r} must be at most 256, not more"
                        )

        back(name, [], 0)
        paths = []
        for source, way, delay in found:
            if delay > 1:
                raise InputError(
                    f"way from {source!r} to {name!r} must close at most one cycle, not {delay}"
                )
            shape = self.shapes.get(source) or self._neuron_shape(source, [])
            paths.append((source, delay, self._product(source, way, shape)))
        if not paths:
            raise InputError(f"node {name!r} must be reached from an input, not from nothing")
        return paths

    def _product(self, source: str, way: list[str], shape: Shape) -> LinearMap:
        made, last, fresh = LinearMap.one(shape), source, True
        for name in way:
            made, last = apply(self.nodes[name], made, last, fresh), name
            fresh = fresh and self.nodes[name].kind in ("Flatten", "Pass")
        return replace(made, last=last)

    def _bias(self, name: str) -> np.ndarray | float:
        """What arrives at a node when nothing spikes."""
        total: np.ndarray | float = 0.0
        for b in self.before[name]:
            node = self.nodes[b]
            if node.kind not in LINEAR:
                continue
            arriving, own = (
                self._bias(b),
                node.values.get("bias", 0.0) if np.any(node.values.get("bias", 0.0)) else 0.0,
            )
            if np.any(arriving):
                shape = self._shape_into(b)
                arriving = np.broadcast_to(np.asarray(arriving).ravel(), (int(np.prod(shape)),))
                arriving = arriving @ apply(
                    node, LinearMap.one(shape), b, node.kind not in ("Flatten", "Pass")
                ).dense(b)
            if node.kind.startswith("Conv") and np.any(own):
                own = np.repeat(np.asarray(own), int(np.prod(self._shape_from(b)[1:])))
            total = total + arriving + own
        return total

    def _shape_into(self, name: str) -> Shape:
        """Shape that arrives at a linear node."""
        b = self.before[name][0]
        return (
            self._shape_from(b)
            if self.nodes[b].kind in LINEAR
            else self.shapes.get(b) or self._neuron_shape(b, [])
        )

    def _shape_from(self, name: str) -> Shape:
        """Shape that leaves a linear node."""
        return apply(
            self.nodes[name], LinearMap.one(self._shape_into(name)), self.before[name][0], True
        ).shape

    # -- neurons ---------------------------------------------------------------------------------------------

    def _neuron_shape(self, name: str, maps: list[LinearMap]) -> Shape:
        """Of its own parameters where they are arrays, else of what arrives; all must agree."""
        node = self.nodes[name]
        own = [
            v.shape
            for k, v in node.values.items()
            if isinstance(v, np.ndarray) and v.size > 1 and k != "shape"
        ]
        if node.kind == "Output" and "shape" in node.values:
            own = [node_shape(node, "shape")]
        shape: Shape = tuple(own[0]) if own else maps[0].shape if maps else (1,)
        for made in maps:
            if made.shape != shape:
                raise InputError(
                    f"edge {made.last!r}->{name!r} must carry the shape of its target, {shape}, not {made.shape}"
                )
        if any(s != shape for s in own):
            raise InputError(
                f"parameters of node {name!r} must be of one shape, not {' and '.join(map(str, {*own}))}"
            )
        return shape

    def _population(
        self, name: str, key: str, shape: Shape, paths: list[tuple[str, int, LinearMap]]
    ) -> tuple[Population, list[tuple[str, int, np.ndarray, Conv | None]]]:
        node, size = self.nodes[key], int(np.prod(shape))

        def value(what: str, usual: float) -> np.ndarray:
            return np.broadcast_to(
                np.asarray(node.values.get(what, usual), np.float64).ravel(), (size,)
            ).copy()

        r, tau, leak = value("r", 1.0), value("tau", 1.0), value("v_leak", 0.0)
        leaky = node.kind in ("LIF", "LI")
        if leaky and (tau <= 0).any():
            raise InputError(f"tau of node {key!r} must be positive, not {tau.min()}")
        if leaky and (self.dt > tau).any():
            raise InputError(
                f"dt must be at most tau of node {key!r} ({tau.min():g}), not {self.dt:g}: give a smaller --dt"
            )
        share = (
            self.dt / tau
            if leaky
            else np.full(size, 1.0 if node.kind in ("Output", "Leaky") else self.dt)
        )
        decay = (
            1 - self.dt / tau
            if leaky
            else np.full(size, 0.0)
            if node.kind == "Output"
            else value("beta", 1.0)
        )
        decay, gain = _snapped(decay), _snapped(r * share)
        threshold, v_reset = value("v_threshold", 1.0), value("v_reset", 0.0)
        fires = node.kind in SPIKING
        if fires and self.reset[key] == "hard" and (threshold <= v_reset).any():
            raise InputError(
                f"v_threshold of node {key!r} must lie above v_reset, not {threshold.min():g} with {v_reset.max():g}"
            )
        bias = np.broadcast_to(self._bias(key), (size,)) * gain + (leak * share if leaky else 0.0)

        late = fires and self.reset[key] == "late"
        loop = (
            [(key, 1, LinearMap.one((size,), -threshold))] if late else []
        )  # the spike's own inhibition, one step later
        maps = merged(
            [
                *(
                    (source, delay, with_gain(made, gain, shape, key))
                    for source, delay, made in paths
                ),
                *loop,
            ],
            key,
        )
        leaks = [best_leak(float(d), LEAK_TERMS) for d in np.unique(decay)]
        whole = fires and all(not made.error and made.value in (0.0, 1.0) for made in leaks)
        scale = _scale(
            [m.weights for _, _, m in maps],
            self.bits,
            np.concatenate([threshold, bias, v_reset]),
            minimal=whole,
        )
        if (
            fires and not np.ptp(threshold) and threshold[0] * scale > 1
        ):  # a whole threshold: then a soft reset subtracts all of it
            scale = float(np.floor(threshold[0] * scale + 1e-9) / threshold[0])
        self.scales[name] = scale
        limit = (1 << (self.bits - 1)) - 1
        edges, error = [], 0.0
        for source, delay, made in maps:
            rounded = np.clip(round_half_away(made.weights * scale), -limit - 1, limit).astype(
                np.int32
            )
            error = max(error, float(np.abs(rounded / scale - made.weights).max(initial=0.0)))
            edges.append((source, delay, rounded, made.conv))
        scaled = threshold * scale
        scaled = np.where(
            np.abs(scaled - np.rint(scaled)) < 1e-9 * np.abs(scaled), np.rint(scaled), scaled
        )
        v_th = (
            np.floor(scaled).astype(np.int64) + 1
            if fires and self.compare[key] == ">"
            else np.ceil(scaled).astype(np.int64)
        )
        v_sub = round_half_away(scaled)
        by_value = {float(d): made for d, made in zip(np.unique(decay), leaks, strict=True)}
        sign, shift = (
            np.zeros((1, LEAK_TERMS, size), np.int8),
            np.zeros((1, LEAK_TERMS, size), np.uint8),
        )
        for d, chosen in by_value.items():
            for i, (s, m) in enumerate(chosen.terms):
                sign[0, i, decay == d], shift[0, i, decay == d] = s, m
        self.assumed.append(
            Assumption(
                f"node {key!r}",
                f"{node.kind} {shape}: scale {scale:g}, weights off by at most {error:.2g}, "
                f"decay by {max(made.error for made in leaks):.2g}",
                f"{self.bits} bits a weight",
            )
        )
        kind = {"hard": Reset.HARD, "soft": Reset.SOFT}.get(self.reset.get(key, "hard"), Reset.NONE)
        return Population.make(
            name,
            size,
            weight_bits=self.bits,
            bias=round_half_away(bias * scale),
            v_th=v_th,
            v_sub=v_sub,
            fire=fires,
            reset=kind,
            v_reset=round_half_away(v_reset * scale),
            leak_sign=sign,
            leak_shift=shift,
            k0=np.array([by_value[float(d)].k0 for d in decay]),
        ), edges


def _snapped(values: np.ndarray) -> np.ndarray:
    """Products and quotients of numbers that a file rounded to 24 bits: those within 1e-6 of a short binary fraction are taken as it."""
    short = np.rint(values * 4096) / 4096
    return np.where(np.abs(values - short) <= 1e-6 * np.abs(short), short, values)


def _one(values: dict[str, str]) -> Any:
    """The value that all nodes have, else those of each."""
    return next(iter(values.values()), None) if len({*values.values()}) < 2 else values


def _scale(weights: list[np.ndarray], bits: int, others: np.ndarray, *, minimal: bool) -> float:
    """The largest power of two that keeps every weight an integer of ``bits`` bits, if there is one, else by the largest weight.

    ``minimal``: the smallest such power with which ``others`` (thresholds, biases) are integers too, if there is one: without leaks
    the network is then exact. Thresholds stay inside 23 bits in any case.
    """
    limit, largest = (
        (1 << (bits - 1)) - 1,
        max((float(np.abs(w).max(initial=0.0)) for w in weights), default=0.0) or 1.0,
    )
    most = min(limit / largest, (1 << 22) / max(float(np.abs(others).max(initial=0.0)), 1e-30))

    def whole(scale: float, arrays: list[np.ndarray]) -> bool:
        return all(bool((a * scale == np.rint(a * scale)).all()) for a in arrays)

    scale = 2.0 ** np.floor(np.log2(most))
    if not whole(scale, weights):  # then no smaller power does either
        return most
    while (
        minimal
        and scale > 2.0**-16
        and whole(scale, [others])
        and whole(scale / 2, [others, *weights])
    ):
        scale /= 2
    return float(scale)
