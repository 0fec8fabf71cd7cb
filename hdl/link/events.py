"""Commands EVENTS, BITMAP and RUN of the host link: events into the core, ticks, events out.

Events that leave the core wait in a queue; while the queue is full, the core waits. A run takes
them from the queue into its reply. A run that finds no room in its reply, or waits too long for
the core, pauses: the tick stays under way, and another run goes on with it.
"""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.lib.layout import layout
from spikeloop.hdl.link.handshake import ITEM, command, replying, taking
from spikeloop.pysim.chip import frames
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import event_record, output_record

__all__ = ["EventsIn", "Ticks"]


class EventsIn(wiring.Component):
    """Sends events into the core, from a list of axons or from a bitmap of them.

    Members
    -------
    command: Out         the command to do.
    bytes: Out           the frame's body: 16 bits for an event, or a bit for an axon.
    events: Out, stream  events into the core.
    """

    def __init__(self, chip: Chip):
        super().__init__(
            {
                "command": Out(command()),
                "bytes": Out(taking()),
                "events": Out(stream.Signature(layout(event_record(chip)))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        to_do, first, delay = Signal(16), Signal(24), Signal(8)
        number, gathered = Signal(16), Signal(range(3))  # of an event; bytes of it
        bits, lowest, begun = Signal(8), Signal(8), Signal()  # byte of a bitmap; one has come
        events = self.events
        index = Cat(*(Cat(lowest[i] for i in range(8) if i >> b & 1).any() for b in range(3)))
        m.d.comb += [lowest.eq(bits & -bits), events.p.delay.eq(delay)]

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [
                    to_do.eq(self.command.count),
                    Cat(first, delay).eq(self.command.address),
                    gathered.eq(0),
                    begun.eq(0),
                ]
                with m.If(self.command.start):
                    with m.Switch(self.command.op):
                        with m.Case(frames.EVENTS):
                            m.next = "EVENTS"
                        with m.Case(frames.BITMAP):
                            m.next = "BITMAP"
            with m.State("EVENTS"):
                m.d.comb += events.p.axon.eq(first + number)
                with m.If(to_do == 0):
                    m.d.comb += self.command.done.eq(1)
                    m.next = "IDLE"
                with m.Elif(gathered != 2):
                    m.d.comb += self.bytes.take.eq(1)
                    m.d.sync += [
                        number.eq(Cat(number[8:], self.bytes.byte)),
                        gathered.eq(gathered + 1),
                    ]
                with m.Else():
                    m.d.comb += events.valid.eq(1)
                    with m.If(events.ready):
                        m.d.sync += [gathered.eq(0), to_do.eq(to_do - 1)]
            with m.State("BITMAP"):
                m.d.comb += [events.p.axon.eq(first + index), events.valid.eq(bits != 0)]
                with m.If(bits != 0):
                    with m.If(events.ready):
                        m.d.sync += bits.eq(bits ^ lowest)
                with m.Elif(to_do == 0):
                    m.d.comb += self.command.done.eq(1)
                    m.next = "IDLE"
                with m.If((to_do != 0) & ((bits == 0) | ((bits == lowest) & events.ready))):
                    m.d.comb += self.bytes.take.eq(1)
                    m.d.sync += [bits.eq(self.bytes.byte), to_do.eq(to_do - 1), begun.eq(1)]
                    with m.If(begun):  # not the first byte
                        m.d.sync += first.eq(first + 8)
        return m


class Ticks(wiring.Component):
    """Runs ticks, and puts the events that leave the core into the reply.

    Members
    -------
    command: Out        the command to do.
    paused: Out(1)      the command ends in this cycle, but is not done.
    reply: Out          bytes of the reply: an item for each event and each tick.
    spikes: In, stream  events that left the core, from their queue.
    empty: In(1)        no event waits in the queue.
    tick: Out(1)        strobe: run a tick.
    idle: In(1)         the core is idle.
    late: In(1)         wait for the core no longer.
    forget: In(1)       a tick that is under way will not be told.
    """

    def __init__(self, chip: Chip):
        super().__init__(
            {
                "command": Out(command()),
                "paused": Out(1),
                "reply": Out(replying()),
                "spikes": In(stream.Signature(layout(output_record(chip)))),
                "empty": In(1),
                "tick": Out(1),
                "idle": In(1),
                "late": In(1),
                "forget": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        to_do = Signal(16)
        under_way = Signal()  # a tick was begun whose end has not been told

        def send(kind: int, delay=0, address=0) -> None:
            item = Cat((address | Const(0, 16))[:16], (delay | Const(0, 8))[:8], Const(kind, 8))
            m.d.comb += [self.reply.value.eq(item), self.reply.count.eq(ITEM)]

        def pause() -> None:
            send(frames.ITEM_PAUSED)
            m.d.comb += self.paused.eq(1)
            m.next = "IDLE"

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += to_do.eq(self.command.count)
                with m.If(self.command.start & (self.command.op == frames.RUN)):
                    m.next = "RUN"
            with m.State("RUN"):
                with m.If(self.reply.still & ~self.reply.fits):  # the queue keeps what comes
                    pause()
                with m.Elif(self.reply.still):
                    m.d.comb += self.tick.eq((to_do != 0) & ~under_way)
                    m.d.sync += under_way.eq(under_way | self.tick)
                    m.next = "TICK"
            with m.State("TICK"):
                with m.If(self.reply.still):
                    with m.If(~self.reply.fits | (self.late & self.empty & ~self.idle)):
                        pause()
                    with m.Elif(self.spikes.valid):
                        m.d.comb += self.spikes.ready.eq(1)
                        spike = self.spikes.p
                        send(frames.ITEM_EVENT, delay=spike.delay, address=spike.address)
                    with m.Elif(self.idle & self.empty):
                        send(frames.ITEM_DONE)
                        m.d.sync += [under_way.eq(0), to_do.eq(to_do - (to_do != 0))]
                        with m.If(to_do > 1):
                            m.next = "RUN"
                        with m.Else():
                            m.d.comb += self.command.done.eq(1)
                            m.next = "IDLE"
        with m.If(self.forget):
            m.d.sync += under_way.eq(0)
        return m
