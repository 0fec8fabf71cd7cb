"""Signals worked out of a window: the controller's state by name, the numbers of each neuron, and
what the model expects of them.

    control.state        the state of the controller as a word (a string variable of the dump)
    sum_of.NAME_N        weighted sum of neuron N of population NAME, signed, as its step takes it
    total_of.NAME_N      x of the page: the membrane after leak, sum and bias, before it is clipped
    membrane.NAME_N      its membrane, from its last write on
    expected.NAME_N      what the chip model says the membrane is, from the same edge on

In the dump ``sum``, ``step.total`` and ``v_next`` hold all lanes of a word as bit planes: bit
b x lanes + l is bit b of lane l. Each is taken at the clock edge that ends a cycle with its strobe.
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

__all__ = ["EXPECTED", "MEMBRANE", "NUMBERS", "STATE", "Derived", "states_of"]

STATE, SUM, TOTAL, MEMBRANE, EXPECTED = (
    "control.state",
    "sum_of",
    "total_of",
    "membrane",
    "expected",
)
NUMBERS = (MEMBRANE, EXPECTED, SUM, TOTAL)
"""Groups of signals of a neuron, in the order in which they are shown."""
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
        chip = self.place.chip
        bits = {SUM: chip.derived.sum_bits, TOTAL: chip.derived.total_bits}
        taken = (  # strobe, planes, group
            ("control.driving" if chip.current_bits else "control.leaking", "sum", SUM),
            ("control.firing", "step.total", TOTAL),
            ("control.writing", "v_next", MEMBRANE),
        )
        signals = [Signal(("core", "control"), "state", 1, STATE, "string")]
        for group in NUMBERS:
            for p in self.place.populations:
                for n in range(p.size):
                    name, width = f"{p.name}_{n}", bits.get(group, chip.membrane_bits)
                    signals.append(Signal(("core", group), name, width, f"{group}.{name}"))
        names = states_of(chip)
        found = [(0, STATE, names.get(_number(values.get("control.state_state")), "x"))]
        now = dict(values)
        for time, together in groupby(moves, key=lambda move: move[0]):
            changes = [(key, value) for _, key, value in together]
            for strobe, planes, group in taken if ("clk", "1") in changes else ():
                if now.get(strobe) == "1":
                    width = bits.get(group, chip.membrane_bits)
                    rows = self._taken(now, now[planes], width, group)
                    found += [(time, key, value) for key, value in rows]
            now |= dict(changes)
            for key, value in changes:
                if key == "control.state_state":
                    found.append((time, STATE, names.get(_number(value), "x")))
        return signals, found

    def _taken(
        self, now: dict[str, str], planes: str, bits: int, group: str
    ) -> Iterator[tuple[str, str]]:
        """Key and digits of what the word's neurons have in ``planes``; of membranes also what is
        expected."""
        chip, word = self.place.chip, _number(now["control.word"])
        if now.get("control.ticking") != "1" or word < 0 or set(planes) & set("xz"):
            return
        tick, lanes = _number(now["control.number"]) - 1, chip.lanes
        planes = planes.zfill(bits * lanes)[::-1]
        for p in self.place.populations:
            step, membranes = tick - p.start, self.trace.membranes.get(p.name)
            for n in np.flatnonzero(p.neurons // lanes == word).tolist():
                lane = int(p.neurons[n]) % lanes
                yield f"{group}.{p.name}_{n}", planes[lane::lanes][::-1]
                if group == MEMBRANE and membranes is not None and 0 <= step < membranes.shape[1]:
                    v = int(membranes[0, step, n]) % (1 << chip.membrane_bits)
                    yield f"{EXPECTED}.{p.name}_{n}", f"{v:0{chip.membrane_bits}b}"


def _number(digits: str | None) -> int:
    """A binary number; -1 for one that is not known."""
    return -1 if not digits or set(digits) & set("xz") else int(digits, 2)
