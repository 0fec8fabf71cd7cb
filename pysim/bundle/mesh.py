"""A network on a mesh of cores that all run at once.

Every core holds a network of its own (pysim.bundle.split), and the routes of its image lead to the
other cores (pysim.bundle.routes). A packet sets its axon after ``delay`` ticks, on time by the tick
barrier (docs/fabric.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from spikeloop.pysim.bundle.routes import links, routed
from spikeloop.pysim.bundle.shares import Nodes, Share, Shared
from spikeloop.pysim.bundle.split import NOBODY, Neurons, check_shares, split, spread
from spikeloop.pysim.chip.fabric import Mesh, Rectangle
from spikeloop.pysim.chip.memory_map import COUNTERS
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import ROUTE_PACKET, route_record, unpack_plain
from spikeloop.pysim.common.bits import pack as pack_bits
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.mapping.place import MOST_OUTPUTS
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.summary import NetworkSummary
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import STATES, Trace

__all__ = ["MeshImage", "map_mesh"]


@dataclass(frozen=True, eq=False, repr=False)
class MeshImage(Shared):
    """A network packed for a mesh. ``cores``: the shares by core number.

    A core without neurons is not in it.
    """

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
            corners = np.stack([route[side] for side in ("x0", "y0", "x1", "y1")], axis=1)
            for rectangle in np.unique(corners[route["kind"] == ROUTE_PACKET], axis=0):
                for member in mesh.check(Rectangle(*rectangle.tolist())):
                    if mesh.number(member) not in self.cores:
                        raise InputError(
                            f"destination of spikes of core {n} in {what} must be a core with "
                            f"neurons, not core {mesh.number(member)}: map the network again"
                        )

    def stimuli(self, stimulus: Stimulus) -> dict[int, Stimulus]:
        """What each core gets from outside."""
        stimulus.check(self)
        dense = stimulus.dense(self)

        def of(core: Share) -> Stimulus:
            spikes = {
                name: dense[name][:, :, rows] for name, rows in core.lines.items() if name in dense
            }
            packed = {name: pack_bits(lines) for name, lines in spikes.items()}
            return Stimulus(packed, count=stimulus.samples)

        return {n: of(core) for n, core in self.cores.items()}

    def gather(self, traces: Sequence[Trace]) -> Trace:
        """The trace of the whole network from those of all cores.

        Counters are sums over the cores.
        """
        samples, steps = len(traces[0].counters["ticks"]), self.steps
        sizes = {name: size for name, size, _ in self.populations}
        spikes = {name: np.zeros((samples, steps, size), np.uint8) for name, size in sizes.items()}
        states: dict[str, dict[str, np.ndarray]] = {}
        for part in STATES:
            recorded = any(getattr(trace, part) for trace in traces)
            states[part] = {
                name: np.zeros((samples, steps, size), np.int32)
                for name, size in sizes.items()
                if recorded
            }
        for n, core in self.cores.items():
            for name, neurons in core.neurons.items():
                spikes[name][:, :, neurons] = unpack(traces[n].spikes[name], neurons.size)
                for part, values in states.items():
                    if values:
                        values[name][:, :, neurons] = getattr(traces[n], part)[name]
        packed = {name: pack_bits(array) for name, array in spikes.items()}
        counters = {
            name: np.sum([trace.counters[name] for trace in traces], axis=0) for name in COUNTERS
        }
        return Trace(packed, counters=counters, **states)


def map_mesh(network: Network, chip: Chip, shares: Sequence[Neurons] | None = None) -> MeshImage:
    """Pack ``network`` for the mesh of ``chip``.

    shares: the neurons of each core, by core number; every neuron lies on one core. None: those of
    pysim.bundle.split.spread.

    InputError names what does not fit: a core's resources, the number of cores, a delay beyond
    delay_max, the rows of the chains.
    """
    mesh = Mesh(chip.mesh_width, chip.mesh_height)
    if taken := [node.name for node in network.inputs if node.name.startswith(NOBODY)]:
        raise InputError(
            f"name of an input on a mesh must not begin with {NOBODY!r}, not be {taken[0]!r}"
        )
    if network.source:
        raise InputError(
            f"network with {network.source.what} must lie on a single core, not on a mesh"
        )
    reason = None
    if shares is None:
        shares, reason = spread(network, chip)
    if len(shares) > len(mesh):
        raise InputError(
            f"cores for network {network.name!r} must be at most {len(mesh)} "
            f"({chip.mesh_width} x {chip.mesh_height} mesh), not {len(shares)}: "
            "choose a larger mesh"
        )
    check_shares(network, shares)
    outputs = network.size_of(network.output)
    if outputs > MOST_OUTPUTS:
        raise InputError(
            f"output population {network.output!r} must have at most {MOST_OUTPUTS} neurons "
            f"(16-bit addresses), not {outputs}"
        )
    cores = {n: _share(network, chip, neurons) for n, neurons in enumerate(shares) if neurons}
    populations = tuple((p.name, p.size, p.start) for p in network.populations)
    whole = MeshImage(chip, NetworkSummary.of(network), populations, reason, cores)
    of_core = links(network, whole)
    with_routes = {
        n: replace(core, image=routed(network, core, of_core.get(n, {}), mesh))
        for n, core in cores.items()
    }
    return replace(whole, cores=with_routes)


def _share(network: Network, chip: Chip, neurons: Neurons) -> Share:
    """The core that holds ``neurons``, still without routes to other cores."""
    part, lines = split(network, neurons)
    indices = {name: np.asarray(rows, np.int64) for name, rows in neurons.items()}
    return Share(pack(part, chip=chip), lines, indices)
