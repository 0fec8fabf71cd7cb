"""Compare backends: every spike, every membrane, every counter; the first difference by name.

The first backend is the reference; each other one is compared with it (a counter, with the first backend that knows it).
Samples go through in chunks, so that memory does not grow with their number; chunks run side by side, one set of backends per
worker. Spikes are compared packed and unpacked only where they differ. What was compared is always counted: one *neuron-tick*
is one logical neuron in one step of one sample, its spike and its membrane together.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from queue import SimpleQueue
from types import MappingProxyType
from typing import Any

import numpy as np

from cosim.expected import Expected
from cosim.link import Backend
from pysim.errors import InputError
from pysim.memory_map import COUNTERS, PIM_COUNTERS
from pysim.network import Network
from pysim.trace import Stimulus, Trace, unpack

__all__ = ["CHIPS", "Difference", "Pair", "Result", "compare", "decisions", "diff", "against"]

CHIPS = ("verilator", "icarus", "board", "replay")
"""backends that measure cycles; pysim predicts them"""

SINGLE = ("board", "replay")
"""backends of which there is only one: they are opened once"""

CHUNK_BYTES = 32 << 20
CHUNK_SAMPLES = 250

Opener = Callable[[str], Backend]
Holders = Mapping[str, np.ndarray]  # population: the core of each neuron, int64 [size]; one that is not named is on core 0


@dataclass(frozen=True)
class Difference:
    """The first thing in which a backend departs from the reference.

    ``field`` is current (of a PIM layer), spike, membrane, or the name of a counter; a counter belongs to a whole tick, so
    that ``step``, ``population`` and ``neuron`` are None, and ``core`` if there are several. ``tick`` = step + start tick of the
    population.
    """

    reference: str
    backend: str
    sample: int
    tick: int
    step: int | None
    core: int | None
    population: str | None
    neuron: int | None
    field: str
    expected: int
    got: int

    def __str__(self) -> str:
        where = f"sample {self.sample}, tick {self.tick}"
        if self.population is not None:
            where += f" (step {self.step}), core {self.core}, population {self.population}, neuron {self.neuron}"
        return f"{where}: {self.field} is {self.expected} in {self.reference}, {self.got} in {self.backend}"

    def at(self, holders: Holders) -> "Difference":
        """With the core that holds the neuron; a counter of several cores is of none."""
        if self.population is None:
            return replace(self, core=None) if holders else self
        return replace(self, core=int(holders[self.population][self.neuron])) if self.population in holders else self


@dataclass
class Pair:
    """Two backends compared: denominators, what differed, the first difference."""

    reference: str
    backend: str
    neuron_ticks: int = 0
    neuron_ticks_different: int = 0
    spikes_different: int = 0
    membranes_different: int = 0
    membranes_compared: bool = True
    currents: int = 0
    currents_different: int = 0
    counter_values: int = 0
    counters_different: dict[str, int] = field(default_factory=dict)
    first: Difference | None = None

    @property
    def different(self) -> int:
        return self.neuron_ticks_different + self.currents_different + sum(self.counters_different.values())

    def add(self, other: "Pair") -> None:
        """Take in the comparison of another chunk of samples of the same two backends."""
        for key in ("neuron_ticks", "neuron_ticks_different", "spikes_different", "membranes_different", "currents",
                    "currents_different", "counter_values"):
            setattr(self, key, getattr(self, key) + getattr(other, key))
        for name, count in other.counters_different.items():
            self.counters_different[name] = self.counters_different.get(name, 0) + count
        if other.first and (self.first is None or other.first.sample < self.first.sample):
            self.first = other.first
        self.membranes_compared &= other.membranes_compared

    def __str__(self) -> str:
        what = "neuron-ticks" if self.membranes_compared else "neuron-ticks (spikes only)"
        text = f"{self.neuron_ticks:,} {what} compared, {self.neuron_ticks_different:,} different"
        if self.currents:
            text += f"; {self.currents:,} currents compared, {self.currents_different:,} different"
        if self.counter_values:
            wrong = {name: count for name, count in self.counters_different.items() if count}
            text += f"; {self.counter_values:,} counter values compared, {sum(wrong.values()):,} different"
            text += f" ({', '.join(f'{name} {count:,}' for name, count in wrong.items())})" if wrong else ""
        return f"{self.reference} against {self.backend}: {text}"


@dataclass
class Result:
    """The verdict on a run of two or more backends, with what they counted.

    ``counters[backend][name]`` int64 ``[sample, tick]``; ``accuracy[backend]`` a fraction, None without labels;
    ``silent`` names the populations that may fire and never did; ``seconds`` is wall time, ``busy`` the sum per backend
    over all workers; ``natures`` says what a board is: "board", "virtual board" or "replay".
    """

    network: Network
    backends: list[str]
    samples: int
    pairs: list[Pair]
    accuracy: dict[str, float | None]
    counters: dict[str, dict[str, np.ndarray]]
    silent: list[str]
    seconds: float
    busy: dict[str, float]
    natures: dict[str, str] = field(default_factory=dict)

    @property
    def ticks(self) -> int:
        """Ticks run by each backend."""
        return self.samples * self.network.ticks

    @property
    def neuron_ticks(self) -> int:
        """Neuron-ticks compared in each pair: samples x steps x logical neurons."""
        return self.pairs[0].neuron_ticks

    @property
    def different(self) -> int:
        """Neuron-ticks and counter values that differ, over all pairs."""
        return sum(pair.different for pair in self.pairs)

    @property
    def first(self) -> Difference | None:
        return min((p.first for p in self.pairs if p.first), key=lambda d: (d.sample, d.tick), default=None)

    def total(self, counter: str, backend: str) -> int | None:
        values = self.counters[backend].get(counter)
        return None if values is None else int(values.sum())

    @property
    def cycles_predicted(self) -> int | None:
        return self.total("cycles", "pysim") if "pysim" in self.backends else None

    @property
    def cycles_measured(self) -> int | None:
        """Cycles that the first chip among the backends counted, without its stalls."""
        return next((self.total("cycles", name) for name in self.backends if name.partition(":")[0] in CHIPS), None)

    @property
    def sops(self) -> int | None:
        """Synaptic operations, as a chip counted them, else as pysim did."""
        names = sorted(self.backends, key=lambda name: name.partition(":")[0] not in CHIPS)
        return next((self.total("sops", name) for name in names if "sops" in self.counters[name]), None)

    @property
    def dropped(self) -> int:
        return sum(self.total("dropped", name) or 0 for name in self.backends)

    def score(self, *names: str) -> float | None:
        """Accuracy of the first of the backends so named that ran."""
        return next((self.accuracy[backend] for backend in self.backends if backend.partition(":")[0] in names), None)

    def failures(self) -> list[str]:
        """One sentence for each reason why the run fails; empty if all is equal and alive."""
        reasons = [f"{pair}: first at {pair.first}" for pair in self.pairs if pair.different]
        reasons += [f"population {name!r} must spike at least once in the run, not stay silent: equal silence proves nothing"
                    for name in self.silent]
        if self.dropped:
            reasons.append(f"dropped events must be 0, not {self.dropped}")
        return reasons

    @property
    def equal(self) -> bool:
        return not self.failures()

    def to_dict(self) -> dict[str, Any]:
        """For JSON. ``neuron_ticks`` is per pair; ``different`` counts neuron-ticks and counter values over all pairs."""
        return {
            "equal": self.equal, "samples": self.samples, "steps": self.network.steps, "ticks": self.ticks,
            "neuron_ticks": self.neuron_ticks, "different": self.different, "backends": self.backends,
            "accuracy": {"float": None, "integer": self.score("golden", "pysim"), "rtl": self.score(*CHIPS)}, "accuracy_of": self.accuracy,
            "cycles_predicted": self.cycles_predicted, "cycles_measured": self.cycles_measured, "sops": self.sops,
            "seconds": round(self.seconds, 3), "busy_seconds": {k: round(v, 3) for k, v in self.busy.items()},
            "natures": self.natures, "silent": self.silent, "dropped": self.dropped, "failures": self.failures(),
            "counters": {name: {c: int(v.sum()) for c, v in known.items()} for name, known in self.counters.items()},
            "pairs": [asdict(pair) | {"different": pair.different} for pair in self.pairs],
        }


def diff(network: Network, reference: Trace, other: Trace, names: tuple[str, str] = ("reference", "other"), *,
         base: int = 0, membranes: bool = True, between: Sequence[tuple[str, Trace]] = ()) -> Pair:
    """Compare two traces of the same samples; ``base`` is the number of the first sample.

    A counter of ``other`` is compared with that of the reference or, if it does not know it, of the first of the named traces
    ``between`` that does (golden counts no cycles, pysim predicts them). Not compared are ``stalls``, which are the environment's
    doing; ``cycles`` are compared without them.
    """
    pair = Pair(*names, membranes_compared=membranes)
    found: list[tuple[tuple[int, int, int], Difference]] = []
    for rank, population in enumerate(network.order()):
        a, b = (_array(t.spikes, population.name, "spikes", who) for t, who in zip((reference, other), names, strict=True))
        _same_shape(a, b, f"spikes of population {population.name!r}", names)
        shape = (*a.shape[:2], population.size)
        pair.neuron_ticks += int(np.prod(shape))
        wrong_spike = wrong_membrane = None
        if not np.array_equal(a, b):
            wrong_spike = unpack(a ^ b, population.size).astype(bool)
            if not wrong_spike.any():
                raise InputError(f"padding bits of the spikes of population {population.name!r} must be 0, "
                                 f"not set in one of {' and '.join(names)}")
            pair.spikes_different += int(wrong_spike.sum())
        if membranes:
            va, vb = (_array(t.membranes, population.name, "membranes", who) for t, who in zip((reference, other), names, strict=True))
            _same_shape(va, vb, f"membranes of population {population.name!r}", names)
            if va.shape != shape:
                raise InputError(f"membranes of population {population.name!r} must be of shape {shape}, not {va.shape}")
            if not np.array_equal(va, vb):
                wrong_membrane = va != vb
                pair.membranes_different += int(wrong_membrane.sum())
        masks = [mask for mask in (wrong_spike, wrong_membrane) if mask is not None]
        if not masks:
            continue
        wrong = np.logical_or.reduce(masks)
        pair.neuron_ticks_different += int(wrong.sum())
        sample, step, neuron = (int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))
        if wrong_spike is not None and wrong_spike[sample, step, neuron]:
            what, expected = "spike", int(unpack(a[sample, step], population.size)[neuron])
            got = 1 - expected
        else:
            what, expected, got = "membrane", int(va[sample, step, neuron]), int(vb[sample, step, neuron])
        tick = step + population.start
        found.append(((sample, tick, rank), Difference(*names, base + sample, tick, step, 0, population.name, neuron, what, expected, got)))

    if network.pim:
        driven = network.population(network.pim.target)
        a, b = (_array(t.currents, driven.name, "currents", who) for t, who in zip((reference, other), names, strict=True))
        _same_shape(a, b, f"currents of population {driven.name!r}", names)
        pair.currents, wrong = a.size, a != b
        pair.currents_different = int(wrong.sum())
        if wrong.any():
            sample, step, neuron = (int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))
            tick = step + driven.start
            found.append(((sample, tick, -1), Difference(*names, base + sample, tick, step, 0, driven.name, neuron, "current",
                                                         int(a[sample, step, neuron]), int(b[sample, step, neuron]))))

    for rank, name in enumerate(c for c in COUNTERS | PIM_COUNTERS if c in other.counters and c != "stalls"):
        source = next(((who, t.counters) for who, t in ((names[0], reference), *between) if name in t.counters), None)
        if source is None:
            continue
        a, b = (_busy(counters) if name == "cycles" else np.asarray(counters[name]) for counters in (source[1], other.counters))
        _same_shape(a, b, f"counter {name!r}", (source[0], names[1]))
        pair.counter_values += a.size
        wrong = a != b
        pair.counters_different[name] = int(wrong.sum())
        if wrong.any():
            sample, tick = (int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))
            found.append(((sample, tick, 1000 + rank), Difference(source[0], names[1], base + sample, tick, None, 0, None, None, name,
                                                                  int(a[sample, tick]), int(b[sample, tick]))))
    pair.first = min(found, key=lambda entry: entry[0])[1] if found else None
    return pair


def against(network: Network, expected: Expected, trace: Trace, name: str, *, base: int = 0) -> Pair:
    """Compare the spikes of backend ``name`` with expected ones, in the populations and steps of which they are known."""
    made = Pair("expected", name, membranes_compared=False)
    for which in expected.spikes:
        population = network.population(which)
        wrong = expected.wrong(which, population.size, trace.spikes[which])
        made.neuron_ticks += wrong[:, expected.first:].size
        count = int(wrong.sum())
        made.neuron_ticks_different, made.spikes_different = made.neuron_ticks_different + count, made.spikes_different + count
        if count and made.first is None:
            sample, step, neuron = (int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))
            got = int(unpack(trace.spikes[which][sample, step], population.size)[neuron])
            made.first = Difference("expected", name, base + sample, step + population.start, step, 0, which, neuron, "spike", 1 - got, got)
    return made


def compare(network: Network, stimulus: Stimulus, names: Sequence[str], opener: Opener, *, membranes: bool = True,
            workers: int | None = None, chunk: int | None = None, progress: Callable[[int], None] | None = None,
            expected: Expected | None = None, holders: Holders = MappingProxyType({})) -> Result:
    """Run ``stimulus`` through the named backends and compare each with the first, and with ``expected`` spikes if there are any.

    ``opener(name)`` opens a backend, once per worker; ``progress(n)`` is called as n more samples are done. ``holders`` says which core a
    neuron is on, for the report of a difference.
    ``chunk`` is the number of samples at a time. Raises InputError for fewer than two backends or no sample.
    """
    names = list(names)
    if len(names) < 2:
        raise InputError(f"backends to compare must be at least 2, not {len(names)} ({', '.join(names) or 'none'})")
    if len(set(names)) < len(names):
        raise InputError(f"backends to compare must be different ones, not {', '.join(names)}")
    stimulus.check(network)
    if not stimulus.samples:
        raise InputError("samples to compare must be at least 1, not 0")
    if expected:
        expected.check(network, stimulus.samples)
    started = time.perf_counter()
    workers = 1 if any(name.partition(":")[0] in SINGLE for name in names) else workers or len(os.sched_getaffinity(0))
    per_sample = sum(p.size for p in network.populations) * network.steps * 4 * len(names)
    chunk = chunk or max(1, min(CHUNK_SAMPLES, CHUNK_BYTES // per_sample, -(-stimulus.samples // workers)))
    parts = [slice(at, min(at + chunk, stimulus.samples)) for at in range(0, stimulus.samples, chunk)]
    workers = min(workers, len(parts))

    pairs = [Pair(names[0], name, membranes_compared=membranes) for name in names[1:]]
    pairs += [Pair("expected", name, membranes_compared=False) for name in names if expected]
    busy = dict.fromkeys(names, 0.0)
    answers: dict[str, list[np.ndarray | None]] = {name: [] for name in names}
    counters: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in names}
    alive: set[str] = set()
    idle: SimpleQueue[dict[str, Backend]] = SimpleQueue()
    opened: list[Backend] = []
    natures: dict[str, str] = {}
    try:
        for _ in range(workers):
            crew = {}
            for name in names:
                crew[name] = opener(name)
                opened.append(crew[name])
                if (nature := crew[name].nature) is not None:
                    natures[name] = nature
            idle.put(crew)

        def work(part: slice) -> tuple[slice, dict[str, Trace], dict[str, float], list[Pair]]:
            crew, mine, spent = idle.get(), stimulus.take(part), {}
            traces: dict[str, Trace] = {}
            try:
                for name, backend in crew.items():
                    begin = time.perf_counter()
                    traces[name] = backend.run(mine, membranes=membranes)
                    spent[name] = time.perf_counter() - begin
            finally:
                idle.put(crew)
            for name, trace in traces.items():
                _check_shape(network, trace, part.stop - part.start, name)
            some = [diff(network, traces[names[0]], traces[name], (names[0], name), base=part.start, membranes=membranes,
                         between=list(traces.items())[1:i]) for i, name in enumerate(names) if i]
            some += [against(network, expected.take(part), traces[name], name, base=part.start) for name in names if expected]
            return part, traces, spent, some

        with ThreadPoolExecutor(workers) as pool:
            try:
                for part, traces, spent, some in _in_order(pool, work, parts, 2 * workers):
                    for pair, more in zip(pairs, some, strict=True):
                        pair.add(more)
                    for name, trace in traces.items():
                        busy[name] += spent[name]
                        counters[name].append(trace.counters)
                        answers[name].append(decisions(network, trace))
                    alive |= {p.name for p in network.populations if traces[names[0]].spikes[p.name].any()}
                    if progress:
                        progress(part.stop - part.start)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    finally:
        for backend in opened:
            backend.close()
    for pair in pairs:
        pair.first = pair.first and pair.first.at(holders)
    joined = {name: _totals(parts_of) for name, parts_of in counters.items()}
    right = {name: _share(parts_of, stimulus.labels) for name, parts_of in answers.items()}
    # expected spikes are a proof of their own: then only what they are of must not be silent
    silent = [p.name for p in network.populations if p.fire.any() and p.name not in alive and (not expected or p.name in expected.spikes)]
    return Result(network, names, stimulus.samples, pairs, right, joined, silent, time.perf_counter() - started, busy,
                  natures)


def decisions(network: Network, trace: Trace) -> np.ndarray | None:
    """The class each sample is read out as, int64 ``[sample]``: the neuron of the output population with most spikes, or the
    highest membrane after the last step; of equals the first. None where the membranes it needs were not recorded."""
    output = network.population(network.output)
    if network.readout == "spikes":
        return unpack(trace.spikes[output.name], output.size).sum(axis=1, dtype=np.int64).argmax(axis=1)
    if output.name not in trace.membranes:
        return None
    return trace.membranes[output.name][:, -1].argmax(axis=1)


def _in_order(pool: ThreadPoolExecutor, work: Callable[[slice], Any], parts: list[slice], ahead: int) -> Iterator[Any]:
    """Results of ``work`` in the order of ``parts``, at most ``ahead`` of them under way, so that memory stays bounded."""
    pending: deque[Future[Any]] = deque()
    rest = iter(parts)
    while True:
        while len(pending) < ahead and (part := next(rest, None)) is not None:
            pending.append(pool.submit(work, part))
        if not pending:
            return
        yield pending.popleft().result()


def _array(arrays: dict[str, np.ndarray], name: str, what: str, who: str) -> np.ndarray:
    if name not in arrays:
        raise InputError(f"trace of {who} must hold the {what} of population {name!r}, not only {', '.join(arrays) or 'nothing'}")
    return arrays[name]


def _same_shape(a: np.ndarray, b: np.ndarray, what: str, names: tuple[str, str]) -> None:
    if a.shape != b.shape:
        raise InputError(f"{what} must be of one shape in {names[0]} and {names[1]}, not {a.shape} and {b.shape}")


def _check_shape(network: Network, trace: Trace, samples: int, who: str) -> None:
    """A backend that returns less than it was asked for must not pass for an equal one."""
    for p in network.populations:
        want = (samples, network.steps, -(-p.size // 8))
        if (got := _array(trace.spikes, p.name, "spikes", who)).shape != want:
            raise InputError(f"spikes of population {p.name!r} in the trace of {who} must be of shape {want}, not {got.shape}")
    for name, values in trace.counters.items():
        if values.shape != (samples, network.ticks):
            raise InputError(f"counter {name!r} in the trace of {who} must be of shape {(samples, network.ticks)}, not {values.shape}")


def _busy(counters: dict[str, np.ndarray]) -> np.ndarray:
    """Cycles of work: the cycle counter without the stalls."""
    return np.asarray(counters["cycles"]) - np.asarray(counters.get("stalls", 0))


def _share(answers: list[np.ndarray | None], labels: np.ndarray | None) -> float | None:
    """Share of the samples that were read out as their label."""
    known = [a for a in answers if a is not None]
    return float((np.concatenate(known) == labels).mean()) if labels is not None and len(known) == len(answers) else None


def _totals(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return joined | ({"cycles": _busy(joined)} if "cycles" in joined else {})
