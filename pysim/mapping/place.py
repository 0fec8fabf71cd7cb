"""Placement of a network on one core: which axons and lanes carry which lines and neurons.

The placement is pure bookkeeping and deterministic (docs/architecture.md). Inputs take axons first,
in the order of the network, one group per distinct arrival delay. Populations with targets on the
core follow. Neurons fill words from lane 0 upwards; populations with equal word records lie side by
side.
"""

from dataclasses import dataclass

import numpy as np

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendritic.params import DendriticParams
from spikeloop.pysim.mapping.features import Reason, check_delays, check_features
from spikeloop.pysim.mapping.placement import (
    InputPlace,
    Placement,
    PopulationPlace,
    WordPlace,
    word_of,
)
from spikeloop.pysim.network.elements import Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.onn.params import OnnParams
from spikeloop.pysim.pim.front import PimFront

__all__ = ["MOST_OUTPUTS", "check_cut", "fits", "place", "with_macro"]

MOST_OUTPUTS = 1 << 16
"""Neurons that the 16-bit address of an output event can name."""


def place(network: Network, chip: Chip) -> Placement:
    """Place ``network`` on one core of ``chip``; InputError says what does not fit or suffice."""
    placement = fits(network, chip)
    if isinstance(placement, Reason):
        raise InputError(placement.sentence)
    return placement


def fits(network: Network, chip: Chip) -> Placement | Reason:
    """The placement on one core of ``chip``, or the reason why one core has too little room.

    InputError for what more cores do not mend: a feature, a width or a delay that this chip lacks.
    """
    chip = with_macro(network, chip)
    check_features(network, chip)
    delays = _route_delays(network)
    if isinstance(delays, Reason):
        return delays
    outputs = network.population(network.output).size
    if outputs > MOST_OUTPUTS:
        return Reason(
            f"output population {network.output!r} must have at most {MOST_OUTPUTS} neurons "
            f"(16-bit addresses), not {outputs}"
        )
    axons = _assign_axons(network, chip, delays)
    if isinstance(axons, Reason):
        return axons
    lanes = _fill_words(network, chip, axons.extension)
    if isinstance(lanes, Reason):
        return lanes
    check_delays(delays, chip)
    if network.dendritic:
        _check_events(network.dendritic.input, axons.inputs, chip)
    populations = tuple(
        PopulationPlace(
            p.name,
            p.size,
            p.start,
            lanes.neurons[p.name],
            axons.populations.get(p.name),
            delays[p.name],
            p.name == network.output and delays[p.name] is None,
            sum(network.size_of(e.source) for e in network.edges if e.target == p.name),
        )
        for p in network.populations
    )
    columns = _columns(network, chip)
    words = tuple(lanes.words)
    return Placement(chip, axons.inputs, populations, words, axons.count, columns, axons.extension)


def with_macro(network: Network, chip: Chip) -> Chip:
    """The chip with the macro that the network's PIM layer or source was made for.

    InputError if the chip has a macro that does not run them.
    """
    if network.onn:
        if chip.onn is None:
            chip = chip.replace(onn=OnnParams.of(network.onn.net))
        assert chip.onn
        chip.onn.check(network.onn.net)
    if network.dendritic:
        net = network.dendritic.net
        if chip.dendritic is None:
            chip = chip.replace(dendritic=DendriticParams.of(net, 1))
        assert chip.dendritic
        chip.dendritic.check(net, 1)
    if network.pim is None:
        return chip
    if chip.pim is None:
        return chip.replace(pim=PimFront.of(network.pim.head))
    chip.pim.check(network.pim.head)
    return chip


def _check_events(name: str, places: tuple[InputPlace, ...], chip: Chip) -> None:
    """InputError if spikes of dendritic neurons would wait longer than the ring allows."""
    for place in places:
        if place.name == name and place.delay >= chip.delay_max:
            raise InputError(
                f"physical delay of the edges from input {name!r}, which dendritic neurons feed, "
                f"must be at most {chip.delay_max - 1} on this chip (delay_max - 1), "
                f"not {place.delay}"
            )


def check_cut(network: Network, reason: Reason) -> None:
    """InputError if the network may not be cut over cores, although one has too little room."""
    if network.source:
        raise InputError(f"network with {network.source.what} must fit one core: {reason.sentence}")


def _route_delays(network: Network) -> dict[str, int | None] | Reason:
    """The physical delay in ticks of all edges that leave each population; None without edges."""
    delays: dict[str, int | None] = {}
    for p in network.populations:
        of_edges = sorted({network.physical_delay(e) for e in network.edges if e.source == p.name})
        if len(of_edges) > 1:
            return Reason(
                f"edges from population {p.name!r} must all have one physical delay (a neuron has "
                f"one routing entry), not {', '.join(map(str, of_edges))}: "
                "copy the population once per delay"
            )
        delays[p.name] = of_edges[0] if of_edges else None
    return delays


# -- axons ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Axons:
    """Axon groups: of the inputs, first axon of each population that has one, and their sum."""

    inputs: tuple[InputPlace, ...]
    populations: dict[str, int]
    count: int
    extension: int


def _assign_axons(network: Network, chip: Chip, delays: dict[str, int | None]) -> _Axons | Reason:
    """Axons for every line, at the smallest extension that holds them."""
    count = 0
    inputs: list[InputPlace] = []
    for node in network.inputs:
        edges = [e for e in network.edges if e.source == node.name]
        for delay in sorted({e.delay + network.start_of(e.target) for e in edges}):
            inputs.append(InputPlace(node.name, node.size, delay, count))
            count += node.size
    populations: dict[str, int] = {}
    for p in network.populations:
        if delays[p.name] is not None:
            populations[p.name] = count
            count += p.size
    extension = 1
    while count > chip.axons * extension and extension < chip.extension:
        extension *= 2
    if count > chip.axons * extension:
        groups = [f"{i.name} {i.size}" for i in inputs]
        groups += [f"{name} {network.size_of(name)}" for name in populations]
        return Reason(
            f"axons of network {network.name!r} must be at most {chip.axons * chip.extension} "
            f"on this chip, not {count} ({', '.join(groups)})"
        )
    return _Axons(tuple(inputs), populations, count, extension)


# -- words ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Lanes:
    """Record of each word in use, and neuron numbers of each population."""

    words: list[WordPlace]
    neurons: dict[str, np.ndarray]


def _fill_words(network: Network, chip: Chip, extension: int) -> _Lanes | Reason:
    """Populations of equal word records one after the other, no neuron across two words."""
    groups: dict[WordPlace, list[Population]] = {}
    for p in network.populations:
        groups.setdefault(word_of(p, chip), []).append(p)
    digits, limit = chip.derived.digits // extension, chip.derived.words_at(extension)
    widest = min(chip.lanes, digits)
    lanes = _Lanes([], {})
    for record, members in groups.items():
        if record.join > widest:
            p = members[0]
            return Reason(
                f"weight_bits of population {p.name!r} must be at most {widest * chip.digit_bits} "
                f"(one word of {widest} lanes of {chip.digit_bits} bits, with axon extension "
                f"{extension}) on this chip, not {p.weight_bits}"
            )
        places, wanted = [], sum(p.size for p in members)
        while wanted > 0:
            word = len(lanes.words)
            # Behind the last word of the chip full words are counted: the reason says how many.
            free = min(chip.lanes, digits - word * chip.lanes) if word < limit else chip.lanes
            take = min(wanted, free // record.join)
            places.append(word * chip.lanes + record.join * np.arange(take, dtype=np.int64))
            lanes.words.append(record)
            wanted -= take
        flat, at = np.concatenate(places), 0
        for p in members:
            lanes.neurons[p.name] = flat[at : at + p.size]
            at += p.size
    if len(lanes.words) > limit:
        return _too_few_words(network, chip, extension, len(lanes.words))
    return lanes


def _too_few_words(network: Network, chip: Chip, extension: int, words: int) -> Reason:
    extended = f", with axon extension {extension}" if extension > 1 else ""
    needs = ", ".join(
        f"{p.name} {p.size} neurons of {word_of(p, chip).join * chip.digit_bits} columns"
        for p in network.populations
    )
    return Reason(
        f"words of network {network.name!r} must be at most {chip.derived.words_at(extension)} "
        f"({chip.columns // extension} columns in words of {chip.lanes} lanes{extended}) "
        f"on this chip, not {words} ({_columns(network, chip)} columns: {needs})"
    )


def _columns(network: Network, chip: Chip) -> int:
    return sum(p.size * word_of(p, chip).join * chip.digit_bits for p in network.populations)
