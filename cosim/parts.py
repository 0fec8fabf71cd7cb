"""Backends of a program: the parts of a network take turns on one core, in each of the ways that a single core is run.

One model of the chip serves all parts; between two of them its memories are filled anew.
"""

from collections.abc import Callable
from typing import Any

from cosim.link import Backend
from pysim.image import Image
from pysim.program import Program
from pysim.trace import Stimulus, Trace

__all__ = ["Parts", "VerilatedParts"]


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
        from cosim.native import ChipModel

        self.program, self.model = program, ChipModel(program.chip, **options)

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        def one(i: int, part: Stimulus) -> Trace:
            image = self.program.parts[i].image
            self.model.fill(image)
            return self.model.run(image, part, membranes=membranes)

        return self.program.run(stimulus, one, membranes=membranes)

    def close(self) -> None:
        self.model.close()
