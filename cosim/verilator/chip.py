"""One Verilated chip in this process, driven by the native harness, as a :class:`Link`.

Memories are filled directly. Samples run in C++ (cosim/verilator/samples.cpp) and traces come back
in numpy buffers, with no Python per cycle. ctypes releases the interpreter while a call runs, so
models run side by side in threads.
"""

import ctypes
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import numpy as np

from spikeloop.cosim.backend import claim
from spikeloop.cosim.front import Traffic
from spikeloop.cosim.link import Link
from spikeloop.cosim.verilator.build import Options, build
from spikeloop.cosim.verilator.harness import (
    Buffers,
    Input,
    Population,
    Run,
    array_of,
    open_library,
)
from spikeloop.pysim.bundle.mesh import MeshImage
from spikeloop.pysim.chip.params import BUS_BITS, Chip
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.loading import load_stream
from spikeloop.pysim.sources.kinds import source_of
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import STATES, Trace

__all__ = ["ChipModel", "MeshChipModel"]

CYCLE_LIMIT = 50_000_000  # cycles of one tick before the chip counts as hung
SEND_LIMIT = 1 << 20  # cycles before an event counts as refused


class ChipModel(Link):
    """One Verilated chip, reset and idle: a :class:`Link`, and direct access to its memories.

    memories: files by memory name, which the simulator reads itself at time 0 ($readmemh).
    """

    def __init__(
        self,
        chip: Chip,
        options: Options = Options(),
        *,
        memories: Mapping[str, Path] = MappingProxyType({}),
    ) -> None:
        self.chip, self._handle = chip, None
        self._lib = open_library(build(chip, options))
        arguments = [b"chip", *(f"+{name}={path}".encode() for name, path in memories.items())]
        count = len(arguments)
        self._handle = ctypes.c_void_p(
            self._lib.sl_new(count, (ctypes.c_char_p * count)(*arguments))
        )

    # -- memories and registers ----------------------------------------------------------------

    def memory(self, name: str, core: int = 0) -> np.ndarray:
        """A view of a memory's own bytes, uint8 ``[rows, bytes]``, for reading and writing.

        Rows are padded to words. KeyError if the core has no memory ``name``.
        """
        data, stride, rows = ctypes.c_void_p(), ctypes.c_int64(), ctypes.c_int64()
        places = [ctypes.byref(place) for place in (data, stride, rows)]
        if self._lib.sl_memory(self._handle, core, name.encode(), *places):
            raise KeyError(name)
        buffer = (ctypes.c_uint8 * (stride.value * rows.value)).from_address(data.value or 0)
        return np.ctypeslib.as_array(buffer).reshape(rows.value, stride.value)

    def fill(self, image: Image, core: int = 0) -> None:
        """Put an image into the memories of ``core`` (bank 0), and its settings into registers."""
        for memory in self.map.loaded:
            rows = image.rows(memory.name)
            if memory.ported:
                self.write_rows(memory, image.words(memory.name))
                continue
            self.memory(memory.name, core)[: len(rows), : rows.shape[1]] = rows
        self._set(image, core)

    def load(self, image: Image) -> None:
        """Put an image in through the load port, word by word, as a board does."""
        for memory in self.map.loaded:
            self.write_rows(memory, image.words(memory.name))
        self._set(image)

    def _set(self, image: Image, core: int = 0) -> None:
        for name, value in image.settings.items():
            self.write(self.map.core_base(core) + self.map.registers[name].address, value)

    def write(self, address: int, value: int) -> None:
        self._lib.sl_write(self._handle, address, value)

    def read(self, address: int) -> int:
        value = self._lib.sl_read(self._handle, address)
        if value < 0:
            raise TimeoutError(f"the chip did not answer a read of address {address:#x}")
        return value

    def burst(
        self, requests: Sequence[tuple[int, int | None]], cycles: int = CYCLE_LIMIT
    ) -> list[int]:
        """Requests (address, data to write or None) one after the other, without waiting.

        Returns the answers of the reads that came within ``cycles`` cycles.
        """
        addresses = np.array([address for address, _ in requests], np.uint32)
        data = np.array([value or 0 for _, value in requests], np.uint32)
        writes = np.array([value is not None for _, value in requests], np.uint8)
        answers = np.empty(np.count_nonzero(writes == 0), np.uint32)
        arrays = (array.ctypes.data for array in (addresses, data, writes))
        count = self._lib.sl_burst(
            self._handle, *arrays, len(requests), answers.ctypes.data, len(answers), cycles
        )
        return answers[:count].tolist()

    def reset(self, cycles: int = 1) -> None:
        """Hold the reset pin for ``cycles`` cycles, whatever is under way. Memories stay."""
        self._lib.sl_reset(self._handle, cycles)

    # -- two banks -----------------------------------------------------------------------------

    def feed(self, image: Image, bank: int, core: int = 0) -> None:
        """On a chip of two banks: load an image into ``bank`` while the chip runs.

        From now on one word a cycle goes through the load port, whenever the chip is clocked. The
        clear at the start of each sample of :meth:`run` pauses it.
        """
        addresses, words = load_stream(image, bank)
        bits = self.map.address_bits + self.chip.derived.core_bits
        self._feed = (
            addresses + np.uint64(self.map.core_base(core))
            | words << np.uint64(bits)
            | np.uint64(1) << np.uint64(bits + BUS_BITS)
        )
        self._lib.sl_feed(self._handle, self._feed.ctypes.data, len(self._feed))

    @property
    def feeding(self) -> int:
        """Words that :meth:`feed` has still to load."""
        return self._lib.sl_fed(self._handle)

    def switch(self, image: Image, bank: int, core: int = 0) -> None:
        """Let the coming ticks of ``core`` run on the image that is in ``bank``."""
        self._set(image, core)
        self.write(self.map.core_base(core) + self.map.registers["bank"].address, bank)

    # -- events and ticks ----------------------------------------------------------------------

    def send(self, events: Iterable[tuple[int, ...]]) -> None:
        for axon, delay in events:
            self._send(0, axon, delay)

    def _send(self, core: int, axon: int, delay: int) -> None:
        if not self._lib.sl_send(self._handle, core, axon, delay, SEND_LIMIT):
            raise TimeoutError("the chip did not take an event")

    def receive(self) -> list[tuple[int, ...]]:
        return [(event & 0xFFFFFFFF, event >> 32) for event in self.events_out()]

    def events_out(self) -> list[int]:
        """Events that left since the last call: address | delay << 32 | core << 40."""
        count = self._lib.sl_events(self._handle, None, 0)
        out = np.empty(count, dtype=np.uint64)
        self._lib.sl_events(self._handle, out.ctypes.data, count)
        return out.tolist()

    def ready(self, ready: bool) -> None:
        """Set whether the receiver of the output stream takes events."""
        self._lib.sl_ready(self._handle, int(ready))

    def tick(self) -> None:
        self.start()
        if not self.idle(CYCLE_LIMIT):
            raise TimeoutError("the tick did not end")

    def start(self) -> None:
        """Ask for a tick by the pin, and return at once."""
        self._lib.sl_tick(self._handle)

    def idle(self, limit: int) -> bool:
        """Clock the chip until it is idle or ``limit`` cycles have passed; True if it is idle."""
        return self._lib.sl_idle(self._handle, limit) == 0

    def cycles(self, count: int) -> None:
        """Clock the chip ``count`` times."""
        self._lib.sl_cycles(self._handle, count)

    @property
    def clock(self) -> int:
        """Cycles since the model began."""
        return self._lib.sl_evaluations(self._handle)

    # -- samples -------------------------------------------------------------------------------

    def run(self, image: Image, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        """Run all samples on the image that is in the memories."""
        return self.run_cores({0: image}, {0: stimulus}, image.ticks, membranes=membranes)[0]

    def run_cores(
        self,
        images: Mapping[int, Image],
        stimuli: Mapping[int, Stimulus],
        ticks: int,
        *,
        membranes: bool = True,
    ) -> list[Trace]:
        """Run all samples on the images in the memories of these cores; the trace of every core.

        images, stimuli: by core. ticks: of one sample. TimeoutError if a tick does not end.
        """
        chip, d, names = self.chip, self.chip.derived, self.map.counters
        samples, steps = next(iter(stimuli.values())).samples, next(iter(images.values())).steps
        traces = [Trace({}, {}, {}) for _ in range(d.cores)]
        counts = np.empty((samples, ticks, d.cores, len(names)), np.int64)
        buffers = Buffers()
        inputs, populations = [], []
        for core, image in images.items():
            inputs += buffers.inputs(core, image, stimuli[core])
            populations += buffers.populations(core, image, traces[core], samples, membranes)
        pim = front = None
        if 0 in images and images[0].pim_head:  # a chip with a macro is one core
            pim = buffers.pim(images[0], stimuli[0], traces[0])
        if source := source_of(images[0]) if 0 in images else None:
            traffic = Traffic(source, stimuli[0])
            front, read = buffers.front(traffic)
        all_inputs, all_populations = array_of(Input, inputs), array_of(Population, populations)
        run = Run(
            samples=samples,
            steps=steps,
            ticks=ticks,
            lanes=chip.lanes,
            words=d.words,
            bits=tuple(getattr(chip, bits) for _, bits in STATES.values()),
            axon_chunks=d.axon_chunks,
            slots=d.slots,
            cycle_limit=CYCLE_LIMIT,
            cores=d.cores,
            inputs=len(inputs),
            populations=len(populations),
            counters=len(names),
            input=ctypes.addressof(all_inputs),
            population=ctypes.addressof(all_populations),
            counts=counts.ctypes.data,
            pim=ctypes.addressof(pim) if pim else None,
            front=ctypes.addressof(front) if front else None,
        )
        if self._lib.sl_run(self._handle, ctypes.byref(run)):
            raise TimeoutError("a tick of the Verilated chip did not end")
        if source:
            traces[0].ends[source.input] = traffic.values(read)
        for core, trace in enumerate(traces):
            for i, name in enumerate(names):
                trace.counters[name] = counts[:, :, core, i].copy()
        return traces

    # -- what a build may add ------------------------------------------------------------------

    @contextmanager
    def recorded(self, path: Path) -> Iterator[None]:
        """Record what happens meanwhile as VCD (a chip built with ``Options(waves=True)``).

        InputError if ``path`` cannot be written.
        """
        claim(path)
        if self._lib.sl_wave_open(self._handle, str(path).encode()):
            raise InputError(f"wave file must be writable, not {str(path)!r}")
        try:
            yield
        finally:
            self._lib.sl_wave_close(self._handle)

    def coverage(self, path: Path) -> None:
        """Write the coverage points hit so far (a chip built with ``Options(coverage=True)``)."""
        self._lib.sl_coverage(self._handle, str(path).encode())

    def close(self) -> None:
        if self._handle:
            self._lib.sl_free(self._handle)
            self._handle = None

    def __del__(self) -> None:
        self.close()


class MeshChipModel(ChipModel):
    """One Verilated mesh.

    Addresses of the load port have the core in their upper bits (MemoryMap.core_base). Events name
    the core first.
    """

    def fill_mesh(self, image: MeshImage) -> None:
        """Put the images into the memories, and their settings into registers.

        Cores without neurons are emptied.
        """
        for n in range(self.chip.derived.cores):
            if n in image.cores:
                self.fill(image.cores[n].image, n)
            else:
                self.memory("words", n)[:] = 0

    def send(self, events: Iterable[tuple[int, ...]]) -> None:
        """Send AER events (core, axon, delay)."""
        for core, axon, delay in events:
            self._send(core, axon, delay)

    def receive(self) -> list[tuple[int, ...]]:
        """AER events (core, output line, delay) that left since the last call, in order."""
        events = self.events_out()
        return [(event >> 40, event & 0xFFFFFFFF, event >> 32 & 0xFF) for event in events]

    def run_mesh(
        self, image: MeshImage, stimulus: Stimulus, *, membranes: bool = True
    ) -> list[Trace]:
        """Run all samples on the images in the memories; the trace of every core, by number."""
        images = {n: core.image for n, core in image.cores.items()}
        return self.run_cores(images, image.stimuli(stimulus), image.ticks, membranes=membranes)
