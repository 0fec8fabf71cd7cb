"""The chip's cocotb bench: clock and reset, load port, image, events, ticks, counters, membranes; and, for one import, the parts of
cosim/benches/streams.py. For your own bench: see docs/benches.md.
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
from spikeloop.pysim.common.bits import pack, unpack
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

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
        return (
            address
            | data << self.map.address_bits
            | int(write) << (self.map.address_bits + BUS_BITS)
        )

    async def write(self, address: int, *values: int) -> None:
        """Write 32-bit values to addresses from ``address`` on."""
        await self.requests.send(
            self.request(address + i, int(value), write=True) for i, value in enumerate(values)
        )

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
        words[:, : rows.shape[1]] = rows
        for row, chunks in enumerate(words.view("<u4").tolist()):
            await self.write(memory.address(row), *chunks)

    async def read_memory(self, name: str, rows: Iterable[int] | None = None) -> np.ndarray:
        """Rows of a memory (default: all): uint8 ``[rows, ceil(width / 8)]``."""
        memory = self.map.memories[name]
        rows = list(range(memory.rows) if rows is None else rows)
        values = await self.read_all(
            memory.address(row, chunk) for row in rows for chunk in range(memory.chunks)
        )
        data = np.array(values, "<u4").reshape(len(rows), memory.chunks).view(np.uint8)
        return data[:, : -(-memory.width // 8)]

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
        halves = await self.read_all(
            registers[name + half].address for name in COUNTERS for half in ("", "_high")
        )
        return {
            name: low | high << BUS_BITS
            for name, low, high in zip(COUNTERS, halves[::2], halves[1::2], strict=True)
        }

    # -- whole runs --------------------------------------------------------------------------------------

    async def membranes(self) -> np.ndarray:
        """All membranes: int64 ``[words * lanes]``."""
        planes = self._planes(self.map.memories["v"], await self.read_memory("v"))
        value = sum(plane.astype(np.int64) << b for b, plane in enumerate(planes))
        return (value - (planes[-1].astype(np.int64) << self.chip.membrane_bits)).reshape(-1)

    async def spikes(self, words: Iterable[int]) -> np.ndarray:
        """Spikes of the last step of these words, which must have had one since CLEAR: uint8 0/1 ``[all words * lanes]``, others 0."""
        words, spikes = (
            sorted(words),
            np.zeros((self.chip.derived.words, self.chip.lanes), np.uint8),
        )
        spikes[words] = self._planes(
            self.map.memories["spikes"], await self.read_memory("spikes", words)
        )[0]
        return spikes.reshape(-1)

    def _planes(self, memory: Memory, rows: np.ndarray) -> np.ndarray:
        """Memory rows to bit planes, uint8 0/1 ``[plane, row, lane]``."""
        bits = np.unpackbits(rows, axis=1, count=memory.width, bitorder="little")
        return bits.reshape(len(rows), memory.width // self.chip.lanes, self.chip.lanes).transpose(
            1, 0, 2
        )

    async def run(
        self,
        image: Image,
        stimulus: Stimulus,
        *,
        dense: bool = False,
        gaps: Iterator[int] | None = None,
    ) -> Trace:
        """Run every sample from CLEAR over the ports alone, as a board would; the trace has spikes, membranes and counters.

        gaps: idle cycles before each event sent. Events that leave are in ``outputs.received``.
        """
        place, bits = image.placement, self.chip.derived.axon_bits
        lines = {i.name: unpack(stimulus.spikes[i.name], i.size) for i in place.inputs}
        spikes = {
            p.name: np.zeros((stimulus.samples, image.steps, p.size), np.uint8)
            for p in place.populations
        }
        membranes = {
            p.name: np.zeros((stimulus.samples, image.steps, p.size), np.int32)
            for p in place.populations
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
                fired = await self.spikes(
                    {int(n) // self.chip.lanes for p in live for n in p.neurons}
                )
                before, v = after, await self.membranes()
                for p in live:
                    step = tick - p.start
                    spikes[p.name][sample, step], membranes[p.name][sample, step] = (
                        fired[p.neurons],
                        v[p.neurons],
                    )
        return Trace({name: pack(array) for name, array in spikes.items()}, membranes, counts)
