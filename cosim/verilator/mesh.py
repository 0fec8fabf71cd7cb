"""The Verilated mesh: a chip of many cores with a packed network in their memories, run from numpy buffers."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.verilator.build import Options
from spikeloop.cosim.verilator.chip import ChipModel, side_by_side
from spikeloop.pysim.bundle.mesh import MeshImage
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

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
        return [
            (event >> 40, event & 0xFFFFFFFF, event >> 32 & 0xFF) for event in self.events_out()
        ]

    def run_mesh(
        self, image: MeshImage, stimulus: Stimulus, *, membranes: bool = True
    ) -> list[Trace]:
        """Run all samples on what is in the memories; the trace of every core, by its number."""
        return self.run_cores(
            {n: core.image for n, core in image.cores.items()},
            image.stimuli(stimulus),
            image.ticks,
            membranes=membranes,
        )


class VerilatedMesh(Backend):
    """The Verilated RTL of a mesh with its network; a trace is that of the whole network. ``workers`` as of cosim.verilator.chip.Verilated."""

    name = "verilator"

    def __init__(self, image: MeshImage, options: Options = Options(), *, workers: int = 1) -> None:
        self.image, self.options = image, options
        self.models = [MeshChipModel(image.chip, options) for _ in range(workers)]
        for model in self.models:
            model.fill_mesh(image)

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        return self.image.gather(self.run_cores(stimulus, membranes=membranes))

    def run_cores(self, stimulus: Stimulus, *, membranes: bool = True) -> list[Trace]:
        """The trace of every core, by its number."""
        shares = side_by_side(
            self.models,
            stimulus,
            lambda model, part: model.run_mesh(self.image, part, membranes=membranes),
        )
        return [Trace.concatenate(list(core)) for core in zip(*shares, strict=True)]

    def waves(self, stimulus: Stimulus, path: Path) -> Path:
        """Run the stimulus on a build that records every named signal, to ``path`` with suffix .vcd. One time unit is half a cycle."""
        path = Path(path).with_suffix(".vcd")
        with closing(
            MeshChipModel(
                self.image.chip, replace(self.options, waves=True, direct=False, optimise=False)
            )
        ) as model:
            model.fill_mesh(self.image)
            with model.recorded(path):
                model.run_mesh(self.image, stimulus)
        return path

    def close(self) -> None:
        for model in self.models:
            model.close()
