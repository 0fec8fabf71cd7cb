"""Replies that are no answer, and a second or a silent host: each is one typed error, at once."""

import random
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from spikeloop.cosim.board import virtual
from spikeloop.cosim.board.link import BoardLink
from spikeloop.cosim.board.session import TAKEN, BadReply, Session, open_port
from spikeloop.pysim.chip.frames import (
    BATCH,
    EVENTS,
    HELLO,
    OK,
    PAUSED,
    READ,
    REPLY,
    ROOM,
    RUN,
    Command,
    open_frame,
    seal,
)
from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.common.errors import InputError

EVENT, DONE, PAUSE = (np.uint32(kind << 24).tobytes() for kind in range(3))
COMMANDS = [Command(READ, 2, 0), Command(RUN, 2), Command(EVENTS, 1, 0, b"\1\0")]
GOOD = b"readings" + EVENT + DONE + EVENT + EVENT + DONE


class Device:
    """A port whose board answers each batch with ``reply(number)``."""

    timeout, in_waiting = 0.0, 4096

    def __init__(self, reply: Any) -> None:
        self.reply, self.number, self.out = reply, 0, b""

    def write(self, data: bytes) -> int:
        for wire in data.split(b"\0"):
            if body := open_frame(wire) if wire else None:
                greeting = bytes((1, 1, 0, 8))
                said = greeting if body[0] == HELLO else self.reply(self.number)
                self.number += body[0] == BATCH
                self.out += seal(bytes((body[0] | REPLY, body[1])) + said)
        return len(data)

    def read(self, size: int = 1) -> bytes:
        part, self.out = self.out[:size], self.out[size:]
        return part

    def close(self) -> None: ...


def link(reply: Any) -> BoardLink:
    return BoardLink(Session(Device(reply)), preset("tiny"))


def test_a_good_reply_and_one_that_pauses() -> None:
    results = link(lambda n: GOOD + bytes((3, OK))).execute(COMMANDS)
    assert [len(result) for result in results] == [2, 5, 0]
    parts = [b"readings" + EVENT + DONE + PAUSE + bytes((1, PAUSED)), EVENT + DONE + bytes((2, OK))]
    results = link(lambda n: parts[n]).execute(COMMANDS)
    assert [len(result) for result in results] == [2, 5, 0]
    parts = [b"readings" + bytes((1, ROOM)), GOOD[8:] + bytes((2, OK))]
    assert len(link(lambda n: parts[n]).execute(COMMANDS)) == 3


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\0",
        bytes((0, OK)),
        bytes((0, PAUSED)),
        bytes((0, ROOM)),
        GOOD + bytes((2, OK)),
        GOOD + bytes((4, OK)),
        GOOD + bytes((255, OK)),
        GOOD + bytes((3, PAUSED)),
        GOOD[:-4] + bytes((3, OK)),
        GOOD[:5] + bytes((3, OK)),
        GOOD + EVENT + bytes((3, OK)),
        GOOD + b"x" + bytes((3, OK)),
        b"readings" + bytes((1, PAUSED)),
        b"readings" + EVENT + bytes((1, PAUSED)),
        b"readings" + DONE + PAUSE + bytes((3, OK)),
        b"readings" + DONE + DONE + DONE + PAUSE + bytes((1, PAUSED)),
        b"readings" + np.uint32(7 << 24).tobytes() * 2 + bytes((3, OK)),
    ],
)
def test_a_reply_that_is_no_answer(reply: bytes) -> None:
    with pytest.raises(BadReply, match="gave a reply that is no answer: "):
        link(lambda n: reply).execute(COMMANDS)


def test_a_run_that_pauses_for_ever() -> None:
    def reply(n: int) -> bytes:
        return (b"" if n else b"readings") + EVENT + PAUSE + bytes((0 if n else 1, PAUSED))

    with pytest.raises(TimeoutError, match="the board stopped at command 0: a run is under way"):
        link(reply).execute(COMMANDS)
    with pytest.raises(BadReply, match="it pauses without an event"):
        link(lambda n: reply(n).replace(EVENT, b"")).execute(COMMANDS)


def test_damaged_replies_end_in_typed_errors() -> None:
    rng, ends = random.Random(0), {"answer": 0, "refused": 0}
    for _ in range(400):
        reply = bytearray(GOOD + bytes((3, OK)))
        for _ in range(rng.choice((1, 1, 3))):
            reply[rng.randrange(len(reply))] = rng.choice((0, 1, 2, 3, 255))
        reply = reply[: rng.choice((len(reply), rng.randrange(len(reply))))]
        try:
            link(lambda n, reply=reply: bytes(reply)).execute(COMMANDS)
            ends["answer"] += 1
        except (BadReply, TimeoutError):
            ends["refused"] += 1
    assert min(ends.values()) > 20


class Still:
    """A model that takes all bytes and says nothing."""

    quiet = True

    def run(self, data: bytes, *, limit: int) -> tuple[int, bytes]:
        return len(data), b""


@pytest.fixture
def served() -> Iterator[str]:
    """A TCP server of a board that says nothing; hosts that are silent for 0.5 s must go."""
    told: list[str] = []
    stop = threading.Event()
    options = {"stop": stop.is_set, "idle": 0.5}
    thread = threading.Thread(target=virtual.serve, args=(Still(), 0, told.append), kwargs=options)
    thread.start()
    while not told:
        time.sleep(0.01)
    yield told[0]
    stop.set()
    thread.join()


def connect(url: str) -> socket.socket:
    host = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
    host.settimeout(20)
    return host


def test_a_second_host_is_told_that_the_board_is_taken(served: str) -> None:
    first = connect(served)
    first.sendall(b"\0")
    time.sleep(0.2)
    second = connect(served)
    assert second.recv(99) + second.recv(99) == TAKEN + b"\0"
    assert first.recv(99) == b""  # it was silent for too long
    third = connect(served)
    third.sendall(b"\0")
    with pytest.raises(InputError, match="must be free, not taken by another host"):
        Session(open_port(served), name=served)
    for host in (first, second, third):
        host.close()
