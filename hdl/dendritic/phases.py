"""The order of what follows a sweep: from the dendrites' sums to the end of the step.

    INHIBIT --> SOMA --> LOOK -----------------------------------------------------> END    frozen
                 +-----> STATS ----------------------------------------------------> END    warm-up
                           +---> ROOT --> DIVIDE --> LOOK --> LEARN ---------------> END    learning
                                                                +--> TRACE --> PAIRS --> END

The phases and their cycles are those of docs/dendritic.md, "Cycles". All runs in domain "tail",
which sleeps while inputs are swept: so nothing behind these strobes is evaluated meanwhile.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.dendrites.layouts import phase_layout, settings_layout
from spikeloop.pysim.dendritic.params import DendriticParams

__all__ = ["Phases"]

ROOT_CYCLES, QUOTIENT_CYCLES = 18, 10


class Phases(wiring.Component):
    """The controller behind the sweep.

    Members
    -------
    settings: In       as loaded.
    start: In(1)       strobe: the sums are complete.
    grown: In(1)       the step is behind the warm-up; stable.
    phase: Out         what is done.
    look: Out(1)       with ``other``: the table is read for that neuron,
    second: Out(1)     for its prediction, else for its response.
    """

    def __init__(self, p: DendriticParams):
        self.p = p
        super().__init__(
            {
                "settings": In(settings_layout()),
                "start": In(1),
                "grown": In(1),
                "phase": Out(phase_layout(p)),
                "look": Out(1),
                "second": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m, s, phase = Module(), self.settings, self.phase
        self.other = Signal(range(self.p.neurons), reset_less=True)
        self.left = Signal(range(ROOT_CYCLES), reset_less=True)
        self.last = Signal()
        m.d.comb += [self.last.eq(self.other == s.neurons - 1), phase.other.eq(self.other)]
        with m.FSM(domain="tail"):
            with m.State("REST"):
                m.d.tail += self.other.eq(0)
                with m.If(self.start):
                    m.next = "INHIBIT"
            with m.State("INHIBIT"):
                m.d.comb += [phase.inhibit.eq(1), phase.first.eq(self.other == 0)]
                self._each(m, "GATHER")
            self._line(m, "GATHER", "gather", "MOVE")
            with m.State("MOVE"):
                m.d.comb += phase.move.eq(1)
                m.next = "LOOK"
                with m.If(s.learn):
                    m.next = "MEAN"
            self._line(m, "MEAN", "mean", "PART")
            self._line(m, "PART", "part", "VARY")
            with m.State("VARY"):
                m.d.comb += phase.vary.eq(1)
                m.d.tail += self.left.eq(ROOT_CYCLES - 1)
                m.next = "END"
                with m.If(self.grown):
                    m.next = "ROOT"
            self._bits(m, "ROOT", "root", "COMPARE")
            with m.State("COMPARE"):
                m.d.comb += phase.compare.eq(1)
                m.d.tail += self.left.eq(QUOTIENT_CYCLES - 1)
                m.next = "DIVIDE"
            self._bits(m, "DIVIDE", "divide", "LOOK")
            self._look(m)
            self._line(m, "DRAW", "draw", "ADD")
            self._line(m, "ADD", "add", "GATE")
            self._line(m, "GATE", "gate", "RATE")
            with m.State("RATE"):
                m.d.comb += phase.rate.eq(1)
                m.next = "END"
                with m.If(s.plastic):
                    m.next = "TRACE"
            self._line(m, "TRACE", "trace", "MEET")
            self._line(m, "MEET", "meet", "PAIRS")
            with m.State("PAIRS"):
                m.d.comb += phase.pair.eq(1)
                self._each(m, "END")
            self._line(m, "END", "end", "REST")
        return m

    def _line(self, m: Module, state: str, strobe: str, after: str) -> None:
        """A state of one cycle."""
        with m.State(state):
            m.d.comb += self.phase[strobe].eq(1)
            m.next = after

    def _bits(self, m: Module, state: str, strobe: str, after: str) -> None:
        """A state of a cycle for each bit of a result."""
        with m.State(state):
            m.d.comb += self.phase[strobe].eq(1)
            m.d.tail += self.left.eq(self.left - 1)
            with m.If(self.left == 0):
                m.next = after

    def _each(self, m: Module, after: str) -> None:
        """Counts through the neurons of the net."""
        m.d.tail += self.other.eq(Mux(self.last, 0, self.other + 1))
        with m.If(self.last):
            m.next = after

    def _look(self, m: Module) -> None:
        """LOOK: what is read in a cycle is taken in the next one."""
        phase = self.phase
        taken = Signal(2, reset_less=True)
        taker = Signal(range(self.p.neurons), reset_less=True)
        m.d.comb += [phase.take_f.eq(taken[0]), phase.take_q.eq(taken[1]), phase.taker.eq(taker)]
        for state, second in (("LOOK", 0), ("LOOK_Q", 1)):
            with m.State(state):
                m.d.comb += [self.look.eq(1), self.second.eq(second)]
                self._each(m, "TAKE" if second else "LOOK_Q")
                if not second:
                    with m.If(self.last & ~self.settings.learn):
                        m.next = "TAKE"
        with m.State("TAKE"):
            m.next = "END"
            with m.If(self.settings.learn):
                m.next = "DRAW"
        m.d.tail += [taken.eq(Mux(self.look, Mux(self.second, 2, 1), 0)), taker.eq(self.other)]
