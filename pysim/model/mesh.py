"""The model of a mesh: its cores, tick by tick, and the packets between them.

It sees the images alone: the destinations of packets come out of the route memories.
"""

from typing import NamedTuple

import numpy as np

from spikeloop.pysim.bundle.mesh import MeshImage
from spikeloop.pysim.chip.fabric import Mesh, Rectangle
from spikeloop.pysim.chip.memory_map import COUNTERS
from spikeloop.pysim.chip.params import SCAN_BITS
from spikeloop.pysim.chip.records import ROUTE_PACKET
from spikeloop.pysim.model.core import MEMORY, Core
from spikeloop.pysim.model.cycles import cycles
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["MeshModel"]


SAMPLES = 64
"""Samples that run at once."""


class Packets(NamedTuple):
    """The packets of a core that go to one other core with one delay.

    core:     number of the core that they go to
    delay:    physical delay in ticks
    neurons:  int64 ``[packet]``: the neuron that sends each
    axons:    int64 ``[packet]``: the axon that each sets
    """

    core: int
    delay: int
    neurons: np.ndarray
    axons: np.ndarray


class MeshModel:
    """All cores of a mesh, exact to the bit and, but for stalls, to the cycle.

    engine: as of pysim.model.core.Core.
    """

    def __init__(self, image: MeshImage, engine: str | None = None) -> None:
        self.image, self.mesh = image, Mesh(image.chip.mesh_width, image.chip.mesh_height)
        self.cores = {n: Core(core.image, engine) for n, core in image.cores.items()}
        self._packets = {n: self._destinations(core) for n, core in self.cores.items()}

    def run(
        self, stimulus: Stimulus, *, membranes: bool = True, dense: bool = False
    ) -> list[Trace]:
        """The trace of every core, by its number, in the populations of the core's network.

        Counters are without stalls, at the ticks of the mesh. The arguments are those of Core.run.
        """
        most = max(core.axons + core.neurons.place.size for core in self.cores.values())
        size = max(1, min(SAMPLES, MEMORY // (self.image.ticks * most)))
        starts = range(0, max(1, stimulus.samples), size)
        parts = [stimulus.take(slice(at, at + size)) for at in starts]
        traces = [self._run(part, membranes, dense) for part in parts]
        return [Trace.concatenate(list(of_core)) for of_core in zip(*traces, strict=True)]

    def _run(self, stimulus: Stimulus, membranes: bool, dense: bool) -> list[Trace]:
        ticks, stimuli = self.image.ticks, self.image.stimuli(stimulus)
        runs = {
            n: core.start(core.events(stimuli[n], ticks), membranes=membranes)
            for n, core in self.cores.items()
        }
        for tick in range(ticks):
            for run in runs.values():
                run.tick(tick)
            for n, run in runs.items():
                fired = run.raw.fired_at(tick, self.cores[n].neurons.groups)
                for packets in self._packets[n]:
                    arrival = tick + packets.delay
                    if arrival < ticks:
                        arriving = fired[:, packets.neurons]
                        runs[packets.core].events[:, arrival, packets.axons] |= arriving
        idle = self._idle(stimulus.samples, ticks, dense)
        return [
            self.cores[n].trace(runs[n].finish(), dense=dense) if n in runs else idle
            for n in range(len(self.mesh))
        ]

    def _destinations(self, core: Core) -> list[Packets]:
        """All packets that a core sends."""
        route = core.neurons.route
        pairs: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for e in np.flatnonzero(route["kind"] == ROUTE_PACKET):
            rectangle = Rectangle(*(int(route[side][e]) for side in ("x0", "y0", "x1", "y1")))
            pair = int(route["neuron"][e]), int(route["address"][e])
            for member in self.mesh.check(rectangle):
                to = self.mesh.number(member), int(route["delay"][e])
                pairs.setdefault(to, []).append(pair)
        return [Packets(*to, *np.array(some).T) for to, some in pairs.items()]

    def _idle(self, samples: int, ticks: int, dense: bool) -> Trace:
        """A core without neurons walks its words, its axons and its spikes."""
        chip, d = self.image.chip, self.image.chip.derived
        counters = {name: np.zeros((samples, ticks), np.int64) for name in COUNTERS}
        scan, events = (chip.axons, chip.axons) if dense else (-(-chip.axons // SCAN_BITS), 0)
        counters["cycles"][:] = cycles(
            np.array(scan),
            np.array(events),
            np.array(d.words * d.spike_chunks),
            live=0,
            joins=0,
            words=d.words,
            currents=chip.current_bits > 0,
        )
        counters["ticks"][:] = 1
        counters["slots"][:] = events * chip.columns
        return Trace({}, {}, counters)
