"""The order of a step: in which phase the macro of oscillators is, and where the phase stands.

    relaxation   WAIT --> FETCH --> SELF --> PRODUCT --> ROUND --> UPDATE --> FLAGS --> READ
    phase        WAIT --> FETCH --> PRODUCT --> UPDATE --> READ

READ ends a step; what lies before it is a pass, and comes once for each turn of the lanes. SELF has
a cycle for each digit of a rate, PRODUCT one for each oscillator of the net. PRODUCT is left out
while the oscillators are not coupled. pysim/onn/cycles.py has the sums.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.pysim.onn.params import OnnParams

__all__ = ["Control"]

PHASES = ("fetching", "selfing", "adding", "rounding", "updating", "flagging", "reading")


class Control(wiring.Component):
    """The controller.

    Members
    -------
    start: In(1)       strobe, while ``waiting``: run.
    size: In           oscillators of the net.
    coupled: In(1)     this step adds the couplings; stable from the cycle behind ``fetching`` on.
    over: In(1)        while ``reading``: the run ends with this step.
    waiting: Out(1)    no run is under way.
    fetching: Out(1)   first cycle of a pass.
    selfing: Out(1)    digit ``digit`` of the own rate is subtracted.
    adding: Out(1)     the column fetched before is added.
    rounding: Out(1)   the sums are shifted.
    updating: Out(1)   they change the voltages, or the sums' signs the edges.
    flagging: Out(1)   the thresholds are looked at.
    reading: Out(1)    last cycle of a step.
    first: Out(1)      with selfing or adding: the first of the pass.
    digit: Out         digit of the rate, the highest first.
    column: Out(1)     fetch column ``source``, which lies in row ``row``.
    source: Out        number of the oscillator.
    row: Out           row of the coupling memory.
    turn: Out          number of the pass.
    """

    def __init__(self, p: OnnParams):
        self.p = p
        super().__init__(
            {
                "start": In(1),
                "size": In(range(p.oscillators + 1)),
                "coupled": In(1),
                "over": In(1),
                "waiting": Out(1),
                **{name: Out(1) for name in (*PHASES, "first", "column")},
                "digit": Out(range(max(2, p.digits))),
                "source": Out(range(p.oscillators + 1)),
                "row": Out(range(max(2, p.coupling_rows))),
                "turn": Out(range(max(2, p.passes))),
            }
        )

    def elaborate(self, platform) -> Module:
        m, p = Module(), self.p
        base, last, ends = Signal(range(p.coupling_rows + 1)), Signal(), Signal()
        m.d.comb += [
            self.row.eq(base + self.source),
            last.eq(self.turn == p.passes - 1),
            ends.eq(self.source == self.size),
        ]
        with m.If(self.column):
            m.d.sync += self.source.eq(self.source + 1)
        with m.If(self.fetching):
            m.d.sync += self.digit.eq(p.digits - 1)
        with m.FSM() as fsm:
            with m.State("WAIT"):
                m.d.sync += [self.source.eq(0), base.eq(0), self.turn.eq(0)]
                with m.If(self.start):
                    m.next = "FETCH"
            with m.State("FETCH"):
                if p.cell == "relaxation":
                    m.next = "SELF"
                else:
                    m.d.comb += self.column.eq(1)
                    m.next = "PRODUCT"
            if p.cell == "relaxation":
                self._own(m)
            with m.State("PRODUCT"):
                m.d.comb += self.column.eq(~ends)
                if p.cell == "phase":
                    m.d.comb += self.first.eq(self.source == 1)
                with m.If(ends):
                    m.next = "ROUND" if p.cell == "relaxation" else "UPDATE"
            if p.cell == "relaxation":
                with m.State("ROUND"):
                    m.next = "UPDATE"
                with m.State("UPDATE"):
                    m.next = "FLAGS"
            with m.State("UPDATE" if p.cell == "phase" else "FLAGS"):
                m.d.sync += [
                    self.source.eq(0),
                    base.eq(Mux(last, 0, base + p.oscillators)),
                    self.turn.eq(Mux(last, 0, self.turn + 1)),
                ]
                m.next = "FETCH"
                with m.If(last):
                    m.next = "READ"
            with m.State("READ"):
                m.next = "FETCH"
                with m.If(self.over):
                    m.next = "WAIT"
        states = ("FETCH", "SELF", "PRODUCT", "ROUND", "UPDATE", "FLAGS", "READ")
        absent = () if p.cell == "relaxation" else ("SELF", "ROUND", "FLAGS")
        m.d.comb += self.waiting.eq(fsm.ongoing("WAIT"))
        for name, state in zip(PHASES, states, strict=True):
            if state not in absent:
                m.d.comb += getattr(self, name).eq(fsm.ongoing(state))
        return m

    def _own(self, m: Module) -> None:
        """The digits of the own rate; with the last of them the first column is fetched."""
        with m.State("SELF"):
            m.d.comb += self.first.eq(self.digit == self.p.digits - 1)
            m.d.sync += self.digit.eq(self.digit - 1)
            with m.If(self.digit == 0):
                m.d.comb += self.column.eq(self.coupled)
                m.next = "ROUND"
                with m.If(self.coupled):
                    m.next = "PRODUCT"
