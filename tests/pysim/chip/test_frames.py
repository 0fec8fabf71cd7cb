"""The frames in bytes: COBS as an independent library has it, and nothing damaged is taken."""

import zlib

import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from spikeloop.pysim.chip import frames
from spikeloop.pysim.chip.frames import (
    COMMANDS,
    FRAME_BYTES,
    WIRE_BYTES,
    Command,
    open_frame,
    seal,
    stuff,
    unstuff,
)

LENGTHS = [0, 1, 2, 253, 254, 255, 507, 508, 509, 2032, FRAME_BYTES]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("byte", [0, 1, 255])
def test_blocks_of_every_length(length: int, byte: int) -> None:
    data = bytes([byte]) * length
    assert 0 not in stuff(data)
    assert unstuff(stuff(data)) == cobs.decode(stuff(data)) == data
    assert unstuff(cobs.encode(data)) == data
    assert len(stuff(data)) + 1 <= max(WIRE_BYTES, length + 10)


@given(st.binary(max_size=600))
def test_coding_is_that_of_the_library(data: bytes) -> None:
    assert cobs.decode(stuff(data)) == data
    assert unstuff(cobs.encode(data)) == data


@given(st.binary(min_size=1, max_size=40).filter(lambda data: 0 not in data))
def test_what_is_no_code_is_refused_as_by_the_library(data: bytes) -> None:
    try:
        wanted = cobs.decode(data)
    except cobs.DecodeError:
        wanted = None
    assert unstuff(data) == wanted


@given(st.binary(min_size=2, max_size=FRAME_BYTES - 4))
def test_a_frame_opens_to_its_body(body: bytes) -> None:
    wire = seal(body)
    assert wire.count(0) == 1 and wire[-1] == 0 and len(wire) <= WIRE_BYTES
    assert open_frame(wire[:-1]) == body
    assert cobs.decode(wire[:-1])[-4:] == zlib.crc32(body).to_bytes(4, "little")


def test_no_flipped_bit_and_no_missing_byte_is_taken() -> None:
    wire = seal(bytes(range(40)))[:-1]
    for at in range(len(wire)):
        assert open_frame(wire[:at]) is None
        for bit in range(8):
            damaged = wire[:at] + bytes((wire[at] ^ 1 << bit,)) + wire[at + 1 :]
            assert all(open_frame(part) is None for part in damaged.split(b"\0"))


def test_frames_too_short_or_too_long_are_none() -> None:
    assert open_frame(seal(b"x")[:-1]) is None
    assert open_frame(b"") is None
    long = bytes(FRAME_BYTES - 3)
    assert open_frame(stuff(long + zlib.crc32(long).to_bytes(4, "little"))) is None


@pytest.mark.parametrize("op", COMMANDS)
def test_sizes_of_commands(op: int) -> None:
    verb = COMMANDS[op]
    command = Command(op, 3, 0x12345678, bytes(3 * verb.data))
    assert len(command.to_bytes()) == command.size == frames.HEADER_BYTES + 3 * verb.data
    assert command.to_bytes()[:7] == bytes((op, 3, 0, 0x78, 0x56, 0x34, 0x12))
    assert command.reply == (12 if op in (frames.READ, frames.RUN) else 0)


def test_the_longest_frame_fits_the_wire() -> None:
    assert len(seal(b"\xff" * (FRAME_BYTES - 4))) == WIRE_BYTES
    assert frames.sealed_size(5) == len(seal(bytes(7)))
