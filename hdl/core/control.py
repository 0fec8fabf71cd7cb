"""Controller of the core: one tick is one walk through these states; domain "control".

    tick    IDLE -> START
            -> for each word: READ, FETCH, (SCAN | REPLAY), FLUSH, JOIN.., (CURRENT), LEAK, FIRE,
               OUT
            -> EMIT, ROUTE.., LAST, SETTLE -> IDLE
    CLEAR   IDLE -> EMPTY.. -> for each word: FIRE, OUT -> IDLE

CURRENT exists on chips with synaptic currents alone. Words that are not live in this tick take READ
and FETCH only. The first live word takes its events from the scan, the others from the list that
the scan filled. While scan or replay run, the controller has nothing to decide and sleeps
(``waiting``). These cycles are most of a tick; in them only what moves data is awake. Cycles:
docs/architecture.md, "Cycles".
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.lib.layout import layout
from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import word_record

__all__ = ["Controller"]

STROBES = (
    "begin",
    "empty",
    "scan",
    "replay",
    "flush",
    "joining",
    "leaking",
    "firing",
    "writing",
    "emit",
    "emitting",
    "settling",
)


class Controller(wiring.Component):
    """The controller of one core.

    Members
    -------
    tick: In(1)        strobe, taken in IDLE: run a tick.
    clear: In(1)       strobe, taken in IDLE: clear the state.
    steps: In          T, the steps of the network.
    group: In          axon rows of a word in the synapse memory.
    record: In         word record of ``word``.
    emptied: In(1)     last cycle of the ring's clearing.
    scanned: In(1)     last cycle of the scan.
    replayed: In(1)    last cycle of the replay.
    emitted: In(1)     last cycle of the emission of spikes.
    advance: In(1)     the emission moves.
    number: Out        the tick that runs next; from 2^24 - 1 on it stands.
    slot: Out          current slot of the axon ring.
    word: Out          the word at hand.
    base: Out          its row of axon 0 in the synapse memory.
    page: Out          its page.
    live: Out(1)       it does a step in this tick.
    alive: Out         which words were live in this tick, a bit each.
    join_last: Out(1)  last join cycle of the word.
    STROBES: Out(1)    the strobes of the states, by the names there.
    driving: Out(1)    on a chip with synaptic currents, the strobe of CURRENT.
    clearing: Out(1)   a CLEAR is under way.
    ticking: Out(1)    a tick is under way.
    waiting: Out(1)    the controller sleeps until scan or replay ends.
    """

    def __init__(self, chip: Chip):
        self.chip, d, synapse = chip, chip.derived, MemoryMap(chip).memories["synapse"]
        self.record_layout = layout(word_record(chip))
        super().__init__(
            {
                "tick": In(1),
                "clear": In(1),
                "steps": In(17),
                "group": In(synapse.row_bits + 1),
                "record": In(self.record_layout),
                "emptied": In(1),
                "scanned": In(1),
                "replayed": In(1),
                "emitted": In(1),
                "advance": In(1),
                "number": Out(24),
                "slot": Out(max(1, (d.slots - 1).bit_length())),
                "word": Out(d.word_bits),
                "base": Out(synapse.row_bits),
                "page": Out(d.page_bits),
                "live": Out(1),
                "alive": Out(d.words),
                "join_last": Out(1),
                **{name: Out(1) for name in STROBES},
                **({"driving": Out(1)} if chip.current_bits else {}),
                "clearing": Out(1),
                "ticking": Out(1),
                "waiting": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        d, record = self.chip.derived, self.record
        number, word, slot = self.number, self.word, self.slot
        # known: the tick's events are in the list
        step, last_word, known = Signal(24), Signal(), Signal()
        page = step >> record.page_shift if self.chip.page_shift else step
        join_left = Signal(5)
        m.d.comb += [
            step.eq(number - 1 - record.start),  # `number` already counts this tick
            self.live.eq(record.used & (number > record.start) & (step < self.steps)),
            last_word.eq(word == d.words - 1),
            self.join_last.eq(join_left == 0),
            self.ticking.eq(~self.clearing),
        ]

        def next_word() -> list:
            return [word.eq(word + 1), self.base.eq(self.base + self.group)]

        with m.FSM(name="state"):
            with m.State("IDLE"):
                m.d.comb += self.ticking.eq(0)
                m.d.sync += self.clearing.eq(self.clear)
                with m.If(self.clear):
                    m.d.sync += [word.eq(0), number.eq(0), slot.eq(d.slots - 1)]
                    m.next = "EMPTY"
                with m.Elif(self.tick):
                    m.next = "START"
            with m.State("EMPTY"):  # all slots of the axon ring
                m.d.comb += self.empty.eq(1)
                with m.If(self.emptied):
                    m.next = "FIRE"
            with m.State("START"):
                m.d.comb += self.begin.eq(1)
                m.d.sync += [
                    number.eq(number + ~number.all()),  # no network begins again
                    slot.eq(Mux(slot == d.slots - 1, 0, slot + 1)),
                    word.eq(0),
                    self.base.eq(0),
                    self.alive.eq(0),
                    known.eq(0),
                ]
                m.next = "READ"
            with m.State("READ"):  # the word's record
                m.next = "FETCH"
            with m.State("FETCH"):
                m.d.sync += [
                    self.page.eq(Mux(page < record.last_page, page, record.last_page)),
                    join_left.eq(record.last_digit + 2),
                ]
                with m.If(self.live):
                    m.d.sync += self.alive.bit_select(word, 1).eq(1)
                # the tick's events are consumed even if no word listens
                with m.If(~known & (self.live | last_word)):
                    m.d.comb += self.scan.eq(1)
                    m.next = "SCAN"
                with m.Elif(self.live):
                    m.d.comb += self.replay.eq(1)
                    m.next = "REPLAY"
                with m.Elif(last_word):
                    m.next = "EMIT"
                with m.Else():
                    m.d.sync += next_word()
                    m.next = "READ"
            with m.State("SCAN"):
                m.d.comb += self.waiting.eq(~self.scanned)
                with m.If(self.scanned):
                    m.d.sync += known.eq(1)
                    with m.If(self.live):
                        m.next = "FLUSH"
                    with m.Else():
                        m.next = "EMIT"
            with m.State("REPLAY"):
                m.d.comb += self.waiting.eq(~self.replayed)
                with m.If(self.replayed):
                    m.next = "FLUSH"
            with m.State("FLUSH"):  # adds the last row and leaves 0 in the row register
                m.d.comb += self.flush.eq(1)
                m.next = "JOIN"
            with m.State("JOIN"):
                m.d.comb += self.joining.eq(1)
                m.d.sync += join_left.eq(join_left - 1)
                with m.If(self.join_last):
                    m.next = "CURRENT" if self.chip.current_bits else "LEAK"
            if self.chip.current_bits:
                with m.State("CURRENT"):
                    m.d.comb += self.driving.eq(1)
                    m.next = "LEAK"
            with m.State("LEAK"):
                m.d.comb += self.leaking.eq(1)
                m.next = "FIRE"
            with m.State("FIRE"):
                m.d.comb += self.firing.eq(1)
                m.next = "OUT"
            with m.State("OUT"):
                m.d.comb += self.writing.eq(1)
                m.d.sync += next_word()
                with m.If(self.clearing):
                    m.next = "FIRE"
                    with m.If(last_word):
                        m.next = "IDLE"
                with m.Else():
                    m.next = "READ"
                    with m.If(last_word):
                        m.next = "EMIT"
            with m.State("EMIT"):
                m.d.comb += self.emit.eq(1)
                m.next = "ROUTE"
            with m.State("ROUTE"):
                m.d.comb += self.emitting.eq(1)
                with m.If(self.emitted):
                    m.next = "LAST"
            with m.State("LAST"):  # the last event leaves
                m.d.comb += self.emitting.eq(1)
                with m.If(self.advance):
                    m.next = "SETTLE"
            with m.State("SETTLE"):  # its axon is written
                m.d.comb += self.settling.eq(1)
                m.next = "IDLE"
        return m
