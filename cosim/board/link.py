"""Backends "board" and "replay": a chip behind the host link.

The chip is an FPGA, the virtual board of cosim/board/virtual.py, or a record of a session. A frame
takes the commands of as many ticks as it and its reply hold, so that nothing waits for a single
word. See docs/board.md.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from spikeloop.cosim.board.session import Replay, Session, SessionLost, open_port
from spikeloop.cosim.link import Link, LinkBackend
from spikeloop.pysim.chip.frames import (
    BITMAP,
    EVENTS,
    HEADER_BYTES,
    ITEM_DONE,
    ITEM_EVENT,
    ITEM_PAUSED,
    OK,
    PAUSED,
    PAYLOAD_BYTES,
    READ,
    ROOM,
    RUN,
    STATUS,
    TAIL_BYTES,
    WRITE,
    Command,
    sealed_size,
)
from spikeloop.pysim.chip.memory_map import CONTROL_CLEAR, CONTROL_ZERO, Memory
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import STATES

__all__ = ["Board", "BoardLink", "input_commands", "open_board", "open_replay"]

RESULTS = PAYLOAD_BYTES - TAIL_BYTES
DATA = PAYLOAD_BYTES - HEADER_BYTES  # of one command that has a frame of its own
PAUSES = 1000  # of one run: after them the core counts as hung


class BoardLink(Link):
    """The chip behind a session."""

    def __init__(self, session: Session | Replay, chip: Chip) -> None:
        self.session, self.chip = session, chip
        self.pending: list[tuple[int, ...]] = []
        """Events (output line, delay) that left the chip and were not received yet."""

    def execute(self, commands: Iterable[Command]) -> list[np.ndarray]:
        """Have commands done in order; the result of each, uint32.

        Of a READ these are its words, of a RUN its items; others have an empty array.
        TimeoutError if the board stops, BadReply for a reply that does not fit the commands.
        """
        waiting, results = list(commands), []
        waiting.reverse()
        part: list[np.ndarray] = []  # items of a run that pauses
        pauses = 0
        while waiting:
            batch = _batch(waiting)
            sent = b"".join(command.to_bytes() for command in batch)
            reply = sum(command.reply for command in batch)
            answer = self.session.batch(sent, sealed_size(reply + TAIL_BYTES))
            words, done, status = self._tail(answer, batch)
            for number, command in enumerate(batch[: done + (status == PAUSED)]):
                paused = number == done
                result, words = self._split(words, command, paused)
                if command.op != RUN:
                    results.append(result)
                    continue
                part.append(result)
                if paused:
                    if not done and len(result) == 1:  # nothing but the pause
                        raise self.session.refuse("it pauses without an event")
                    begun = int((result >> 24 == ITEM_DONE).sum())
                    batch[number] = Command(RUN, command.count - begun)
                    pauses += 1
                else:
                    results.append(np.concatenate(part))
                    part, pauses = [], 0
            if words:
                raise self.session.refuse(f"it is {len(words)} bytes too long")
            if status not in (OK, PAUSED, ROOM) or pauses > PAUSES:
                reason = STATUS.get(status, status)
                raise TimeoutError(f"the board stopped at command {done}: {reason}")
            waiting += reversed(batch[done:])
        return results

    def _tail(self, answer: bytes, batch: list[Command]) -> tuple[bytes, int, int]:
        """Results, commands done and status of a reply; BadReply unless they fit ``batch``."""
        if len(answer) < TAIL_BYTES:
            raise self.session.refuse(f"it has {len(answer)} bytes of at least {TAIL_BYTES}")
        words, done, status = answer[:-TAIL_BYTES], answer[-2], answer[-1]
        fits = {
            OK: done == len(batch),
            PAUSED: done < len(batch) and batch[done].op == RUN,
            ROOM: 0 < done < len(batch),  # the first command always has room
        }.get(status, done < len(batch))
        if not fits:
            raise self.session.refuse(f"{done} of {len(batch)} commands done, status {status}")
        return words, done, status

    def _split(self, words: bytes, command: Command, paused: bool) -> tuple[np.ndarray, bytes]:
        """The result of a command at the beginning of ``words``, and the rest of them."""
        if command.op != RUN:
            if len(words) < command.reply:
                raise self.session.refuse(f"{command.reply - len(words)} bytes are missing")
            result = np.frombuffer(words, "<u4", count=command.reply // 4)
            return result, words[command.reply :]
        items = np.frombuffer(words, "<u4", count=len(words) // 4)
        kinds = items >> 24
        ends = np.flatnonzero(kinds != ITEM_EVENT)
        marks, ticks = kinds[ends], max(1, command.count)
        stops = np.flatnonzero(marks == ITEM_PAUSED) if paused else np.arange(ticks - 1, marks.size)
        before = marks[: stops[0] + (not paused)] if stops.size else marks[:0]
        if not stops.size or before.size > ticks or (before != ITEM_DONE).any():
            raise self.session.refuse("its items are not those of the ticks that were asked for")
        size = int(ends[stops[0]]) + 1
        return items[:size], words[4 * size :]

    def write(self, address: int, value: int) -> None:
        self.execute([Command(WRITE, 1, address, value.to_bytes(4, "little"))])

    def read(self, address: int) -> int:
        return int(self.execute([Command(READ, 1, address)])[0][0])

    def write_rows(self, memory: Memory, words: np.ndarray) -> None:
        self.execute(
            Command(WRITE, len(part), address, part.tobytes())
            for address, part in _blocks(memory, words, DATA // 4)
        )

    def read_rows(self, memory: Memory, rows: int) -> np.ndarray:
        words = np.concatenate(self.execute(read_commands(memory, rows)))
        return words.reshape(rows, memory.chunks)

    def send(self, events: Iterable[tuple[int, ...]]) -> None:
        commands = []
        for axon, delay in events:
            low = (axon & 0xFFFF).to_bytes(2, "little")
            commands.append(Command(EVENTS, 1, axon & 0xFF0000 | delay << 24, low))
        self.execute(commands)

    def receive(self) -> list[tuple[int, ...]]:
        self._keep(self.execute([Command(RUN, 0)])[0])
        events, self.pending = self.pending, []
        return events

    def tick(self) -> None:
        self._keep(self.execute([Command(RUN, 1)])[0])

    def clear(self) -> None:
        self.execute([self.control(CONTROL_CLEAR)])

    def zero(self) -> None:
        self.execute([self.control(CONTROL_ZERO)])

    def counters(self) -> dict[str, int]:
        values = counts(self.execute([self.counter_command()])[0])
        return dict(zip(self.map.counters, values, strict=True))

    def close(self) -> None:
        self.session.close()

    def control(self, bits: int) -> Command:
        """Write the control register. Later commands wait until this one is done."""
        return Command(WRITE, 1, self.map.registers["control"].address, bits.to_bytes(4, "little"))

    def counter_command(self) -> Command:
        """Read all counters: they are neighbours."""
        first = next(iter(self.map.counters))
        return Command(READ, 2 * len(self.map.counters), self.map.registers[first].address)

    def _keep(self, items: np.ndarray) -> None:
        self.pending += [
            (int(item) & 0xFFFF, int(item) >> 16 & 0xFF)
            for item in items
            if item >> 24 == ITEM_EVENT
        ]


def _batch(waiting: list[Command]) -> list[Command]:
    """Take from the end of ``waiting`` the commands that one frame and its reply hold."""
    batch: list[Command] = []
    size = reply = 0
    while waiting and len(batch) < 255:
        size, reply = size + waiting[-1].size, reply + waiting[-1].reply
        if size > PAYLOAD_BYTES or reply > RESULTS:
            break
        batch.append(waiting.pop())
    return batch


class Board(LinkBackend):
    """An image on the chip behind a session, a frame or a few per sample.

    A lost session is begun again, once per sample.
    """

    def __init__(self, session: Session | Replay, image: Image) -> None:
        self.name = "replay" if isinstance(session, Replay) else "board"
        self.nature, self.session = session.nature, session
        self.link: BoardLink = BoardLink(session, image.chip)
        super().__init__(self.link, image)

    def _sample(
        self, stimulus: Stimulus, sample: int, states: list[str]
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        try:
            return self._frames(stimulus, sample, states)
        except SessionLost:  # a sample begins with CLEAR: its first part does not count
            self.session.begin()
            self.load()
            return self._frames(stimulus, sample, states)

    def _frames(
        self, stimulus: Stimulus, sample: int, states: list[str]
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        image, link, words = self.image, self.link, self.words
        memories = [self.map.memories[name] for name in ("spikes", *(STATES[s][0] for s in states))]
        reads = [command for memory in memories for command in read_commands(memory, words)]
        after = [link.counter_command(), *reads]
        commands = [link.control(CONTROL_CLEAR), link.control(CONTROL_ZERO)]
        for tick in range(image.ticks):
            for packed, lines, first in self._arriving(stimulus, sample, tick):
                commands += input_commands(packed, lines, first)
            commands += [Command(RUN, 1), *after]
        answers = zip(commands, link.execute(commands), strict=True)
        results = [words for command, words in answers if command.op == READ]
        ticks = [results[at : at + len(after)] for at in range(0, len(results), len(after))]
        counted = np.array([counts(tick[0]) for tick in ticks], np.int64)
        table = np.array([np.concatenate(tick[1:]) for tick in ticks])
        edges = np.cumsum([words * memory.chunks for memory in memories])[:-1]
        parts = [part.reshape(image.ticks, words, -1) for part in np.split(table, edges, axis=1)]
        return counted, parts[0], dict(zip(states, parts[1:], strict=True))


def input_commands(
    packed: np.ndarray, lines: np.ndarray, first: int, delay: int = 1
) -> list[Command]:
    """Commands for the input spikes of one tick, in the shorter of two forms.

    packed, lines: the same spikes, packed and 0/1. first: axon of line 0.
    The forms are events of two bytes each, and a bitmap with a bit per line.
    """
    axons = np.flatnonzero(lines)
    if not axons.size:
        return []
    if 2 * axons.size < len(packed):
        return [
            Command(EVENTS, len(part), first | delay << 24, part.astype("<u2").tobytes())
            for part in _parts(axons, DATA // 2)
        ]
    return [
        Command(BITMAP, len(part), first + 8 * DATA * number | delay << 24, part.tobytes())
        for number, part in enumerate(_parts(packed, DATA))
    ]


def read_commands(memory: Memory, rows: int) -> list[Command]:
    """Commands that read the first ``rows`` rows of a memory."""
    blocks = _blocks(memory, np.zeros((rows, memory.chunks), np.uint32), RESULTS // 4)
    return [Command(READ, len(part), address) for address, part in blocks]


def counts(words: np.ndarray) -> list[int]:
    """64-bit counters from their 32-bit halves."""
    return words.astype("<u4").view("<u8").astype(np.int64).tolist()


def open_board(url: str, image: Image, *, record: Path | None = None) -> Board:
    """The image on the board at the port ``url``.

    record: file that takes down the session. InputError if the port or the board does not work.
    """
    return Board(Session(open_port(url), record=record, name=url), image)


def open_replay(path: str, image: Image) -> Board:
    """The image on the board of a record."""
    return Board(Replay(Path(path)), image)


def _blocks(memory: Memory, words: np.ndarray, most: int) -> list[tuple[int, np.ndarray]]:
    """Address and content of blocks of at most ``most`` neighbouring words.

    Blocks span rows unless there are holes between them.
    """
    if memory.chunks == 1 << memory.chunk_bits:
        runs: Sequence[tuple[int, np.ndarray]] = [(memory.base, words.ravel())]
    else:
        runs = [(memory.address(row), chunks) for row, chunks in enumerate(words)]
    return [
        (address + at, np.ascontiguousarray(chunks[at : at + most], "<u4"))
        for address, chunks in runs
        for at in range(0, len(chunks), most)
    ]


def _parts(values: np.ndarray, most: int) -> list[np.ndarray]:
    return [values[at : at + most] for at in range(0, len(values), most)]
