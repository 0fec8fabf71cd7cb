"""Placement: which axons and lanes of one core carry which lines and neurons of a network (docs/architecture.md).

``place`` is pure bookkeeping and deterministic: input axons first (in the order of the network's inputs, one group per
distinct arrival delay), then the axons of populations with targets on the core; neurons fill words from lane 0 upwards,
populations whose word records agree side by side. A network that does not fit is refused with the resource it lacks.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from spikeloop.pysim.chip.memory_map import Memory
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import ROUTE_LOCAL, ROUTE_NONE, ROUTE_OUT
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import Edge, LeakRounding, LowBound, Population, WeightFormat
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.pim.front import PimFront

__all__ = [
    "InputPlace",
    "PopulationPlace",
    "WordPlace",
    "Placement",
    "check_features",
    "describe",
    "place",
    "with_macro",
]


@dataclass(frozen=True)
class InputPlace:
    """One axon group of an input: line i sits on axon ``first_axon + i``, its spikes of step k arrive at tick k + ``delay``.

    ``delay`` is the edge's logical delay + the target's start tick (0 = the tick of the same number). An input that reaches
    populations at different delays has one group for each.
    """

    name: str
    size: int
    delay: int
    first_axon: int


@dataclass(frozen=True, eq=False)
class PopulationPlace:
    """Where the neurons of a population sit.

    ``neurons`` int64 ``[size]``: word * lanes + lane (the first of a neuron's lanes). ``first_axon`` and ``delay`` (physical,
    ticks) describe its own axon group, None without targets on the core. ``output``: spikes leave by the output stream with the
    neuron's index as address. (An output population with targets on the core has its one route there, and no such events.)
    """

    name: str
    size: int
    start: int
    neurons: np.ndarray
    first_axon: int | None
    delay: int | None
    output: bool

    @property
    def route(self) -> int:
        """Kind of the route record of its neurons."""
        return ROUTE_OUT if self.output else ROUTE_NONE if self.first_axon is None else ROUTE_LOCAL


@dataclass(frozen=True, order=True)
class WordPlace:
    """The record of a word in use (records.word_record); populations with equal ones may share a word."""

    start: int
    last_page: int
    last_digit: int
    shift: int
    offset: int
    offset_shift: int

    @property
    def join(self) -> int:
        """Lanes, and digits, of one neuron."""
        return self.last_digit + 1


@dataclass(frozen=True, eq=False)
class Placement:
    """A network on one core of ``chip``: ``words[w]`` is the record of word w; later words are unused.

    ``axons`` and ``columns`` count what is in use, ``extension`` is the axon extension f: the core has f times its axons and
    1/f of its columns. Neuron numbers are word * lanes + lane.
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

    def used_rows(self, memory: Memory) -> int:
        """Rows of a loaded memory that an image holds."""
        return len(self.words) * self.rows if memory.name == "synapse" else memory.rows

    def population(self, name: str) -> PopulationPlace:
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
            "words": [asdict(w) for w in self.words],
            "populations": [{**vars(p), "neurons": p.neurons.tolist()} for p in self.populations],
            "axons": self.axons,
            "columns": self.columns,
            "extension": self.extension,
        }

    @classmethod
    def from_dict(cls, chip: Chip, values: dict[str, Any]) -> "Placement":
        """Inverse of :meth:`to_dict`; InputError for what cannot be a placement on this chip."""
        try:
            inputs = tuple(InputPlace(**i) for i in values["inputs"])
            words = tuple(WordPlace(**w) for w in values["words"])
            populations = tuple(
                PopulationPlace(**{**p, "neurons": np.array(p["neurons"], dtype=np.int64)})
                for p in values["populations"]
            )
            lanes = [p.neurons for p in populations]
            extension = values["extension"]
            rows = chip.axons * extension
            sound = (
                extension in (1 << e for e in range(chip.derived.extensions + 1))
                and all(0 <= i.first_axon <= rows - i.size for i in inputs)
                and len(words) <= chip.derived.words_at(extension)
                and all(p.neurons.shape == (p.size,) for p in populations)
                and all(
                    p.first_axon is None or 0 <= p.first_axon <= rows - p.size for p in populations
                )
                and all(a.min() >= 0 and a.max() < len(words) * chip.lanes for a in lanes)
                and np.unique(np.concatenate(lanes)).size == sum(a.size for a in lanes)
            )
        except (KeyError, TypeError, ValueError, OverflowError):
            sound = False
        if not sound:
            raise InputError(
                "placement of the image must lie on its chip, not outside: map the network again"
            )
        placement = cls(
            chip, inputs, populations, words, values["axons"], values["columns"], extension
        )
        placement._check_axons()
        return placement

    def _check_axons(self) -> None:
        """InputError if two inputs or populations lie on one axon."""
        held = sorted(
            [(i.first_axon, i.size, i.name) for i in self.inputs]
            + [(p.first_axon, p.size, p.name) for p in self.populations if p.first_axon is not None]
        )
        for (first, size, name), (after, _, other) in pairwise(held):
            if after < first + size:
                raise InputError(
                    f"axons of {name!r} and {other!r} must be different ones, not both {after}: map the network again"
                )


def place(network: Network, chip: Chip) -> Placement:
    """Place ``network`` on one core of ``chip``; InputError names the resource that does not suffice."""
    chip = with_macro(network, chip)
    check_features(network, chip)
    delays = {p.name: _route_delay(network, p, chip) for p in network.populations}
    _check_parallel(network)
    if network.population(network.output).size > 1 << 16:
        raise InputError(
            f"output population {network.output!r} must have at most 65536 neurons (16-bit addresses), "
            f"not {network.population(network.output).size}"
        )

    axons, inputs, first_axons = 0, [], {}
    for node in network.inputs:
        for delay in sorted(
            {e.delay + network.start_of(e.target) for e in network.edges if e.source == node.name}
        ):
            inputs.append(InputPlace(node.name, node.size, delay, axons))
            axons += node.size
    for p in network.populations:
        if delays[p.name] is not None:
            first_axons[p.name] = axons
            axons += p.size
    extension = 1
    while axons > chip.axons * extension and extension < chip.extension:
        extension *= 2
    if axons > chip.axons * extension:
        groups = [f"{i.name} {i.size}" for i in inputs] + [
            f"{name} {network.size_of(name)}" for name in first_axons
        ]
        raise InputError(
            f"axons of network {network.name!r} must be at most {chip.axons * chip.extension} on this chip, not {axons} "
            f"({', '.join(groups)})"
        )

    words, neurons = _fill_words(network, chip, extension)
    populations = tuple(
        PopulationPlace(
            p.name,
            p.size,
            p.start,
            neurons[p.name],
            first_axons.get(p.name),
            delays[p.name],
            p.name == network.output and delays[p.name] is None,
        )
        for p in network.populations
    )
    columns = sum(p.size * word_of(p, chip).join * chip.digit_bits for p in network.populations)
    return Placement(chip, tuple(inputs), populations, words, axons, columns, extension)


def with_macro(network: Network, chip: Chip) -> Chip:
    """The chip, with the PIM macro that the network's layer was made for; InputError if the chip has one that does not run it."""
    if network.pim is None:
        return chip
    if chip.pim is None:
        return chip.replace(pim=PimFront.of(network.pim.head))
    chip.pim.check(network.pim.head)
    return chip


def word_of(p: Population, chip: Chip) -> WordPlace:
    """The word record that the neurons of ``p`` need."""
    signed_digits = -(-p.weight_bits // chip.digit_bits)
    match p.weight_format:
        case WeightFormat.BINARY:
            join, shift, offset, offset_shift = 1, 1, 0, 0
        case WeightFormat.TERNARY if chip.digit_bits == 1:
            join, shift, offset, offset_shift = 2, 0, 1, 0
        case _:
            join, shift, offset, offset_shift = (
                signed_digits,
                1,
                1,
                signed_digits * chip.digit_bits - 1,
            )
    return WordPlace(p.start, p.pages - 1, join - 1, shift, offset, offset_shift)


def describe(placement: Placement) -> list[dict[str, Any]]:
    """One row per input group and population: layer, neurons, axons, columns, words (a shared word counts in each)."""
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
                "columns": p.size * placement.words[used[0]].join * chip.digit_bits,
            }
        )
    return rows


def _fill_words(
    network: Network, chip: Chip, extension: int
) -> tuple[tuple[WordPlace, ...], dict[str, np.ndarray]]:
    """Word records and neuron numbers: populations of equal records one after the other, no neuron across a word."""
    groups: dict[WordPlace, list[Population]] = {}
    for p in network.populations:
        groups.setdefault(word_of(p, chip), []).append(p)
    digits, limit, lanes, word = (
        chip.derived.digits // extension,
        chip.derived.words_at(extension),
        chip.lanes,
        0,
    )
    neurons: dict[str, np.ndarray] = {}
    words: list[WordPlace] = []
    for record, members in groups.items():
        join = record.join
        if join > min(lanes, digits):
            p = members[0]
            raise InputError(
                f"weight_bits of population {p.name!r} must be at most {min(lanes, digits) * chip.digit_bits} "
                f"(one word of {min(lanes, digits)} lanes of {chip.digit_bits} bits) on this chip, not {p.weight_bits}"
            )
        places, wanted = [], sum(p.size for p in members)
        while wanted > 0:
            # Beyond the chip's last word full words are counted, so that the message can say how many were needed.
            free = min(lanes, digits - word * lanes) if word < limit else lanes
            take = min(wanted, free // join)
            places.append(word * lanes + join * np.arange(take, dtype=np.int64))
            words.append(record)
            word, wanted = word + 1, wanted - take
        flat, at = np.concatenate(places), 0
        for p in members:
            neurons[p.name], at = flat[at : at + p.size], at + p.size
    if word > limit:
        columns = sum(p.size * word_of(p, chip).join * chip.digit_bits for p in network.populations)
        extended = f", with axon extension {extension}" if extension > 1 else ""
        needs = ", ".join(
            f"{p.name} {p.size} neurons of {word_of(p, chip).join * chip.digit_bits} columns"
            for p in network.populations
        )
        raise InputError(
            f"words of network {network.name!r} must be at most {limit} ({chip.columns // extension} columns in words of "
            f"{lanes} lanes{extended}) on this chip, not {word} ({columns} columns: {needs})"
        )
    return tuple(words), neurons


def _route_delay(network: Network, p: Population, chip: Chip) -> int | None:
    """The physical delay of all edges that leave ``p``: a neuron has one routing entry."""
    edges = [e for e in network.edges if e.source == p.name]
    found = sorted({network.physical_delay(e) for e in edges})
    if not found:
        return None
    if len(found) > 1:
        raise InputError(
            f"edges from population {p.name!r} must all have one physical delay (a neuron has one routing entry), "
            f"not {', '.join(map(str, found))}: copy the population once per delay"
        )
    if found[0] > chip.delay_max:
        raise InputError(
            f"physical delay of the edges from population {p.name!r} must be at most {chip.delay_max} on this chip "
            f"(delay_max), not {found[0]}"
        )
    return found[0]


def _check_parallel(network: Network) -> None:
    """An axon has one weight per neuron."""

    def group(e: Edge) -> tuple[str, str, int]:
        return e.source, e.target, e.delay

    for (source, target, delay), count in Counter(map(group, network.edges)).items():
        if count > 1:
            raise InputError(
                f"edges {source}->{target} of delay {delay} must be one (an axon has one weight per neuron), not {count}: "
                "add their weights"
            )


def check_features(network: Network, chip: Chip) -> None:
    """What the hardware of this chip can do at all."""
    if network.membrane_bits != chip.membrane_bits:
        raise InputError(
            f"membrane_bits of network {network.name!r} must be {chip.membrane_bits} on this chip, "
            f"not {network.membrane_bits}"
        )
    for p in network.populations:
        where = f"of population {p.name!r}"
        if p.pages > chip.pages:
            raise InputError(
                f"pages {where} must be at most {chip.pages} on this chip, not {p.pages}"
            )
        terms = int((p.leak_sign != 0).sum(axis=1).max())
        if terms > chip.leak_terms:
            raise InputError(
                f"leak terms {where} must be at most {chip.leak_terms} on this chip, not {terms}"
            )
        bits = int(p.refractory.max()).bit_length()
        if bits > chip.refractory_bits:
            raise InputError(
                f"refractory {where} must be at most {(1 << chip.refractory_bits) - 1} on this chip "
                f"({chip.refractory_bits} refractory_bits), not {int(p.refractory.max())}"
            )
        if not chip.roundings and bool(
            ((p.rounding != LeakRounding.FLOOR) & (p.leak_sign != 0).any(axis=(0, 1))).any()
        ):
            used = LeakRounding(int(p.rounding[p.rounding != LeakRounding.FLOOR][0])).name.lower()
            raise InputError(
                f"rounding {where} must be floor on this chip (it was built without roundings), not {used}"
            )
        if not chip.bounded and bool((p.low != LowBound.NONE).any()):
            used = LowBound(int(p.low.max())).name.lower()
            raise InputError(
                f"lower bound {where} must be none on this chip (it was built without bounded), not {used}"
            )
