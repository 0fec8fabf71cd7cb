"""Faults on the wire between driver and host link.

Is a fault ever taken for truth? Is a command ever lost, or done twice?

    python -m tests.campaigns.hil_faults [FRAMES] [SEED]

runs until FRAMES frames (default 100,000) were faulted. Exit status 1: a promise breaks.

Every operation changes counters and memory of a chip (ticks run, axon events, words written), and
every value is known beforehand. Meanwhile the faults of FAULTS hit requests and replies, repeated
ones too. The driver is the real one and the chip is the Verilated RTL. Bytes go over streams; in
the last hundredth of the frames they go over the pins of the UART.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from spikeloop.cosim.board.link import BoardLink, counts
from spikeloop.cosim.board.session import ATTEMPTS, BoardSilent, Session, SessionLost
from spikeloop.cosim.board.virtual import BoardModel, Wire
from spikeloop.pysim.chip.frames import EVENTS, READ, RUN, WRITE, Command
from spikeloop.pysim.chip.memory_map import CONTROL_CLEAR, CONTROL_ZERO, COUNTERS, MemoryMap
from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.common.errors import InputError

__all__ = ["Campaign", "campaign"]

CHIP = preset("tiny")
SHARE = 0.35  # of the frames that are faulted, each way
PINS = 100  # one in so many faulted frames on the pins
DIVISOR = 6

Rng = np.random.Generator
Bytes = Callable[[Rng, bytes], bytes]


def _noise(rng: Rng, most: int) -> bytes:
    return rng.integers(0, 256, int(rng.integers(1, most + 1)), dtype=np.uint8).tobytes()


def _flip(rng: Rng, data: bytes) -> bytes:
    array = np.frombuffer(data, np.uint8).copy()
    for _ in range(int(rng.integers(1, 4))):
        array[rng.integers(len(array))] ^= 1 << int(rng.integers(8))
    return array.tobytes()


def _burst(rng: Rng, data: bytes) -> bytes:
    at, noise = int(rng.integers(len(data))), _noise(rng, 24)
    return data[:at] + noise + data[at + len(noise) :]


def _drop(rng: Rng, data: bytes) -> bytes:
    at = int(rng.integers(len(data)))
    return data[:at] + data[at + int(rng.integers(1, 9)) :]


def _insert(rng: Rng, data: bytes) -> bytes:
    at = int(rng.integers(len(data) + 1))
    return data[:at] + _noise(rng, 8) + data[at:]


def _double(rng: Rng, data: bytes) -> bytes:
    at, count = int(rng.integers(len(data))), int(rng.integers(1, 9))
    return data[: at + count] + data[at:]


def _zeros(rng: Rng, data: bytes) -> bytes:
    at = int(rng.integers(len(data) + 1))
    return data[:at] + bytes(int(rng.integers(1, 12))) + data[at:]


FAULTS: dict[str, Bytes] = {
    "bits flipped": _flip,
    "burst": _burst,
    "bytes dropped": _drop,
    "bytes inserted": _insert,
    "bytes doubled": _double,
    "frame doubled": lambda rng, data: data + data,
    "frame cut": lambda rng, data: data[: int(rng.integers(len(data)))],
    "break": _zeros,
    "wrong baud": lambda rng, data: _noise(rng, 2 * len(data)),
}
STALL, RESET, KILL = "stall", "reset in a frame", "host killed"
PIN_FAULTS = ("wrong baud", "break", "frame cut", "bits flipped")


class Killed(Exception):
    """The host is gone; its port stays."""


@dataclass
class Campaign:
    """What happened. retries: how many operations took so many."""

    faulted: Counter[str] = field(default_factory=Counter)
    retries: Counter[int] = field(default_factory=Counter)
    operations: int = 0
    typed: Counter[str] = field(default_factory=Counter)
    undetected: int = 0
    lost: int = 0
    doubled: int = 0
    longest: float = 0.0
    """seconds of an operation or a failure, at the longest"""

    @property
    def kept(self) -> bool:
        return (
            not (self.undetected or self.lost or self.doubled)
            and max(self.retries, default=0) < ATTEMPTS
            and self.longest < 5
        )


class FaultyWire(Wire):
    """A wire on which frames are hit.

    Writes are whole requests; a read gives the replies that have come.
    """

    def __init__(self, model: BoardModel, rng: Rng, log: Counter[str]) -> None:
        super().__init__(model)
        self.timeout, self.rng, self.log, self.share = 0, rng, log, SHARE
        self._late = b""  # of a stalled reply
        self.was_reset = False
        """since the host last knew its state: an acknowledged operation may be gone with it"""

    def _hit(self, data: bytes) -> tuple[bytes, bytes]:
        """What comes now, and what comes later."""
        name = str(self.rng.choice([*FAULTS, STALL]))
        self.log[name] += 1
        if name == STALL:
            at = int(self.rng.integers(len(data)))
            return data[:at], data[at:]
        return FAULTS[name](self.rng, data), b""

    def write(self, data: bytes) -> int:
        late = b""
        kind = self.rng.random()
        sent = data
        if kind < self.share:
            sent, late = self._hit(data)
        elif kind < self.share + 0.01:
            self.log[RESET] += 1
            self._in += data[: int(self.rng.integers(len(data)))]
            self._pass()
            self.model.reset()
            self.was_reset = True
            return len(data)
        elif kind < self.share + 0.02:
            self.log[KILL] += 1
            self._in += data[: int(self.rng.integers(len(data) + 1))]
            raise Killed
        self._in += sent
        if late:
            self._pass()
            self._in += late
        return len(data)

    def _pass(self) -> None:
        """Gives the board all bytes that wait; its replies come later, and none is lost."""
        while self._in:
            taken, out = self.model.run(self._in)
            self._in, self._late = self._in[taken:], self._late + out

    def read(self, size: int = 1) -> bytes:
        out = super().read(size)
        late, self._late = self._late, b""
        if out and self.rng.random() < self.share:
            out, self._late = self._hit(out)
        return late + out


class PinWire(FaultyWire):
    """The same on the pins: the host's clock is wrong for a request, or its line is held low."""

    def write(self, data: bytes) -> int:
        if self.rng.random() >= self.share:
            return Wire.write(self, data)
        name = str(self.rng.choice(PIN_FAULTS))
        self.log[name] += 1
        if name == "wrong baud":
            self.model.baud(DIVISOR * float(self.rng.choice([0.5, 0.8, 1.2, 1.9])))
            self._in += data
            self._pass()
            self.model.baud(DIVISOR)
        elif name == "break":
            self._in += data[: int(self.rng.integers(len(data)))]
            self._pass()
            self.model.hold(int(self.rng.integers(1, 40)) * DIVISOR)
        else:
            self._in += FAULTS[name](self.rng, data)
        return len(data)


class Host:
    """Operations on a chip of which all is known: ticks run, events scanned, words of a memory."""

    def __init__(self, wire: FaultyWire, rng: Rng, result: Campaign) -> None:
        self.wire, self.rng, self.result = wire, rng, result
        self.map = MemoryMap(CHIP)
        self.memory = self.map.memories["synapse"]
        self.words = np.zeros(64, np.uint32)
        self.ticks = self.events = 0
        self.link = BoardLink(self._calm(lambda: Session(wire)), CHIP)
        self.restart()

    def _calm(self, work: Callable[[], object]):
        """Without faults."""
        share, self.wire.share = self.wire.share, 0.0
        kill, self.wire.rng = self.wire.rng, _Calm()
        try:
            return work()
        finally:
            self.wire.share, self.wire.rng = share, kill

    def restart(self) -> None:
        """Known state, after what leaves it open."""

        def work() -> None:
            self.link.session.begin()
            control = self.map.registers["control"].address
            words = Command(WRITE, len(self.words), self.memory.base, self.words.tobytes())
            self.link.execute(
                [
                    Command(RUN, 0),
                    words,
                    *(
                        Command(WRITE, 1, control, bit.to_bytes(4, "little"))
                        for bit in (CONTROL_CLEAR, CONTROL_ZERO)
                    ),
                    Command(RUN, 0),
                ]
            )

        self._calm(work)
        self.ticks = self.events = 0
        self.wire.was_reset = False

    def operate(self) -> None:
        rng, before, result = self.rng, self.link.session.retries, self.result
        axons = np.unique(rng.integers(0, CHIP.axons, int(rng.integers(0, 6)))).astype("<u2")
        at, count = int(rng.integers(0, 56)), int(rng.integers(1, 9))
        fresh = rng.integers(0, 256, count, dtype=np.uint32)
        commands = [
            Command(EVENTS, len(axons), 1 << 24, axons.tobytes()),
            Command(WRITE, count, self.memory.base + at, fresh.tobytes()),
            Command(RUN, 1),
            Command(READ, 2 * len(COUNTERS), self.map.registers["cycles"].address),
            Command(READ, 8, self.memory.base + 8 * int(rng.integers(0, 8))),
        ]
        want = self.words.copy()
        want[at : at + count] = fresh
        start = time.monotonic()
        try:
            results = self.link.execute(commands)
        except (BoardSilent, SessionLost, Killed) as error:
            result.typed[type(error).__name__] += 1
            result.longest = max(result.longest, time.monotonic() - start)
            if isinstance(error, Killed):  # done or not, but not half and not twice
                self._calm(lambda: Session(self.wire))
                if not self.wire.was_reset:
                    self._judge_killed(want, len(axons))
            self.restart()
            return
        result.longest = max(result.longest, time.monotonic() - start)
        result.operations += 1
        result.retries[self.link.session.retries - before] += 1
        self.words, self.ticks, self.events = want, self.ticks + 1, self.events + len(axons)
        counters = dict(zip(COUNTERS, counts(results[3]), strict=True))
        row = commands[4].address - self.memory.base
        result.undetected += (
            not np.array_equal(results[4], want[row : row + 8]) or len(results[2]) != 1
        )
        result.lost += counters["ticks"] < self.ticks or counters["spikes_in"] < self.events
        result.doubled += counters["ticks"] > self.ticks or counters["spikes_in"] > self.events

    def _judge_killed(self, want: np.ndarray, events: int) -> None:
        self._calm(self.link.session.begin)
        counters, words = self._calm(
            lambda: (self.link.counters(), self.link.read_rows(self.memory, 64)[:, 0])
        )
        state = counters["ticks"], counters["spikes_in"], words.tobytes()
        untouched, done = (
            (self.ticks, self.events, self.words.tobytes()),
            (self.ticks + 1, self.events + events, want.tobytes()),
        )
        self.result.lost += state[0] < untouched[0]
        self.result.doubled += state[0] > done[0]
        self.result.undetected += self.ticks <= state[0] <= self.ticks + 1 and state not in (
            untouched,
            done,
        )


class _Calm:
    """A generator for which nothing ever happens."""

    def random(self) -> float:
        return 1.0


def campaign(frames: int, seed: int, tell: Callable[[str], None] = lambda _: None) -> Campaign:
    """Faults ``frames`` frames, or ends when a promise breaks.

    InputError never leaves: a board that cannot be greeted without faults is a failure of its own.
    """
    result, rng = Campaign(), np.random.default_rng(seed)
    for divisor, share, wire in (
        (None, frames - frames // PINS, FaultyWire),
        (DIVISOR, frames, PinWire),
    ):
        model = BoardModel(CHIP, divisor, optimise=frames > 10_000)
        host = Host(wire(model, rng, result.faulted), rng, result)
        told = 0
        while result.faulted.total() < share and result.kept:
            host.operate()
            if result.faulted.total() // 100_000 > told:
                total = result.faulted.total()
                told = total // 100_000
                tell(f"{total:,} frames faulted, {result.operations:,} operations done")
        model.close()
    return result


def main(arguments: list[str]) -> int:
    frames, seed = (
        int((arguments[0] if arguments else "100000").replace(",", "")),
        int(arguments[1]) if len(arguments) > 1 else 0,
    )
    start = time.monotonic()
    try:
        result = campaign(frames, seed, lambda text: print(text, file=sys.stderr))
    except InputError as error:
        print(error)
        return 1
    rows = {
        **result.faulted,
        "frames faulted": result.faulted.total(),
        "operations done": result.operations,
        **{f"  after {n} retries": count for n, count in sorted(result.retries.items())},
        **{f"typed failure {name}": count for name, count in sorted(result.typed.items())},
        "undetected": result.undetected,
        "lost": result.lost,
        "doubled": result.doubled,
    }
    for name, count in rows.items():
        print(f"{name:<32}{count:>12,}")
    print(
        f"longest operation or failure {result.longest:.2f} s; seed {seed}; "
        f"{time.monotonic() - start:.0f} s in all; "
        f"{'every promise kept' if result.kept else 'BROKEN'}"
    )
    return 0 if result.kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
