"""Boards that are broken or hostile, on TCP: ``compare`` ends in one sentence, and soon."""

import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import repeat
from pathlib import Path
from typing import ClassVar

import pytest

from spikeloop.cosim.board.link import open_board
from spikeloop.cosim.board.session import TIMEOUT, Session
from spikeloop.cosim.board.virtual import BoardModel, Wire
from spikeloop.cosim.cli import main
from spikeloop.pysim.chip.frames import BATCH, HELLO, NAK, OK, PAUSED, REPLY, ROOM, open_frame, seal
from spikeloop.pysim.common.errors import InputError
from tests.cosim.conftest import Small

SECONDS = 15
"""Of its processor, and of waiting for replies that do not come: what a mode may cost a host.

Good replies are not counted, however late a busy machine gives them (docs/board.md).
"""
HANGS = 60
"""Seconds by the clock, however busy the machine is."""
GOOD = 20
"""Replies before a board of the kind "late" goes wrong."""

Talk = Callable[[socket.socket], None]


def flood(data: Callable[[random.Random], bytes], pause: float = 0.0) -> Talk:
    """A board that sends and does not read."""

    def talk(host: socket.socket) -> None:
        rng = random.Random(1)
        while True:
            host.sendall(data(rng))
            time.sleep(pause)

    return talk


def unread(host: socket.socket) -> None:
    time.sleep(HANGS)


FLOODS: dict[str, Talk] = {
    "hangs up at once": lambda host: host.close(),
    "random bytes": flood(lambda rng: rng.randbytes(4096)),
    "zeros": flood(lambda _: bytes(65536)),
    "a frame without end": flood(lambda _: b"\x05abcd" * 800),
    "a byte now and then": flood(lambda _: b"\x01", 0.05),
    "good frames unasked": flood(
        lambda _: b"".join(seal(bytes((BATCH | REPLY, n))) for n in range(0, 256, 7))
    ),
    "does not read": unread,
}
REPLIES: dict[str, Callable[[bytes, random.Random], bytes | None]] = {
    "is silent": lambda body, _: None,
    "no command done": lambda body, _: body[:2] + bytes((0, OK)),
    "paused for ever": lambda body, _: body[:2] + bytes((0, PAUSED)),
    "no room for ever": lambda body, _: body[:2] + bytes((0, ROOM)),
    "an empty reply": lambda body, _: body[:2],
    "a short reply": lambda body, _: body[:5],
    "refused as damaged": lambda body, _: bytes((NAK | REPLY, 1)),
    "refused as out of sequence": lambda body, _: bytes((NAK | REPLY, 2)),
    "more done than asked": lambda body, _: body[:-2] + bytes((255, OK)),
    "noise in good frames": lambda body, rng: body[:2] + rng.randbytes(200),
}
GREETINGS: dict[str, Callable[[bytes], bytes]] = {
    "another version": lambda body: body[:2] + bytes((9, 1, 0, 8)),
    "a short greeting": lambda body: body[:2],
    "another nature": lambda body: body[:2] + bytes((1, 77, 0, 8)),
}
MODES = [
    *FLOODS,
    *GREETINGS,
    *REPLIES,
    *(f"{name}, late" for name in REPLIES),
    "hangs up late",
    "drips",
]


def proxy(mode: str, model: BoardModel) -> Talk:
    """A board whose replies go wrong as ``mode`` says."""
    kind, _, late = mode.partition(", ")

    def talk(host: socket.socket) -> None:
        wire, rng, buffer, n = Wire(model), random.Random(1), b"", 0
        while data := host.recv(65536):
            buffer += data
            while b"\0" in buffer:
                frame, _, buffer = buffer.partition(b"\0")
                body = open_frame(frame) if frame else None
                if body is None:
                    continue
                wire.write(seal(body))
                real = open_frame(b"".join(iter(lambda: wire.read(4096), b"")).strip(b"\0"))
                assert real is not None
                if body[0] == HELLO:
                    reply: bytes | None = GREETINGS.get(kind, bytes)(real)
                else:
                    n += 1
                    wrong = kind in REPLIES and (not late or n > GOOD)
                    reply = REPLIES[kind](real, rng) if wrong else real
                if mode == "hangs up late" and n > GOOD:
                    host.close()
                    return
                sent = seal(reply) if reply is not None else b""
                for at in range(len(sent)) if mode == "drips" else ():
                    host.sendall(sent[at : at + 1])
                    time.sleep(0.02)
                if mode != "drips":
                    host.sendall(sent)

    return talk


@contextmanager
def hostile(mode: str, small: Small) -> Iterator[str]:
    """The URL of a board that goes wrong as ``mode`` says."""
    talk = FLOODS.get(mode) or proxy(mode, BoardModel(small.image.chip, optimise=False))

    def serve() -> None:
        with suppress(OSError):
            while True:
                host, _ = listener.accept()
                with suppress(OSError), host:
                    talk(host)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"socket://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


class Patient(Session):
    """A session that adds up the seconds for which it waited in vain."""

    waited: ClassVar[dict[int, float]] = {}  # by thread

    def _reply(self, kind: int, sequence: int, least: int) -> bytes | None:
        began, worked, reply = time.monotonic(), time.thread_time(), None
        try:
            reply = super()._reply(kind, sequence, least)
        finally:
            if reply is None:
                idle = time.monotonic() - began - (time.thread_time() - worked)
                self.waited[threading.get_ident()] += idle
        return reply


def ended(mode: str, small: Small) -> tuple[str, Exception | None, float, float]:
    """The mode, the error that a host meets, what it cost it, and the seconds by the clock."""
    began, worked, met, me = time.monotonic(), time.thread_time(), None, threading.get_ident()
    Patient.waited[me] = 0.0
    with hostile(mode, small) as url:
        try:
            with open_board(url, small.image) as board:
                board.run(small.stimulus)
        except Exception as error:
            met = error
    cost = time.thread_time() - worked + Patient.waited[me]
    return mode, met, cost, time.monotonic() - began


def test_every_mode_ends_in_a_typed_error(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikeloop.cosim.board.link.Session", Patient)
    with ThreadPoolExecutor(len(MODES)) as pool:  # they wait most of the time
        found = list(pool.map(ended, MODES, repeat(small)))
    for mode, error, cost, seconds in found:
        print(f"{mode}: {cost:.1f} s of {seconds:.1f} s, {type(error).__name__}: {error}")
    typed = (InputError, TimeoutError, ConnectionError)  # status 2 or 3, and one sentence
    assert [mode for mode, error, *_ in found if not isinstance(error, typed)] == []
    assert [mode for mode, _, cost, _ in found if cost > SECONDS] == []
    assert [mode for mode, _, _, seconds in found if seconds > HANGS] == []
    assert max(cost for _, _, cost, _ in found) > TIMEOUT  # waiting was counted


@pytest.mark.parametrize(
    ("mode", "status"), [("random bytes", 2), ("a short reply, late", 3), ("hangs up late", 3)]
)
def test_compare_ends_in_one_sentence(
    mode: str, status: int, small: Small, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with hostile(mode, small) as url, pytest.raises(SystemExit) as end:
        main(
            ["compare", str(small.folder / "image"), "-q", "--backends", f"golden,board:{url}"]
            + ["-o", str(tmp_path / "run")]
        )
    assert end.value.code == status
    assert re.fullmatch(r"spikeloop: [^\n]+\n", capfd.readouterr().err)
    assert not (tmp_path / "run").exists()
