"""Events of a wrapped chip: into it from a stream and a register, out of it to a stream or a queue.

A word that is the last of its tick runs the tick: when all events before it are in the chip. Until
the tick has ended no further word is taken. Then a word with bit END alone follows the events of
the tick on the stream out.
"""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.lib.queue import Queue
from spikeloop.pysim.chip.params import BUS_BITS
from spikeloop.pysim.chip.records import width
from spikeloop.pysim.chip.wrap import END, WrapMap

__all__ = ["WORD", "Spikes"]

WORD = data.StructLayout({"data": BUS_BITS, "last": 1})
QUEUE_ROWS = 64


class Spikes(wiring.Component):
    """Events and ticks.

    Members
    -------
    sent: In, stream       words from the register; bit END: the last of a tick.
    words: In, stream      words of the stream in.
    i: Out, stream         events into the chip.
    o: In, stream          events out of it.
    out: Out, stream       words of the stream out.
    received: Out, stream  events for the register.
    collect: In(1)         events go to ``received``, not to ``out``, and no tick ends with a word.
    tick: Out(1)           runs a tick.
    busy: In(1)            the chip is busy.
    waiting: Out(1)        a tick that was asked for has not ended.
    """

    def __init__(self, map_: WrapMap):
        self.map = map_
        super().__init__(
            {
                "sent": In(stream.Signature(BUS_BITS)),
                "words": In(stream.Signature(WORD)),
                "i": Out(stream.Signature(width(map_.event_in))),
                "o": In(stream.Signature(width(map_.event_out))),
                "out": Out(stream.Signature(WORD)),
                "received": Out(stream.Signature(END)),
                "collect": In(1),
                "tick": Out(1),
                "busy": In(1),
                "waiting": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.queue = queue = Queue(self.o.payload.shape(), QUEUE_ROWS)
        sent, words = self.sent, self.words
        word, valid, last, taken = Signal(BUS_BITS), Signal(), Signal(), Signal()
        ending = Signal()
        with m.If(sent.valid):
            m.d.comb += [word.eq(sent.payload), last.eq(sent.payload[END])]
        with m.Else():
            m.d.comb += [word.eq(words.p.data), last.eq(words.p.last)]
        with m.FSM():
            with m.State("events"):
                m.d.comb += [
                    valid.eq(sent.valid | words.valid),
                    self.i.valid.eq(valid & ~word[END]),
                    self.i.payload.eq(word),
                    taken.eq(valid & (word[END] | self.i.ready)),
                    sent.ready.eq(taken),
                    words.ready.eq(taken & ~sent.valid),
                ]
                with m.If(taken & last):
                    m.next = "settle"
            with m.State("settle"):
                m.d.comb += [self.tick.eq(~self.busy), self.waiting.eq(1)]
                with m.If(self.tick):
                    m.next = "run"
            with m.State("run"):  # the chip is busy from the first cycle on
                m.d.comb += self.waiting.eq(1)
                with m.If(~self.busy):
                    m.next = "end"
            with m.State("end"):
                m.d.comb += [ending.eq(~self.collect), self.waiting.eq(1)]
                with m.If(self.collect | self.out.ready):
                    m.next = "events"

        m.d.comb += [
            self.received.payload.eq(queue.o.payload),
            self.received.valid.eq(queue.o.valid),
            queue.o.ready.eq(self.received.ready),
            queue.i.payload.eq(self.o.payload),
            queue.i.valid.eq(self.o.valid & self.collect),
            self.out.valid.eq((self.o.valid & ~self.collect) | ending),
            self.o.ready.eq(
                (self.collect & queue.i.ready) | (~self.collect & self.out.ready & ~ending)
            ),
        ]
        with m.If(ending):
            m.d.comb += [self.out.p.data.eq(1 << END), self.out.p.last.eq(1)]
        with m.Else():
            m.d.comb += self.out.p.data.eq(Value.cast(self.o.payload))
        return m
