"""What a comparison of two backends says: counts of what was compared and what differs, the first.

One *neuron-tick* is one logical neuron in one step of one sample: its spike and its states
together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

__all__ = ["COUNTERS", "Difference", "Holders", "Pair"]

Holders = Mapping[str, np.ndarray]
"""Core of each neuron, int64 ``[size]`` by population; a population without entry is on core 0."""


@dataclass(frozen=True)
class Difference:
    """The first value in which a backend departs from the reference.

    tick:  step + start tick of the population
    field: "current" (of a PIM layer), "spike", a state (its word in pysim.traces.trace), a value
           of a source (docs/onn.md, docs/dendritic.md), or the name of a counter

    A value of a source has the input that it feeds as its population.

    A counter belongs to a whole tick: ``step``, ``population`` and ``neuron`` are then None, and
    ``core`` too if there are several.
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
            where += f" (step {self.step}), core {self.core}"
            where += f", population {self.population}, neuron {self.neuron}"
        values = f"{self.expected} in {self.reference}, {self.got} in {self.backend}"
        return f"{where}: {self.field} is {values}"

    def at(self, holders: Holders) -> "Difference":
        """The same with the core that holds the neuron; a counter of several cores has no core."""
        if self.population is None:
            return replace(self, core=None) if holders else self
        if self.population not in holders:
            return self
        return replace(self, core=int(holders[self.population][self.neuron]))


COUNTERS = "counter values"
"""Key of the counters in :attr:`Pair.firsts`; no population is named so."""

SUMS = (
    "neuron_ticks",
    "neuron_ticks_different",
    "spikes_different",
    "membranes_different",
    "currents",
    "currents_different",
    "ends",
    "ends_different",
    "counter_values",
)


@dataclass
class Pair:
    """Two backends compared: how much was compared, what differs, the first difference.

    by_population: neuron-ticks that differ, of every population compared
    firsts: the first difference of each population that has one, and of the counters (COUNTERS)
    """

    reference: str
    backend: str
    neuron_ticks: int = 0
    neuron_ticks_different: int = 0
    spikes_different: int = 0
    membranes_different: int = 0
    membranes_compared: bool = True
    currents: int = 0
    currents_different: int = 0
    ends: int = 0
    ends_different: int = 0
    counter_values: int = 0
    counters_different: dict[str, int] = field(default_factory=dict)
    states_different: dict[str, int] = field(default_factory=dict)
    by_population: dict[str, int] = field(default_factory=dict)
    firsts: dict[str, Difference] = field(default_factory=dict)
    first: Difference | None = None

    @property
    def different(self) -> int:
        """Neuron-ticks, currents, values of a source and counter values that differ."""
        before = self.currents_different + self.ends_different
        return self.neuron_ticks_different + before + sum(self.counters_different.values())

    def add(self, other: "Pair") -> None:
        """Add the comparison of another chunk of samples of the same two backends."""
        for key in SUMS:
            setattr(self, key, getattr(self, key) + getattr(other, key))
        for mine, theirs in (
            (self.counters_different, other.counters_different),
            (self.states_different, other.states_different),
            (self.by_population, other.by_population),
        ):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        if other.first and (self.first is None or other.first.sample < self.first.sample):
            self.first = other.first
        self.firsts = other.firsts | self.firsts  # chunks are added in order
        self.membranes_compared &= other.membranes_compared

    def take_firsts(self, firsts: Iterable[Difference], base: int) -> None:
        """The first of all and of each population; ``base`` is added to their samples.

        Of differences at one tick, the first of ``firsts``.
        """
        for difference in sorted(firsts, key=lambda d: (d.sample, d.tick)):
            numbered = replace(difference, sample=base + difference.sample)
            self.firsts.setdefault(difference.population or COUNTERS, numbered)
            self.first = self.first or numbered

    def at(self, holders: Holders) -> None:
        """Set the cores of the differences."""
        self.first = self.first and self.first.at(holders)
        self.firsts = {name: first.at(holders) for name, first in self.firsts.items()}

    def __str__(self) -> str:
        what = "neuron-ticks" if self.membranes_compared else "neuron-ticks (spikes only)"
        text = _compared(self.neuron_ticks, what, self.neuron_ticks_different)
        if self.currents:
            text += "; " + _compared(self.currents, "currents", self.currents_different)
        if self.ends:
            text += "; " + _compared(self.ends, "last values", self.ends_different)
        if self.counter_values:
            wrong = {name: count for name, count in self.counters_different.items() if count}
            text += "; " + _compared(self.counter_values, "counter values", sum(wrong.values()))
            if wrong:
                text += f" ({', '.join(f'{name} {count:,}' for name, count in wrong.items())})"
        return f"{self.reference} against {self.backend}: {text}"


def _compared(count: int, what: str, different: int) -> str:
    return f"{count:,} {what} compared, {different:,} different"
