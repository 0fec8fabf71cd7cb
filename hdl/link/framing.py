"""Frames in and out of the host link: COBS and CRC-32 on streams of bytes.

A memory each way holds a whole frame. The reader takes a byte per cycle and writes the decoded body
into its memory. It offers the body only if code, length and CRC are right, and takes nothing more
until the body is released. The writer takes the bytes of a body, appends the CRC and keeps the
encoded frame. A 0 is not written but becomes the code before it, so that encoding takes no time.
The writer sends the frame as often as it is told to.

Source: Cheshire and Baker 1999 (COBS); pysim/chip/frames.py (the frames).
"""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.lib.ram import RAM
from spikeloop.pysim.chip.frames import (
    CRC_BYTES,
    FRAME_BYTES,
    LONGEST_BLOCK,
    NAK,
    REASONS,
    REPLY,
    TAIL_BYTES,
    WIRE_BYTES,
    seal,
)

__all__ = ["FrameReader", "FrameWriter"]


class FrameReader(wiring.Component):
    """The reader of frames.

    Members
    -------
    i: In, stream   bytes off the wire.
    valid: Out(1)   a good frame is there.
    bad: Out(1)     strobe: a frame was damaged.
    release: In(1)  done with the frame: the next one may come.
    length: Out     bytes of the frame without its CRC.
    at: In          index of a byte of the body.
    byte: Out       this byte, one cycle later.
    """

    def __init__(self):
        self.ram = RAM("frame_in", width=8, rows=WIRE_BYTES, chunk=8)
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "valid": Out(1),
                "bad": Out(1),
                "release": In(1),
                "length": Out(range(FRAME_BYTES + 1)),
                "at": In(self.ram.row_bits),
                "byte": Out(8),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.frame_in_memory = ram = self.ram
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=8).create()
        count = Signal(range(FRAME_BYTES + 1))  # bytes decoded
        left = Signal(8)  # bytes to the next code
        begun = Signal()  # a code has come
        long = Signal()  # it was that of the longest block, which has no 0 behind it
        over = Signal()  # the frame is too long
        taken, ends, is_code, decoded = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(~self.valid),
            taken.eq(self.i.valid & self.i.ready),
            ends.eq(self.i.payload == 0),
            is_code.eq(left == 0),
            decoded.eq(taken & ~ends & Mux(is_code, begun & ~long, 1)),
            crc.start.eq(taken & ends),
            crc.valid.eq(decoded),
            crc.data.eq(Mux(is_code, 0, self.i.payload)),
            ram.w_en.eq(decoded & (count != FRAME_BYTES)),
            ram.w_row.eq(count),
            ram.w_data.eq(crc.data),
            ram.r_en.eq(1),
            ram.r_row.eq(self.at),
            self.byte.eq(ram.r_data),
            self.length.eq(count - CRC_BYTES),
        ]
        with m.If(decoded):
            with m.If(count == FRAME_BYTES):
                m.d.sync += over.eq(1)
            with m.Else():
                m.d.sync += count.eq(count + 1)
        with m.If(taken & ends):
            good = (left == 0) & ~over & crc.match_detected & (count >= 2 + CRC_BYTES)
            m.d.comb += self.bad.eq(begun & ~good)
            m.d.sync += [
                self.valid.eq(begun & good),
                left.eq(0),
                begun.eq(0),
                over.eq(0),
                long.eq(0),
            ]
            with m.If(~(begun & good)):
                m.d.sync += count.eq(0)
        with m.Elif(taken):
            m.d.sync += [begun.eq(1), left.eq(Mux(is_code, self.i.payload, left) - 1)]
            with m.If(is_code):
                m.d.sync += long.eq(self.i.payload == LONGEST_BLOCK + 1)
        with m.If(self.release):
            m.d.sync += [self.valid.eq(0), count.eq(0)]
        return m


class FrameWriter(wiring.Component):
    """The writer of frames.

    Members
    -------
    begin: In(1)    a new body begins.
    i: In, stream   its bytes.
    finish: In(1)   it is whole: append the CRC and send.
    again: In(1)    send the last frame again.
    refuse: In(1)   send a refusal; the last frame is kept.
    reason: In      reason of the refusal.
    idle: Out(1)    none of these is under way.
    room: Out       bytes that the body may still take, besides its tail (TAIL_BYTES).
    o: Out, stream  bytes onto the wire.
    """

    def __init__(self):
        self.ram = RAM("frame_out", width=8, rows=WIRE_BYTES, chunk=8)
        super().__init__(
            {
                "begin": In(1),
                "i": In(stream.Signature(8)),
                "finish": In(1),
                "again": In(1),
                "refuse": In(1),
                "reason": In(range(max(REASONS) + 1)),
                "idle": Out(1),
                "room": Out(range(FRAME_BYTES + 1)),
                "o": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.frame_out_memory = ram = self.ram
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=8).create()
        end = Signal(ram.row_bits)  # next place
        code = Signal(ram.row_bits)  # place of the open code
        block = Signal(8)  # its value so far
        byte, put, full = Signal(8), Signal(), Signal()
        m.d.comb += [full.eq(block == LONGEST_BLOCK + 1), ram.w_row.eq(end), ram.w_data.eq(byte)]

        def close() -> list:
            """Write the open code; the next one lies behind."""
            m.d.comb += [ram.w_en.eq(1), ram.w_row.eq(code), ram.w_data.eq(block)]
            return [code.eq(end), end.eq(end + 1), block.eq(1)]

        with m.If(full):
            m.d.sync += close()
        with m.Elif(put):
            with m.If(byte == 0):
                m.d.sync += close()
            with m.Else():
                m.d.comb += ram.w_en.eq(1)
                m.d.sync += [end.eq(end + 1), block.eq(block + 1)]

        length = Signal.like(end)  # of the encoded frame
        at = Signal.like(end)  # byte that is sent
        left = Signal(range(CRC_BYTES + 1))  # bytes of the CRC that follow
        refusing, tail, taken = Signal(), Signal(32), Signal()
        texts = [seal(bytes((NAK | REPLY, reason))) for reason in range(max(REASONS) + 1)]
        reason = Signal.like(self.reason)
        refusal = Array(Array(text) for text in texts)[reason]
        m.d.comb += [
            crc.start.eq(self.begin),
            crc.valid.eq(self.i.valid & self.i.ready),
            crc.data.eq(self.i.payload),
            byte.eq(self.i.payload),
            taken.eq(self.o.valid & self.o.ready),
            ram.r_en.eq(1),
            ram.r_row.eq(at + taken),
        ]
        with m.If(crc.valid):
            m.d.sync += self.room.eq(self.room - 1)
        with m.FSM():
            with m.State("OPEN"):
                m.d.comb += [self.idle.eq(1), self.i.ready.eq(~full), put.eq(crc.valid)]
                m.d.sync += [at.eq(0), refusing.eq(self.refuse), reason.eq(self.reason)]
                with m.If(self.begin):
                    m.d.sync += [
                        code.eq(0),
                        end.eq(1),
                        block.eq(1),
                        self.room.eq(FRAME_BYTES - CRC_BYTES - TAIL_BYTES),
                    ]
                with m.If(self.finish):
                    m.d.sync += [tail.eq(crc.crc), left.eq(CRC_BYTES)]
                    m.next = "CRC"
                with m.Elif(self.again):
                    m.next = "READ"
                with m.Elif(self.refuse):
                    m.next = "SEND"
            with m.State("CRC"):
                m.d.comb += [byte.eq(tail[:8]), put.eq(left != 0)]
                with m.If(~full):
                    m.d.sync += [tail.eq(tail >> 8), left.eq(left - 1)]
                    with m.If(left == 0):  # the last code has nothing behind it
                        close()
                        m.d.sync += length.eq(end)
                        m.next = "READ"
            with m.State("READ"):
                m.next = "SEND"
            with m.State("SEND"):
                last = Mux(refusing, len(texts[1]) - 1, length)
                byte_of_frame = Mux(at == last, 0, ram.r_data)
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.eq(Mux(refusing, refusal[at[:4]], byte_of_frame)),
                ]
                with m.If(taken):
                    m.d.sync += at.eq(at + 1)
                    with m.If(at == last):
                        m.next = "OPEN"
        return m
