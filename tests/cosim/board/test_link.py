"""The host link from both ends: the driver's verbs on the virtual board, hostile hosts and devices.

Nothing is done twice and nothing is lost.
"""

import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.board.link import Board, BoardLink, open_board, open_replay
from spikeloop.cosim.board.session import (
    BoardSilent,
    PortGone,
    Replay,
    Session,
    SessionLost,
    open_port,
)
from spikeloop.cosim.board.virtual import BoardModel, Wire, serve
from spikeloop.cosim.cli import main
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.pysim.chip import frames
from spikeloop.pysim.chip.frames import BATCH, HELLO, NAK, REPLY, Command, open_frame, seal
from spikeloop.pysim.chip.memory_map import COUNTERS, MemoryMap
from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.traces.trace import Trace
from tests.cosim.board.boards import Flood, Mute, noisy, session
from tests.cosim.conftest import Small

TINY = preset("tiny")
MAP = MemoryMap(TINY)
TICKS = MAP.registers["ticks"].address


@pytest.fixture(scope="module")
def model() -> Iterator[BoardModel]:
    model = BoardModel(TINY, optimise=False)
    yield model
    model.close()


@pytest.fixture
def link(model: BoardModel) -> BoardLink:
    model.reset()
    return BoardLink(Session(Wire(model)), TINY)


def said(model: BoardModel, data: bytes) -> list[bytes | None]:
    """The bodies that come back; None for a damaged one."""
    return [open_frame(part) for part in model.run(data)[1].split(b"\0") if part]


def frame(kind: int, sequence: int, *commands: Command) -> bytes:
    return seal(bytes((kind, sequence)) + b"".join(command.to_bytes() for command in commands))


def refusal(reason: int) -> list[bytes]:
    return [bytes((NAK | REPLY, reason))]


def same(a: Trace, b: Trace) -> None:
    for kind in ("spikes", "membranes", "counters"):
        for name, array in getattr(a, kind).items():
            np.testing.assert_array_equal(getattr(b, kind)[name], array)


# -- verbs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "divisor",
    [None, pytest.param(4, marks=pytest.mark.slow), pytest.param(7, marks=pytest.mark.slow)],
)
def test_a_board_passes_the_comparison_of_the_others(small: Small, divisor: int | None) -> None:
    """Bytes on streams and bits on pins."""
    from spikeloop.cosim.backends import open_backend

    def opener(name: str):
        return (
            Board(session(TINY, divisor)[1], small.image)
            if name == "board"
            else open_backend(name, small.network, small.image)
        )

    result = compare(Case(small.network, small.stimulus), ["golden", "pysim", "board"], opener)
    assert result.failures() == []
    assert result.pairs[1].neuron_ticks == 360 and result.pairs[1].counter_values == 8 * 36
    assert result.cycles_measured == result.cycles_predicted
    assert result.natures == {"board": "virtual board"}


def test_every_memory_and_every_register(link: BoardLink, rng: np.random.Generator) -> None:
    for name, register in MAP.registers.items():
        if register.access == "r" and name != "tick":
            assert link.read(register.address) == register.reset
        elif register.access == "rw" and name not in (
            "extension",
            "bank",
        ):  # fixed at 0 in this chip
            link.write(register.address, 1)
            assert link.read(register.address) == 1
    contents = {}
    for memory in (m for m in MAP.memories.values() if m.writable):
        words = rng.integers(0, 1 << 32, (memory.rows, memory.chunks), dtype=np.uint32)
        if spare := -memory.width % 32:
            words[:, -1] >>= spare
        link.write_rows(memory, words)
        contents[memory.name] = words
    for name, words in contents.items():
        np.testing.assert_array_equal(link.read_rows(MAP.memories[name], len(words)), words)


def test_frames_without_a_zero(link: BoardLink) -> None:
    """COBS blocks of 254 bytes, there and back."""
    memory = MAP.memories["leak"]
    words = np.full((memory.rows, memory.chunks), 0x04030201, np.uint32)
    words[:, -1] &= (1 << memory.width % 32) - 1
    link.write_rows(memory, words)
    np.testing.assert_array_equal(link.read_rows(memory, memory.rows), words)


def test_events_leave_in_their_order_however_slow_the_host(model: BoardModel) -> None:
    """64 spikes a tick fill queue and replies: runs pause, no event is lost, none comes twice."""
    _, image, stimulus = noisy()
    model.reset()
    board = Board(Session(Wire(model)), image)
    want = unpack(board.run(stimulus).spikes["out"], 64)[0]
    link = board.link
    link.clear()
    link.zero()
    got = []
    for tick in range(20):
        link.send(
            (axon, 1) for axon in np.flatnonzero(unpack(stimulus.spikes["x"], 8)[0, tick]).tolist()
        )
        link.tick()
        got.append([line for line, _ in link.receive()])
    assert [np.flatnonzero(row).tolist() for row in want[:20]] == got
    # all in one command, the inputs in the ring ahead
    link.clear()
    for tick in range(12):
        link.send(
            (axon, tick + 1)
            for axon in np.flatnonzero(unpack(stimulus.spikes["x"], 8)[0, tick]).tolist()
        )
    retries = board.session.retries
    items = link.execute([Command(frames.RUN, 14)])[0]
    kinds = items >> 24
    assert (kinds == frames.ITEM_DONE).sum() == 14 and (kinds == frames.ITEM_PAUSED).any()
    events = np.split(items, np.flatnonzero(kinds == frames.ITEM_DONE))
    assert [
        [int(e) & 0xFFFF for e in part if e >> 24 == frames.ITEM_EVENT] for part in events[:12]
    ] == [np.flatnonzero(row).tolist() for row in want[:12]]
    assert board.session.retries == retries


def loud(model: BoardModel, ticks: int) -> BoardLink:
    """The net of :func:`noisy` after a reset; all its inputs spike in the first ``ticks`` ticks."""
    _, image, _ = noisy()
    model.reset()
    link = Board(Session(Wire(model)), image).link
    link.clear()
    link.zero()
    for tick in range(1, ticks + 1):
        link.send((axon, tick) for axon in range(8))
    return link


def test_a_core_that_waits_for_its_receiver_does_not_hang_the_link(model: BoardModel) -> None:
    link, control = loud(model, 2), MAP.registers["control"].address
    for _ in range(2):  # by the register: nobody takes the 128 events, 65 fit
        link.write(control, 1)
    with pytest.raises(TimeoutError, match="did not become idle"):
        link.read_rows(MAP.memories["v"], 1)
    assert link.read(MAP.registers["status"].address) == 1  # registers are read all the same
    assert len(link.receive()) == 128
    counters = link.counters()
    assert counters["ticks"] == 2 and counters["stalls"] > 0 and counters["dropped"] == 0


def test_a_new_session_throws_old_events_away(model: BoardModel) -> None:
    """A core that waits for its receiver ends its ticks, and the new host hears none of them."""
    link = loud(model, 2)
    for _ in range(2):
        link.write(MAP.registers["control"].address, 1)
    new = BoardLink(Session(Wire(model)), TINY)
    assert new.counters()["ticks"] == 2
    assert new.receive() == []


def test_a_new_session_forgets_a_run_that_paused(model: BoardModel) -> None:
    """Its first tick is one of its own, not the rest of one that the old session began."""
    loud(model, 12)
    said(model, frame(HELLO, 9))
    (reply,) = said(model, frame(BATCH, 10, Command(frames.RUN, 12)))
    assert reply is not None and reply[-1] == frames.PAUSED
    new = BoardLink(Session(Wire(model)), TINY)
    before = new.counters()["ticks"]
    assert 0 < before < 12
    new.tick()
    assert new.counters()["ticks"] == before + 1


# -- once, and only once -----------------------------------------------------------------------


def test_a_frame_that_comes_twice_is_done_once(link: BoardLink, model: BoardModel) -> None:
    run, ask = Command(frames.RUN, 1), Command(frames.READ, 2, TICKS)
    said(model, frame(HELLO, 77))
    first = said(model, frame(BATCH, 78, run, ask))
    assert first[0][2:] == bytes((0, 0, 0, frames.ITEM_DONE)) + (1).to_bytes(8, "little") + bytes(
        (2, frames.OK)
    )
    assert said(model, frame(BATCH, 78, run, ask)) == first
    assert said(model, frame(BATCH, 78, run) * 3) == first * 3
    assert said(model, frame(BATCH, 79, ask))[0][2:10] == (1).to_bytes(8, "little")
    assert said(model, frame(BATCH, 79, ask)[:-2] + b"\0") == refusal(
        1
    )  # the reply is kept over a refusal
    assert said(model, frame(BATCH, 79))[0][2:10] == (1).to_bytes(8, "little")


@pytest.mark.parametrize("step", [0x7F, 2, 255])
def test_other_sequences_are_refused(link: BoardLink, model: BoardModel, step: int) -> None:
    said(model, frame(HELLO, 250))
    assert said(model, frame(BATCH, 250 + 1, Command(frames.RUN, 1)))[0][0] == BATCH | REPLY
    assert said(model, frame(BATCH, 251 + step & 255, Command(frames.RUN, 1))) == refusal(2)
    assert said(model, frame(BATCH, 252, Command(frames.READ, 1, TICKS)))[0][2] == 1


def test_sequences_wrap(link: BoardLink) -> None:
    assert [link.read(MAP.registers["id"].address) for _ in range(600)] == [
        MAP.registers["id"].reset
    ] * 600


def test_no_session_after_reset(link: BoardLink, model: BoardModel) -> None:
    link.tick()
    model.reset()
    with pytest.raises(SessionLost, match="out of sequence, or no session"):
        link.tick()
    link.session.begin()
    link.tick()
    assert link.counters()["ticks"] == 1


@pytest.mark.parametrize(
    ("commands", "status", "done"),
    [
        ([Command(frames.READ, 600)], frames.ROOM, 0),
        ([Command(frames.RUN, 0), Command(9, 0)], frames.UNKNOWN, 1),
        ([Command(frames.WRITE, 2, 8, bytes(4))], frames.MALFORMED, 0),
        ([Command(frames.EVENTS, 65535)], frames.MALFORMED, 0),
        ([Command(frames.BITMAP, 2, 0, b"x")], frames.MALFORMED, 0),
        ([Command(frames.READ, 1), Command(frames.READ, 65535)], frames.ROOM, 1),
        ([], frames.OK, 0),
        ([Command(frames.READ, 0), Command(frames.WRITE, 0)], frames.OK, 2),
    ],
)
def test_commands_that_do_not_fit(
    link: BoardLink, model: BoardModel, commands: list[Command], status: int, done: int
) -> None:
    said(model, frame(HELLO, 1))
    assert said(model, frame(BATCH, 2, *commands))[0][-2:] == bytes((done, status))
    assert said(model, seal(bytes((BATCH, 3)) + b"\x01\x02"))[0][-1] == frames.MALFORMED
    assert said(model, frame(BATCH, 4, Command(frames.READ, 1)))[0][-1] == frames.OK


# -- hostile hosts -----------------------------------------------------------------------------


KINDS = {
    "hello": frame(HELLO, 8),
    "empty": frame(BATCH, 8),
    "read": frame(BATCH, 8, Command(frames.READ, 3)),
    "write": frame(BATCH, 8, Command(frames.WRITE, 2, 8, bytes(8))),
    "events": frame(BATCH, 8, Command(frames.EVENTS, 2, 1 << 24, bytes(4))),
    "bitmap": frame(BATCH, 8, Command(frames.BITMAP, 4, 1 << 24, b"\1\2\3\4")),
    "run": frame(BATCH, 8, Command(frames.RUN, 1)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_cut_at_every_byte(link: BoardLink, model: BoardModel, kind: str) -> None:
    """Nothing of a cut frame is done, and the whole one is, afterwards."""
    whole = KINDS[kind]
    for cut in range(len(whole) - 1):
        assert said(model, frame(HELLO, 7))[0][:2] == bytes((HELLO | REPLY, 7))
        assert said(model, whole[:cut] + b"\0") == (refusal(1) if cut else [])
        reply = said(model, whole)[0]
        assert (
            reply[:2] == bytes((whole[1] | REPLY, 8)) if kind == "hello" else reply[1:2] == b"\x08"
        )


def test_noise_of_any_kind_leaves_a_chip_that_answers(
    link: BoardLink, model: BoardModel, rng: np.random.Generator
) -> None:
    """Random bytes, good frames of random commands, frames without end.

    After each of them the link greets and reads at once.
    """
    for trial in range(300):
        kind = trial % 3
        if kind == 0:
            data = rng.integers(0, 256, int(rng.integers(1, 3000)), dtype=np.uint8).tobytes()
        elif kind == 1:
            body = rng.integers(0, 256, int(rng.integers(0, 60)), dtype=np.uint8)
            body[::7] = rng.integers(0, 7, len(body[::7]))
            data = frame(HELLO, 1) + seal(bytes((BATCH, 2)) + body.tobytes())
        else:
            data = rng.integers(1, 256, int(rng.integers(2000, 6000)), dtype=np.uint8).tobytes()
        left = data
        while left:
            taken, _ = model.run(left)
            left = left[taken:]
        model.run(b"\0")
        reply = said(model, frame(HELLO, 9))
        assert reply[-1][:2] == bytes((HELLO | REPLY, 9))
        assert said(model, frame(BATCH, 10, Command(frames.READ, 1)))[-1][2:6] == MAP.registers[
            "id"
        ].reset.to_bytes(4, "little")


def test_a_reply_waits_for_a_host_that_does_not_read(link: BoardLink, model: BoardModel) -> None:
    said(model, frame(HELLO, 1))
    request = frame(BATCH, 2, Command(frames.READ, 400))
    assert model.run(request, capacity=0) == (len(request), b"")
    reply = b"".join(model.run(capacity=7)[1] for _ in range(400))
    assert open_frame(reply[:-1])[-1] == frames.OK


# -- hostile devices ---------------------------------------------------------------------------


@pytest.mark.parametrize("endless", [False, True])
def test_a_device_that_never_stops(endless: bool, seed: int) -> None:
    port = Flood(seed, endless)
    with pytest.raises(InputError, match="board at this port must answer"):
        Session(port, timeout=0.05)
    one = Session.__new__(Session)
    one.port, one.timeout, one.name, one.retries, one._file = port, 0.05, "it", 0, None
    one._buffer, one._skip, one._sequence = bytearray(), False, 0
    with pytest.raises(BoardSilent, match="no good reply in 4 attempts"):
        one.batch(b"")
    assert len(one._buffer) <= frames.WIRE_BYTES + 4 * frames.WIRE_BYTES


def test_old_damage_before_a_reply_costs_one_attempt(link: BoardLink, model: BoardModel) -> None:
    """Noise that looks like six frames lies before the reply. Each once cost an attempt."""

    class Late(Wire):
        noise = b"\x07\x08\x00" * 6

        def read(self, size: int = 1) -> bytes:
            noise, self.noise = self.noise, b""
            return noise + super().read(size)

    one = Session(Late(model))
    assert one.retries == 0
    one._buffer += b"\x05\x06\x00" * 6
    assert one.batch(b"") == bytes((0, frames.OK)) and one.retries == 0


def test_a_device_that_is_silent_is_given_up_in_time() -> None:
    start = time.monotonic()
    with pytest.raises(InputError, match="must answer, not be silent"):
        Session(Mute(), timeout=0.02)
    assert time.monotonic() - start < 5


def test_a_port_that_fails_says_so(model: BoardModel) -> None:
    class Torn(Wire):
        def write(self, data: bytes) -> int:
            raise OSError("Input/output error")

    one = Session(Wire(model))
    one.port = Torn(model)
    with pytest.raises(PortGone, match="Input/output error"):
        one.batch(b"")


@pytest.mark.parametrize(
    ("greeting", "message"),
    [
        (bytes((9, 1, 0, 8)), "must be version 1, not 9"),
        (b"", "not unsaid"),
        (bytes((1, 5, 0, 8)), "must greet as one of spikeloop"),
    ],
)
def test_another_protocol_is_refused(greeting: bytes, message: str) -> None:
    class Other(Mute):
        def read(self, size: int = 1) -> bytes:
            body = open_frame(bytes(self.sent).split(b"\0")[-2])
            return seal(bytes((HELLO | REPLY, body[1])) + greeting)

    with pytest.raises(InputError, match=message):
        Session(Other())


# -- sessions that break, records --------------------------------------------------------------


def test_a_board_that_is_reset_in_a_run_is_loaded_again(small: Small) -> None:
    model, one = session(TINY)
    board = Board(one, small.image)
    want = board.run(small.stimulus)
    for at in (1, 3, 6):
        count, batch = 0, one.batch

        def breaking(commands: bytes, least: int = 0, at: int = at, batch=batch) -> bytes:
            nonlocal count
            count += 1
            if count == at:
                model.reset()
            return batch(commands, least)

        one.batch = breaking
        same(want, board.run(small.stimulus))
        assert count > at
        one.batch = batch


def test_a_session_replays(small: Small, tmp_path: Path) -> None:
    record = tmp_path / "new" / "session.jsonl"
    _, one = session(TINY, record=record)
    with Board(one, small.image) as board:
        want = board.run(small.stimulus)
    assert json.loads(record.read_text().splitlines()[0])["nature"] == "virtual board"
    with open_replay(str(record), small.image) as replay:
        assert (replay.name, replay.nature) == ("replay", "replay")
        same(want, replay.run(small.stimulus))
        with pytest.raises(InputError, match="must be what was recorded"):
            replay.run(small.stimulus)
    with (
        open_replay(str(record), small.image) as replay,
        pytest.raises(InputError, match="must be what was recorded"),
    ):
        replay.run(small.stimulus.take(slice(1, 3)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        "no json",
        '{"format": "spikeloop session", "version": 2}',
        '{"format": "spikeloop session", "version": 1}\n{"commands": "zz", "reply": ""}',
    ],
)
def test_what_is_no_record_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "r").write_text(text)
    with pytest.raises(InputError, match="record must be one of a session"):
        Replay(tmp_path / "r")


# -- ports -------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", [None, 0], ids=["pty", "tcp"])
def test_a_served_board(small: Small, model: BoardModel, port: int | None) -> None:
    """Two hosts one after the other, the first of which goes in the middle of a frame."""
    model.reset()
    told: list[str] = []
    stop = threading.Event()
    thread = threading.Thread(
        target=serve, args=(model, port, told.append), kwargs={"stop": stop.is_set}
    )
    thread.start()
    try:
        while not told:
            time.sleep(0.01)
        with open_port(told[0]) as first:
            first.write(frame(HELLO, 3)[:-4])
        with open_board(told[0], small.image) as board:
            trace = board.run(small.stimulus)
            if port is None:
                with pytest.raises(InputError, match="another program has it"):
                    open_port(told[0])
    finally:
        stop.set()
        thread.join()
    with Board(session(TINY)[1], small.image) as board:
        same(board.run(small.stimulus), trace)
    assert set(trace.counters) == set(COUNTERS)


def test_bad_ports(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        with pytest.raises(InputError, match=f"port must be free on this machine, not {taken}"):
            serve(None, taken, print)  # type: ignore[arg-type]
    for url, message in (
        ("", "PORT or PORT@BAUD"),
        ("/dev/x@fast", "PORT or PORT@BAUD"),
        ("/dev/tty-none", "there is no such port"),
        (f"socket://127.0.0.1:{taken}", "nobody listens"),
        (str(tmp_path), "must be free and there"),
        ("nonsense://x", "must be free and there"),
    ):
        with pytest.raises(InputError, match=message):
            open_port(url)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["compare", "{image}", "--backends", "golden,board:/dev/tty-none"],
            "port of the board must be free and there, not '/dev/tty-none'",
        ),
        (["compare", "{image}", "--backends", "golden,board"], "board must be PORT"),
        (["compare", "{image}", "--backends", "golden,replay:/none"], "record '/none' is missing"),
        (
            ["compare", "{image}", "--backends", "golden,pysim", "--record", "r"],
            "backends of a session to record must hold board:PORT",
        ),
        (["board", "serve", "huge"], "chip preset must be one of"),
        (["board", "serve", "tiny", "--pins", "3"], "cycles of a bit must be at least 4"),
        (
            ["board", "serve", "tiny,mesh_width=2"],
            "chip behind a host link must have one core, not 2",
        ),
    ],
)
def test_bad_input_is_one_sentence(
    small: Small, capfd: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main([a.format(image=small.folder / "image") for a in arguments])
    err = capfd.readouterr().err.strip()
    assert end.value.code == 2
    assert (
        re.search(r" must .*\bnot | is missing: ", err)
        and sentence in err
        and "Traceback" not in err
    )


def test_another_chip_is_refused(small: Small) -> None:
    other = pack(small.network, chip=preset("default"))
    wanted, got = (preset(name).fingerprint() for name in ("default", "tiny"))
    with pytest.raises(
        InputError, match=f"register fingerprint of the chip must be {wanted:#x} .* not {got:#x}"
    ):
        Board(session(TINY)[1], other)


def test_a_pty_is_freed_when_its_board_goes(model: BoardModel) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0
    serve(model, None, lambda _: None, stop=lambda: True)
    assert not before or len(os.listdir("/proc/self/fd")) == before
