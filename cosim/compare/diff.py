"""Two traces compared: what differs, counted, and the first of it by name.

Spikes are compared packed and unpacked only where they differ. What was compared is always counted: one *neuron-tick* is one logical
neuron in one step of one sample, its spike and its membrane together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from spikeloop.pysim.chip.memory_map import COUNTERS, PIM_COUNTERS
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.expected import Expected
from spikeloop.pysim.traces.trace import Trace

__all__ = ["Difference", "Holders", "Pair", "against", "array_of", "busy", "diff"]

Holders = Mapping[
    str, np.ndarray
]  # population: the core of each neuron, int64 [size]; one that is not named is on core 0


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
        return (
            replace(self, core=int(holders[self.population][self.neuron]))
            if self.population in holders
            else self
        )


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
        return (
            self.neuron_ticks_different
            + self.currents_different
            + sum(self.counters_different.values())
        )

    def add(self, other: "Pair") -> None:
        """Take in the comparison of another chunk of samples of the same two backends."""
        for key in (
            "neuron_ticks",
            "neuron_ticks_different",
            "spikes_different",
            "membranes_different",
            "currents",
            "currents_different",
            "counter_values",
        ):
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
            text += (
                f" ({', '.join(f'{name} {count:,}' for name, count in wrong.items())})"
                if wrong
                else ""
            )
        return f"{self.reference} against {self.backend}: {text}"


def diff(
    network: Network,
    reference: Trace,
    other: Trace,
    names: tuple[str, str] = ("reference", "other"),
    *,
    base: int = 0,
    membranes: bool = True,
    between: Sequence[tuple[str, Trace]] = (),
) -> Pair:
    """Compare two traces of the same samples; ``base`` is the number of the first sample.

    A counter of ``other`` is compared with that of the reference or, if it does not know it, of the first of the named traces
    ``between`` that does (golden counts no cycles, pysim predicts them). Not compared are ``stalls``, which are the environment's
    doing; ``cycles`` are compared without them.
    """
    pair = Pair(*names, membranes_compared=membranes)
    found: list[tuple[tuple[int, int, int], Difference]] = []
    for rank, population in enumerate(network.order()):
        a, b = (
            array_of(t.spikes, population.name, "spikes", who)
            for t, who in zip((reference, other), names, strict=True)
        )
        _same_shape(a, b, f"spikes of population {population.name!r}", names)
        shape = (*a.shape[:2], population.size)
        pair.neuron_ticks += int(np.prod(shape))
        wrong_spike = wrong_membrane = None
        if not np.array_equal(a, b):
            wrong_spike = unpack(a ^ b, population.size).astype(bool)
            if not wrong_spike.any():
                raise InputError(
                    f"padding bits of the spikes of population {population.name!r} must be 0, "
                    f"not set in one of {' and '.join(names)}"
                )
            pair.spikes_different += int(wrong_spike.sum())
        if membranes:
            va, vb = (
                array_of(t.membranes, population.name, "membranes", who)
                for t, who in zip((reference, other), names, strict=True)
            )
            _same_shape(va, vb, f"membranes of population {population.name!r}", names)
            if va.shape != shape:
                raise InputError(
                    f"membranes of population {population.name!r} must be of shape {shape}, not {va.shape}"
                )
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
            what, expected, got = (
                "membrane",
                int(va[sample, step, neuron]),
                int(vb[sample, step, neuron]),
            )
        tick = step + population.start
        found.append(
            (
                (sample, tick, rank),
                Difference(
                    *names,
                    base + sample,
                    tick,
                    step,
                    0,
                    population.name,
                    neuron,
                    what,
                    expected,
                    got,
                ),
            )
        )

    if network.pim:
        driven = network.population(network.pim.target)
        a, b = (
            array_of(t.currents, driven.name, "currents", who)
            for t, who in zip((reference, other), names, strict=True)
        )
        _same_shape(a, b, f"currents of population {driven.name!r}", names)
        pair.currents, wrong = a.size, a != b
        pair.currents_different = int(wrong.sum())
        if wrong.any():
            sample, step, neuron = (int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))
            tick = step + driven.start
            found.append(
                (
                    (sample, tick, -1),
                    Difference(
                        *names,
                        base + sample,
                        tick,
                        step,
                        0,
                        driven.name,
                        neuron,
                        "current",
                        int(a[sample, step, neuron]),
                        int(b[sample, step, neuron]),
                    ),
                )
            )

    for rank, name in enumerate(
        c for c in COUNTERS | PIM_COUNTERS if c in other.counters and c != "stalls"
    ):
        source = next(
            (
                (who, t.counters)
                for who, t in ((names[0], reference), *between)
                if name in t.counters
            ),
            None,
        )
        if source is None:
            continue
        a, b = (
            busy(counters) if name == "cycles" else np.asarray(counters[name])
            for counters in (source[1], other.counters)
        )
        _same_shape(a, b, f"counter {name!r}", (source[0], names[1]))
        pair.counter_values += a.size
        wrong = a != b
        pair.counters_different[name] = int(wrong.sum())
        if wrong.any():
            sample, tick = (int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))
            found.append(
                (
                    (sample, tick, 1000 + rank),
                    Difference(
                        source[0],
                        names[1],
                        base + sample,
                        tick,
                        None,
                        0,
                        None,
                        None,
                        name,
                        int(a[sample, tick]),
                        int(b[sample, tick]),
                    ),
                )
            )
    pair.first = min(found, key=lambda entry: entry[0])[1] if found else None
    return pair


def against(
    network: Network, expected: Expected, trace: Trace, name: str, *, base: int = 0
) -> Pair:
    """Compare the spikes of backend ``name`` with expected ones, in the populations and steps of which they are known."""
    made = Pair("expected", name, membranes_compared=False)
    for which in expected.spikes:
        population = network.population(which)
        wrong = expected.wrong(which, population.size, trace.spikes[which])
        made.neuron_ticks += wrong[:, expected.first :].size
        count = int(wrong.sum())
        made.neuron_ticks_different, made.spikes_different = (
            made.neuron_ticks_different + count,
            made.spikes_different + count,
        )
        if count and made.first is None:
            sample, step, neuron = (int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))
            got = int(unpack(trace.spikes[which][sample, step], population.size)[neuron])
            made.first = Difference(
                "expected",
                name,
                base + sample,
                step + population.start,
                step,
                0,
                which,
                neuron,
                "spike",
                1 - got,
                got,
            )
    return made


def busy(counters: dict[str, np.ndarray]) -> np.ndarray:
    """Cycles of work: the cycle counter without the stalls."""
    return np.asarray(counters["cycles"]) - np.asarray(counters.get("stalls", 0))


def array_of(arrays: dict[str, np.ndarray], name: str, what: str, who: str) -> np.ndarray:
    if name not in arrays:
        raise InputError(
            f"trace of {who} must hold the {what} of population {name!r}, not only {', '.join(arrays) or 'nothing'}"
        )
    return arrays[name]


def _same_shape(a: np.ndarray, b: np.ndarray, what: str, names: tuple[str, str]) -> None:
    if a.shape != b.shape:
        raise InputError(
            f"{what} must be of one shape in {names[0]} and {names[1]}, not {a.shape} and {b.shape}"
        )
