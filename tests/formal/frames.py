"""Frames: what the writer sends, the reader delivers; what is damaged on the wire, it does not.

The RTL is that of the host link, over a small memory and with a short longest block, so that a
frame ends in few cycles. A *free CRC* is one whose four bytes are chosen freely and always match:
what COBS does must not depend on them.
"""

from unittest import mock

from amaranth.hdl import Array, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.cosim.audit.bench import Bench
from spikeloop.hdl.link.framing import FrameReader, FrameWriter
from tests.campaigns.fault_list.fault import Fault
from tests.formal.case import Case

__all__ = ["CASES"]

CRC_BYTES = 4


class FreeCrc(wiring.Component):
    """A CRC that is ``tail`` whatever came, and that always matches."""

    def __init__(self, tail: Value):
        self.tail = tail
        super().__init__(
            {
                "start": In(1),
                "data": In(8),
                "valid": In(1),
                "crc": Out(32),
                "match_detected": Out(1),
            }
        )

    def create(self) -> "FreeCrc":
        return self

    def elaborate(self, platform) -> Module:
        m = Module()
        m.d.comb += [self.crc.eq(self.tail), self.match_detected.eq(1)]
        return m


class FrameBench(Bench):
    """A writer that sends one frame, and a reader behind ``line``.

    body: bytes of the frame, without its CRC.
    block: data of the longest block of COBS.
    free: the CRC is free.
    """

    def __init__(self, body: int, block: int, *, free: bool):
        super().__init__()
        self.body = [self.constant(8, f"byte{k}") for k in range(body)]
        self.tail = self.constant(32, "tail") if free else None
        wire = max(16, body + CRC_BYTES + body // block + 8)
        self.sizes = {
            "FRAME_BYTES": body + CRC_BYTES,
            "WIRE_BYTES": wire,
            "LONGEST_BLOCK": block,
            "TAIL_BYTES": 0,
        }
        if free:
            self.sizes["CRC32_ISO_HDLC"] = lambda data_width: FreeCrc(self.tail)
        with self._resized():
            self.writer, self.reader = FrameWriter(), FrameReader()
        m, writer, reader = self.m, self.writer, self.reader
        m.submodules.writer, m.submodules.reader = writer, reader
        sent, opened, finished = Signal(range(body + 1)), Signal(), Signal()
        whole = opened & ~finished & (sent == body)
        m.d.comb += [
            writer.begin.eq(~opened),
            writer.i.valid.eq(opened & (sent != body)),
            writer.i.payload.eq(Array(self.body)[sent]),
            writer.finish.eq(whole & writer.i.ready),
        ]
        m.d.sync += [opened.eq(1), finished.eq(finished | writer.finish)]
        with m.If(writer.i.valid & writer.i.ready):
            m.d.sync += sent.eq(sent + 1)
        # the byte on the wire; its place
        self.line, self.place = Signal(8), Signal(range(wire + 1))
        m.d.comb += [
            reader.i.valid.eq(writer.o.valid),
            reader.i.payload.eq(self.line),
            writer.o.ready.eq(reader.i.ready),
        ]
        with m.If(writer.o.valid & writer.o.ready):
            m.d.sync += self.place.eq(self.place + 1)
        self.over = Signal()
        m.d.sync += self.over.eq(self.over | (finished & writer.idle & (self.place != 0)))

    def _resized(self):
        """The RTL's constants, made small, where its classes look for them."""
        return mock.patch.dict(FrameWriter.elaborate.__globals__, self.sizes)

    def text(self) -> str:
        with self._resized():
            return super().text()


def delivers(body: int, block: int, *, free: bool) -> Bench:
    bench = FrameBench(body, block, free=free)
    m, writer, reader = bench.m, bench.writer, bench.reader
    m.d.comb += bench.line.eq(writer.o.payload)
    at = bench.constant(range(body + CRC_BYTES), "at")  # a byte that is read back, chosen freely
    m.d.comb += reader.at.eq(at)
    decoded = [*bench.body]
    if bench.tail is not None:
        decoded += [bench.tail[8 * k : 8 * k + 8] for k in range(CRC_BYTES)]
    right = (reader.length == body) & ((at >= len(decoded)) | (reader.byte == Array(decoded)[at]))
    bench.check("not bad", ~reader.bad)
    bench.check("unchanged", ~(reader.valid & bench.past(reader.valid, "was_valid")) | right)
    bench.check("arrives", ~bench.over | reader.valid)
    cycle = Signal(8)
    m.d.sync += cycle.eq(cycle + 1)
    bench.check("in time", (cycle < 3 * body + 24) | bench.over)
    return bench


def refuses(body: int, place: int) -> Bench:
    """A byte of the frame, at this place on the wire, arrives as any other byte."""
    bench = FrameBench(body, 254, free=False)
    wrong = bench.constant(8, "wrong")
    bench.assume(wrong != 0)
    here = bench.place == place
    bench.m.d.comb += bench.line.eq(bench.writer.o.payload ^ Mux(here, wrong, Const(0, 8)))
    bench.check("refused", ~bench.reader.valid)
    return bench


LONG = Fault(
    "block-too-long",
    "link/framing.py",
    "begun & ~long, 1",
    "begun, 1",
    "a 0 is read behind a block of the longest size",
)
UNCHECKED = Fault(
    "crc-unchecked",
    "link/framing.py",
    "& crc.match_detected &",
    "&",
    "the reader does not look at the CRC",
)
DELIVERED = "what is sent is delivered, unchanged, in time"
CASES = [
    Case(
        "frame",
        DELIVERED,
        f"{body} bytes, blocks of {block}, free CRC",
        lambda b=body, k=block: delivers(b, k, free=True),
        LONG,
        cycles=cycles,
        limit=200,
        fast=body == 2,
    )
    for body, block, cycles in ((2, 3, 44), (3, 3, 44), (4, 3, 44), (16, 16, 100))
]
CASES += [
    Case(
        "frame-damaged",
        "a frame whose first byte, a code, arrives as another is not delivered",
        "2 bytes",
        lambda: refuses(2, 0),
        UNCHECKED,
        cycles=26,
        limit=200,
        fast=True,
    )
]
