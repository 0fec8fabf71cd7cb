"""Signals worked out of a window: the controller's state by name, membranes as numbers, and what
the model expects of them.

    control.state        the state of the controller as a word (a string variable of the dump)
    membrane.NAME_N      membrane of neuron N of population NAME, signed, from its last write on
    expected.NAME_N      what the chip model says it is, from the same edge on

In the dump ``v_next`` holds all lanes of a word as bit planes: bit b x lanes + l is bit b of lane
l. A word is written at the clock edge that ends a cycle with ``control.writing``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from amaranth.hdl import Fragment

from spikeloop.cosim.waves.vcd import Signal
from spikeloop.hdl.core.control import Controller
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.mapping.placement import Placement
from spikeloop.pysim.traces.trace import Trace

__all__ = ["EXPECTED", "MEMBRANE", "STATE", "Derived", "states_of"]

STATE, MEMBRANE, EXPECTED = "control.state", "membrane", "expected"
Moves = list[tuple[int, str, str]]
"""Changes: time, key, value."""


def states_of(chip: Chip) -> dict[int, str]:
    """The states of the controller by their number in the RTL."""
    fsm = Fragment.get(Controller(chip), None).generated["state"]
    return {number: name for name, number in fsm.encoding.items()}


@dataclass(frozen=True, eq=False)
class Derived:
    """What is worked out of the window of one core.

    trace: of the model, one sample; its steps are those of each population
    """

    place: Placement
    trace: Trace

    def of(self, values: dict[str, str], moves: Moves) -> tuple[list[Signal], Moves]:
        """The signals, and their changes in the window; arguments as in vcd.write."""
        bits = self.place.chip.membrane_bits
        signals = [Signal(("core", "control"), "state", 1, STATE, "string")]
        for group in (MEMBRANE, EXPECTED):
            for p in self.place.populations:
                for n in range(p.size):
                    name = f"{p.name}_{n}"
                    signals.append(Signal(("core", group), name, bits, f"{group}.{name}"))
        names = states_of(self.place.chip)
        found = [(0, STATE, names.get(_number(values.get("control.state_state")), "x"))]
        now = dict(values)
        for time, together in groupby(moves, key=lambda move: move[0]):
            changes = [(key, value) for _, key, value in together]
            if ("clk", "1") in changes and now.get("control.writing") == "1":
                found += [(time, key, value) for key, value in self._written(now)]
            now |= dict(changes)
            for key, value in changes:
                if key == "control.state_state":
                    found.append((time, STATE, names.get(_number(value), "x")))
        return signals, found

    def _written(self, now: dict[str, str]) -> Iterator[tuple[str, str]]:
        """Key and digits of the membranes of the word that is written, and of the expected ones."""
        chip, word, planes = self.place.chip, _number(now["control.word"]), now["v_next"]
        if now.get("control.ticking") != "1" or word < 0 or set(planes) & set("xz"):
            return
        tick, lanes = _number(now["control.number"]) - 1, chip.lanes
        planes = planes.zfill(chip.membrane_bits * lanes)[::-1]
        for p in self.place.populations:
            step, membranes = tick - p.start, self.trace.membranes.get(p.name)
            for n in np.flatnonzero(p.neurons // lanes == word).tolist():
                lane = int(p.neurons[n]) % lanes
                yield f"{MEMBRANE}.{p.name}_{n}", planes[lane::lanes][::-1]
                if membranes is not None and 0 <= step < membranes.shape[1]:
                    v = int(membranes[0, step, n]) % (1 << chip.membrane_bits)
                    yield f"{EXPECTED}.{p.name}_{n}", f"{v:0{chip.membrane_bits}b}"


def _number(digits: str | None) -> int:
    """A binary number; -1 for one that is not known."""
    return -1 if not digits or set(digits) & set("xz") else int(digits, 2)
