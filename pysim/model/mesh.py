"""The model of a mesh: its cores, tick by tick, and the packets between them.

It sees the images alone: the destinations of packets come out of the route memories.
"""

import numpy as np

from spikeloop.pysim.bundle.mesh import MeshImage
from spikeloop.pysim.chip.fabric import Mesh, Rectangle
from spikeloop.pysim.chip.memory_map import COUNTERS
from spikeloop.pysim.chip.params import SCAN_BITS
from spikeloop.pysim.chip.records import ROUTE_PACKET
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.model.cycles import cycles
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["MeshModel"]


class MeshModel:
    """All cores of a mesh, bit-exact and, but for stalls, cycle-exact; many samples at once.

    ``engine`` as of pysim.model.core.Core.
    """

    def __init__(self, image: MeshImage, engine: str | None = None) -> None:
        self.image, self.mesh = image, Mesh(image.chip.mesh_width, image.chip.mesh_height)
        self.cores = {n: Core(core.image, engine) for n, core in image.cores.items()}
        self._packets = {n: self._destinations(core) for n, core in self.cores.items()}

    def run(
        self, stimulus: Stimulus, *, membranes: bool = True, dense: bool = False
    ) -> list[Trace]:
        """The trace of every core, by its number, in the populations of its own network.

        Counters without stalls, at the mesh's ticks.
        """
        most = max(core.axons + core.neurons.place.size for core in self.cores.values())
        size = max(1, min(64, (8 << 20) // (self.image.ticks * most)))
        parts = [
            stimulus.take(slice(at, at + size)) for at in range(0, stimulus.samples, size)
        ] or [stimulus]
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
                for to, delay, neurons, axons in self._packets[n]:
                    if tick + delay < ticks:
                        runs[to].events[:, tick + delay, axons] |= fired[:, neurons]
        idle = self._idle(stimulus.samples, ticks, dense)
        return [
            self.cores[n].trace(runs[n].finish(), dense=dense) if n in runs else idle
            for n in range(len(self.mesh))
        ]

    def _destinations(self, core: Core) -> list[tuple[int, int, np.ndarray, np.ndarray]]:
        """(core, delay, neurons, their axons there) of all packets that a core sends."""
        route = core.neurons.route
        found: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for e in np.flatnonzero(route["kind"] == ROUTE_PACKET):
            for member in self.mesh.check(
                Rectangle(*(int(route[side][e]) for side in ("x0", "y0", "x1", "y1")))
            ):
                to = self.mesh.number(member)
                found.setdefault((to, int(route["delay"][e])), []).append(
                    (int(route["neuron"][e]), int(route["address"][e]))
                )
        return [(to, delay, *np.array(pairs).T) for (to, delay), pairs in found.items()]

    def _idle(self, samples: int, ticks: int, dense: bool) -> Trace:
        """A core without neurons walks its words, its axons and its spikes."""
        chip, d = self.image.chip, self.image.chip.derived
        counters = {name: np.zeros((samples, ticks), np.int64) for name in COUNTERS}
        scan, events = (chip.axons, chip.axons) if dense else (-(-chip.axons // SCAN_BITS), 0)
        counters["cycles"][:] = cycles(
            np.array(scan), np.array(events), np.array(d.words * d.spike_chunks), 0, 0, d.words
        )
        counters["ticks"][:] = 1
        counters["slots"][:] = events * chip.columns
        return Trace({}, {}, counters)
