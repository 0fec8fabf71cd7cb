"""The abstract backend (anything that turns a stimulus into a trace) and the abstract chip link (few verbs).

Comparison, command line and users' scripts know only :class:`Backend`. A backend that is a chip, be it a Verilated
model, Icarus or a board at the end of a wire, also speaks :class:`Link`: the load port and the two event streams.
:class:`LinkBackend` runs any stimulus over those verbs alone, which is all that a board has to offer.
"""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from spikeloop.pysim.chip.memory_map import (
    CHIP_ID,
    CHIP_VERSION,
    CONTROL_CLEAR,
    CONTROL_PIM,
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
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["Backend", "Link", "LinkBackend", "check_tools"]

TOOLS = {
    "verilator": (("clang++", "g++"), ("make",), ("perl",)),
    "icarus": (("iverilog",), ("vvp",)),
}
"""programs that a backend runs (one of each group) and that only the system brings; the package is the group's last"""


def check_tools(backend: str) -> None:
    """InputError unless the tools of the backend of this name are there."""
    for programs in TOOLS.get(backend, ()):
        if not any(shutil.which(program) for program in programs):
            package = {"vvp": "iverilog"}.get(programs[-1], programs[-1])
            raise InputError(
                f"backend {backend} must find {' or '.join(programs)}, not a path without: sudo apt-get install -y {package}"
            )


class Backend(ABC):
    """Something that runs samples. Every sample starts from CLEAR, so that runs are independent and repeatable.

    ``name`` is the word of the command line that opens it (golden, pysim, verilator, icarus, ...).
    """

    name: str
    nature: str | None = None
    """what hardware answers, where that is a question: board, virtual board or replay"""

    @abstractmethod
    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        """Run all samples of the stimulus and return what they did, in steps of each population.

        ``membranes`` False leaves the membranes out of the trace, where that saves time.
        """

    def waves(self, stimulus: Stimulus, path: Path) -> Path | None:
        """Run the stimulus with signals recorded; the wave file written (its suffix may differ), or None: no waves here."""
        return None

    def close(self) -> None:
        """Give back processes, models and wires. Closing twice is harmless."""

    def __enter__(self) -> "Backend":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Link(ABC):
    """A chip at the end of a wire: the load port, the two event streams, and what is built on them.

    A new link (a serial board) writes ``write``, ``read``, ``send`` and ``receive``; the other verbs follow and may be
    overridden by something faster.
    """

    chip: Chip

    @cached_property
    def map(self) -> MemoryMap:
        """The chip's memory map."""
        return MemoryMap(self.chip)

    @abstractmethod
    def write(self, address: int, value: int) -> None:
        """Write 32 bits to the load port (docs/memory_map.md). Memories only while the core is idle."""

    @abstractmethod
    def read(self, address: int) -> int:
        """Read 32 bits from the load port."""

    @abstractmethod
    def send(self, events: Iterable[tuple[int, ...]]) -> None:
        """Put AER events (axon, delay) into the ring; delay 1 means the tick that runs next."""

    @abstractmethod
    def receive(self) -> list[tuple[int, ...]]:
        """AER events (output line, delay) that left the core since the last call, in their order."""

    def write_rows(self, memory: Memory, words: np.ndarray) -> None:
        """Write uint32 ``[rows, chunks]`` into the first rows of a memory."""
        for row, chunks in enumerate(words):
            for chunk, value in enumerate(chunks):
                self.write(memory.address(row, chunk), int(value))

    def read_rows(self, memory: Memory, rows: int) -> np.ndarray:
        """The first rows of a memory, uint32 ``[rows, chunks]``."""
        return np.array(
            [
                [self.read(memory.address(row, chunk)) for chunk in range(memory.chunks)]
                for row in range(rows)
            ],
            np.uint32,
        )

    def tick(self) -> None:
        """Run one tick and wait until the core is idle."""
        self._command(CONTROL_TICK)

    def clear(self) -> None:
        """Membranes to v_init, refractory to 0, ring empty, tick 0; counters stay. Waits until the core is idle."""
        self._command(CONTROL_CLEAR)

    def zero(self) -> None:
        """All counters to 0. Waits until they are."""
        self._command(CONTROL_ZERO)

    def drive(self, stream: int) -> None:
        """Compute the currents of the image in the memory of pixels, with a stream of noise. Waits until they are there."""
        self.write(self.map.registers[f"{PIM}stream"].address, stream_word(stream))
        self._command(CONTROL_PIM)

    def _command(self, bits: int) -> None:
        registers = self.map.registers
        self.write(registers["control"].address, bits)
        while self.read(registers["status"].address) & 1:
            pass

    def counters(self) -> dict[str, int]:
        """The 64-bit counters."""
        registers = self.map.registers
        return {
            name: self.read(registers[name].address)
            | self.read(registers[f"{name}_high"].address) << 32
            for name in self.map.counters
        }

    def close(self) -> None:
        """Let go of the chip. Closing twice is harmless."""


class LinkBackend(Backend):
    """A chip run over the verbs of its link alone: the image goes in through the load port, every membrane comes out of it.

    Slow by nature (a membrane memory is read after every tick); it needs nothing of the chip but its link. InputError if what
    answers is not the chip that the image was packed for, or if a memory does not read back as it was written.
    """

    name = "link"

    def __init__(self, link: Link, image: Image) -> None:
        self.link, self.image, self.map = link, image, MemoryMap(image.chip)
        expected = {"id": CHIP_ID, "version": CHIP_VERSION, "fingerprint": image.chip.fingerprint()}
        for name, value in expected.items():
            if (got := link.read(self.map.registers[name].address)) != value:
                raise InputError(
                    f"register {name} of the chip must be {value:#x} for image {image.name!r}, not {got:#x}: "
                    "connect the chip that the image was mapped for, or map the network again"
                )
        self.load()

    def load(self) -> None:
        """Write the image into the chip and read it back."""
        for memory in self.map.loaded:
            rows = self.image.rows(memory.name)
            self.link.write_rows(memory, self.image.words(memory.name))
            if not memory.readable:
                continue
            wrong = np.flatnonzero(
                (self._bytes(memory, self.link.read_rows(memory, len(rows))) != rows).any(axis=1)
            )
            if wrong.size:
                raise InputError(
                    f"row {wrong[0]} of memory {memory.name} must read back as it was written, not otherwise"
                )
        for name, value in self.image.settings.items():
            self.link.write(self.map.registers[name].address, value)

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        stimulus.check(self.image)
        image, lanes = self.image, self.image.chip.lanes
        places, shape = image.placement.populations, (stimulus.samples, image.steps)
        spikes = {p.name: np.zeros((*shape, p.size), np.uint8) for p in places}
        potentials = (
            {p.name: np.zeros((*shape, p.size), np.int32) for p in places} if membranes else {}
        )
        counters = {
            name: np.zeros((stimulus.samples, image.ticks), np.int64) for name in self.map.counters
        }
        currents: dict[str, np.ndarray] = {}
        self._currents = currents
        if head := image.pim_head:
            size = image.placement.population(head.target).size
            currents[head.target] = np.zeros(
                (stimulus.samples, head.frames(image.steps), size), np.int32
            )
        for sample in range(stimulus.samples):
            counts, fired, planes = self._sample(stimulus, sample, membranes)
            for name, added in zip(counters, np.diff(counts, axis=0, prepend=0).T, strict=True):
                counters[name][sample] = added
            lines = unpack(self._bytes(self.map.memories["spikes"], fired), lanes).reshape(
                image.ticks, -1
            )
            v = self._membranes(planes) if planes is not None else None
            for p in places:
                ticks = slice(p.start, p.start + image.steps)
                spikes[p.name][sample] = lines[ticks, p.neurons]
                if v is not None:
                    potentials[p.name][sample] = v[ticks, p.neurons]
        return Trace(
            {name: pack(array) for name, array in spikes.items()}, potentials, counters, currents
        )

    @property
    def words(self) -> int:
        """Words that hold neurons, the first ones of the core."""
        return len(self.image.placement.words)

    def _sample(
        self, stimulus: Stimulus, sample: int, membranes: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Run a sample. After each tick: the counters, int64 ``[tick, counter]``; spikes and membranes of the words in use as they
        lie in their memories, uint32 ``[tick, word, chunk]``."""
        link, memories = self.link, self.map.memories
        counts, fired, planes = [], [], []
        link.clear()
        link.zero()
        for tick in range(self.image.ticks):
            self._drive(stimulus, sample, tick)
            for _, lines, first in self._arriving(stimulus, sample, tick):
                link.send((axon, 1) for axon in (first + np.flatnonzero(lines)).tolist())
            link.tick()
            link.receive()
            counts.append(list(link.counters().values()))
            fired.append(link.read_rows(memories["spikes"], self.words))
            if membranes:
                planes.append(link.read_rows(memories["v"], self.words))
        return np.array(counts, np.int64), np.array(fired), np.array(planes) if membranes else None

    def close(self) -> None:
        self.link.close()

    def _drive(self, stimulus: Stimulus, sample: int, tick: int) -> None:
        """The currents of a PIM layer, if they are new before ``tick``; its pixels come with the first."""
        head, image = self.image.pim_head, self.image
        if head is None:
            return
        place = image.placement.population(head.target)
        frame, memory = tick - place.start, self.map.memories["currents"]
        if not 0 <= frame < head.frames(image.steps):
            return
        if frame == 0:
            pixels = self.map.memories[f"{PIM}pixels"]
            for row, pixel in zip(
                padded_rows(head.window), stimulus.pixels[head.name][sample], strict=True
            ):
                self.link.write(pixels.address(int(row)), int(pixel))
        self.link.drive(frame)
        lanes = self._bytes(memory, self.link.read_rows(memory, self.words)).reshape(-1).view("<i4")
        self._currents[head.target][sample, frame] = lanes[place.neurons]

    def _arriving(
        self, stimulus: Stimulus, sample: int, tick: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
        """What arrives at ``tick``: input spikes, packed and uint8 0/1 ``[line]``, and the axon of line 0."""
        for group in self.image.placement.inputs:
            if 0 <= (step := tick - group.delay) < self.image.steps:
                packed = stimulus.spikes[group.name][sample, step]
                yield packed, unpack(packed, group.size), group.first_axon

    def _membranes(self, planes: np.ndarray) -> np.ndarray:
        """int32 ``[tick, word * lanes + lane]`` of uint32 ``[tick, word, chunk]``."""
        chip = self.image.chip
        bits = unpack(self._bytes(self.map.memories["v"], planes), chip.lanes * chip.membrane_bits)
        bits = bits.reshape(*planes.shape[:2], chip.membrane_bits, chip.lanes)
        v = integers(bits.swapaxes(-1, -2), signed=True)
        return v.astype(np.int32).reshape(len(planes), -1)

    @staticmethod
    def _bytes(memory: Memory, words: np.ndarray) -> np.ndarray:
        """uint32 ``[..., chunk]`` as uint8 ``[..., ceil(width / 8)]``."""
        return np.ascontiguousarray(words, "<u4").view(np.uint8)[..., : -(-memory.width // 8)]
