"""The frames of the host link: the one table of RTL, driver and docs/frames.md, and the coding.

On the wire a frame is COBS(body, CRC-32 of the body) and a 0 byte; nothing else holds a 0. Numbers
are little-endian, least significant byte first. The host sends one frame and waits for its reply.
By the sequence number a frame that comes twice is done once.

    request    kind, sequence, commands
    reply      kind | 0x80, sequence, results, commands done, status
    command    op, count (16 bits), address (32 bits), data
    hello      kind, sequence
    its reply  kind | 0x80, sequence, protocol, nature, longest frame (16 bits)

A refusal (kind NAK) carries a reason in place of the sequence and nothing else.
Source: Cheshire and Baker 1999 (COBS); CRC-32 as in Ethernet, zlib.
"""

import zlib
from dataclasses import dataclass

__all__ = [
    "BATCH",
    "BITMAP",
    "COMMANDS",
    "DAMAGED",
    "EVENTS",
    "FRAME_BYTES",
    "HEADER_BYTES",
    "HELLO",
    "ITEM_DONE",
    "ITEM_EVENT",
    "ITEM_PAUSED",
    "KINDS",
    "LONGEST_BLOCK",
    "NAK",
    "NATURES",
    "OUT_OF_SEQUENCE",
    "PAYLOAD_BYTES",
    "PROTOCOL",
    "READ",
    "REASONS",
    "REPLY",
    "RUN",
    "STATUS",
    "TAIL_BYTES",
    "WAIT_CYCLES",
    "WIRE_BYTES",
    "WRITE",
    "Command",
    "open_frame",
    "seal",
    "sealed_size",
    "stuff",
    "unstuff",
]

PROTOCOL = 1
WIRE_BYTES = 2048
"""longest frame on the wire, its 0 included"""
LONGEST_BLOCK = 254
"""bytes of data per byte that COBS adds"""
FRAME_BYTES = (WIRE_BYTES - 1) * LONGEST_BLOCK // (LONGEST_BLOCK + 1)
"""longest body with its CRC: the 0 is the last on the wire"""
PREFIX_BYTES, CRC_BYTES = 2, 4
"""kind and sequence before, CRC behind what a frame carries"""
PAYLOAD_BYTES = FRAME_BYTES - PREFIX_BYTES - CRC_BYTES
"""most bytes of commands or results in a frame"""
HEADER_BYTES = 7
"""of a command, before its data"""
TAIL_BYTES = 2
"""commands done and status, at the end of a reply"""
WAIT_CYCLES = 1 << 20
"""longest wait of a frame for the core; then what is done is answered (watchdog)"""

HELLO, BATCH, NAK, REPLY = 1, 2, 3, 0x80
KINDS = {
    HELLO: "hello: begins a session; the next batch has this sequence + 1, waiting events are lost",
    BATCH: "batch: commands, done in order once; the same sequence again gets the same reply again",
    NAK: "refusal, of the chip only: a frame was refused and nothing done",
}
DAMAGED, OUT_OF_SEQUENCE = 1, 2
REASONS = {
    DAMAGED: "damaged: no whole frame, or one of an unknown kind",
    OUT_OF_SEQUENCE: "out of sequence, or no session",
}
NATURES = {0: "board", 1: "virtual board"}

READ, WRITE, EVENTS, BITMAP, RUN = 1, 2, 3, 4, 5

OK, PAUSED, ROOM, BUSY, MALFORMED, UNKNOWN = range(6)
STATUS = {
    OK: "all commands are done",
    PAUSED: "a run is under way: another run goes on with it",
    ROOM: "the reply of the next command does not fit: send it again in a frame of its own",
    BUSY: "the core did not become idle",
    MALFORMED: "a command ends after its frame",
    UNKNOWN: "no such op",
}

ITEM_EVENT, ITEM_DONE, ITEM_PAUSED = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class Verb:
    """One op.

    count, address: what the fields of the command mean.
    data, reply: bytes per count, in the request and in the reply.
    waits: whether it waits for an idle core.
    """

    name: str
    count: str
    address: str
    data: int
    reply: int
    waits: bool
    meaning: str


COMMANDS = {
    READ: Verb(
        name="read",
        count="words",
        address="the first",
        data=0,
        reply=4,
        waits=True,
        meaning="reads neighbouring words of the memory map (registers alone: without waiting)",
    ),
    WRITE: Verb(
        name="write",
        count="words",
        address="the first",
        data=4,
        reply=0,
        waits=True,
        meaning="writes neighbouring words of the memory map",
    ),
    EVENTS: Verb(
        name="events",
        count="events",
        address="delay << 24 | first axon",
        data=2,
        reply=0,
        waits=True,
        meaning="sends an event to first axon + n for each 16-bit n",
    ),
    BITMAP: Verb(
        name="bitmap",
        count="bytes",
        address="delay << 24 | first axon",
        data=1,
        reply=0,
        waits=True,
        meaning="sends an event to first axon + n for each bit n that is set, least significant "
        "first",
    ),
    RUN: Verb(
        name="run",
        count="ticks",
        address="",
        data=0,
        reply=0,
        waits=False,
        meaning="runs ticks; the reply has 32-bit items (kind << 24 | delay << 16 | address): one "
        "of kind 0 for each event that leaves, one of kind 1 after each tick, and one of kind 2 at "
        "the end of a run that must be continued. 0 ticks: one item of kind 1 after the events "
        "that wait",
    ),
}


@dataclass(frozen=True)
class Command:
    """A command of a batch; ``data`` are the bytes that follow its header."""

    op: int
    count: int
    address: int = 0
    data: bytes = b""

    def to_bytes(self) -> bytes:
        """Header and data."""
        return (
            bytes((self.op,))
            + self.count.to_bytes(2, "little")
            + self.address.to_bytes(4, "little")
            + self.data
        )

    @property
    def size(self) -> int:
        """Bytes in the request."""
        return HEADER_BYTES + len(self.data)

    @property
    def reply(self) -> int:
        """Bytes of its result; of a run the least."""
        return 4 * max(1, self.count) if self.op == RUN else COMMANDS[self.op].reply * self.count


def stuff(data: bytes) -> bytes:
    """COBS: the same bytes without a 0; one byte longer per LONGEST_BLOCK."""
    out = bytearray()
    for block in data.split(b"\0"):
        while len(block) >= LONGEST_BLOCK:
            out += b"\xff" + block[:LONGEST_BLOCK]
            block = block[LONGEST_BLOCK:]
        out.append(len(block) + 1)
        out += block
    return bytes(out)


def unstuff(data: bytes) -> bytes | None:
    """Inverse of :func:`stuff`; None if ``data`` is not COBS."""
    out, at, end = [], 0, len(data)
    while at < end:
        code = data[at]
        block = data[at + 1 : at + code]
        if not code or at + code > end:
            return None
        out.append(block)
        at += code
        if code < 255 and at < end:
            out.append(b"\0")
    return b"".join(out)


def seal(body: bytes) -> bytes:
    """A body as it goes over the wire."""
    return stuff(body + zlib.crc32(body).to_bytes(CRC_BYTES, "little")) + b"\0"


def sealed_size(payload: int) -> int:
    """Smallest size on the wire, in bytes, of a frame with ``payload`` bytes of payload."""
    return PREFIX_BYTES + payload + CRC_BYTES + 2


def open_frame(wire: bytes) -> bytes | None:
    """The body of what lay between two 0 bytes, None if it is damaged."""
    frame = unstuff(wire)
    if frame is None or not PREFIX_BYTES + CRC_BYTES <= len(frame) <= FRAME_BYTES:
        return None
    body = frame[:-CRC_BYTES]
    return body if zlib.crc32(body) == int.from_bytes(frame[-CRC_BYTES:], "little") else None
