"""The Verilated mesh: a chip of many cores with a packed network in their memories, run from numpy buffers."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cosim.link import Backend
from cosim.native import ChipModel
from cosim.verilate import Options
from pysim.mesh import MeshImage
from pysim.trace import Stimulus, Trace

__all__ = ["MeshChipModel", "VerilatedMesh"]


class MeshChipModel(ChipModel):
    """One Verilated mesh. Addresses of the load port have their core above them (MemoryMap.core_base); events have it in front."""

    def fill_mesh(self, image: MeshImage) -> None:
        """Put the images into the memories directly, and their settings into their registers; cores without neurons are emptied."""
        for n in range(self.chip.derived.cores):
            if n in image.cores:
                self.fill(image.cores[n].image, n)
            else:
                self.memory("words", n)[:] = 0

    def send(self, events: Iterable[tuple[int, ...]]) -> None:
        """AER events (core, axon, delay)."""
        for core, axon, delay in events:
            if not self._lib.sl_send(self._handle, core, axon, delay, 1 << 20):
                raise TimeoutError("the chip did not take an event")

    def receive(self) -> list[tuple[int, ...]]:
        """AER events (core, output line, delay) that left since the last call, in their order."""
        return [(event >> 40, event & 0xFFFFFFFF, event >> 32 & 0xFF) for event in self.events_out()]

    def run_mesh(self, image: MeshImage, stimulus: Stimulus, *, membranes: bool = True) -> list[Trace]:
        """Run all samples on what is in the memories; the trace of every core, by its number."""
        return self.run_cores({n: core.image for n, core in image.cores.items()}, image.stimuli(stimulus), image.ticks, membranes=membranes)


class VerilatedMesh(Backend):
    """The Verilated RTL of a mesh with its network; a trace is that of the whole network. ``workers`` as of cosim.native.Verilated."""

    name = "verilator"

    def __init__(self, image: MeshImage, options: Options = Options(), *, workers: int = 1) -> None:
        self.image = image
        self.models = [MeshChipModel(image.chip, options) for _ in range(workers)]
        for model in self.models:
            model.fill_mesh(image)

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        return self.image.gather(self.run_cores(stimulus, membranes=membranes))

    def run_cores(self, stimulus: Stimulus, *, membranes: bool = True) -> list[Trace]:
        """The trace of every core, by its number."""
        parts = [p for p in np.array_split(np.arange(stimulus.samples), len(self.models)) if len(p)]
        with ThreadPoolExecutor(len(self.models)) as pool:
            jobs = [pool.submit(model.run_mesh, self.image, stimulus.take(slice(p[0], p[-1] + 1)), membranes=membranes)
                    for model, p in zip(self.models, parts, strict=False)]
            return [Trace.concatenate(list(core)) for core in zip(*(job.result() for job in jobs), strict=True)]

    def close(self) -> None:
        for model in self.models:
            model.close()
