"""The record of a placement: which axons and lanes of one core carry which lines and neurons.

The placement is made by pysim/mapping/place.py and kept in the image's manifest (docs/formats.md).
"""

from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np

from spikeloop.pysim.chip.memory_map import Memory
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import ROUTE_LOCAL, ROUTE_NONE, ROUTE_OUT
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import Population, WeightFormat

__all__ = ["InputPlace", "Placement", "PopulationPlace", "Use", "WordPlace", "describe", "word_of"]


@dataclass(frozen=True)
class InputPlace:
    """One axon group of an input: line i sits on axon ``first_axon`` + i.

    Its spikes of step k arrive at tick k + ``delay``. ``delay`` is the edge's logical delay + the
    target's start tick (0 = the tick of the same number). An input that reaches populations at
    different delays has one group for each.
    """

    name: str
    size: int
    delay: int
    first_axon: int


@dataclass(frozen=True, eq=False)
class PopulationPlace:
    """Where the neurons of a population sit.

    ``neurons`` int64 ``[size]``: word * lanes + lane, the first of a neuron's lanes. ``first_axon``
    and ``delay`` (physical, in ticks) describe its own axon group; both are None without targets on
    the core. ``output``: spikes leave by the output stream, the neuron's index is the address.
    (An output population with targets on the core has its one route there, and no such events.)
    ``reach``: axons whose rows hold its synapses, the lines of all its edges.
    """

    name: str
    size: int
    start: int
    neurons: np.ndarray
    first_axon: int | None
    delay: int | None
    output: bool
    reach: int

    @property
    def route(self) -> int:
        """Kind of the route record of its neurons."""
        return ROUTE_OUT if self.output else ROUTE_NONE if self.first_axon is None else ROUTE_LOCAL


@dataclass(frozen=True, order=True)
class WordPlace:
    """The record of a word in use (pysim.chip.records.word_record).

    Populations with equal records may share a word.
    """

    start: int
    last_page: int
    last_digit: int
    shift: int
    offset: int
    offset_shift: int
    page_shift: int = 0

    @property
    def join(self) -> int:
        """Lanes, and digits, of one neuron."""
        return self.last_digit + 1

    def to_dict(self) -> dict[str, int]:
        """JSON form, with ``page_shift`` only if it is not 0."""
        return {key: n for key, n in asdict(self).items() if n or key != "page_shift"}


@dataclass(frozen=True, kw_only=True)
class Use:
    """What is in use of one core, or of several together, and of how many.

    axons: lines of all f passes of an axon extension.
    columns: physical ones; a neuron takes f times the columns of its weight.
    synapses: bits of the crossbar where an edge meets a neuron: the sum of reach x columns.
    """

    axons: int
    axons_of: int
    columns: int
    columns_of: int
    synapses: int
    synapses_of: int

    @property
    def share(self) -> float:
        """Share of the crossbar that is in use, 0..1."""
        return self.synapses / self.synapses_of

    @staticmethod
    def total(uses: Iterable["Use"]) -> "Use":
        """The sum over several cores."""
        rows = [astuple(use) for use in uses]
        sums = map(sum, zip(*rows, strict=True))
        return Use(**dict(zip([f.name for f in fields(Use)], sums, strict=True)))


@dataclass(frozen=True, eq=False)
class Placement:
    """A network on one core of ``chip``. Neuron numbers are word * lanes + lane.

    words: the record of each word in use; later words are unused.
    axons, columns: those in use, of f times the core's axons and 1/f of its columns.
    extension: the axon extension f.
    """

    chip: Chip
    inputs: tuple[InputPlace, ...]
    populations: tuple[PopulationPlace, ...]
    words: tuple[WordPlace, ...]
    axons: int
    columns: int
    extension: int = 1

    @property
    def rows(self) -> int:
        """Synapse rows of a word."""
        return self.chip.axons * self.extension

    def columns_of(self, p: PopulationPlace) -> int:
        """Columns that the neurons of ``p`` take, of the 1/f that the core has."""
        word = self.words[int(p.neurons[0]) // self.chip.lanes]
        return p.size * word.join * self.chip.digit_bits

    @property
    def use(self) -> Use:
        """What the network takes of the core."""
        return Use(
            axons=self.axons,
            axons_of=self.rows,
            columns=self.columns * self.extension,
            columns_of=self.chip.columns,
            synapses=sum(p.reach * self.columns_of(p) for p in self.populations),
            synapses_of=self.chip.axons * self.chip.columns,
        )

    def used_rows(self, memory: Memory) -> int:
        """Rows of a loaded memory that an image holds."""
        return len(self.words) * self.rows if memory.name == "synapse" else memory.rows

    def held(self, memories: Iterable[Memory]) -> list[Memory]:
        """Loaded memories with the rows that an image holds."""
        return [replace(memory, rows=self.used_rows(memory)) for memory in memories]

    def bytes(self, memories: Iterable[Memory]) -> int:
        """Bytes of the rows of loaded memories that an image holds."""
        return sum(memory.rows * -(-memory.width // 8) for memory in self.held(memories))

    def population(self, name: str) -> PopulationPlace:
        """The place of a population by name; InputError lists the names."""
        for population in self.populations:
            if population.name == name:
                return population
        raise InputError(
            f"population must be one of {', '.join(p.name for p in self.populations)}, not {name!r}"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON form, without the chip."""
        return {
            "inputs": [asdict(i) for i in self.inputs],
            "words": [w.to_dict() for w in self.words],
            "populations": [{**vars(p), "neurons": p.neurons.tolist()} for p in self.populations],
            "axons": self.axons,
            "columns": self.columns,
            "extension": self.extension,
        }

    @classmethod
    def from_dict(cls, chip: Chip, values: dict[str, Any]) -> "Placement":
        """Inverse of :meth:`to_dict`; InputError if it cannot be a placement on ``chip``."""
        try:
            placement = cls(
                chip,
                tuple(InputPlace(**i) for i in values["inputs"]),
                tuple(
                    PopulationPlace(**{**p, "neurons": np.array(p["neurons"], dtype=np.int64)})
                    for p in values["populations"]
                ),
                tuple(WordPlace(**w) for w in values["words"]),
                values["axons"],
                values["columns"],
                values["extension"],
            )
            listed = (n for p in values["populations"] for n in p["neurons"])
            sound = _whole(listed) and placement._is_whole() and placement._is_sound()
        except (KeyError, TypeError, ValueError, OverflowError):
            sound = False
        if not sound:
            raise InputError(
                "placement of the image must lie on its chip, not outside: map the network again"
            )
        placement._check_axons()
        return placement

    def _is_whole(self) -> bool:
        """Whether all numbers are whole ones, which a file need not hold."""
        numbers: list[object] = [self.axons, self.columns, self.extension]
        for i in self.inputs:
            numbers += [i.size, i.delay, i.first_axon]
        for p in self.populations:
            numbers += [p.size, p.start, p.reach]
            numbers += [n for n in (p.first_axon, p.delay) if n is not None]
        for word in self.words:
            numbers += astuple(word)
        named = all(isinstance(p.output, bool) for p in self.populations)
        return named and _whole(numbers)

    def _is_sound(self) -> bool:
        """Whether all axons, words and lanes exist, and no two neurons share a lane."""
        d, rows = self.chip.derived, self.rows
        if self.extension not in (1 << e for e in range(d.extensions + 1)):
            return False
        if len(self.words) > d.words_at(self.extension):
            return False
        groups = [(i.first_axon, i.size) for i in self.inputs]
        groups += [(p.first_axon, p.size) for p in self.populations if p.first_axon is not None]
        if not all(0 <= first <= rows - size for first, size in groups):
            return False
        if not all(p.neurons.shape == (p.size,) and 0 <= p.reach <= rows for p in self.populations):
            return False
        lanes = np.concatenate([p.neurons for p in self.populations])
        within = lanes.min() >= 0 and lanes.max() < len(self.words) * self.chip.lanes
        return bool(within) and np.unique(lanes).size == lanes.size

    def _check_axons(self) -> None:
        """InputError if two inputs or populations lie on one axon."""
        groups = [(i.first_axon, i.size, i.name) for i in self.inputs]
        for p in self.populations:
            if p.first_axon is not None:
                groups.append((p.first_axon, p.size, p.name))
        for (first, size, name), (after, _, other) in pairwise(sorted(groups)):
            if after < first + size:
                raise InputError(
                    f"axons of {name!r} and {other!r} must be different ones, not both {after}: "
                    "map the network again"
                )


def _whole(numbers: Iterable[object]) -> bool:
    return all(type(n) is int for n in numbers)


def word_of(p: Population, chip: Chip) -> WordPlace:
    """The word record that the neurons of ``p`` need."""
    signed_digits = -(-p.weight_bits // chip.digit_bits)
    match p.weight_format:
        case WeightFormat.BINARY:
            join, shift, offset, offset_shift = 1, 1, 0, 0
        case WeightFormat.TERNARY if chip.digit_bits == 1:
            join, shift, offset, offset_shift = 2, 0, 1, 0
        case _:
            join, shift, offset = signed_digits, 1, 1
            offset_shift = signed_digits * chip.digit_bits - 1
    return WordPlace(p.start, p.pages - 1, join - 1, shift, offset, offset_shift, p.page_shift)


def describe(placement: Placement) -> list[dict[str, Any]]:
    """One row per input group and population: layer, neurons, axons, columns, words.

    ``columns`` are physical ones, as in :class:`Use`. A word that populations share counts in each.
    """
    chip = placement.chip
    rows = [
        {"layer": i.name, "neurons": 0, "axons": i.size, "columns": 0, "words": 0}
        for i in placement.inputs
    ]
    for p in placement.populations:
        used = np.unique(p.neurons // chip.lanes)
        rows.append(
            {
                "layer": p.name,
                "neurons": p.size,
                "axons": 0 if p.first_axon is None else p.size,
                "words": len(used),
                "columns": placement.columns_of(p) * placement.extension,
            }
        )
    return rows
