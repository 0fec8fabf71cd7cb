"""The chip's cocotb bench: clock and reset, load port, image, events, ticks, counters, membranes.

The parts of cosim/benches/streams.py are here too, so that a bench needs one import. For your own
bench see docs/benches.md.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from spikeloop.cosim.benches.streams import (
    PERIOD,
    Pattern,
    Scoreboard,
    StreamDriver,
    StreamMonitor,
    always,
    never,
    one_in,
    randomly,
    watchdog,
)
from spikeloop.pysim.chip.memory_map import (
    CONTROL_CLEAR,
    CONTROL_TICK,
    CONTROL_ZERO,
    COUNTERS,
    Memory,
    MemoryMap,
)
from spikeloop.pysim.chip.params import BUS_BITS, Chip
from spikeloop.pysim.common.bits import integers, pack, to_words, unpack
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import SIGNED, STATES, Trace, recorded_states

__all__ = [
    "ChipBench",
    "Pattern",
    "Scoreboard",
    "StreamDriver",
    "StreamMonitor",
    "always",
    "never",
    "one_in",
    "randomly",
    "watchdog",
]

TICK_LIMIT = 200_000  # cycles of one tick before the chip counts as hung


class ChipBench:
    """The chip at the end of its ports: what a host does, as coroutines.

    All begin and end at a falling edge of the clock::

        bench = await ChipBench.start(dut, chip)
        await bench.load(image)
        trace = await bench.run(image, stimulus)
    """

    def __init__(self, dut: Any, chip: Chip) -> None:
        self.dut, self.chip, self.map = dut, chip, MemoryMap(chip)
        for name in ("rst", "tick"):
            getattr(dut, name).value = 0
        self.requests, self.events = StreamDriver(dut, "request"), StreamDriver(dut, "i")
        self.outputs, self.responses = StreamMonitor(dut, "o"), StreamMonitor(dut, "response")

    @classmethod
    async def start(cls, dut: Any, chip: Chip, *, clock: bool = True) -> "ChipBench":
        """A bench whose chip is clocked and reset. Memories are undefined until loaded.

        clock: drive the clock; False if the design has its own.
        """
        bench = cls(dut, chip)
        if clock:
            Clock(dut.clk, PERIOD, "ns").start(start_high=False)
        await bench.reset()
        return bench

    async def reset(self, cycles: int = 4) -> None:
        """Set registers and counters to their reset values, at any time.

        Memories keep or lose their contents.
        """
        await FallingEdge(self.dut.clk)
        self.dut.rst.value = 1
        await self.wait(cycles)
        self.dut.rst.value = 0
        await self.wait(cycles)

    async def wait(self, cycles: int) -> None:
        for _ in range(cycles):
            await FallingEdge(self.dut.clk)

    # -- load port -----------------------------------------------------------------------------

    def request(self, address: int, data: int = 0, *, write: bool) -> int:
        """The word of a request."""
        bits = self.map.address_bits
        return address | data << bits | int(write) << (bits + BUS_BITS)

    async def write(self, address: int, *values: int) -> None:
        """Write 32-bit values to addresses from ``address`` on."""
        await self.requests.send(
            self.request(address + i, int(value), write=True) for i, value in enumerate(values)
        )

    async def read(self, address: int) -> int:
        return (await self.read_all([address]))[0]

    async def read_all(self, addresses: Iterable[int]) -> list[int]:
        """The 32-bit values at the addresses, read without a pause between requests."""
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
        """Fill a memory with uint8 ``[rows, ceil(width / 8)]``, little-endian within a row."""
        memory = self.map.memories[name]
        for row, chunks in enumerate(to_words(rows, memory.width).tolist()):
            await self.write(memory.address(row), *chunks)

    async def read_memory(self, name: str, rows: Iterable[int] | None = None) -> np.ndarray:
        """Rows of a memory (default: all), uint8 ``[rows, ceil(width / 8)]``."""
        memory = self.map.memories[name]
        rows = list(range(memory.rows) if rows is None else rows)
        values = await self.read_all(
            memory.address(row, chunk) for row in rows for chunk in range(memory.chunks)
        )
        data = np.array(values, "<u4").reshape(len(rows), memory.chunks).view(np.uint8)
        return data[:, : -(-memory.width // 8)]

    async def load(self, image: Image) -> None:
        """Load the whole image and its settings, then CLEAR.

        State gets zeros first. A simulator that knows "unknown" would carry it through logic that
        CLEAR does not reset.
        """
        for memory in self.map.memories.values():
            if memory.loaded:
                await self.write_memory(memory.name, image.rows(memory.name))
            elif memory.writable:
                await self.write_memory(memory.name, np.zeros((memory.rows, 1), np.uint8))
        for name, value in image.settings.items():
            await self.set(name, value)
        await self.clear()

    # -- commands ------------------------------------------------------------------------------

    async def clear(self) -> None:
        await self._command(CONTROL_CLEAR)

    async def zero(self) -> None:
        await self._command(CONTROL_ZERO)

    async def _command(self, bits: int) -> None:
        await self.set("control", bits)
        await self.wait(3)  # the request is on its way to the core
        await self.idle()

    async def tick(self, *, by_register: bool = False) -> None:
        """Run one tick to its end, asked for at the pin or at the control register."""
        if by_register:
            await self._command(CONTROL_TICK)
            return
        self.dut.tick.value = 1
        await FallingEdge(self.dut.clk)
        self.dut.tick.value = 0
        await self.idle()

    async def idle(self, limit: int = TICK_LIMIT) -> None:
        """Wait until ``busy`` is low."""
        with watchdog("busy", limit):
            while self.dut.busy.value:
                await FallingEdge(self.dut.busy)
                await FallingEdge(self.dut.clk)

    async def send(self, events: Iterable[tuple[int, int]]) -> None:
        """Send AER events (axon, delay). Delay 1 is the tick that runs next."""
        bits = self.chip.derived.axon_bits
        await self.events.send(axon | delay << bits for axon, delay in events)

    def received(self) -> list[tuple[int, int]]:
        """AER events (address, delay) that have left the chip since the last call."""
        words, self.outputs.received[:] = list(self.outputs.received), []
        return [(word & 0xFFFF, word >> 16) for word in words]

    async def counters(self) -> dict[str, int]:
        """The 64-bit counters."""
        registers = self.map.registers
        halves = await self.read_all(
            registers[name + half].address for name in COUNTERS for half in ("", "_high")
        )
        return {
            name: low | high << BUS_BITS
            for name, low, high in zip(COUNTERS, halves[::2], halves[1::2], strict=True)
        }

    # -- whole runs ----------------------------------------------------------------------------

    async def membranes(self) -> np.ndarray:
        """All membranes, int64 ``[words * lanes]``."""
        return await self.states("membranes")

    async def states(self, part: str) -> np.ndarray:
        """A state of all neurons, int64 ``[words * lanes]``; ``part`` of a trace names it."""
        memory = STATES[part][0]
        planes = self._planes(self.map.memories[memory], await self.read_memory(memory))
        return integers(np.moveaxis(planes, 0, -1), signed=part in SIGNED).reshape(-1)

    async def spikes(self, words: Iterable[int]) -> np.ndarray:
        """Spikes of the last step of these words, uint8 0/1 ``[all words * lanes]``.

        Each of the words must have had a step since CLEAR. Other words are 0.
        """
        words = sorted(words)
        rows = await self.read_memory("spikes", words)
        spikes = np.zeros((self.chip.derived.words, self.chip.lanes), np.uint8)
        spikes[words] = self._planes(self.map.memories["spikes"], rows)[0]
        return spikes.reshape(-1)

    def _planes(self, memory: Memory, rows: np.ndarray) -> np.ndarray:
        """The bit planes of memory rows, uint8 0/1 ``[plane, row, lane]``."""
        bits = unpack(rows, memory.width)
        lanes = self.chip.lanes
        return np.moveaxis(bits.reshape(len(rows), memory.width // lanes, lanes), 1, 0)

    async def run(
        self,
        image: Image,
        stimulus: Stimulus,
        *,
        dense: bool = False,
        gaps: Iterator[int] | None = None,
    ) -> Trace:
        """Run every sample from CLEAR over the ports alone, as a board would.

        dense: visit every axon, not only those with events.
        gaps: idle cycles before each event sent.
        The trace has spikes, states and counters. Events that leave are in ``outputs.received``.
        """
        place, bits = image.placement, self.chip.derived.axon_bits
        lines = {i.name: unpack(stimulus.spikes[i.name], i.size) for i in place.inputs}
        shapes = {p.name: (stimulus.samples, image.steps, p.size) for p in place.populations}
        spikes = {name: np.zeros(shape, np.uint8) for name, shape in shapes.items()}
        states = {
            part: {name: np.zeros(shape, np.int32) for name, shape in shapes.items()}
            for part in recorded_states(image.network, True)
        }
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
                words = {int(n) // self.chip.lanes for p in live for n in p.neurons}
                fired = await self.spikes(words)
                values = {part: await self.states(part) for part in states}
                before = after
                for p in live:
                    step = tick - p.start
                    spikes[p.name][sample, step] = fired[p.neurons]
                    for part, value in values.items():
                        states[part][p.name][sample, step] = value[p.neurons]
        packed = {name: pack(array) for name, array in spikes.items()}
        return Trace(packed, counters=counts, **states)
