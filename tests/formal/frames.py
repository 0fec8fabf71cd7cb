"""Frames: what the writer sends, the reader delivers; what is damaged on the wire, it does not.

The RTL is that of the host link, over a small memory and with a short longest block, so that a
frame ends in few cycles. A *free CRC* is one whose four bytes are chosen freely and always match:
what COBS does must not depend on them.
"""

from unittest import mock

from amaranth.hdl import Array, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.crc import Algorithm, Processor
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from spikeloop.cosim.audit.bench import Bench, Elaborated
from spikeloop.hdl.link.framing import FrameReader, FrameWriter
from tests.campaigns.fault_list.fault import Fault
from tests.formal.case import Case

__all__ = ["CASES"]

CRC_BYTES = 4
LINEAR = Algorithm(
    crc_width=32,
    polynomial=CRC32_ISO_HDLC.polynomial,
    initial_crc=0,
    reflect_input=True,
    reflect_output=True,
    xor_output=0,
)
"""The CRC of the frames without its constants."""


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
        self.sizes = {
            "FRAME_BYTES": body + CRC_BYTES,
            "WIRE_BYTES": 16,
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
        self.line, self.place = Signal(8), Signal(range(17))  # the byte on the wire; its place
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


def differs() -> Bench:
    """Two readers get the same bytes, but for data bytes, at most one a frame, that differ.

    Neither of the two bytes is 0, so that both readers see the same codes.
    """
    bench = Bench()
    m = bench.m
    crcs: list[Processor] = []  # of the two readers

    class Crc:
        """Makes the CRC of a reader, and keeps it in ``crcs``."""

        def __init__(self, data_width: int):
            self.algorithm = CRC32_ISO_HDLC(data_width)

        def create(self) -> Processor:
            crcs.append(self.algorithm.create())
            return crcs[-1]

    changes = {"WIRE_BYTES": 16, "CRC32_ISO_HDLC": Crc}  # no byte is read back
    with mock.patch.dict(FrameReader.elaborate.__globals__, changes):
        sent, got = FrameReader(), FrameReader()
        m.submodules.sent, m.submodules.got = Elaborated(sent), Elaborated(got)
    byte, wrong = bench.free(8, "byte"), bench.free(8, "wrong")
    comes, hit, release = (bench.free(1, name) for name in ("comes", "hit", "release"))
    taken, damages, damaged = Signal(), Signal(), Signal()
    m.d.comb += [
        taken.eq(comes & sent.i.ready & got.i.ready),
        damages.eq(taken & hit),
        sent.i.valid.eq(taken),
        got.i.valid.eq(taken),
        sent.i.payload.eq(byte),
        got.i.payload.eq(Mux(hit, wrong, byte)),
        sent.release.eq(release),
        got.release.eq(release),
    ]
    left = Signal(8)  # data bytes to the next code
    with m.If(taken):
        m.d.sync += left.eq(Mux(byte == 0, 0, Mux(left == 0, byte, left) - 1))
    bench.assume(~hit | ((wrong != byte) & (wrong != 0) & (byte != 0) & (left != 0) & ~damaged))
    bench.assume(~release | sent.valid)
    with m.If(taken):
        m.d.sync += damaged.eq((damaged | hit) & (byte != 0))
    # A CRC is linear: the difference of two is the CRC of the difference, which begins at 0.
    m.submodules.difference = difference = LINEAR(data_width=8).create()
    m.d.comb += [
        difference.start.eq(crcs[0].start),
        difference.valid.eq(crcs[0].valid),
        difference.data.eq(Mux(hit, byte ^ wrong, 0)),
    ]
    bench.check("linear", (crcs[0].crc ^ crcs[1].crc) == difference.crc)
    bench.check("CRCs differ", damaged == (difference.crc != 0))
    ended = bench.past(taken & damaged & (byte == 0), "ended")
    bench.check("not both good", ~(ended & sent.valid & got.valid))
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
DAMAGED = Fault(
    "crc-of-codes",
    "link/framing.py",
    "crc.valid.eq(decoded)",
    "crc.valid.eq(decoded & is_code)",
    "the reader's CRC is that of the 0s alone",
)
DELIVERED = "what is sent is delivered, unchanged, in time"
CASES = [
    Case(
        "frame",
        DELIVERED,
        f"{body} bytes, blocks of {block}, free CRC",
        lambda b=body, k=block: delivers(b, k, free=True),
        LONG,
        cycles=44,
        limit=200,
        fast=body == 2,
    )
    for body, block in ((2, 3), (3, 3), (4, 3))
]
CASES += [
    Case(
        "frame-damaged",
        "a frame of which one byte, the one at this place, is another is not delivered",
        f"2 bytes, byte {place}",
        lambda p=place: refuses(2, p),
        UNCHECKED,
        cycles=26,
        limit=200,
    )
    for place in (0,)  # the first code
]
CASES += [
    Case(
        "frame-data-damaged",
        "a good frame of which a data byte arrives as another data byte is not delivered",
        "frames of any length",
        differs,
        DAMAGED,
        limit=200,
    )
]
