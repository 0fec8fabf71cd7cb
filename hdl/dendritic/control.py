"""The order of a show: sweeps over the inputs, what follows each, and the flush at the end.

    WAIT --> BEGIN --> SWEEP --> TAIL --> SWEEP --> TAIL --> .. --> SWEEP, a flush --> DONE --> WAIT

A sweep fetches an input a cycle; four more cycles pass until the last one is in the sums, and one
takes them over. TAIL is hdl/dendritic/phases.py. The flush writes the weights of the last step; it
is left out if that step changed none. pysim/dendritic/cycles.py has the sums.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.dendrites.layouts import settings_layout
from spikeloop.pysim.dendritic.memories import GLOBALS
from spikeloop.pysim.dendritic.params import DendriticParams

__all__ = ["Control"]

DRAIN = 5  # cycles of a sweep behind its last fetch
AGE_BITS = GLOBALS["age"]


class Control(wiring.Component):
    """The controller.

    Members
    -------
    settings: In       as loaded.
    start: In(1)       strobe, while ``waiting``: a show.
    ended: In(1)       last cycle of a step.
    load: In(1)        strobe: the host writes the age.
    data: In(16)       what it writes.
    waiting: Out(1)    no show is under way.
    sweeping: Out(1)   a sweep is under way.
    tailing: Out(1)    what follows it is.
    first: Out(1)      first cycle of a sweep.
    hand: Out(1)       last cycle of a sweep that is no flush.
    fetch: Out(1)      input ``input`` is fetched,
    input: Out         its number,
    row: Out           its row among the stimuli.
    live: Out(1)       the inputs move: the sweep is no flush.
    learning: Out(1)   the step before changes weights.
    age: Out(16)       learning steps so far.
    grown: Out(1)      the step is behind the warm-up.
    """

    def __init__(self, p: DendriticParams):
        self.p = p
        super().__init__(
            {
                "settings": In(settings_layout()),
                **{name: In(1) for name in ("start", "ended", "load")},
                "data": In(AGE_BITS),
                **{name: Out(1) for name in ("waiting", "sweeping", "tailing", "first", "hand")},
                "fetch": Out(1),
                "input": Out(range(p.inputs)),
                "row": Out(range(p.stimuli * p.inputs)),
                **{name: Out(1) for name in ("live", "learning", "grown")},
                "age": Out(AGE_BITS),
            }
        )

    def elaborate(self, platform) -> Module:
        m, p, s = Module(), self.p, self.settings
        at, left = Signal(range(p.inputs + DRAIN)), Signal(len(s.steps))
        base, flush, last = Signal.like(self.row), Signal(), Signal()
        m.d.comb += [
            self.input.eq(at),
            self.row.eq(base + at),
            self.live.eq(~flush),
            last.eq(at == s.inputs + DRAIN - 1),
            self.grown.eq(self.age > s.warm_up),
        ]
        with m.FSM() as fsm:
            with m.State("WAIT"):
                with m.If(self.start):
                    m.next = "BEGIN"
            with m.State("BEGIN"):
                m.d.sync += [
                    left.eq(s.steps),
                    base.eq(s.stimulus * p.inputs),
                    self.learning.eq(0),
                    flush.eq(0),
                ]
                m.next = "SWEEP"
            with m.State("SWEEP"):
                m.d.comb += [
                    self.fetch.eq(at < s.inputs),
                    self.first.eq(at == 0),
                    self.hand.eq(last & ~flush),
                ]
                m.d.sync += at.eq(Mux(last, 0, at + 1))
                with m.If(last):
                    m.next = "TAIL"
                    with m.If(flush):
                        m.next = "DONE"
            with m.State("TAIL"):
                with m.If(self.ended):
                    self._ended(m, left, flush)
            with m.State("DONE"):
                m.next = "WAIT"
        m.d.comb += [
            self.waiting.eq(fsm.ongoing("WAIT")),
            self.sweeping.eq(fsm.ongoing("SWEEP")),
            self.tailing.eq(fsm.ongoing("TAIL")),
        ]
        with m.If(self.load):
            m.d.sync += self.age.eq(self.data)
        return m

    def _ended(self, m: Module, left: Signal, flush: Signal) -> None:
        """The next step, the flush, or the end."""
        s, changes = self.settings, Signal()
        full = (1 << AGE_BITS) - 1
        m.d.comb += changes.eq(s.learn & self.grown)
        m.d.sync += [left.eq(left - 1), self.learning.eq(changes), flush.eq(left == 1)]
        with m.If(s.learn & (self.age != full)):
            m.d.sync += self.age.eq(self.age + 1)
        m.next = "SWEEP"
        with m.If((left == 1) & ~changes):
            m.next = "DONE"
