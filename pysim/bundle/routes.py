"""The routes of a mesh: one chain of route entries for each neuron (docs/fabric.md).

A spike goes to the axons of its own core, as packets to every (core, axon, delay) that has a line
of its neuron, and out if its population is the network's output. Cores with the same axon and delay
share a packet by rectangles (pysim.chip.fabric.chain).
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from spikeloop.pysim.bundle.shares import Share, Shared
from spikeloop.pysim.chip.fabric import Mesh, chain
from spikeloop.pysim.chip.records import (
    ROUTE_LOCAL,
    ROUTE_OUT,
    ROUTE_PACKET,
    pack_plain,
    route_record,
)
from spikeloop.pysim.common.bits import pack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.mapping.placement import PopulationPlace
from spikeloop.pysim.network.graph import Network

__all__ = ["Destination", "Links", "links", "routed"]


class Destination(NamedTuple):
    """An axon that a neuron feeds over the fabric: core, axon, physical delay in ticks."""

    core: int
    axon: int
    delay: int


Links = dict[str, dict[int, list[Destination]]]
"""Where the spikes of a core go over the fabric: by population, and by neuron of the whole."""
Entry = dict[str, int]
"""A route entry: values of the fields of route_record; all others are 0."""


def links(network: Network, bundle: Shared) -> dict[int, Links]:
    """The links of each core that sends, by its number.

    InputError for a delay that the chip cannot hold.
    """
    holders = bundle.holders()
    links_of: dict[int, Links] = {}
    for n, core in bundle.shares.items():
        for group in core.image.placement.inputs:
            source, rows = bundle.source(group.name), core.lines[group.name]
            if network.is_input(source):
                continue
            delay, most = group.delay - network.start_of(source), core.image.chip.delay_max
            if not 1 <= delay <= most:
                raise InputError(
                    f"physical delay of the edges from population {source!r} must be in 1..{most} "
                    f"on this chip (delay_max), not {delay}"
                )
            for i, neuron in enumerate(rows.tolist()):
                of_core = links_of.setdefault(int(holders[source][neuron]), {})
                to = of_core.setdefault(source, {}).setdefault(neuron, [])
                to.append(Destination(n, group.first_axon + i, delay))
    return links_of


def routed(network: Network, core: Share, links: Links, mesh: Mesh) -> Image:
    """The image of ``core`` with the routes of its spikes.

    The first entry of a chain lies at the neuron's lane, the others in the rows behind those of the
    lanes.
    """
    image, chip = core.image, core.image.chip
    d, record = chip.derived, route_record(chip)
    values = {f.name: np.zeros(d.route_rows, np.int64) for f in record}
    free = d.words << d.lane_bits
    for p in image.placement.populations:
        neurons, of_population = core.neurons[p.name].tolist(), links.get(p.name, {})
        for i, neuron in enumerate(neurons):
            entries = _packets(of_population.get(neuron, []), mesh)
            entries += _own(p, i, neuron, network.output)
            word, lane = divmod(int(p.neurons[i]), chip.lanes)
            row = (word << d.lane_bits) | lane
            for k, entry in enumerate(entries):
                for name, value in entry.items():
                    values[name][row] = value
                if k < len(entries) - 1:
                    if free == d.route_rows:
                        raise InputError(
                            f"route entries beyond one per neuron must be at most {chip.chain} "
                            "in a core of this chip (chain), not more, for all destinations "
                            f"of {p.name!r}: choose a larger chain"
                        )
                    values["more"][row], values["next"][row] = 1, free
                    row, free = free, free + 1
    return replace(image, memories={**image.memories, "routes": pack(pack_plain(record, values))})


def _own(p: PopulationPlace, i: int, neuron: int, output: str) -> list[Entry]:
    """Entries of neuron ``i`` of a place to its core's own axons and to the output.

    ``neuron`` is its number in the whole.
    """
    entries: list[Entry] = []
    if p.first_axon is not None and p.delay is not None:
        entries.append({"kind": ROUTE_LOCAL, "address": p.first_axon + i, "delay": p.delay})
    if p.name == output:
        entries.append({"kind": ROUTE_OUT, "address": neuron})
    return entries


def _packets(places: list[Destination], mesh: Mesh) -> list[Entry]:
    """Entries of the packets to these places."""
    cores: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for place in places:
        cores.setdefault((place.axon, place.delay), []).append(mesh.core(place.core))
    return [
        {"kind": ROUTE_PACKET, "address": axon, "delay": delay, **vars(mesh.check(rectangle))}
        for (axon, delay), members in cores.items()
        for rectangle in chain(members)
    ]
