"""Host link: frames over a byte stream drive the core: load port, events in, ticks, events out. docs/board.md says how.

One frame at a time: a batch with the sequence number that follows the last one is done command by command while its reply is
written; one with the same number gets the last reply again, so that nothing is done twice; anything else is refused and changes
nothing. No command waits for the host, and none longer for the core than WAIT_CYCLES from the frame's beginning: whatever comes in,
the link is back for the next frame. Events that leave the core wait in a queue; when it is full, the core waits.

pysim/chip/frames.py is the table of frames and commands.
"""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.bus.loadport import request_layout
from spikeloop.hdl.lib.layout import layout
from spikeloop.hdl.lib.queue import Queue
from spikeloop.hdl.lib.skid import Skid
from spikeloop.hdl.link.framing import FrameReader, FrameWriter
from spikeloop.pysim.chip import frames
from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.params import BUS_BITS, Chip
from spikeloop.pysim.chip.records import event_record, output_record

__all__ = ["HostLink"]

QUEUE_ROWS = 64
ITEM = 4  # bytes of a word or of an item of a run


class HostLink(wiring.Component):
    """Members
    -------
    i: In, o: Out, streams of bytes from and to the host. request: Out, response: In, the core's load port. events: Out, stream of events
    into the core. spikes: In, stream of those that leave it. tick: Out, strobe: run a tick. busy: In, the core is not idle.
    quiet: Out, no frame is being read, done or sent.
    """

    def __init__(self, chip: Chip, *, virtual: bool):
        self.chip, self.map, self.virtual = chip, MemoryMap(chip), virtual
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "o": Out(stream.Signature(8)),
                "request": Out(stream.Signature(request_layout(self.map.address_bits))),
                "response": In(stream.Signature(BUS_BITS)),
                "events": Out(stream.Signature(layout(event_record(chip)))),
                "spikes": In(stream.Signature(layout(output_record(chip)))),
                "tick": Out(1),
                "busy": In(1),
                "quiet": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.reader = reader = FrameReader()
        m.submodules.writer = writer = FrameWriter()
        m.submodules.queue = queue = Queue(self.spikes.p.shape(), QUEUE_ROWS)
        m.submodules.answers = answers = Skid(BUS_BITS)
        wiring.connect(m, wiring.flipped(self.i), reader.i)
        wiring.connect(m, writer.o, wiring.flipped(self.o))
        wiring.connect(m, wiring.flipped(self.spikes), queue.i)
        wiring.connect(m, wiring.flipped(self.response), answers.i)

        # -- bytes of the frame, one a cycle; bytes of the reply, up to ITEM at once ---------------------------------
        at, left, take = (
            Signal.like(reader.at),
            Signal.like(reader.length),
            Signal(),
        )  # next byte; bytes from it on
        m.d.comb += reader.at.eq(at + take)
        m.d.sync += [at.eq(at + take), left.eq(left - take)]
        item, length, free = Signal(8 * ITEM), Signal(range(ITEM + 1)), Signal()
        m.d.comb += [
            writer.i.valid.eq(length != 0),
            writer.i.payload.eq(item[:8]),
            free.eq((length == 0) | ((length == 1) & writer.i.ready)),
        ]
        with m.If(writer.i.valid & writer.i.ready):
            m.d.sync += [item.eq(item >> 8), length.eq(length - 1)]
        still, fits = (
            Signal(),
            Signal(),
        )  # nothing of the reply is under way: `room` is true; an item fits, and one after it
        m.d.comb += [still.eq(length == 0), fits.eq(writer.room >= 2 * ITEM)]

        def send(value, count: int) -> list:
            return [item.eq(value), length.eq(count)]

        # -- state of the session and of the command -------------------------------------------------------------------
        session, last, complained = (
            Signal(),
            Signal(8),
            Signal(),
        )  # last: sequence of the last frame done
        under_way = Signal()  # a tick was begun whose end has not been told
        kind, number = Signal(8), Signal(8)
        header, op, count, address = (
            Signal(8 * frames.HEADER_BYTES),
            Signal(8),
            Signal(16),
            Signal(32),
        )
        m.d.comb += Cat(op, count, address).eq(header)
        done, status, timer = Signal(8), Signal(3), Signal(range(frames.WAIT_CYCLES + 1))
        late, idle = Signal(), Signal()
        m.d.comb += [late.eq(timer == frames.WAIT_CYCLES), idle.eq(~self.busy)]
        m.d.sync += timer.eq(timer + ~late)

        def ends(code: int) -> None:
            m.d.sync += status.eq(code)
            m.next = "TAIL"

        def next_command() -> None:
            m.d.sync += done.eq(done + 1)
            m.next = "NEXT"

        issue, place, word, bytes_in = (
            Signal(16),
            Signal(32),
            Signal(BUS_BITS),
            Signal(range(ITEM + 1)),
        )
        header_left, bits, bit_base = Signal(range(frames.HEADER_BYTES)), Signal(8), Signal(24)
        lowest = bits & -bits
        m.d.comb += self.request.p.address.eq(place)

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.quiet.eq(~reader.valid), reader.at.eq(0)]
                m.d.sync += [at.eq(0), left.eq(reader.length), timer.eq(0), done.eq(0)]
                with m.If(reader.valid):
                    m.next = "KIND"
                with m.Elif(reader.bad & ~complained):
                    m.d.sync += complained.eq(
                        1
                    )  # once, until a good frame comes: damage may look like many frames
                    m.d.comb += [writer.refuse.eq(1), writer.reason.eq(frames.DAMAGED)]
                    m.next = "REFUSED"
            with m.State("KIND"):
                m.d.comb += take.eq(1)
                m.d.sync += [kind.eq(reader.byte), complained.eq(0)]
                m.next = "SEQUENCE"
            with m.State("SEQUENCE"):
                m.d.comb += take.eq(1)
                m.d.sync += number.eq(reader.byte)
                m.next = "JUDGE"
            with m.State("JUDGE"):
                with m.If(kind == frames.HELLO):
                    m.d.sync += [session.eq(1), last.eq(number), under_way.eq(0)]
                    m.next = "DRAIN"
                with m.Elif(kind != frames.BATCH):
                    m.d.comb += [writer.refuse.eq(1), writer.reason.eq(frames.DAMAGED)]
                    m.next = "REST"
                with m.Elif(session & (number == last)):
                    m.d.comb += writer.again.eq(1)
                    m.next = "REST"
                with m.Elif(session & (number == (last + 1)[:8])):
                    m.d.sync += last.eq(number)
                    m.next = "REPLY"
                with m.Else():
                    m.d.comb += [writer.refuse.eq(1), writer.reason.eq(frames.OUT_OF_SEQUENCE)]
                    m.next = "REST"
            with m.State("DRAIN"):  # events of a session before; a core that they held up goes on
                m.d.comb += queue.o.ready.eq(1)
                with m.If((idle & queue.empty) | late):
                    m.next = "REPLY"
            with m.State("REPLY"):
                m.d.comb += writer.begin.eq(1)
                m.d.sync += send(Cat(kind | frames.REPLY, number), 2)
                m.next = "NEXT"
                with m.If(kind == frames.HELLO):
                    m.next = "GREET"
            with m.State("GREET"):
                with m.If(free):
                    m.d.sync += send(
                        Const(frames.PROTOCOL | self.virtual << 8 | frames.WIRE_BYTES << 16, 32), 4
                    )
                    m.next = "FINISH"

            # -- a batch ---------------------------------------------------------------------------------------------
            with m.State("NEXT"):
                m.d.sync += bytes_in.eq(0)
                with m.If(still):
                    with m.If(left == 0):
                        ends(frames.OK)
                    with m.Elif(left < frames.HEADER_BYTES):
                        ends(frames.MALFORMED)
                    with m.Else():
                        m.d.sync += header_left.eq(frames.HEADER_BYTES - 1)
                        m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += take.eq(1)
                m.d.sync += [
                    header.eq(Cat(header[8:], reader.byte)),
                    header_left.eq(header_left - 1),
                ]
                with m.If(header_left == 0):
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.d.sync += [issue.eq(count), place.eq(address), bit_base.eq(address)]
                with m.Switch(op):
                    for code, verb in frames.COMMANDS.items():
                        with m.Case(code):
                            m.next = "RUN" if code == frames.RUN else "AWAIT"
                            if verb.data:
                                with m.If(left < verb.data * count):
                                    ends(frames.MALFORMED)
                            elif code == frames.READ:
                                with m.If(writer.room < verb.reply * count):
                                    ends(frames.ROOM)
                                with m.Elif(address + count <= len(self.map.registers)):
                                    m.next = "READ"
                            else:
                                with m.If(~fits):
                                    ends(frames.ROOM)
                    with m.Default():
                        ends(frames.UNKNOWN)
            with m.State("AWAIT"):
                with m.If(idle):
                    with m.Switch(op):
                        for code, verb in frames.COMMANDS.items():
                            if verb.waits:
                                with m.Case(code):
                                    m.next = verb.name.upper()
                with m.Elif(late):
                    ends(frames.BUSY)
            with m.State("READ"):  # requests run ahead of the answers
                m.d.comb += [self.request.valid.eq(issue != 0), answers.o.ready.eq(free)]
                with m.If(self.request.valid & self.request.ready):
                    m.d.sync += [issue.eq(issue - 1), place.eq(place + 1)]
                with m.If(answers.o.valid & free):
                    m.d.sync += [*send(answers.o.payload, ITEM), header[8:24].eq(count - 1)]
                with m.If(count == 0):
                    next_command()
            with m.State("WRITE"):
                with m.If(count == 0):
                    next_command()
                with m.Elif(bytes_in != ITEM):
                    m.d.comb += take.eq(1)
                    m.d.sync += [word.eq(Cat(word[8:], reader.byte)), bytes_in.eq(bytes_in + 1)]
                with m.Else():
                    m.d.comb += [
                        self.request.valid.eq(1),
                        self.request.p.write.eq(1),
                        self.request.p.data.eq(word),
                    ]
                    with m.If(self.request.ready):
                        m.d.sync += [
                            bytes_in.eq(0),
                            place.eq(place + 1),
                            header[8:24].eq(count - 1),
                        ]
            with m.State("EVENTS"):
                m.d.comb += [
                    self.events.p.axon.eq(address[:24] + word[16:]),
                    self.events.p.delay.eq(address[24:]),
                ]
                with m.If(count == 0):
                    next_command()
                with m.Elif(bytes_in != 2):
                    m.d.comb += take.eq(1)
                    m.d.sync += [word.eq(Cat(word[8:], reader.byte)), bytes_in.eq(bytes_in + 1)]
                with m.Else():
                    m.d.comb += self.events.valid.eq(1)
                    with m.If(self.events.ready):
                        m.d.sync += [bytes_in.eq(0), header[8:24].eq(count - 1)]
            with m.State("BITMAP"):
                index = Cat(
                    *(Cat(lowest[i] for i in range(8) if i >> b & 1).any() for b in range(3))
                )
                m.d.comb += [
                    self.events.p.axon.eq(bit_base + index),
                    self.events.p.delay.eq(address[24:]),
                    self.events.valid.eq(bits != 0),
                ]
                with m.If(bits != 0):
                    with m.If(self.events.ready):
                        m.d.sync += bits.eq(bits ^ lowest)
                with m.Elif(count == 0):
                    next_command()
                with m.If((count != 0) & ((bits == 0) | ((bits == lowest) & self.events.ready))):
                    m.d.comb += take.eq(1)
                    m.d.sync += [bits.eq(reader.byte), header[8:24].eq(count - 1), bytes_in.eq(1)]
                    with m.If(bytes_in != 0):  # not the first byte
                        m.d.sync += bit_base.eq(bit_base + 8)
            with m.State("RUN"):
                with m.If(still & ~fits):  # the queue keeps what comes
                    m.d.sync += send(Const(frames.ITEM_PAUSED << 24, 32), ITEM)
                    ends(frames.PAUSED)
                with m.Elif(still):
                    m.d.comb += self.tick.eq((count != 0) & ~under_way)
                    m.d.sync += under_way.eq(under_way | self.tick)
                    m.next = "TICK"
            with m.State("TICK"):
                with m.If(still):
                    with m.If(~fits | (late & queue.empty & ~idle)):
                        m.d.sync += send(Const(frames.ITEM_PAUSED << 24, 32), ITEM)
                        ends(frames.PAUSED)
                    with m.Elif(queue.o.valid):
                        m.d.comb += queue.o.ready.eq(1)
                        m.d.sync += send(
                            Cat(
                                queue.o.p.address,
                                (queue.o.p.delay | Const(0, 8))[:8],
                                Const(frames.ITEM_EVENT, 8),
                            ),
                            ITEM,
                        )
                    with m.Elif(idle & queue.empty):
                        m.d.sync += [
                            *send(Const(frames.ITEM_DONE << 24, 32), ITEM),
                            under_way.eq(0),
                            header[8:24].eq(count - (count != 0)),
                        ]
                        with m.If(count > 1):
                            m.next = "RUN"
                        with m.Else():
                            next_command()
            with m.State("TAIL"):
                with m.If(free):
                    m.d.sync += send(Cat(done, status, Const(0, 5)), 2)
                    m.next = "FINISH"

            # -- the reply leaves -----------------------------------------------------------------------------------
            with m.State("FINISH"):
                with m.If(still):
                    m.d.comb += writer.finish.eq(1)
                    m.next = "REST"
            with m.State("REST"):
                with m.If(writer.idle):
                    m.d.comb += reader.release.eq(1)
                    m.next = "IDLE"
            with m.State("REFUSED"):  # no frame to release; one may have come meanwhile
                with m.If(writer.idle):
                    m.next = "IDLE"
        return m
