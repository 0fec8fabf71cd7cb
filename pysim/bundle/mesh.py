"""A network on a mesh of cores: who holds what, the route chains that join them, and the model of all cores at once.

Every core holds a network of its own (:func:`split`): its inputs are the lines that come from outside or from neurons of any core, its
populations the neurons it holds. A spike of a neuron goes, by one chain of route entries: to the axons of its own core; as packets to
every (cores, axon, delay) that has a line of it, cores with the same axon and delay by rectangles (pysim.chip.fabric.chain); and out, if its
population is the network's output. The model runs all cores tick by tick; a packet sets its axon the delay of ticks later, on time by
the tick barrier (docs/fabric.md). It sees the images alone: destinations come out of the route memories.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from spikeloop.pysim.bundle.shares import Nodes, Share, Shared
from spikeloop.pysim.chip.fabric import Mesh, Rectangle, chain
from spikeloop.pysim.chip.memory_map import COUNTERS
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import (
    ROUTE_LOCAL,
    ROUTE_OUT,
    ROUTE_PACKET,
    pack_plain,
    route_record,
    unpack_plain,
)
from spikeloop.pysim.common.bits import pack as pack_bits
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.mapping.features import Reason
from spikeloop.pysim.mapping.layers import network_layers
from spikeloop.pysim.mapping.partition import tiles
from spikeloop.pysim.mapping.place import MOST_OUTPUTS, fits
from spikeloop.pysim.network.elements import Edge, Input
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.summary import NetworkSummary
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["MeshImage", "map_mesh", "split", "spread"]

NOBODY = "lines_"  # before the name of a population whose spikes come to a core as an input


@dataclass(frozen=True, eq=False, repr=False)
class MeshImage(Shared):
    """A network packed for a mesh: ``cores`` by core number; a core without neurons is not in it."""

    kind: ClassVar[Literal["mesh"]] = "mesh"
    each = "core"

    cores: dict[int, Share]

    @property
    def shares(self) -> dict[int, Share]:
        return self.cores

    @classmethod
    def of(
        cls,
        chip: Chip,
        network: NetworkSummary,
        populations: Nodes,
        reason: str | None,
        shares: dict[int, Share],
    ) -> "MeshImage":
        if beyond := [n for n in shares if n >= chip.derived.cores]:
            raise InputError(
                f"core of a mesh must be in 0..{chip.derived.cores - 1}, not {beyond[0]}"
            )
        return cls(chip, network, populations, reason, shares)

    def source(self, line: str) -> str:
        return line if any(line == node.name for node in self.inputs) else line.removeprefix(NOBODY)

    def _check(self, what: str, left: dict[str, np.ndarray]) -> None:
        super()._check(what, left)
        mesh, record = Mesh(self.chip.mesh_width, self.chip.mesh_height), route_record(self.chip)
        for n, core in self.cores.items():
            route = unpack_plain(record, core.image.bits("routes"))
            corners = np.stack([route[side] for side in ("x0", "y0", "x1", "y1")], axis=1)[
                route["kind"] == ROUTE_PACKET
            ]
            for rectangle in np.unique(corners, axis=0):
                for member in mesh.check(Rectangle(*rectangle.tolist())):
                    if mesh.number(member) not in self.cores:
                        raise InputError(
                            f"destination of spikes of core {n} in {what} must be a core with neurons, not core "
                            f"{mesh.number(member)}: map the network again"
                        )

    def stimuli(self, stimulus: Stimulus) -> dict[int, Stimulus]:
        """What each core gets from outside."""
        stimulus.check(self)
        dense = stimulus.dense(self)
        return {
            n: Stimulus(
                {
                    name: pack_bits(dense[name][:, :, rows])
                    for name, rows in core.lines.items()
                    if name in dense
                },
                count=stimulus.samples,
            )
            for n, core in self.cores.items()
        }

    def gather(self, traces: Sequence[Trace]) -> Trace:
        """The trace of the whole network from those of all cores; counters are sums over the cores."""
        samples, steps = len(traces[0].counters["ticks"]), self.steps
        spikes = {
            name: np.zeros((samples, steps, size), np.uint8) for name, size, _ in self.populations
        }
        membranes = {}
        if any(trace.membranes for trace in traces):
            membranes = {
                name: np.zeros((samples, steps, size), np.int32)
                for name, size, _ in self.populations
            }
        for n, core in self.cores.items():
            for name, neurons in core.neurons.items():
                spikes[name][:, :, neurons] = unpack(traces[n].spikes[name], neurons.size)
                if membranes:
                    membranes[name][:, :, neurons] = traces[n].membranes[name]
        counters = {
            name: np.sum([trace.counters[name] for trace in traces], axis=0) for name in COUNTERS
        }
        return Trace(
            {name: pack_bits(array) for name, array in spikes.items()}, membranes, counters
        )


def map_mesh(
    network: Network, chip: Chip, shares: Sequence[Mapping[str, np.ndarray]] | None = None
) -> MeshImage:
    """Pack ``network`` for the mesh of ``chip``.

    shares: for each core number, its neurons {population: ascending int64 indices}, or {} for none; every neuron lies on one core. None:
    those of :func:`spread`. InputError names what does not fit: a core's resources, the number of cores, a delay
    beyond delay_max, the rows of the chains.
    """
    mesh = Mesh(chip.mesh_width, chip.mesh_height)
    if taken := [node.name for node in network.inputs if node.name.startswith(NOBODY)]:
        raise InputError(
            f"name of an input on a mesh must not begin with {NOBODY!r}, not be {taken[0]!r}"
        )
    reason = None
    if shares is None:
        shares, reason = spread(network, chip)
    else:
        _check_count(network, chip, len(shares))
    _check_shares(network, shares)
    outputs = network.size_of(network.output)
    if outputs > MOST_OUTPUTS:
        raise InputError(
            f"output population {network.output!r} must have at most {MOST_OUTPUTS} neurons "
            f"(16-bit addresses), not {outputs}"
        )
    cores = {}
    for n, share in enumerate(shares):
        if share:
            part, lines = split(network, share)
            cores[n] = Share(
                pack(part, chip=chip),
                lines,
                {name: np.asarray(neurons, np.int64) for name, neurons in share.items()},
            )
    populations = tuple((p.name, p.size, p.start) for p in network.populations)
    whole = MeshImage(chip, NetworkSummary.of(network), populations, reason, cores)
    links = _links(network, whole)
    return replace(
        whole,
        cores={
            n: replace(core, image=_route(network, core, links.get(n, {}), mesh))
            for n, core in cores.items()
        },
    )


def spread(network: Network, chip: Chip) -> tuple[list[dict[str, np.ndarray]], str | None]:
    """Neurons of each core, and the sentence that says why it takes several (None: one holds all).

    If one core holds the network, all neurons lie on the first. Otherwise the mapping search cuts
    population after population (pysim.mapping.partition.tiles), recurrent ones as well.
    InputError names what no core holds.
    """
    placement = fits(network, chip)
    if not isinstance(placement, Reason):
        return [{p.name: np.arange(p.size) for p in network.populations}], None
    shares = [
        {layer.name: neurons}
        for layer in network_layers(network, chip)
        for neurons in tiles(layer, chip)
    ]
    _check_count(network, chip, len(shares))
    return shares, placement.sentence


def split(
    network: Network, share: Mapping[str, np.ndarray]
) -> tuple[Network, dict[str, np.ndarray]]:
    """The network of the core that holds these neurons, and which lines of the whole its inputs are (Share.lines).

    A population that lies on this core as a whole, and whose edges here have one physical delay, feeds its axons directly; spikes of all
    others arrive as inputs, over the fabric even if from the core itself.
    """
    inside = {
        p.name: p.take(np.asarray(share[p.name])) for p in network.populations if p.name in share
    }
    edges = [e for e in network.edges if e.target in share]
    output = next((name for name in inside if name == network.output), list(inside)[-1])
    direct = {
        name
        for name, p in inside.items()
        if p.size == network.size_of(name)
        and name != output
        and len({network.physical_delay(e) for e in edges if e.source == name}) == 1
    }
    lines: dict[str, np.ndarray] = {}
    for e in edges:
        if e.source not in direct:
            name, reach = (
                e.source if network.is_input(e.source) else NOBODY + e.source,
                e.lines(share[e.target]),
            )
            lines[name] = np.union1d(lines[name], reach) if name in lines else reach
    own = []
    for e in edges:
        name = e.source if e.source in direct or network.is_input(e.source) else NOBODY + e.source
        rows = lines[name] if name in lines else np.arange(network.size_of(name))
        own.append(
            Edge(
                source=name, target=e.target, delay=e.delay, weights=e.block(rows, share[e.target])
            )
        )
    inputs = tuple(Input(name=name, size=rows.size) for name, rows in lines.items())
    return replace(
        network,
        inputs=inputs,
        populations=tuple(inside.values()),
        edges=tuple(own),
        output=output,
        metadata={},
    ), lines


# -- routes --------------------------------------------------------------------------------------------------------------

Links = dict[
    str, dict[int, list[tuple[int, int, int]]]
]  # population: neuron of the whole: (core, axon, delay) that it feeds


def _links(network: Network, image: MeshImage) -> dict[int, Links]:
    """By the core that sends: where the spikes of its neurons go over the fabric."""
    holders = image.holders()
    links: dict[int, Links] = {}
    for n, core in image.cores.items():
        for group in core.image.placement.inputs:
            source, rows = image.source(group.name), core.lines[group.name]
            if network.is_input(source):
                continue
            delay, most = group.delay - network.start_of(source), core.image.chip.delay_max
            if not 1 <= delay <= most:
                raise InputError(
                    f"physical delay of the edges from population {source!r} must be in 1..{most} on this chip (delay_max), "
                    f"not {delay}"
                )
            for i, neuron in enumerate(rows.tolist()):
                of_core = links.setdefault(int(holders[source][neuron]), {})
                of_core.setdefault(source, {}).setdefault(neuron, []).append(
                    (n, group.first_axon + i, delay)
                )
    return links


def _route(network: Network, core: Share, links: Links, mesh: Mesh) -> Image:
    """The image with the routes of its spikes: the first entry at the neuron's lane, the others in the rows behind those of the lanes."""
    image, chip = core.image, core.image.chip
    d, record = chip.derived, route_record(chip)
    values = {f.name: np.zeros(d.route_rows, np.int64) for f in record}
    free = d.words << d.lane_bits
    for p in image.placement.populations:
        for i, neuron in enumerate(core.neurons[p.name].tolist()):
            entries = _entries(links.get(p.name, {}).get(neuron, []), mesh)
            if p.first_axon is not None and p.delay is not None:
                entries.append({"kind": ROUTE_LOCAL, "address": p.first_axon + i, "delay": p.delay})
            if p.name == network.output:
                entries.append({"kind": ROUTE_OUT, "address": neuron})
            word, lane = divmod(int(p.neurons[i]), chip.lanes)
            row = (word << d.lane_bits) | lane
            for k, entry in enumerate(entries):
                for key, value in entry.items():
                    values[key][row] = value
                if k < len(entries) - 1:
                    if free == d.route_rows:
                        raise InputError(
                            f"route entries beyond one per neuron must be at most {chip.chain} in a core of this chip "
                            f"(chain), not more, for all destinations of {p.name!r}: choose a larger chain"
                        )
                    values["more"][row], values["next"][row] = 1, free
                    row, free = free, free + 1
    return replace(
        image, memories={**image.memories, "routes": pack_bits(pack_plain(record, values))}
    )


def _entries(places: list[tuple[int, int, int]], mesh: Mesh) -> list[dict[str, Any]]:
    """Packets to these (core, axon, delay)."""
    cores: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for n, axon, delay in places:
        cores.setdefault((axon, delay), []).append(mesh.core(n))
    return [
        {"kind": ROUTE_PACKET, "address": axon, "delay": delay, **vars(mesh.check(rectangle))}
        for (axon, delay), members in cores.items()
        for rectangle in chain(members)
    ]


def _check_count(network: Network, chip: Chip, cores: int) -> None:
    if cores > chip.derived.cores:
        raise InputError(
            f"cores for network {network.name!r} must be at most {chip.derived.cores} "
            f"({chip.mesh_width} x {chip.mesh_height} mesh), not {cores}: choose a larger mesh"
        )


def _check_shares(network: Network, shares: Sequence[Mapping[str, np.ndarray]]) -> None:
    held = {p.name: np.zeros(p.size, np.int64) for p in network.populations}
    for share in shares:
        for name, neurons in share.items():
            if name not in held:
                raise InputError(
                    f"population of a core must be one of {', '.join(held)}, not {name!r}"
                )
            held[name] += np.bincount(np.asarray(neurons, np.int64), minlength=held[name].size)
    for name, count in held.items():
        if (count != 1).any():
            neuron = int(np.argmax(count != 1))
            raise InputError(
                f"neuron {neuron} of population {name!r} must lie on one core, not on {count[neuron]}"
            )
