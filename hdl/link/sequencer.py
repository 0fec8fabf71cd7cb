"""The sequencer of the host link: which frames are new, which come again, which are refused.

    new      a batch whose sequence number follows that of the last frame done, or a hello
    again    a batch with the sequence number of the last frame done: the last reply is sent again
    refused  anything else: the refusal says why, and nothing is done

A hello begins a session: events that wait are thrown away, and the next batch has the number after
the hello's. Damage may look like many frames, so only the first damaged frame is refused until a
good one comes.
"""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.link.handshake import replying, taking
from spikeloop.pysim.chip import frames

__all__ = ["Sequencer"]


class Sequencer(wiring.Component):
    """Takes each frame from the reader and sees to its reply. ``virtual``: what a greeting says.

    Members
    -------
    valid: In(1)     a good frame is there.
    bad: In(1)       a frame was damaged.
    release: Out(1)  done with the frame: the next one may come.
    bytes: Out       the frame's body; kind and sequence number are taken here.
    rewind: Out(1)   the next byte taken is the first of the body.
    reply: Out       bytes of the reply: its head, and a greeting.
    begin: Out(1)    a new reply begins.
    finish: Out(1)   the reply is whole: send it.
    again: Out(1)    send the last reply again.
    refuse: Out(1)   send a refusal.
    reason: Out      reason of the refusal.
    sent: In(1)      the writer has nothing under way.
    batch: Out(1)    strobe: do the commands of the frame.
    ended: In(1)     they are done, and the tail of the reply is on its way.
    hello: Out(1)    strobe: a session begins.
    drain: Out(1)    throw away events that left the core.
    drained: In(1)   the core is idle and no event waits.
    late: Out(1)     WAIT_CYCLES have passed since the frame came: wait no longer.
    quiet: Out(1)    no frame is being read, done or answered.
    """

    def __init__(self, *, virtual: bool):
        self.virtual = virtual
        super().__init__(
            {
                "valid": In(1),
                "bad": In(1),
                "release": Out(1),
                "bytes": Out(taking()),
                "rewind": Out(1),
                "reply": Out(replying()),
                "begin": Out(1),
                "finish": Out(1),
                "again": Out(1),
                "refuse": Out(1),
                "reason": Out(range(max(frames.REASONS) + 1)),
                "sent": In(1),
                "batch": Out(1),
                "ended": In(1),
                "hello": Out(1),
                "drain": Out(1),
                "drained": In(1),
                "late": Out(1),
                "quiet": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        kind, number = Signal(8), Signal(8)
        session = Signal()
        last = Signal(8)  # sequence number of the last frame done
        complained = Signal()
        timer = Signal(range(frames.WAIT_CYCLES + 1))
        m.d.comb += self.late.eq(timer == frames.WAIT_CYCLES)
        m.d.sync += timer.eq(timer + ~self.late)

        def refuse(reason: int) -> None:
            m.d.comb += [self.refuse.eq(1), self.reason.eq(reason)]

        def send(value, count: int) -> None:
            m.d.comb += [self.reply.value.eq(value), self.reply.count.eq(count)]

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.quiet.eq(~self.valid), self.rewind.eq(1)]
                m.d.sync += timer.eq(0)
                with m.If(self.valid):
                    m.next = "KIND"
                with m.Elif(self.bad & ~complained):
                    m.d.sync += complained.eq(1)
                    refuse(frames.DAMAGED)
                    m.next = "REFUSED"
            with m.State("KIND"):
                m.d.comb += self.bytes.take.eq(1)
                m.d.sync += [kind.eq(self.bytes.byte), complained.eq(0)]
                m.next = "SEQUENCE"
            with m.State("SEQUENCE"):
                m.d.comb += self.bytes.take.eq(1)
                m.d.sync += number.eq(self.bytes.byte)
                m.next = "JUDGE"
            with m.State("JUDGE"):
                m.next = "REST"
                with m.If(kind == frames.HELLO):
                    m.d.comb += self.hello.eq(1)
                    m.d.sync += [session.eq(1), last.eq(number)]
                    m.next = "DRAIN"
                with m.Elif(kind != frames.BATCH):
                    refuse(frames.DAMAGED)
                with m.Elif(session & (number == last)):
                    m.d.comb += self.again.eq(1)
                with m.Elif(session & (number == (last + 1)[:8])):
                    m.d.sync += last.eq(number)
                    m.next = "REPLY"
                with m.Else():
                    refuse(frames.OUT_OF_SEQUENCE)
            with m.State("DRAIN"):  # a core that waits for the host to take events goes on
                m.d.comb += self.drain.eq(1)
                with m.If(self.drained | self.late):
                    m.next = "REPLY"
            with m.State("REPLY"):
                m.d.comb += self.begin.eq(1)
                send(Cat(kind | frames.REPLY, number), 2)
                with m.If(kind == frames.HELLO):
                    m.next = "GREET"
                with m.Else():
                    m.d.comb += self.batch.eq(1)
                    m.next = "BATCH"
            with m.State("GREET"):
                with m.If(self.reply.free):
                    greeting = frames.PROTOCOL | self.virtual << 8 | frames.WIRE_BYTES << 16
                    send(Const(greeting, 32), 4)
                    m.next = "FINISH"
            with m.State("BATCH"):
                with m.If(self.ended):
                    m.next = "FINISH"
            with m.State("FINISH"):
                with m.If(self.reply.still):
                    m.d.comb += self.finish.eq(1)
                    m.next = "REST"
            with m.State("REST"):
                with m.If(self.sent):
                    m.d.comb += self.release.eq(1)
                    m.next = "IDLE"
            with m.State("REFUSED"):  # no frame to release; one may have come meanwhile
                with m.If(self.sent):
                    m.next = "IDLE"
        return m
