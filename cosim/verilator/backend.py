"""Backends on the Verilated RTL: one core, a mesh, and the parts of a program in turns on one core.

Workers are threads, each with a model of its own. Between two parts of a program, the memories of
the one model are filled anew. A chip of two banks is loaded as a board would be: while a part runs,
the image of the next one goes in through the load port.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.verilator.build import Options
from spikeloop.cosim.verilator.chip import ChipModel, MeshChipModel
from spikeloop.pysim.bundle.mesh import MeshImage
from spikeloop.pysim.bundle.program import Program
from spikeloop.pysim.cost.turns import jobs, schedule
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["PingPong", "Verilated", "VerilatedMesh", "VerilatedParts", "side_by_side"]

Model = TypeVar("Model", bound=ChipModel)
Result = TypeVar("Result")


class Verilated(Backend):
    """The Verilated RTL of one core with an image in its memories.

    workers: models side by side, each on its share of the samples.
    through_load_port: load the image as a board does, instead of filling the memories.
    """

    name = "verilator"

    def __init__(
        self,
        image: Image,
        options: Options = Options(),
        *,
        workers: int = 1,
        through_load_port: bool = False,
    ) -> None:
        self.image, self.options = image, options
        self.models = [ChipModel(image.chip, options) for _ in range(workers)]
        for model in self.models:
            (model.load if through_load_port else model.fill)(image)

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        def run(model: ChipModel, share: Stimulus) -> Trace:
            return model.run(self.image, share, membranes=membranes)

        return Trace.concatenate(side_by_side(self.models, stimulus, run))

    def waves(self, stimulus: Stimulus, path: Path) -> Path:
        """Record a run as VCD, on a build with every named signal; the path, its suffix .vcd.

        One time unit is half a cycle.
        """
        with closing(ChipModel(self.image.chip, _recording(self.options))) as model:
            model.fill(self.image)
            return _record(model, path, lambda: model.run(self.image, stimulus))

    def close(self) -> None:
        for model in self.models:
            model.close()


class VerilatedMesh(Backend):
    """The Verilated RTL of a mesh with its network. A trace is that of the whole network.

    workers: models side by side, each on its share of the samples.
    """

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

        def run(model: MeshChipModel, share: Stimulus) -> list[Trace]:
            return model.run_mesh(self.image, share, membranes=membranes)

        shares = side_by_side(self.models, stimulus, run)
        return [Trace.concatenate(list(core)) for core in zip(*shares, strict=True)]

    def waves(self, stimulus: Stimulus, path: Path) -> Path:
        """As :meth:`Verilated.waves`."""
        with closing(MeshChipModel(self.image.chip, _recording(self.options))) as model:
            model.fill_mesh(self.image)
            return _record(model, path, lambda: model.run_mesh(self.image, stimulus))

    def close(self) -> None:
        for model in self.models:
            model.close()


class VerilatedParts(Backend):
    """All parts of a program in turns on one Verilated chip, which is filled once for each turn."""

    name = "verilator"

    def __init__(self, program: Program, options: Options = Options()) -> None:
        self.program, self.model = program, ChipModel(program.chip, options)

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        def run(number: int, parts: Stimulus) -> Trace:
            image = self.program.parts[number].image
            self.model.fill(image)
            return self.model.run(image, parts, membranes=membranes)

        return self.program.run(stimulus, run, membranes=membranes, together=True)

    def close(self) -> None:
        self.model.close()


class PingPong(Backend):
    """All parts of a program on one Verilated chip of two banks, through the load port alone.

    The parts take the turns of pysim.cost.turns on one core.

    batch: samples that run on one load; None means all.
    clock: cycles of the last run, from the first word loaded to the end of the last tick.
    """

    name = "verilator"

    def __init__(
        self, program: Program, options: Options = Options(), *, batch: int | None = None
    ) -> None:
        self.program, self.batch = program, batch
        self.model = ChipModel(program.chip, options)
        self.clock = 0

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        model, images = self.model, [part.image for part in self.program.parts]
        batch = self.batch or stimulus.samples
        # The order of the parts and their banks does not depend on how long the runs take.
        equal = np.ones((len(images), stimulus.samples), np.int64)
        turns = iter(schedule(jobs(self.program, equal), batch=batch).turns)
        began = model.clock
        coming = next(turns)
        model.feed(images[coming.part], coming.bank)

        def run(number: int, part: Stimulus) -> Trace:
            nonlocal coming
            turn = coming
            while left := model.feeding:
                model.cycles(left)
            model.switch(images[number], turn.bank)
            coming = next(turns, turn)
            if coming is not turn and coming.load:
                model.feed(images[coming.part], coming.bank)
            return model.run(images[number], part, membranes=membranes)

        starts = range(0, stimulus.samples, batch)
        shares = [stimulus.take(slice(start, start + batch)) for start in starts]
        traces = [self.program.run(share, run, membranes=membranes) for share in shares]
        self.clock = model.clock - began
        return Trace.concatenate(traces)

    def close(self) -> None:
        self.model.close()


def side_by_side(
    models: Sequence[Model], stimulus: Stimulus, run: Callable[[Model, Stimulus], Result]
) -> list[Result]:
    """``run`` each model on its share of the samples, at once; results in the samples' order."""
    parts = [p for p in np.array_split(np.arange(stimulus.samples), len(models)) if len(p)]
    shares = [stimulus.take(slice(part[0], part[-1] + 1)) for part in parts]
    with ThreadPoolExecutor(len(models)) as pool:
        tasks = zip(models, shares, strict=False)
        futures = [pool.submit(run, model, share) for model, share in tasks]
        return [future.result() for future in futures]


def _recording(options: Options) -> Options:
    """The same build, able to write waves."""
    return replace(options, waves=True, direct=False, optimise=False)


def _record(model: ChipModel, path: Path, run: Callable[[], object]) -> Path:
    path = Path(path).with_suffix(".vcd")
    with model.recorded(path):
        run()
    return path
