"""Parts for cocotb benches of the chip: clock and reset, stream driver and monitor, scoreboard, watchdog, and the chip's bench.

For your own bench: see docs/benches.md. Everything here samples and drives at the *falling* edge of the clock. All outputs of the chip are
registers, so what is seen there holds until the rising edge and tells whether a transfer happens at it: on any simulator, with
a clock from Python or from HDL, without a race.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge, Timer

from pysim.image import Image
from pysim.memory_map import CONTROL_CLEAR, CONTROL_TICK, CONTROL_ZERO, COUNTERS, Memory, MemoryMap
from pysim.params import BUS_BITS, Chip
from pysim.trace import Stimulus, Trace, pack, unpack

__all__ = ["ChipBench", "Pattern", "Scoreboard", "StreamDriver", "StreamMonitor", "always", "never", "one_in", "randomly", "watchdog"]

PERIOD = 10  # ns
TICK_LIMIT = 200_000  # cycles of one tick before the chip counts as hung

Pattern = Callable[[], Iterator[int]]


def always() -> Iterator[int]:
    """Ready in every cycle."""
    return itertools.repeat(1)


def never() -> Iterator[int]:
    """Ready in no cycle."""
    return itertools.repeat(0)


def one_in(n: int, first: int = 0) -> Pattern:
    """Blocked for ``first`` cycles, then ready in one cycle of n."""
    return lambda: itertools.chain(itertools.repeat(0, first), itertools.cycle([0] * (n - 1) + [1]))


def randomly(rng: np.random.Generator, share: float) -> Pattern:
    """Ready in a random ``share`` of the cycles."""
    return lambda: (int(rng.random() < share) for _ in itertools.count())


@contextmanager
def watchdog(name: str, cycles: int) -> Iterator[None]:
    """Fail the running test, by ``name``, unless the block ends within ``cycles`` clock cycles.

    with watchdog("tick 3", 10_000):
        await bench.tick()
    """
    async def bite() -> None:
        await Timer(cycles * PERIOD, "ns")
        raise TimeoutError(f"{name}: not done after {cycles} cycles")

    task = cocotb.start_soon(bite())
    try:
        yield
    finally:
        task.cancel()


class StreamDriver:
    """Sends words over the stream ``prefix`` (ports prefix__valid, prefix__ready, prefix__payload) of ``dut``."""

    def __init__(self, dut: Any, prefix: str) -> None:
        self.clk = dut.clk
        self.valid, self.ready, self.payload = (getattr(dut, f"{prefix}__{part}") for part in ("valid", "ready", "payload"))
        self.valid.value = 0
        self.payload.value = 0

    async def send(self, words: Iterable[int], gaps: Iterator[int] | None = None) -> None:
        """One word per cycle, as fast as the receiver takes them; call and return at a falling edge.

        gaps: idle cycles before each word.
        """
        for word in words:
            for _ in range(next(gaps) if gaps else 0):
                await FallingEdge(self.clk)
            self.payload.value = word
            self.valid.value = 1
            taken = False
            while not taken:
                taken = bool(self.ready.value)
                await FallingEdge(self.clk)
            self.valid.value = 0


class StreamMonitor:
    """Receives words from the stream ``prefix`` of ``dut`` into ``received``, and hands each to ``check`` (a scoreboard's, for one).

    pattern: when to be ready; one item is drawn per cycle in which a word is offered. A payload that changes while it waits is a
    failure.
    """

    def __init__(self, dut: Any, prefix: str, *, pattern: Pattern = always, check: Callable[[int], None] | None = None) -> None:
        self.name, self.clk, self.check = prefix, dut.clk, check
        self.valid, self.ready, self.payload = (getattr(dut, f"{prefix}__{part}") for part in ("valid", "ready", "payload"))
        self.received: list[int] = []
        self.pattern = pattern
        self.ready.value = 0
        self._task = cocotb.start_soon(self._run())

    @property
    def pattern(self) -> Pattern:
        return self._pattern

    @pattern.setter
    def pattern(self, pattern: Pattern) -> None:
        self._pattern, self._draws = pattern, pattern()

    async def _run(self) -> None:
        waiting = None
        while True:
            if str(self.valid.value) != "1":
                if waiting is not None:
                    raise AssertionError(f"stream {self.name}: word {waiting:#x} was withdrawn before it was taken")
                await RisingEdge(self.valid)
                await FallingEdge(self.clk)
                continue
            offered, ready = self.payload.value, next(self._draws)
            if not offered.is_resolvable:
                raise AssertionError(f"stream {self.name}: word {len(self.received)} has undefined bits: {offered}")
            word = int(offered)
            if waiting not in (None, word):
                raise AssertionError(f"stream {self.name}: word {waiting:#x} became {word:#x} before it was taken")
            self.ready.value = ready
            waiting = None if ready else word
            if ready:
                self.received.append(word)
                if self.check is not None:
                    self.check(word)
            await FallingEdge(self.clk)

    def stop(self) -> None:
        self._task.cancel()


class Scoreboard:
    """Compares what comes with what was announced, in order: nothing lost, doubled or out of place."""

    def __init__(self, name: str) -> None:
        self.name, self.matched = name, 0
        self.expected: list[Any] = []

    def expect(self, items: Iterable[Any]) -> None:
        self.expected += items

    def check(self, item: Any) -> None:
        if self.matched >= len(self.expected):
            raise AssertionError(f"{self.name}: item {self.matched} is {item}, and only {len(self.expected)} were expected")
        if item != self.expected[self.matched]:
            raise AssertionError(f"{self.name}: item {self.matched} is {item}, not {self.expected[self.matched]}")
        self.matched += 1

    def finish(self) -> None:
        """Everything expected has come."""
        if self.matched != len(self.expected):
            raise AssertionError(f"{self.name}: {self.matched} items came, not {len(self.expected)}; "
                                 f"the next would be {self.expected[self.matched]}")


class ChipBench:
    """The chip at the end of its ports: what a host does, as coroutines. All begin and end at a falling edge of the clock.

    bench = await ChipBench.start(dut, chip); await bench.load(image); trace = await bench.run(image, stimulus)
    """

    def __init__(self, dut: Any, chip: Chip) -> None:
        self.dut, self.chip, self.map = dut, chip, MemoryMap(chip)
        for name in ("rst", "tick"):
            getattr(dut, name).value = 0
        self.requests, self.events = StreamDriver(dut, "request"), StreamDriver(dut, "i")
        self.outputs, self.responses = StreamMonitor(dut, "o"), StreamMonitor(dut, "response")

    @classmethod
    async def start(cls, dut: Any, chip: Chip, *, clock: bool = True) -> "ChipBench":
        """Clock (unless the design has one) and reset. Memories are undefined until loaded."""
        bench = cls(dut, chip)
        if clock:
            Clock(dut.clk, PERIOD, "ns").start(start_high=False)
        await bench.reset()
        return bench

    async def reset(self, cycles: int = 4) -> None:
        """Registers and counters to their reset values, whatever runs; memories keep or lose what they hold."""
        await FallingEdge(self.dut.clk)
        self.dut.rst.value = 1
        await self.wait(cycles)
        self.dut.rst.value = 0
        await self.wait(cycles)

    async def wait(self, cycles: int) -> None:
        for _ in range(cycles):
            await FallingEdge(self.dut.clk)

    # -- load port ---------------------------------------------------------------------------------------

    def request(self, address: int, data: int = 0, *, write: bool) -> int:
        """The word of a request."""
        return address | data << self.map.address_bits | int(write) << (self.map.address_bits + BUS_BITS)

    async def write(self, address: int, *values: int) -> None:
        """Write 32-bit values to addresses from ``address`` on."""
        await self.requests.send(self.request(address + i, int(value), write=True) for i, value in enumerate(values))

    async def read(self, address: int) -> int:
        return (await self.read_all([address]))[0]

    async def read_all(self, addresses: Iterable[int]) -> list[int]:
        """The 32-bit values at the addresses, one request after the other without a pause."""
        first = len(self.responses.received)
        wanted = [self.request(address, write=False) for address in addresses]
        with watchdog(f"{len(wanted)} reads", TICK_LIMIT + 20 * len(wanted)):
            await self.requests.send(wanted)
            while len(self.responses.received) < first + len(wanted):
                await FallingEdge(self.dut.clk)
        return self.responses.received[first:]

    async def set(self, register: str, value: int) -> None:
        await self.write(self.map.registers[register].address, value)

    async def get(self, register: str) -> int:
        return await self.read(self.map.registers[register].address)

    async def write_memory(self, name: str, rows: np.ndarray) -> None:
        """Fill a memory: uint8 ``[rows, ceil(width / 8)]``, little-endian within a row."""
        memory = self.map.memories[name]
        words = np.zeros((len(rows), memory.chunks * 4), np.uint8)
        words[:, :rows.shape[1]] = rows
        for row, chunks in enumerate(words.view("<u4").tolist()):
            await self.write(memory.address(row), *chunks)

    async def read_memory(self, name: str, rows: Iterable[int] | None = None) -> np.ndarray:
        """Rows of a memory (default: all): uint8 ``[rows, ceil(width / 8)]``."""
        memory = self.map.memories[name]
        rows = list(range(memory.rows) if rows is None else rows)
        values = await self.read_all(memory.address(row, chunk) for row in rows for chunk in range(memory.chunks))
        data = np.array(values, "<u4").reshape(len(rows), memory.chunks).view(np.uint8)
        return data[:, :-(-memory.width // 8)]

    async def load(self, image: Image) -> None:
        """The whole image, its settings, and CLEAR.

        State gets zeros first: a simulator that knows "unknown" would carry it through the logic that CLEAR passes by.
        """
        for memory in self.map.memories.values():
            if memory.loaded:
                await self.write_memory(memory.name, image.rows(memory.name))
            elif memory.writable:
                await self.write_memory(memory.name, np.zeros((memory.rows, 1), np.uint8))
        for name, value in image.settings.items():
            await self.set(name, value)
        await self.clear()

    # -- commands ----------------------------------------------------------------------------------------

    async def clear(self) -> None:
        await self._command(CONTROL_CLEAR)

    async def zero(self) -> None:
        await self._command(CONTROL_ZERO)

    async def _command(self, bits: int) -> None:
        await self.set("control", bits)
        await self.wait(3)  # the request is on its way to the core
        await self.idle()

    async def tick(self, *, by_register: bool = False) -> None:
        """Run one tick, asked for at the pin (or at the control register), to its end."""
        if by_register:
            await self._command(CONTROL_TICK)
            return
        self.dut.tick.value = 1
        await FallingEdge(self.dut.clk)
        self.dut.tick.value = 0
        await self.idle()

    async def idle(self, limit: int = TICK_LIMIT) -> None:
        """Until busy is low."""
        with watchdog("busy", limit):
            while self.dut.busy.value:
                await FallingEdge(self.dut.busy)
                await FallingEdge(self.dut.clk)

    async def send(self, events: Iterable[tuple[int, int]]) -> None:
        """AER events (axon, delay); delay 1 is the tick that runs next."""
        bits = self.chip.derived.axon_bits
        await self.events.send(axon | delay << bits for axon, delay in events)

    def received(self) -> list[tuple[int, int]]:
        """AER events (address, delay) that have left the chip since the last call."""
        words, self.outputs.received[:] = list(self.outputs.received), []
        return [(word & 0xFFFF, word >> 16) for word in words]

    async def counters(self) -> dict[str, int]:
        """The 64-bit counters."""
        registers = self.map.registers
        halves = await self.read_all(registers[name + half].address for name in COUNTERS for half in ("", "_high"))
        return {name: low | high << BUS_BITS for name, low, high in zip(COUNTERS, halves[::2], halves[1::2], strict=True)}

    # -- whole runs --------------------------------------------------------------------------------------

    async def membranes(self) -> np.ndarray:
        """All membranes: int64 ``[words * lanes]``."""
        planes = self._planes(self.map.memories["v"], await self.read_memory("v"))
        value = sum(plane.astype(np.int64) << b for b, plane in enumerate(planes))
        return (value - (planes[-1].astype(np.int64) << self.chip.membrane_bits)).reshape(-1)

    async def spikes(self, words: Iterable[int]) -> np.ndarray:
        """Spikes of the last step of these words, which must have had one since CLEAR: uint8 0/1 ``[all words * lanes]``, others 0."""
        words, spikes = sorted(words), np.zeros((self.chip.derived.words, self.chip.lanes), np.uint8)
        spikes[words] = self._planes(self.map.memories["spikes"], await self.read_memory("spikes", words))[0]
        return spikes.reshape(-1)

    def _planes(self, memory: Memory, rows: np.ndarray) -> np.ndarray:
        """Memory rows to bit planes, uint8 0/1 ``[plane, row, lane]``."""
        bits = np.unpackbits(rows, axis=1, count=memory.width, bitorder="little")
        return bits.reshape(len(rows), memory.width // self.chip.lanes, self.chip.lanes).transpose(1, 0, 2)

    async def run(self, image: Image, stimulus: Stimulus, *, dense: bool = False, gaps: Iterator[int] | None = None) -> Trace:
        """Run every sample from CLEAR over the ports alone, as a board would; the trace has spikes, membranes and counters.

        gaps: idle cycles before each event sent. Events that leave are in ``outputs.received``.
        """
        place, bits = image.placement, self.chip.derived.axon_bits
        lines = {i.name: unpack(stimulus.spikes[i.name], i.size) for i in place.inputs}
        spikes = {p.name: np.zeros((stimulus.samples, image.steps, p.size), np.uint8) for p in place.populations}
        membranes = {p.name: np.zeros((stimulus.samples, image.steps, p.size), np.int32) for p in place.populations}
        counts = {name: np.zeros((stimulus.samples, image.ticks), np.int64) for name in COUNTERS}
        await self.set("dense", int(dense))
        for sample in range(stimulus.samples):
            await self.clear()
            before = await self.counters()
            for tick in range(image.ticks):
                for group in place.inputs:
                    step = tick - group.delay
                    if 0 <= step < image.steps:
                        active = np.flatnonzero(lines[group.name][sample, step]) + group.first_axon
                        await self.events.send((int(axon) | 1 << bits for axon in active), gaps)
                await self.tick()
                after = await self.counters()
                for name in COUNTERS:
                    counts[name][sample, tick] = after[name] - before[name]
                live = [p for p in place.populations if 0 <= tick - p.start < image.steps]
                fired = await self.spikes({int(n) // self.chip.lanes for p in live for n in p.neurons})
                before, v = after, await self.membranes()
                for p in live:
                    step = tick - p.start
                    spikes[p.name][sample, step], membranes[p.name][sample, step] = fired[p.neurons], v[p.neurons]
        return Trace({name: pack(array) for name, array in spikes.items()}, membranes, counts)
