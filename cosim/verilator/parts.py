"""Backends of a program: the parts of a network take turns on one core, in each of the ways that a single core is run.

One model of the chip serves all parts; between two of them its memories are filled anew. A chip of two banks is loaded as a board would
be: while a part runs, the image of the next one goes in through the load port.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from spikeloop.cosim.backend import Backend
from spikeloop.pysim.bundle.program import Program
from spikeloop.pysim.cost.turns import jobs, schedule
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["Parts", "PingPong", "VerilatedParts"]


class Parts(Backend):
    """Every part on a backend of its own, opened by ``opener(image)`` when it is first needed and kept."""

    def __init__(self, name: str, program: Program, opener: Callable[[Image], Backend]) -> None:
        self.name, self.program, self._opener = name, program, opener
        self._open: dict[int, Backend] = {}

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        def one(i: int, part: Stimulus) -> Trace:
            if i not in self._open:
                self._open[i] = self._opener(self.program.parts[i].image)
            return self._open[i].run(part, membranes=membranes)

        return self.program.run(stimulus, one, membranes=membranes)

    def close(self) -> None:
        for backend in self._open.values():
            backend.close()
        self._open.clear()


class VerilatedParts(Backend):
    """All parts on one Verilated chip."""

    name = "verilator"

    def __init__(self, program: Program, **options: Any) -> None:
        from spikeloop.cosim.verilator.chip import ChipModel

        self.program, self.model = program, ChipModel(program.chip, **options)

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        def one(i: int, part: Stimulus) -> Trace:
            image = self.program.parts[i].image
            self.model.fill(image)
            return self.model.run(image, part, membranes=membranes)

        return self.program.run(stimulus, one, membranes=membranes)

    def close(self) -> None:
        self.model.close()


class PingPong(Backend):
    """All parts on one Verilated chip of two banks, in the turns of pysim.cost.turns on one core, through the load port alone.

    ``batch`` samples run on one load (None: all). ``clock``: cycles that the last run took, from the first word loaded to the end of the
    last tick.
    """

    name = "verilator"

    def __init__(self, program: Program, *, batch: int | None = None, **options: Any) -> None:
        from spikeloop.cosim.verilator.chip import ChipModel

        self.program, self.batch, self.model, self.clock = (
            program,
            batch,
            ChipModel(program.chip, **options),
            0,
        )

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        images, model, batch = (
            [part.image for part in self.program.parts],
            self.model,
            self.batch or stimulus.samples,
        )
        # Who comes when, and in which bank, does not depend on how long the runs take.
        plan = schedule(
            jobs(self.program, np.ones((len(images), stimulus.samples), np.int64)), batch=batch
        )
        turns, began = iter(plan.turns), model.clock
        coming = next(turns)
        model.feed(images[coming.part], coming.bank)

        def one(i: int, part: Stimulus) -> Trace:
            nonlocal coming
            turn = coming
            while left := model.feeding:
                model.cycles(left)
            model.switch(images[i], turn.bank)
            coming = next(turns, turn)
            if coming is not turn and coming.load:
                model.feed(images[coming.part], coming.bank)
            return model.run(images[i], part, membranes=membranes)

        traces = [
            self.program.run(stimulus.take(slice(at, at + batch)), one, membranes=membranes)
            for at in range(0, stimulus.samples, batch)
        ]
        self.clock = model.clock - began
        return Trace.concatenate(traces)

    def close(self) -> None:
        self.model.close()
