"""NIR graphs (Pedersen et al. 2024) as integer networks.

NIR describes neurons in continuous time; how a step is made of it, this importer takes from its options, then from node metadata, then
from the convention below, and says which. One step, by Euler's method with dt:

    IF    v := v + dt r I                        I      as IF, never spikes
    LIF   v := v + dt / tau (v_leak - v + r I)   LI     as LIF, never spikes
    Leaky v := beta v + I                        not of NIR: golden/snntorch.py has them
    spike if v > v_threshold (or >=); then hard: v := v_reset, soft: v := v - v_threshold (late: subtracted one step later), none

I is the sum over what leads to the neuron. Everything linear between two spiking nodes (Linear, Affine, Conv1d, Conv2d, SumPool2d,
AvgPool2d, Flatten) becomes one edge of that product of maps; a pooling before a convolution is a convolution with a larger kernel and
stride. Edges that close a cycle carry the spikes of the step before; all others those of the same step.

To integers: per population one scale multiplies weights, biases and thresholds; a power of two if that is exact, else the one with which
the largest weight takes all bits. Decay 1 - dt / tau becomes a sum of up to three shifts (golden/quantize.py), whose error is stated.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from golden.interchange import MAX_VALUES, Assumption, Imported
from golden.nir_file import NirNode, identifier, read_nir
from golden.quantize import best_leak, round_half_away
from pysim.network import LEAK_TERMS, Conv, Edge, Input, InputError, Network, Population, Reset, start_ticks

__all__ = ["Semantics", "import_nir"]

SPIKING, READOUT = ("IF", "LIF", "Leaky"), ("I", "LI")
LINEAR = ("Affine", "Linear", "Conv1d", "Conv2d", "SumPool2d", "AvgPool2d", "Flatten", "Pass")
KINDS = ("IF", "LIF", *READOUT, *LINEAR, "Input", "Output")
RESETS = ("hard", "soft", "late", "none")
COMPARES = (">", ">=")
FRAMEWORKS: dict[str, dict[str, Any]] = {
    "snntorch": {"dt": 1e-4, "compare": ">", "reset": "late"}, "spikingjelly": {"dt": 1e-4, "compare": ">=", "reset": "hard"},
    "norse": {"dt": 1e-6, "compare": ">", "reset": "hard"},  # its export multiplies tau by its dt, 1e-3: a step is then dt^2
    "sinabs": {"compare": ">=", "reset": "soft"}}
"""what the files of these do not say, as it is unless their users changed it"""
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Semantics:
    """What NIR leaves open; None: as the file's metadata say (``dt``, ``compare``, ``reset``), else as ``framework`` has it by default,
    else by NIR's convention."""

    dt: float | None = None
    compare: str | None = None
    reset: str | None = None
    framework: str | None = None


@dataclass(frozen=True, eq=False)
class _Map:
    """A linear map between spiking nodes: ``weights`` float64 ``[lines, neurons]`` or, with ``conv``, a kernel; ``shape`` of its result,
    ``last`` the node that it comes from."""

    weights: np.ndarray
    shape: Shape
    conv: Conv | None = None
    last: str = ""

    @classmethod
    def one(cls, shape: Shape, factor: float | np.ndarray = 1.0) -> "_Map":
        """Each line to its own neuron, by a factor (of each channel)."""
        c, h, w = shape if len(shape) == 3 else (int(np.prod(shape)), 1, 1)
        return cls(np.broadcast_to(factor, (c,)).reshape(c, 1, 1, 1).copy(), shape,
                   Conv(source=(c, h, w), target=(c, h, w), kernel=(1, 1), groups=c))

    def dense(self, where: str) -> np.ndarray:
        if self.conv is None:
            return self.weights
        lines, neurons = int(np.prod(self.conv.source)), int(np.prod(self.conv.target))
        _bound(lines * neurons, where)
        index = np.arange(1, self.weights.size + 1, dtype=np.int32).reshape(self.weights.shape)
        return np.concatenate([[0.0], self.weights.ravel()])[self.conv.block(index, np.arange(lines), np.arange(neurons))]


def import_nir(path: str | Path, semantics: Semantics | None = None, *, steps: int = 32, bits: int = 8) -> Imported:
    """Read a NIR file. steps: of a sample; bits: of a weight, 2..16. InputError names the node or edge that cannot be had."""
    nodes, edges = read_nir(path)
    return Importer(nodes, edges, semantics or Semantics(), steps, bits, Path(path).stem).build()


class Importer:
    """Graph to network; one method a step. ``source`` is what the graph comes from, ``name`` of the network."""

    def __init__(self, nodes: dict[str, NirNode], edges: list[tuple[str, str]], semantics: Semantics, steps: int, bits: int, name: str,
                 source: str = "NIR") -> None:
        if not 2 <= bits <= 16:
            raise InputError(f"weight bits must be in 2..16, not {bits}")
        self.nodes, self.steps, self.bits, self.name, self.source = nodes, steps, bits, name, source
        for node in nodes.values():
            if node.kind not in KINDS and (source == "NIR" or node.kind not in SPIKING):
                why = ": its synaptic current is a second state, which the core does not have" if "Cuba" in node.kind else ""
                known = ", ".join(kind for kind in KINDS if kind != "Pass")
                raise InputError(f"type of node {node.name!r} must be one of {known}, not {node.kind!r}{why}")
        self.before: dict[str, list[str]] = defaultdict(list)
        self.after: dict[str, list[str]] = defaultdict(list)
        for source, target in edges:
            if source not in self.before[target]:
                self.before[target].append(source)
                self.after[source].append(target)
        self.outputs = [n for n in nodes if nodes[n].kind == "Output"]
        self.entries = [n for n in nodes if nodes[n].kind == "Input"]
        if len(self.outputs) != 1 or not self.entries:
            raise InputError(f"NIR graph must have one Output and at least one Input, not {len(self.outputs)} and {len(self.entries)}")
        self.assumed: list[Assumption] = []
        self.framework, self.origin = semantics.framework, "file" if source == "NIR" else "module"
        if self.framework not in (None, *FRAMEWORKS):
            raise InputError(f"framework must be one of {', '.join(FRAMEWORKS)}, not {self.framework!r}")
        timed = any("tau" in node.values for node in nodes.values())
        self.dt = float(self._choose("dt", semantics.dt, *((1e-4, "NIR writers' usual step") if timed else (1.0, "no time constants"))))
        self.compare = self._choose_each("compare", semantics.compare, ">", "NIR's definition", COMPARES)
        self.reset = self._choose_each("reset", semantics.reset, "hard", "NIR's definition: v := v_reset", RESETS)
        if not 0 < self.dt < float("inf"):
            raise InputError(f"dt must be positive, not {self.dt}")
        self.shapes: dict[str, Shape] = {}
        self.scales: dict[str, float] = {}

    def _choose(self, what: str, given: Any, usual: Any, why: str) -> Any:
        known = {str(node.metadata[what]) for node in self.nodes.values() if what in node.metadata}
        if given is None and len(known) > 1:
            raise InputError(f"{what} in the metadata of the NIR nodes must be one value, not {', '.join(sorted(known))}: "
                             "give it as an option")
        default: dict[str, Any] = FRAMEWORKS.get(self.framework or "", {})
        if what in default:
            usual, why = default[what], f"default of {self.framework}"
        if known:
            usual, why = known.pop(), f"metadata of the {self.origin}"
        value, reason = (usual, why) if given is None else (given, "given")
        try:
            value = float(value) if what == "dt" else value
        except ValueError:
            raise InputError(f"dt must be a number, not {value!r}") from None
        self.assumed.append(Assumption(what, str(value), reason))
        return value

    def _choose_each(self, what: str, given: str | None, usual: str, why: str, allowed: tuple[str, ...]) -> dict[str, str]:
        """Of each spiking node: as given, else of its own metadata, else of the metadata of others, if they are of one mind."""
        spiking = [n for n, node in self.nodes.items() if node.kind in SPIKING]
        own = {n: str(self.nodes[n].metadata[what]) for n in spiking if what in self.nodes[n].metadata}
        if given is None and len(own) == len(spiking) and len({*own.values()}) > 1:
            for value in dict.fromkeys(own.values()):
                which = ", ".join(n for n in spiking if own[n] == value)
                self.assumed.append(Assumption(f"{what} of {which}", value, f"metadata of the {self.origin}"))
        else:
            own = dict.fromkeys(spiking, str(self._choose(what, given, usual, why)))
        if wrong := {*own.values(), *([given] if given else [])} - {*allowed}:
            raise InputError(f"{what} must be one of {', '.join(allowed)}, not {min(wrong)!r}")
        return own

    # -- maps ------------------------------------------------------------------------------------------------

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
            self.shapes[n] = _shape(self.nodes[n], "shape")
        populations, weights = {}, []
        for n in neurons:
            paths = self._paths(n, late)
            shape = self._neuron_shape(n, [m for _, _, m in paths])
            self.shapes[n] = shape
            population, some = self._population(names[n], n, shape, paths)
            populations[n] = population
            weights += [(names[s], names[n], d, w, conv) for s, d, w, conv in some]
        starts = start_ticks([p.name for p in populations.values()], [(s, t, d) for s, t, d, _, _ in weights])
        network = Network(
            name=identifier(self.name), inputs=tuple(Input(name=names[n], size=int(np.prod(self.shapes[n]))) for n in self.entries),
            populations=tuple(replace(p, start=starts[p.name]) for p in populations.values()), steps=self.steps, output=names[answer],
            edges=tuple(Edge(source=s, target=t, delay=d, weights=w, conv=conv) for s, t, d, w, conv in weights),
            readout="spikes" if populations[answer].fire.all() else "membrane",
            metadata={"source": self.source, "dt": self.dt, "compare": _one(self.compare), "reset": _one(self.reset),
                      "nodes": {names[n]: n for n in names},
                      "shapes": {names[n]: list(self.shapes[n]) for n in names}, "scales": self.scales})
        self.assumed += [Assumption("order of a step", "leak and input, compare, reset", "Euler's method"),
                         Assumption("spikes between nodes", "arrive in the same step", "NIR has no delay of its own"),
                         Assumption("steps of a sample", str(self.steps), "--steps: NIR does not store them")]
        if late:
            edges = ", ".join(f"{s}->{t}" for s, t in sorted(late))
            self.assumed.append(Assumption("edges that close a cycle", edges, "carry the spikes of the step before"))
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
                    cycle = [n for n, _ in stack][[n for n, _ in stack].index(step):]
                    if not any(self.nodes[n].kind in SPIKING for n in cycle):
                        raise InputError(f"cycle {'->'.join(cycle)} must hold a spiking node (IF or LIF), not only linear ones")
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
        return [m for b in self.before[name] for m in (self._through(b) if self.nodes[b].kind == "Pass" else [b])]

    def _paths(self, name: str, late: set[tuple[str, str]]) -> list[tuple[str, int, _Map]]:
        """Of every way from a spiking node or input: source, delay (1 if an edge of it closes a cycle) and the product of its maps."""
        found = []

        def back(at: str, way: list[str], delay: int) -> None:
            for b in self.before[at]:
                delayed = delay + ((b, at) in late)
                if self.nodes[b].kind in LINEAR:
                    back(b, [b, *way], delayed)
                elif self.nodes[b].kind in READOUT:
                    raise InputError(f"edge {b!r}->{at!r} must come from a spiking node, not from {self.nodes[b].kind}, "
                                     "whose value is no spike")
                else:
                    found.append((b, way, delayed))
                    if len(found) > 256:
                        raise InputError(f"ways that lead to node {name!r} must be at most 256, not more")

        back(name, [], 0)
        paths = []
        for source, way, delay in found:
            if delay > 1:
                raise InputError(f"way from {source!r} to {name!r} must close at most one cycle, not {delay}")
            shape = self.shapes.get(source) or self._neuron_shape(source, [])
            paths.append((source, delay, self._product(source, way, shape)))
        if not paths:
            raise InputError(f"node {name!r} must be reached from an input, not from nothing")
        return paths

    def _product(self, source: str, way: list[str], shape: Shape) -> _Map:
        made, last, fresh = _Map.one(shape), source, True
        for name in way:
            made, last = self._apply(self.nodes[name], made, last, fresh), name
            fresh = fresh and self.nodes[name].kind in ("Flatten", "Pass")
        return replace(made, last=last)

    def _apply(self, node: NirNode, made: _Map, last: str, fresh: bool) -> _Map:
        """One more linear node behind ``made`` (the identity if ``fresh``)."""
        where, shape = f"edge {last!r}->{node.name!r}", made.shape
        if node.kind == "Pass":
            return made
        if node.kind == "Flatten":
            first, end = (int(node.values.get(key, usual)) for key, usual in (("start_dim", 0), ("end_dim", -1)))
            first, end = first % max(1, len(shape)), end % max(1, len(shape))
            flat = (*shape[:first], int(np.prod(shape[first:end + 1])), *shape[end + 1:])
            return replace(made, shape=flat)
        if node.kind in ("Affine", "Linear"):
            weight = _values(node, "weight")
            if weight.ndim != 2 or shape != (weight.shape[1],):
                raise InputError(f"{where} must carry the shape that {node.kind} takes, {weight.shape[1:]}, not {shape}")
            _bound(weight.shape[0] * int(np.prod(shape)), where)
            return _Map(weight.T if fresh else made.dense(where) @ weight.T, (weight.shape[0],))
        conv, weight, result = _convolution(node, shape, where)
        step = _Map(weight, result, conv)
        if fresh:
            return step
        whole = _pool_then(made, step)
        return whole or _Map(made.dense(where) @ step.dense(where), result)

    def _bias(self, name: str) -> np.ndarray | float:
        """What arrives at a node when nothing spikes."""
        total: np.ndarray | float = 0.0
        for b in self.before[name]:
            node = self.nodes[b]
            if node.kind not in LINEAR:
                continue
            arriving, own = self._bias(b), node.values.get("bias", 0.0) if np.any(node.values.get("bias", 0.0)) else 0.0
            if np.any(arriving):
                shape = self._shape_into(b)
                arriving = np.broadcast_to(np.asarray(arriving).ravel(), (int(np.prod(shape)),))
                arriving = arriving @ self._apply(node, _Map.one(shape), b, node.kind not in ("Flatten", "Pass")).dense(b)
            if node.kind.startswith("Conv") and np.any(own):
                own = np.repeat(np.asarray(own), int(np.prod(self._shape_from(b)[1:])))
            total = total + arriving + own
        return total

    def _shape_into(self, name: str) -> Shape:
        """Shape that arrives at a linear node."""
        b = self.before[name][0]
        return self._shape_from(b) if self.nodes[b].kind in LINEAR else self.shapes.get(b) or self._neuron_shape(b, [])

    def _shape_from(self, name: str) -> Shape:
        """Shape that leaves a linear node."""
        return self._apply(self.nodes[name], _Map.one(self._shape_into(name)), self.before[name][0], True).shape

    # -- neurons ---------------------------------------------------------------------------------------------

    def _neuron_shape(self, name: str, maps: list[_Map]) -> Shape:
        """Of its own parameters where they are arrays, else of what arrives; all must agree."""
        node = self.nodes[name]
        own = [v.shape for k, v in node.values.items() if isinstance(v, np.ndarray) and v.size > 1 and k != "shape"]
        if node.kind == "Output" and "shape" in node.values:
            own = [_shape(node, "shape")]
        shape: Shape = tuple(own[0]) if own else maps[0].shape if maps else (1,)
        for made in maps:
            if made.shape != shape:
                raise InputError(f"edge {made.last!r}->{name!r} must carry the shape of its target, {shape}, not {made.shape}")
        if any(s != shape for s in own):
            raise InputError(f"parameters of node {name!r} must be of one shape, not {' and '.join(map(str, {*own}))}")
        return shape

    def _population(self, name: str, key: str, shape: Shape, paths: list[tuple[str, int, _Map]]
                    ) -> tuple[Population, list[tuple[str, int, np.ndarray, Conv | None]]]:
        node, size = self.nodes[key], int(np.prod(shape))

        def value(what: str, usual: float) -> np.ndarray:
            return np.broadcast_to(np.asarray(node.values.get(what, usual), np.float64).ravel(), (size,)).copy()

        r, tau, leak = value("r", 1.0), value("tau", 1.0), value("v_leak", 0.0)
        leaky = node.kind in ("LIF", "LI")
        if leaky and (tau <= 0).any():
            raise InputError(f"tau of node {key!r} must be positive, not {tau.min()}")
        if leaky and (self.dt > tau).any():
            raise InputError(f"dt must be at most tau of node {key!r} ({tau.min():g}), not {self.dt:g}: give a smaller --dt")
        share = self.dt / tau if leaky else np.full(size, 1.0 if node.kind in ("Output", "Leaky") else self.dt)
        decay = 1 - self.dt / tau if leaky else np.full(size, 0.0) if node.kind == "Output" else value("beta", 1.0)
        decay, gain = _snapped(decay), _snapped(r * share)
        threshold, v_reset = value("v_threshold", 1.0), value("v_reset", 0.0)
        fires = node.kind in SPIKING
        if fires and self.reset[key] == "hard" and (threshold <= v_reset).any():
            raise InputError(f"v_threshold of node {key!r} must lie above v_reset, not {threshold.min():g} with {v_reset.max():g}")
        bias = np.broadcast_to(self._bias(key), (size,)) * gain + (leak * share if leaky else 0.0)

        late = fires and self.reset[key] == "late"
        loop = [(key, 1, _Map.one((size,), -threshold))] if late else []  # the spike's own inhibition, one step later
        maps = _merged([*((source, delay, _with_gain(made, gain, shape, key)) for source, delay, made in paths), *loop], key)
        leaks = [best_leak(float(d), LEAK_TERMS) for d in np.unique(decay)]
        whole = fires and all(not made.error and made.value in (0.0, 1.0) for made in leaks)
        scale = _scale([m.weights for _, _, m in maps], self.bits, np.concatenate([threshold, bias, v_reset]), minimal=whole)
        if fires and not np.ptp(threshold) and threshold[0] * scale > 1:  # a whole threshold: then a soft reset subtracts all of it
            scale = float(np.floor(threshold[0] * scale + 1e-9) / threshold[0])
        self.scales[name] = scale
        limit = (1 << (self.bits - 1)) - 1
        edges, error = [], 0.0
        for source, delay, made in maps:
            rounded = np.clip(round_half_away(made.weights * scale), -limit - 1, limit).astype(np.int32)
            error = max(error, float(np.abs(rounded / scale - made.weights).max(initial=0.0)))
            edges.append((source, delay, rounded, made.conv))
        scaled = threshold * scale
        scaled = np.where(np.abs(scaled - np.rint(scaled)) < 1e-9 * np.abs(scaled), np.rint(scaled), scaled)
        v_th = np.floor(scaled).astype(np.int64) + 1 if fires and self.compare[key] == ">" else np.ceil(scaled).astype(np.int64)
        v_sub = round_half_away(scaled)
        by_value = {float(d): made for d, made in zip(np.unique(decay), leaks, strict=True)}
        sign, shift = np.zeros((1, LEAK_TERMS, size), np.int8), np.zeros((1, LEAK_TERMS, size), np.uint8)
        for d, chosen in by_value.items():
            for i, (s, m) in enumerate(chosen.terms):
                sign[0, i, decay == d], shift[0, i, decay == d] = s, m
        self.assumed.append(Assumption(f"node {key!r}", f"{node.kind} {shape}: scale {scale:g}, weights off by at most {error:.2g}, "
                                       f"decay by {max(made.error for made in leaks):.2g}", f"{self.bits} bits a weight"))
        kind = {"hard": Reset.HARD, "soft": Reset.SOFT}.get(self.reset.get(key, "hard"), Reset.NONE)
        return Population.make(name, size, weight_bits=self.bits, bias=round_half_away(bias * scale), v_th=v_th, v_sub=v_sub, fire=fires,
                               reset=kind, v_reset=round_half_away(v_reset * scale), leak_sign=sign, leak_shift=shift,
                               k0=np.array([by_value[float(d)].k0 for d in decay])), edges


def _snapped(values: np.ndarray) -> np.ndarray:
    """Products and quotients of numbers that a file rounded to 24 bits: those within 1e-6 of a short binary fraction are taken as it."""
    short = np.rint(values * 4096) / 4096
    return np.where(np.abs(values - short) <= 1e-6 * np.abs(short), short, values)


def _one(values: dict[str, str]) -> Any:
    """The value that all nodes have, else those of each."""
    return next(iter(values.values()), None) if len({*values.values()}) < 2 else values


def _bound(count: int, where: str) -> None:
    if count > MAX_VALUES:
        raise InputError(f"weights of {where} must be at most {MAX_VALUES:,}, not {count:,}")


def _values(node: NirNode, key: str) -> np.ndarray:
    if not isinstance(node.values.get(key), np.ndarray):
        raise InputError(f"node {node.name!r} must have numbers {key}, not none")
    return node.values[key]


def _shape(node: NirNode, key: str) -> Shape:
    shape = tuple(int(n) for n in _values(node, key).ravel())
    if not 1 <= len(shape) <= 4 or any(n < 1 for n in shape):
        raise InputError(f"shape of node {node.name!r} must be 1 to 4 positive sizes, not {shape}")
    _bound(int(np.prod(shape, dtype=object)), f"node {node.name!r}")
    return shape


def _two(node: NirNode, key: str, usual: int, axes: int = 2) -> tuple[int, int]:
    """A size per axis, as (vertical, horizontal)."""
    value = node.values.get(key, np.int64(usual))
    if isinstance(value, str):
        if key == "padding" and value == "valid":
            value = 0
        else:
            raise InputError(f"{key} of node {node.name!r} must be numbers, not {value!r}")
    flat = [int(n) for n in np.ravel(value)]
    flat = flat * axes if len(flat) == 1 else flat
    if len(flat) != axes or any(n < 0 for n in flat):
        raise InputError(f"{key} of node {node.name!r} must be {axes} sizes, not {flat}")
    return (flat[0], flat[1]) if axes == 2 else ({"padding": 0}.get(key, 1), flat[0])


def _convolution(node: NirNode, shape: Shape, where: str) -> tuple[Conv, np.ndarray, Shape]:
    """Geometry and kernel of a convolution or a pooling, and the shape of its result."""
    flat = node.kind == "Conv1d"
    if len(shape) != 2 + (not flat):
        raise InputError(f"{where} must carry {'channels and length' if flat else 'channels, height and width'}, not the shape {shape}")
    source = (shape[0], 1, shape[1]) if flat else (shape[0], shape[1], shape[2])
    axes = 1 if flat else 2
    stride, padding = _two(node, "stride", 1, axes), _two(node, "padding", 0, axes)
    if "Pool" in node.kind:
        kernel, groups = _two(node, "kernel_size", 1), source[0]
        weight = np.full((source[0], 1, *kernel), 1.0 / (kernel[0] * kernel[1]) if node.kind == "AvgPool2d" else 1.0)
    else:
        weight, groups = _values(node, "weight"), int(np.ravel(node.values.get("groups", 1))[0])
        if weight.ndim != 3 + (not flat) or groups < 1:
            raise InputError(f"weights of node {node.name!r} must have {3 + (not flat)} axes and groups >= 1, "
                             f"not {weight.ndim} and {groups}")
        weight = weight[:, :, None] if flat else weight
        if source[0] != weight.shape[1] * groups:
            want = (weight.shape[1] * groups, *shape[1:])
            raise InputError(f"{where} must carry the shape that {node.kind} takes, {want}, not {shape}")
        given = node.values.get("input_shape")
        if isinstance(given, np.ndarray) and given.size == axes and tuple(given.ravel().tolist()) != shape[1:]:
            raise InputError(f"{where} must carry the shape that {node.kind} takes, {(shape[0], *given.ravel().tolist())}, not {shape}")
        dilation = _two(node, "dilation", 1, axes)
        if dilation != (1, 1):
            wide: np.ndarray = np.zeros((*weight.shape[:2], *((k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation, strict=True))))
            wide[:, :, ::dilation[0], ::dilation[1]] = weight
            weight = wide
    if min(stride) < 1 or any(n + 2 * p < k for n, p, k in zip(source[1:], padding, weight.shape[2:], strict=True)):
        raise InputError(f"{where} must carry a map as large as the kernel {weight.shape[2:]} of {node.kind}, and strides be positive, "
                         f"not {shape} and {stride}")
    conv = Conv.make(source, weight.shape[0], weight.shape[2:], stride=stride, padding=padding, groups=groups)
    conv.check(where)
    return conv, weight, (conv.target[0], conv.target[2]) if flat else conv.target


def _pool_then(pool: _Map, then: _Map) -> _Map | None:
    """A pooling of equal weights without overlap, then a convolution: one convolution; None where that is not the same."""
    p, c = pool.conv, then.conv
    if p is None or c is None or p.groups != p.source[0] or p.target[0] != p.source[0] or p.kernel != p.stride or p.padding != (0, 0) \
            or any(n != m * k for n, m, k in zip(p.source[1:], p.target[1:], p.kernel, strict=True)) or np.ptp(pool.weights):
        return None
    k = p.kernel
    return _Map(np.kron(then.weights, np.ones((1, 1, *k))) * pool.weights.flat[0], then.shape, Conv(
        source=p.source, target=c.target, kernel=(c.kernel[0] * k[0], c.kernel[1] * k[1]), groups=c.groups,
        stride=(c.stride[0] * k[0], c.stride[1] * k[1]), padding=(c.padding[0] * k[0], c.padding[1] * k[1])))


def _with_gain(made: _Map, gain: np.ndarray, shape: Shape, where: str) -> _Map:
    """The map with each neuron's input scaled; a kernel stays one if its channels' neurons agree."""
    if made.conv is None:
        return replace(made, weights=made.weights * gain)
    channel = gain.reshape(made.conv.target[0], -1)
    if not np.ptp(channel, axis=1).any():
        return replace(made, weights=made.weights * channel[:, 0, None, None, None])
    return _Map(made.dense(where) * gain, shape)


def _merged(maps: list[tuple[str, int, _Map]], where: str) -> list[tuple[str, int, _Map]]:
    """Ways of one source and delay become one: an axon has one weight per neuron."""
    found: dict[tuple[str, int], _Map] = {}
    for source, delay, made in maps:
        old = found.get((source, delay))
        found[source, delay] = made if old is None else _Map(old.dense(where) + made.dense(where), made.shape)
    return [(source, delay, made) for (source, delay), made in found.items()]


def _scale(weights: list[np.ndarray], bits: int, others: np.ndarray, *, minimal: bool) -> float:
    """The largest power of two that keeps every weight an integer of ``bits`` bits, if there is one, else by the largest weight.

    ``minimal``: the smallest such power with which ``others`` (thresholds, biases) are integers too, if there is one: without leaks
    the network is then exact. Thresholds stay inside 23 bits in any case.
    """
    limit, largest = (1 << (bits - 1)) - 1, max((float(np.abs(w).max(initial=0.0)) for w in weights), default=0.0) or 1.0
    most = min(limit / largest, (1 << 22) / max(float(np.abs(others).max(initial=0.0)), 1e-30))

    def whole(scale: float, arrays: list[np.ndarray]) -> bool:
        return all(bool((a * scale == np.rint(a * scale)).all()) for a in arrays)

    scale = 2.0**np.floor(np.log2(most))
    if not whole(scale, weights):  # then no smaller power does either
        return most
    while minimal and scale > 2.0**-16 and whole(scale, [others]) and whole(scale / 2, [others, *weights]):
        scale /= 2
    return float(scale)
