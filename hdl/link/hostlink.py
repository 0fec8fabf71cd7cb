"""Host link: frames over a byte stream drive the core's load port, events, and ticks.

    reader -> sequencer -> batch -> words, events in, ticks -> writer

One frame at a time. The sequencer (hdl/link/sequencer.py) decides whether a frame is new; a new
frame's commands are done one by one (hdl/link/batch.py) while their reply is written. Each command
is done by one part: words at the load port (hdl/link/words.py), events in and ticks
(hdl/link/events.py). A further command is a further part.

No command waits for the host, and none waits for the core longer than WAIT_CYCLES from the frame's
beginning. So the link is always back for the next frame. Events that leave the core wait in a
queue; while the queue is full, the core waits.

docs/board.md says how to use the link; pysim/chip/frames.py is the table of frames and commands.
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.bus.loadport import request_layout
from spikeloop.hdl.lib.layout import layout
from spikeloop.hdl.lib.queue import Queue
from spikeloop.hdl.link.batch import Batch
from spikeloop.hdl.link.events import EventsIn, Ticks
from spikeloop.hdl.link.framing import FrameReader, FrameWriter
from spikeloop.hdl.link.handshake import ITEM
from spikeloop.hdl.link.sequencer import Sequencer
from spikeloop.hdl.link.words import Words
from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.params import BUS_BITS, Chip
from spikeloop.pysim.chip.records import event_record, output_record

__all__ = ["HostLink"]

QUEUE_ROWS = 64


class HostLink(wiring.Component):
    """The host's side of a core. ``virtual``: what a greeting says of the board.

    Members
    -------
    i: In, stream          bytes from the host.
    o: Out, stream         bytes to the host.
    request: Out, stream   requests of the core's load port.
    response: In, stream   its answers.
    events: Out, stream    events into the core.
    spikes: In, stream     events that leave the core.
    tick: Out(1)           strobe: run a tick.
    busy: In(1)            the core is not idle.
    quiet: Out(1)          no frame is being read, done or answered.
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
        m.submodules.sequencer = sequencer = Sequencer(virtual=self.virtual)
        m.submodules.batch = batch = Batch(len(self.map.registers))
        m.submodules.words = words = Words(self.map.address_bits)
        m.submodules.events_in = events_in = EventsIn(self.chip)
        m.submodules.ticks = ticks = Ticks(self.chip)
        self._frames(m, reader, writer, sequencer)
        self._body(m, reader, sequencer.rewind, [sequencer, batch, words, events_in])
        self._reply(m, writer, [sequencer, batch, words, ticks])
        self._commands(m, batch, [words, events_in, ticks])
        self._core(m, sequencer, batch, words, events_in, ticks)
        return m

    def _frames(
        self, m: Module, reader: FrameReader, writer: FrameWriter, sequencer: Sequencer
    ) -> None:
        """Frames from the reader, and whole replies and refusals to the writer."""
        wiring.connect(m, wiring.flipped(self.i), reader.i)
        wiring.connect(m, writer.o, wiring.flipped(self.o))
        m.d.comb += [
            sequencer.valid.eq(reader.valid),
            sequencer.bad.eq(reader.bad),
            reader.release.eq(sequencer.release),
            writer.begin.eq(sequencer.begin),
            writer.finish.eq(sequencer.finish),
            writer.again.eq(sequencer.again),
            writer.refuse.eq(sequencer.refuse),
            writer.reason.eq(sequencer.reason),
            sequencer.sent.eq(writer.idle),
            self.quiet.eq(sequencer.quiet),
        ]

    def _body(self, m: Module, reader: FrameReader, rewind: Signal, takers: list) -> None:
        """Bytes of the frame, one a cycle, to the part that takes them."""
        at = Signal.like(reader.at)  # of the next byte
        left = Signal.like(reader.length)  # bytes from it on
        take = Cat(part.bytes.take for part in takers).any()
        m.d.comb += reader.at.eq(Mux(rewind, 0, at + take))
        m.d.sync += [at.eq(reader.at), left.eq(Mux(rewind, reader.length, left - take))]
        for part in takers:
            m.d.comb += [part.bytes.byte.eq(reader.byte), part.bytes.left.eq(left)]

    def _reply(self, m: Module, writer: FrameWriter, senders: list) -> None:
        """Bytes of the reply, up to ITEM at once, from the part that sends them."""
        item, length = Signal(8 * ITEM), Signal(range(ITEM + 1))
        m.d.comb += [writer.i.valid.eq(length != 0), writer.i.payload.eq(item[:8])]
        count = reduce(or_, (part.reply.count for part in senders))
        with m.If(count != 0):
            value = reduce(or_, (part.reply.value for part in senders))
            m.d.sync += [item.eq(value), length.eq(count)]
        with m.Elif(writer.i.valid & writer.i.ready):
            m.d.sync += [item.eq(item >> 8), length.eq(length - 1)]
        for part in senders:
            m.d.comb += [
                part.reply.free.eq((length == 0) | ((length == 1) & writer.i.ready)),
                part.reply.still.eq(length == 0),
                part.reply.room.eq(writer.room),
                part.reply.fits.eq(writer.room >= 2 * ITEM),
            ]

    def _commands(self, m: Module, batch: Batch, parts: list) -> None:
        """Each command to all parts; the one whose command it is says when it ends."""
        for part in parts:
            m.d.comb += [
                part.command.start.eq(batch.command.start),
                part.command.op.eq(batch.command.op),
                part.command.count.eq(batch.command.count),
                part.command.address.eq(batch.command.address),
            ]
        m.d.comb += batch.command.done.eq(Cat(part.command.done for part in parts).any())

    def _core(
        self,
        m: Module,
        sequencer: Sequencer,
        batch: Batch,
        words: Words,
        events_in: EventsIn,
        ticks: Ticks,
    ) -> None:
        """The core, the queue of the events that leave it, and who waits for them."""
        m.submodules.queue = queue = Queue(self.spikes.p.shape(), QUEUE_ROWS)
        wiring.connect(m, wiring.flipped(self.spikes), queue.i)
        wiring.connect(m, words.request, wiring.flipped(self.request))
        wiring.connect(m, wiring.flipped(self.response), words.response)
        wiring.connect(m, events_in.events, wiring.flipped(self.events))
        idle = ~self.busy
        m.d.comb += [
            sequencer.drained.eq(idle & queue.empty),
            sequencer.ended.eq(batch.ended),
            batch.start.eq(sequencer.batch),
            batch.paused.eq(ticks.paused),
            batch.idle.eq(idle),
            batch.late.eq(sequencer.late),
            ticks.spikes.valid.eq(queue.o.valid),
            ticks.spikes.payload.eq(queue.o.payload),
            queue.o.ready.eq(ticks.spikes.ready | sequencer.drain),
            ticks.empty.eq(queue.empty),
            ticks.idle.eq(idle),
            ticks.late.eq(sequencer.late),
            ticks.forget.eq(sequencer.hello),
            self.tick.eq(ticks.tick),
        ]
