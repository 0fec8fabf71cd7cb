"""Counters of a core: how much each event class has happened, 64 bits each.

The counter of cycles alone is not here: it runs on the core's own clock, in hdl/core/core.py.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.lib.lanes import total
from spikeloop.pysim.chip.memory_map import COUNTERS
from spikeloop.pysim.chip.params import Chip

__all__ = ["Counters", "Tally"]


class Tally(wiring.Component):
    """How many lanes were set at the last edge of domain "out".

    The copy of the mask keeps the count from waking other stages.

    Members
    -------
    mask: In    one bit a lane.
    count: Out  set bits of the mask, one edge of "out" later.
    """

    def __init__(self, chip: Chip):
        super().__init__({"mask": In(chip.lanes), "count": Out(chip.lanes.bit_length() + 1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        copy = Signal.like(self.mask, reset_less=True)
        m.d.out += copy.eq(self.mask)
        m.d.comb += self.count.eq(total(m, copy))
        return m


class Counters(wiring.Component):
    """All counters except ``cycles``. They sleep while nothing counts.

    Members
    -------
    zero: In(1)      all counters become 0.
    add_*: In(32)    what this cycle adds to a counter; by name in ``adds``.
    count_*: Out(64) the counters; by name in ``counts``.
    """

    def __init__(self):
        names = [name for name in COUNTERS if name != "cycles"]
        super().__init__(
            {
                "zero": In(1),
                **{f"add_{name}": In(32) for name in names},
                **{f"count_{name}": Out(64) for name in names},
            }
        )
        self.adds = {name: getattr(self, f"add_{name}") for name in names}
        self.counts = {name: getattr(self, f"count_{name}") for name in names}

    def elaborate(self, platform) -> Module:
        m = Module()
        for name, count in self.counts.items():
            m.d.sync += count.eq(Mux(self.zero, 0, count + self.adds[name]))
        return m
