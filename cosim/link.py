"""The abstract chip link (few verbs), and a backend that needs nothing of a chip but its link.

A backend that is a chip, be it a Verilated model, Icarus or a board at the end of a wire, speaks
:class:`Link`: the load port and the two event streams.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import cached_property

import numpy as np

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.front import Traffic
from spikeloop.pysim.chip.memory_map import (
    CHIP_ID,
    CHIP_VERSION,
    CONTROL_CLEAR,
    CONTROL_PIM,
    CONTROL_RUN,
    CONTROL_SEND,
    CONTROL_TICK,
    CONTROL_ZERO,
    PIM,
    Memory,
    MemoryMap,
)
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.bits import integers, pack, unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.pim.front import padded_rows
from spikeloop.pysim.pim.memories import stream_word
from spikeloop.pysim.sources.kinds import source_of
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import SIGNED, STATES, Trace, recorded_states

__all__ = ["Link", "LinkBackend"]

PATIENCE = 10.0
"""Seconds that a chip may stay busy with one command."""


class Link(ABC):
    """A chip at the end of a wire: its load port and its two event streams.

    A new link (a serial board) defines ``write``, ``read``, ``send`` and ``receive``. The other
    verbs follow from these and may be overridden by something faster.
    """

    chip: Chip

    @cached_property
    def map(self) -> MemoryMap:
        """The chip's memory map."""
        return MemoryMap(self.chip)

    @abstractmethod
    def write(self, address: int, value: int) -> None:
        """Write 32 bits to the load port (docs/memory_map.md); memories only while it is idle."""

    @abstractmethod
    def read(self, address: int) -> int:
        """Read 32 bits from the load port."""

    @abstractmethod
    def send(self, events: Iterable[tuple[int, ...]]) -> None:
        """Put AER events (axon, delay) into the ring; delay 1 is the tick that runs next."""

    @abstractmethod
    def receive(self) -> list[tuple[int, ...]]:
        """AER events (output line, delay) that left the core since the last call, in order."""

    def write_rows(self, memory: Memory, words: np.ndarray) -> None:
        """Write uint32 ``[rows, chunks]`` into the first rows of a memory."""
        for row, chunks in enumerate(words):
            for chunk, value in enumerate(chunks):
                self.write(memory.address(row, chunk), int(value))

    def read_rows(self, memory: Memory, rows: int) -> np.ndarray:
        """The first rows of a memory, uint32 ``[rows, chunks]``."""
        words = [
            self.read(memory.address(row, chunk))
            for row in range(rows)
            for chunk in range(memory.chunks)
        ]
        return np.array(words, np.uint32).reshape(rows, memory.chunks)

    def tick(self) -> None:
        """Run one tick and wait until the core is idle; TimeoutError if it stays busy."""
        self._command(CONTROL_TICK)

    def clear(self) -> None:
        """Membranes to v_init, refractory to 0, ring empty, tick 0; counters stay.

        Waits until the core is idle.
        """
        self._command(CONTROL_CLEAR)

    def zero(self) -> None:
        """Set all counters to 0. Waits until they are."""
        self._command(CONTROL_ZERO)

    def drive(self, stream: int) -> None:
        """Compute the currents of the pixels in the chip's memory, with noise of ``stream``.

        Waits until they are in the memory of currents.
        """
        self.write(self.map.registers[f"{PIM}stream"].address, stream_word(stream))
        self._command(CONTROL_PIM)

    def run_front(self) -> None:
        """Run the macro in front of the core from the state in its memories until it ends."""
        self._command(CONTROL_RUN)

    def send_lines(self, axon: int, delay: int = 1) -> None:
        """Put an event with ``delay`` on axon ``axon`` + i for each set line i of the macro.

        The events of oscillators always have delay 1.
        """
        assert self.chip.front
        values = {"axon": axon, "delay": delay}
        for name in self.chip.front.settings:
            address = self.map.registers[f"{self.chip.front.prefix}{name}"].address
            self.write(address, values[name])
        self._command(CONTROL_SEND)

    def _command(self, bits: int) -> None:
        registers = self.map.registers
        self.write(registers["control"].address, bits)
        end = time.monotonic() + PATIENCE
        while self.read(registers["status"].address) & 1:
            if time.monotonic() > end:
                raise TimeoutError(f"the chip stayed busy for {PATIENCE:g} s")

    def counters(self) -> dict[str, int]:
        """The 64-bit counters, by name."""
        registers = self.map.registers
        values = {}
        for name in self.map.counters:
            low, high = registers[name], registers[f"{name}_high"]
            values[name] = self.read(low.address) | self.read(high.address) << 32
        return values

    def close(self) -> None:
        """Let go of the chip. Closing twice is harmless."""


class LinkBackend(Backend):
    """A chip run over the verbs of its link alone.

    The image goes in through the load port, and every membrane comes out of it. This is slow: a
    membrane memory is read after every tick. InputError if the chip that answers is not the one
    that the image was packed for, or if a memory does not read back as it was written.
    """

    name = "link"

    def __init__(self, link: Link, image: Image) -> None:
        self.link, self.image, self.map = link, image, image.map
        self.source = source_of(image)
        expected = {"id": CHIP_ID, "version": CHIP_VERSION, "fingerprint": image.chip.fingerprint()}
        for name, value in expected.items():
            if (got := link.read(self.map.registers[name].address)) != value:
                raise InputError(
                    f"register {name} of the chip must be {value:#x} for image {image.name!r}, "
                    f"not {got:#x}: connect the chip that the image was mapped for, or map the "
                    "network again"
                )
        self.load()

    def load(self) -> None:
        """Write the image into the chip and read it back."""
        for memory in self.map.loaded:
            rows = self.image.rows(memory.name)
            self.link.write_rows(memory, self.image.words(memory.name))
            if not memory.readable:
                continue
            read = self._bytes(memory, self.link.read_rows(memory, len(rows)))
            wrong = np.flatnonzero((read != rows).any(axis=1))
            if wrong.size:
                raise InputError(
                    f"row {wrong[0]} of memory {memory.name} must read back as it was written, "
                    "not otherwise"
                )
        for name, value in self.image.settings.items():
            self.link.write(self.map.registers[name].address, value)

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        stimulus.check(self.image)
        image, lanes = self.image, self.image.chip.lanes
        places, shape = image.placement.populations, (stimulus.samples, image.steps)
        spikes = {p.name: np.zeros((*shape, p.size), np.uint8) for p in places}
        states: dict[str, dict[str, np.ndarray]] = {
            part: {p.name: np.zeros((*shape, p.size), np.int32) for p in places}
            for part in recorded_states(image.network, membranes)
        }
        each_tick = (stimulus.samples, image.ticks)
        counters = {name: np.zeros(each_tick, np.int64) for name in self.map.counters}
        currents: dict[str, np.ndarray] = {}
        self._currents = currents
        self._ends: dict[str, list[np.ndarray]] = {}
        if head := image.pim_head:
            size = image.placement.population(head.target).size
            frames = (stimulus.samples, head.frames(image.steps), size)
            currents[head.target] = np.zeros(frames, np.int32)
        for sample in range(stimulus.samples):
            counts, fired, planes = self._sample(stimulus, sample, list(states))
            for name, added in zip(counters, np.diff(counts, axis=0, prepend=0).T, strict=True):
                counters[name][sample] = added
            lines = unpack(self._bytes(self.map.memories["spikes"], fired), lanes)
            lines = lines.reshape(image.ticks, -1)
            values = {part: self._values(part, words) for part, words in planes.items()}
            for p in places:
                ticks = slice(p.start, p.start + image.steps)
                spikes[p.name][sample] = lines[ticks, p.neurons]
                for part, value in values.items():
                    states[part][p.name][sample] = value[ticks, p.neurons]
        packed = {name: pack(array) for name, array in spikes.items()}
        ends = {name: np.array(rows, np.int32) for name, rows in self._ends.items()}
        return Trace(packed, counters=counters, currents=currents, ends=ends, **states)

    @property
    def words(self) -> int:
        """Words that hold neurons, the first ones of the core."""
        return len(self.image.placement.words)

    def _sample(
        self, stimulus: Stimulus, sample: int, states: list[str]
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Run a sample and read the chip after each tick; ``states`` are parts of a trace.

        Returns the counters, int64 ``[tick, counter]``, and the spikes and states of the words in
        use as they lie in their memories, uint32 ``[tick, word, chunk]``.
        """
        link, memories = self.link, self.map.memories
        counts, fired = [], []
        planes: dict[str, list[np.ndarray]] = {part: [] for part in states}
        link.clear()
        link.zero()
        traffic = self._begin(stimulus, sample)
        for tick in range(self.image.ticks):
            self._drive(stimulus, sample, tick)
            if self.source:
                self._run_front(tick)
            for _, lines, first in self._arriving(stimulus, sample, tick):
                link.send((axon, 1) for axon in (first + np.flatnonzero(lines)).tolist())
            link.tick()
            link.receive()
            counts.append(list(link.counters().values()))
            fired.append(link.read_rows(memories["spikes"], self.words))
            for part, rows in planes.items():
                rows.append(link.read_rows(memories[STATES[part][0]], self.words))
        if traffic:
            words = np.array([[link.read(address) for address in traffic.read.tolist()]], np.uint32)
            self._ends.setdefault(traffic.source.input, []).append(traffic.values(words)[0])
        read = {part: np.array(rows) for part, rows in planes.items()}
        return np.array(counts, np.int64), np.array(fired), read

    def close(self) -> None:
        self.link.close()

    def _drive(self, stimulus: Stimulus, sample: int, tick: int) -> None:
        """Compute the currents of a PIM layer, if there are new ones before ``tick``.

        Its pixels are written before the first.
        """
        head, image = self.image.pim_head, self.image
        if head is None:
            return
        place = image.placement.population(head.target)
        frame, memory = tick - place.start, self.map.memories["currents"]
        if not 0 <= frame < head.frames(image.steps):
            return
        if frame == 0:
            pixels, rows = self.map.memories[f"{PIM}pixels"], padded_rows(head.window)
            for row, pixel in zip(rows, stimulus.pixels[head.name][sample], strict=True):
                self.link.write(pixels.address(int(row)), int(pixel))
        self.link.drive(frame)
        lanes = self._bytes(memory, self.link.read_rows(memory, self.words)).reshape(-1).view("<i4")
        self._currents[head.target][sample, frame] = lanes[place.neurons]

    def _begin(self, stimulus: Stimulus, sample: int) -> Traffic | None:
        """Write what the source begins a sample with; None without a source."""
        if self.source is None:
            return None
        traffic = Traffic(self.source, stimulus.take(slice(sample, sample + 1)))
        for address, word in zip(traffic.written.tolist(), traffic.words[0].tolist(), strict=True):
            self.link.write(address, word)
        return traffic

    def _run_front(self, tick: int) -> None:
        """Let the source do what it does right before ``tick``."""
        assert self.source
        if tick < self.source.runs:
            self.link.run_front()
        for axon, delay in self.source.sent(tick):
            self.link.send_lines(axon, delay)

    def _arriving(
        self, stimulus: Stimulus, sample: int, tick: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
        """The groups of input spikes that arrive at ``tick``.

        Of each group its spikes, packed and as uint8 0/1 ``[line]``, and the axon of line 0.
        """
        for group in self.image.placement.inputs:
            if group.name not in stimulus.spikes:
                continue  # the chip's source feeds it
            if 0 <= (step := tick - group.delay) < self.image.steps:
                packed = stimulus.spikes[group.name][sample, step]
                yield packed, unpack(packed, group.size), group.first_axon

    def _values(self, part: str, planes: np.ndarray) -> np.ndarray:
        """int32 ``[tick, word * lanes + lane]`` of uint32 ``[tick, word, chunk]``."""
        memory = self.map.memories[STATES[part][0]]
        bits = unpack(self._bytes(memory, planes), memory.width)
        bits = bits.reshape(*planes.shape[:2], -1, self.image.chip.lanes)
        values = integers(bits.swapaxes(-1, -2), signed=part in SIGNED)
        return values.astype(np.int32).reshape(len(planes), -1)

    @staticmethod
    def _bytes(memory: Memory, words: np.ndarray) -> np.ndarray:
        """uint32 ``[..., chunk]`` as uint8 ``[..., ceil(width / 8)]``."""
        return np.ascontiguousarray(words, "<u4").view(np.uint8)[..., : -(-memory.width // 8)]
