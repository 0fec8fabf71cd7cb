"""The order of a tick: which phase the plastic core is in, and where the phase stands.

    WAIT --> SCAN --> GATHER, HAND for each word --> NEURONS --> PRE --> CHOOSE --> POST --> EMIT
    WAIT --> WIPE (REST, CLEAR)          WAIT --> NORMALISE

Empty phases are left out; GATHER ends at once where no axon spiked. pysim/plastic/cycles.py has the
cycles of each.
"""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.synapses.update import Kind
from spikeloop.pysim.plastic.params import PlasticParams

__all__ = ["COMMANDS", "Control"]

COMMANDS = ("tick", "rest", "clear", "normalise")


class Control(wiring.Component):
    """The controller.

    Members
    -------
    tick, rest, clear, normalise: In(1)  strobes, while ``waiting``.
    learn: In(1)         with ``tick``: it learns.
    ltd: In(1)           arriving spikes change weights too.
    scanned: In(1)       last cycle of the scan.
    events: In           axons with a spike in this tick.
    live: In             neurons with a post trace before this tick.
    fired: In            neurons that spiked in this tick.
    added: In(1)         no row of the word is on its way into its sums.
    room: In(1)          the sums of a word can be handed on.
    stepped: In(1)       no neuron is on its way.
    settled: In(1)       no synapse is on its way.
    wiped: In(1)         last cycle of REST or CLEAR.
    normalised: In(1)    the normaliser has ended.
    taken: In(1)         the receiver takes a spike, or none is offered.
    waiting: Out(1)      no command is under way.
    starting: Out(1)     a tick begins.
    learning: Out(1)     this tick learns.
    gathering: Out(1)    fetch event ``inner``.
    hand: Out(1)         hand the sums of word ``word`` on.
    word: Out            this word.
    base: Out            row of its first weights.
    sweeping: Out(1)     fetch the pair (outer, inner) of a sweep.
    kind: Out            which sweep.
    offering: Out(1)     fetch spike ``outer``: it is offered from the next cycle on.
    emptied: Out(1)      no spike is left behind the one that is offered.
    outer: Out           neuron of a list.
    inner: Out           event of the list, or axon of a sweep of post events.
    ending: Out(1)       last cycle of a tick.
    wiping: Out(1)       REST or CLEAR.
    clearing: Out(1)     it is CLEAR.
    normalise_now: Out(1)  the normaliser begins.
    normalising: Out(1)  it has the memories.
    """

    def __init__(self, p: PlasticParams):
        self.p = p
        ins = "ltd scanned added room stepped settled wiped normalised taken"
        outs = "waiting starting learning gathering hand sweeping offering emptied ending wiping"
        super().__init__(
            {
                **{name: In(1) for name in (*COMMANDS, "learn", *ins.split())},
                "events": In(range(p.axons + 1)),
                "live": In(range(p.neurons + 1)),
                "fired": In(range(p.neurons + 1)),
                **{name: Out(1) for name in outs.split()},
                "word": Out(range(p.words + 1)),
                "base": Out(p.row_bits),
                "kind": Out(Kind),
                "outer": Out(range(p.neurons + 1)),
                "inner": Out(range(p.axons + 1)),
                "clearing": Out(1),
                "normalise_now": Out(1),
                "normalising": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        with m.FSM() as fsm:
            self._commands(m)
            self._sums(m)
            self._sweeps(m)
            self._spikes(m)
        m.d.comb += [
            self.waiting.eq(fsm.ongoing("WAIT")),
            self.wiping.eq(fsm.ongoing("WIPE")),
            self.normalise_now.eq(fsm.ongoing("NORMALISE")),
            self.normalising.eq(fsm.ongoing("NORMALISE") | fsm.ongoing("NORMALISING")),
        ]
        return m

    def _commands(self, m: Module) -> None:
        with m.State("WAIT"):
            with m.If(self.tick):
                m.d.comb += self.starting.eq(1)
                m.d.sync += self.learning.eq(self.learn)
                m.next = "SCAN"
            with m.Elif(self.rest | self.clear):
                m.d.sync += self.clearing.eq(self.clear)
                m.next = "WIPE"
            with m.Elif(self.normalise):
                m.next = "NORMALISE"
        with m.State("WIPE"):
            with m.If(self.wiped):
                m.next = "WAIT"
        with m.State("NORMALISE"):
            m.next = "NORMALISING"
        with m.State("NORMALISING"):
            with m.If(self.normalised):
                m.next = "WAIT"

    def _sums(self, m: Module) -> None:
        """One event a cycle, word after word; the word before passes on meanwhile."""
        with m.State("SCAN"):
            m.d.sync += [self.inner.eq(0), self.word.eq(0), self.base.eq(0)]
            with m.If(self.scanned):
                m.next = "GATHER"
        with m.State("GATHER"):
            m.d.comb += self.gathering.eq(self.inner != self.events)
            m.d.sync += self.inner.eq(self.inner + 1)
            with m.If(self.inner == self.events):
                m.next = "HAND"
        with m.State("HAND"):
            with m.If(self.added & self.room):
                m.d.comb += self.hand.eq(1)
                m.d.sync += [self.inner.eq(0), self.word.eq(self.word + 1)]
                m.d.sync += self.base.eq(self.base + self.p.axons)
                m.next = "GATHER"
                with m.If(self.word == self.p.words - 1):
                    m.next = "NEURONS"
        with m.State("NEURONS"):
            m.d.sync += [self.inner.eq(0), self.outer.eq(0)]
            with m.If(self.stepped & self.settled):
                m.next = "CHOOSE"
                with m.If(self.learning & self.ltd & (self.events != 0) & (self.live != 0)):
                    m.next = "PRE"

    def _sweeps(self, m: Module) -> None:
        with m.State("PRE"):
            self._walk(m, self.live, self.events, "PRE-DRAIN", Kind.PRE)
        with m.State("PRE-DRAIN"):
            m.d.sync += [self.inner.eq(0), self.outer.eq(0)]
            with m.If(self.settled):
                m.next = "CHOOSE"
        with m.State("CHOOSE"):
            m.next = "EMIT"
            with m.If(self.learning & (self.fired != 0)):
                m.next = "POST"
        with m.State("POST"):
            self._walk(m, self.fired, self.p.axons, "POST-DRAIN", Kind.POST)
        with m.State("POST-DRAIN"):
            m.d.sync += self.outer.eq(0)
            with m.If(self.settled):
                m.next = "EMIT"

    def _walk(self, m: Module, outers, inners, after: str, kind) -> None:
        """A pair (outer, inner) a cycle, inner first."""
        m.d.comb += [self.sweeping.eq(1), self.kind.eq(kind)]
        m.d.sync += self.inner.eq(self.inner + 1)
        with m.If(self.inner == inners - 1):
            m.d.sync += [self.inner.eq(0), self.outer.eq(self.outer + 1)]
            with m.If(self.outer == outers - 1):
                m.next = after

    def _spikes(self, m: Module) -> None:
        """Offers the next spike as soon as the one before is taken."""
        with m.State("EMIT"):
            left = self.outer != self.fired
            m.d.comb += [self.offering.eq(left & self.taken), self.emptied.eq(~left)]
            m.d.sync += self.outer.eq(self.outer + self.offering)
            with m.If(~left & self.taken):
                m.d.comb += self.ending.eq(1)
                m.next = "WAIT"
