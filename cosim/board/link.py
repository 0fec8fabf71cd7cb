"""Backends "board" and "replay": a chip behind the host link, be it an FPGA, the virtual board of cosim/board/virtual.py or a record.

Commands of many ticks go into one frame, as far as it and its reply hold; nothing waits for a single word. docs/board.md.
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

__all__ = ["Board", "BoardLink", "input_commands", "open_board", "open_replay"]

RESULTS = PAYLOAD_BYTES - TAIL_BYTES
DATA = PAYLOAD_BYTES - HEADER_BYTES  # of one command that has a frame of its own
PAUSES = 10_000  # of one run: after them the core counts as hung


class BoardLink(Link):
    """The chip behind a session."""

    def __init__(self, session: Session | Replay, chip: Chip) -> None:
        self.session, self.chip = session, chip
        self.pending: list[tuple[int, ...]] = []
        """events that left the chip and were not received yet: (output line, delay)"""

    def execute(self, commands: Iterable[Command]) -> list[np.ndarray]:
        """Have commands done in order; the words of each READ, uint32, and the items of each RUN; nothing (an empty array) of others."""
        waiting, results = list(commands), []
        waiting.reverse()
        part: list[np.ndarray] = []  # items of a run that pauses
        pauses = 0
        while waiting:
            batch: list[Command] = []
            size = reply = 0
            while (
                waiting
                and size + waiting[-1].size <= PAYLOAD_BYTES
                and reply + waiting[-1].reply <= RESULTS
                and len(batch) < 255
            ):
                batch.append(waiting.pop())
                size, reply = size + batch[-1].size, reply + batch[-1].reply
            answer = self.session.batch(
                b"".join(command.to_bytes() for command in batch), sealed_size(reply + TAIL_BYTES)
            )
            words, done, status = answer[:-TAIL_BYTES], answer[-2], answer[-1]
            at = 0
            for number, command in enumerate(batch[: done + (status == PAUSED)]):
                if command.op == RUN:
                    items = np.frombuffer(words, "<u4", offset=at)
                    ends = items >> 24 != ITEM_EVENT
                    last = (
                        int(
                            np.flatnonzero(ends)[max(1, command.count) - 1 if number < done else -1]
                        )
                        + 1
                    )
                    at += 4 * last
                    part.append(items[:last])
                    if number < done:
                        results.append(np.concatenate(part))
                        part, pauses = [], 0
                    else:
                        begun = int((items[:last] >> 24 == ITEM_DONE).sum())
                        batch[number] = Command(RUN, command.count - begun)
                        pauses += 1
                else:
                    results.append(np.frombuffer(words, "<u4", count=command.reply // 4, offset=at))
                    at += command.reply
            if (
                status not in (OK, PAUSED, ROOM)
                or pauses > PAUSES
                or (status == ROOM and not done and len(batch) == 1)
            ):
                raise TimeoutError(
                    f"the board stopped at command {done}: {STATUS.get(status, status)}"
                )
            waiting += reversed(batch[done:])
        return results

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
        return np.concatenate(self.execute(read_commands(memory, rows))).reshape(
            rows, memory.chunks
        )

    def send(self, events: Iterable[tuple[int, ...]]) -> None:
        self.execute(
            Command(EVENTS, 1, axon & 0xFF0000 | delay << 24, (axon & 0xFFFF).to_bytes(2, "little"))
            for axon, delay in events
        )

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
        return dict(
            zip(self.map.counters, counts(self.execute([self.counter_command()])[0]), strict=True)
        )

    def close(self) -> None:
        self.session.close()

    def control(self, bits: int) -> Command:
        """Write the control register. What comes behind it waits until it is done."""
        return Command(WRITE, 1, self.map.registers["control"].address, bits.to_bytes(4, "little"))

    def counter_command(self) -> Command:
        """Read all counters: they are neighbours."""
        return Command(
            READ,
            2 * len(self.map.counters),
            self.map.registers[next(iter(self.map.counters))].address,
        )

    def _keep(self, items: np.ndarray) -> None:
        self.pending += [
            (int(item) & 0xFFFF, int(item) >> 16 & 0xFF)
            for item in items
            if item >> 24 == ITEM_EVENT
        ]


class Board(LinkBackend):
    """An image on the chip behind a session, a frame or a few per sample. A session that is lost is begun again, once per sample."""

    def __init__(self, session: Session | Replay, image: Image) -> None:
        self.name, self.nature, self.session = (
            "replay" if isinstance(session, Replay) else "board",
            session.nature,
            session,
        )
        self.link: BoardLink = BoardLink(session, image.chip)
        super().__init__(self.link, image)

    def _sample(
        self, stimulus: Stimulus, sample: int, membranes: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        try:
            return self._frames(stimulus, sample, membranes)
        except SessionLost:  # a sample begins with CLEAR: what was done of it does not count
            self.session.begin()
            self.load()
            return self._frames(stimulus, sample, membranes)

    def _frames(
        self, stimulus: Stimulus, sample: int, membranes: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        image, link, memories = self.image, self.link, self.map.memories
        spikes, planes = (read_commands(memories[name], self.words) for name in ("spikes", "v"))
        after = [link.counter_command(), *spikes, *(planes if membranes else [])]
        commands = [link.control(CONTROL_CLEAR), link.control(CONTROL_ZERO)]
        for tick in range(image.ticks):
            for packed, lines, first in self._arriving(stimulus, sample, tick):
                commands += input_commands(packed, lines, first)
            commands += [Command(RUN, 1), *after]
        results = [
            words
            for command, words in zip(commands, link.execute(commands), strict=True)
            if command.op == READ
        ]
        per_tick = len(after)
        counted = np.array([counts(words) for words in results[::per_tick]], np.int64)
        rows = [
            np.concatenate(results[at : at + per_tick]) for at in range(0, len(results), per_tick)
        ]
        table = np.array(rows)[:, 2 * len(self.map.counters) :]
        edge = self.words * memories["spikes"].chunks
        shape = image.ticks, self.words, -1
        return (
            counted,
            table[:, :edge].reshape(shape),
            table[:, edge:].reshape(shape) if membranes else None,
        )


def input_commands(
    packed: np.ndarray, lines: np.ndarray, first: int, delay: int = 1
) -> list[Command]:
    """Input spikes of one tick: as events of two bytes each, or as a bit per line where that is shorter."""
    axons = np.flatnonzero(lines)
    if not axons.size:
        return []
    if 2 * axons.size < len(packed):
        return [
            Command(EVENTS, len(part), first | delay << 24, part.astype("<u2").tobytes())
            for part in _parts(axons, DATA // 2)
        ]
    step = DATA
    return [
        Command(BITMAP, len(part), first + 8 * at | delay << 24, part.tobytes())
        for at, part in ((at, packed[at : at + step]) for at in range(0, len(packed), step))
    ]


def read_commands(memory: Memory, rows: int) -> list[Command]:
    """Read the first rows of a memory."""
    return [
        Command(READ, len(part), address)
        for address, part in _blocks(
            memory, np.zeros((rows, memory.chunks), np.uint32), RESULTS // 4
        )
    ]


def counts(words: np.ndarray) -> list[int]:
    """64-bit counters of their halves."""
    return words.astype("<u4").view("<u8").astype(np.int64).tolist()


def open_board(url: str, image: Image, *, record: Path | None = None) -> Board:
    """The image on the board at a port; InputError if it cannot be."""
    return Board(Session(open_port(url), record=record, name=url), image)


def open_replay(path: str, image: Image) -> Board:
    """The image on the board of a record."""
    return Board(Replay(Path(path)), image)


def _blocks(memory: Memory, words: np.ndarray, most: int) -> list[tuple[int, np.ndarray]]:
    """Address and words of neighbouring words, ``most`` of them at a time: all rows, or row by row where there are holes between them."""
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
