"""Backend "verilator": the Verilated RTL in this process, driven by the native harness; and the same chip as a link.

Memories are filled directly, samples run in C++ (cosim/verilator/chip.cpp), traces come back in numpy buffers. Workers are threads, each
with a model of its own: ctypes lets go of the interpreter while a call runs.
"""

import ctypes
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.link import Link
from spikeloop.cosim.verilator.build import Options, build
from spikeloop.pysim.chip.params import BUS_BITS, Chip
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.loading import load_stream
from spikeloop.pysim.pim.front import padded_rows
from spikeloop.pysim.pim.memories import stream_word
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["ChipModel", "Verilated", "claim", "side_by_side"]

Model = TypeVar("Model")
Result = TypeVar("Result")

CYCLE_LIMIT = 50_000_000  # cycles of one tick before the chip counts as hung


class _Input(ctypes.Structure):
    _fields_ = [(n, ctypes.c_int64) for n in ("core", "size", "delay", "first_axon", "stride")] + [
        ("spikes", ctypes.c_void_p)
    ]


class _Population(ctypes.Structure):
    _fields_ = [(n, ctypes.c_int64) for n in ("core", "size", "start")] + [
        (n, ctypes.c_void_p) for n in ("neurons", "spikes", "membranes")
    ]


class _Run(ctypes.Structure):
    _fields_ = [
        (n, ctypes.c_int64)
        for n in (
            "samples",
            "steps",
            "ticks",
            "lanes",
            "words",
            "membrane_bits",
            "axon_chunks",
            "slots",
            "cycle_limit",
            "cores",
            "inputs",
            "populations",
            "counters",
        )
    ] + [(n, ctypes.c_void_p) for n in ("input", "population", "counts", "pim")]


class _Pim(ctypes.Structure):
    _fields_ = [(n, ctypes.c_int64) for n in ("pixels", "frames", "start", "size")] + [
        (n, ctypes.c_void_p) for n in ("images", "rows", "streams", "neurons", "currents")
    ]


class ChipModel(Link):
    """One Verilated chip, reset and idle: the load port and event streams of a :class:`Link`, and its memories by the back door.

    ``memories``: files that the simulator reads into the memories of these names itself, at time 0 ($readmemh).
    """

    def __init__(
        self,
        chip: Chip,
        options: Options = Options(),
        *,
        memories: Mapping[str, Path] = MappingProxyType({}),
    ) -> None:
        self.chip, self._handle = chip, None
        self._lib = _library(build(chip, options))
        arguments = [b"chip", *(f"+{name}={path}".encode() for name, path in memories.items())]
        self._handle = ctypes.c_void_p(
            self._lib.sl_new(len(arguments), (ctypes.c_char_p * len(arguments))(*arguments))
        )

    def memory(self, name: str, core: int = 0) -> np.ndarray:
        """The memory's own bytes in the model, uint8 ``[rows, bytes]``, rows padded to words: a view, for reading and writing."""
        data, stride, rows = ctypes.c_void_p(), ctypes.c_int64(), ctypes.c_int64()
        if self._lib.sl_memory(
            self._handle,
            core,
            name.encode(),
            ctypes.byref(data),
            ctypes.byref(stride),
            ctypes.byref(rows),
        ):
            raise KeyError(name)
        buffer = (ctypes.c_uint8 * (stride.value * rows.value)).from_address(data.value or 0)
        return np.ctypeslib.as_array(buffer).reshape(rows.value, stride.value)

    def fill(self, image: Image, core: int = 0) -> None:
        """Put the image into the memories (of ``core``, in a mesh; of bank 0) directly, and its settings into their registers."""
        for memory in self.map.loaded:
            rows = image.rows(memory.name)
            self.memory(memory.name, core)[: len(rows), : rows.shape[1]] = rows
        self._set(image, core)

    def feed(self, image: Image, bank: int, core: int = 0) -> None:
        """On a chip of two banks: from now on one word of the image a cycle goes through the load port into ``bank`` (of ``core``, in a
        mesh), whenever the chip is clocked; not while :meth:`run` clears it."""
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
        """Words still to go in."""
        return self._lib.sl_fed(self._handle)

    @property
    def clock(self) -> int:
        """Cycles since the model began."""
        return self._lib.sl_evaluations(self._handle)

    def switch(self, image: Image, bank: int, core: int = 0) -> None:
        """The ticks from now on are of the image that is in ``bank`` (of ``core``, in a mesh)."""
        self._set(image, core)
        self.write(self.map.core_base(core) + self.map.registers["bank"].address, bank)

    def load(self, image: Image) -> None:
        """Put the image in through the load port, word by word, as a board would."""
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

    def send(self, events: Iterable[tuple[int, ...]]) -> None:
        for axon, delay in events:
            if not self._lib.sl_send(self._handle, 0, axon, delay, 1 << 20):
                raise TimeoutError("the chip did not take an event")

    def receive(self) -> list[tuple[int, ...]]:
        return [(event & 0xFFFFFFFF, event >> 32) for event in self.events_out()]

    def events_out(self) -> list[int]:
        """What left since the last call: address | delay << 32 | core << 40."""
        count = self._lib.sl_events(self._handle, None, 0)
        out = np.empty(count, dtype=np.uint64)
        self._lib.sl_events(self._handle, out.ctypes.data, count)
        return out.tolist()

    def tick(self) -> None:
        self.start()
        if not self.idle(CYCLE_LIMIT):
            raise TimeoutError("the tick did not end")

    def start(self) -> None:
        """Ask for a tick by the pin, and return at once."""
        self._lib.sl_tick(self._handle)

    def idle(self, limit: int) -> bool:
        """Clock the chip until it is idle, for ``limit`` cycles at most; whether it is."""
        return self._lib.sl_idle(self._handle, limit) == 0

    def cycles(self, count: int) -> None:
        """Clock the chip."""
        self._lib.sl_cycles(self._handle, count)

    def ready(self, ready: bool) -> None:
        """Whether the receiver of the output stream takes events."""
        self._lib.sl_ready(self._handle, int(ready))

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
        """Run all samples on the images that are in the memories of these cores, each with its own stimulus; the trace of every core."""
        chip, d = self.chip, self.chip.derived
        samples, steps = next(iter(stimuli.values())).samples, next(iter(images.values())).steps
        traces = [Trace({}, {}, {}) for _ in range(d.cores)]
        counts = np.empty((samples, ticks, d.cores, len(self.map.counters)), np.int64)
        held: list[np.ndarray] = []  # what the structures point into

        def address(array: np.ndarray) -> int:
            held.append(array)
            return array.ctypes.data

        inputs, populations = [], []
        for core, image in images.items():
            for i in image.placement.inputs:
                if i.name in stimuli[core].spikes:  # the others' spikes come from other cores
                    spikes = np.ascontiguousarray(stimuli[core].spikes[i.name])
                    inputs.append(
                        _Input(
                            core, i.size, i.delay, i.first_axon, spikes.shape[2], address(spikes)
                        )
                    )
            for p in image.placement.populations:
                traces[core].spikes[p.name] = np.empty((samples, steps, -(-p.size // 8)), np.uint8)
                if membranes:
                    traces[core].membranes[p.name] = np.empty((samples, steps, p.size), np.int32)
                populations.append(
                    _Population(
                        core,
                        p.size,
                        p.start,
                        address(np.ascontiguousarray(p.neurons, dtype=np.int64)),
                        address(traces[core].spikes[p.name]),
                        address(traces[core].membranes[p.name]) if membranes else None,
                    )
                )
        pim = None
        if head := images[0].pim_head if 0 in images else None:  # a chip with a macro is one core
            place, frames = images[0].placement.population(head.target), head.frames(steps)
            traces[0].currents[head.target] = currents = np.empty(
                (samples, frames, place.size), np.int32
            )
            pim = _Pim(
                head.pixels,
                frames,
                place.start,
                place.size,
                *map(
                    address,
                    (
                        np.ascontiguousarray(stimuli[0].pixels[head.name]),
                        padded_rows(head.window),
                        np.array([stream_word(k) for k in range(frames)], np.uint32),
                        np.ascontiguousarray(place.neurons, np.int64),
                        currents,
                    ),
                ),
            )
        all_inputs, all_populations = (
            (_Input * max(1, len(inputs)))(*inputs),
            (_Population * len(populations))(*populations),
        )
        run = _Run(
            samples,
            steps,
            ticks,
            chip.lanes,
            d.words,
            chip.membrane_bits,
            d.axon_chunks,
            d.slots,
            CYCLE_LIMIT,
            d.cores,
            len(inputs),
            len(populations),
            len(self.map.counters),
            ctypes.addressof(all_inputs),
            ctypes.addressof(all_populations),
            counts.ctypes.data,
            ctypes.addressof(pim) if pim else None,
        )
        if self._lib.sl_run(self._handle, ctypes.byref(run)):
            raise TimeoutError("a tick of the Verilated chip did not end")
        for core, trace in enumerate(traces):
            trace.counters.update(
                {name: counts[:, :, core, i].copy() for i, name in enumerate(self.map.counters)}
            )
        return traces

    @contextmanager
    def recorded(self, path: Path) -> Iterator[None]:
        """Record what happens meanwhile (a chip built with ``Options(waves=True)``) as VCD; InputError if ``path`` cannot be written."""
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


class Verilated(Backend):
    """The Verilated RTL with an image in its memories. ``workers`` models run side by side, each on its share of the samples."""

    name = "verilator"

    def __init__(
        self,
        image: Image,
        options: Options = Options(),
        *,
        workers: int = 1,
        through_load_port: bool = False,
    ) -> None:
        self.image, self.options = image, options
        self.models = [ChipModel(image.chip, options) for _ in range(workers)]
        for model in self.models:
            (model.load if through_load_port else model.fill)(image)

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        return Trace.concatenate(
            side_by_side(
                self.models,
                stimulus,
                lambda model, part: model.run(self.image, part, membranes=membranes),
            )
        )

    def waves(self, stimulus: Stimulus, path: Path) -> Path:
        """Run the stimulus on a build that records every named signal, to ``path`` with suffix .vcd. One time unit is half a cycle."""
        path = Path(path).with_suffix(".vcd")
        with closing(
            ChipModel(
                self.image.chip, replace(self.options, waves=True, direct=False, optimise=False)
            )
        ) as model:
            model.fill(self.image)
            with model.recorded(path):
                model.run(self.image, stimulus)
        return path

    def close(self) -> None:
        for model in self.models:
            model.close()


def side_by_side(
    models: Sequence[Model], stimulus: Stimulus, run: Callable[[Model, Stimulus], Result]
) -> list[Result]:
    """``run`` on each of the models at once, each with its share of the samples; the results in the order of the samples."""
    parts = [p for p in np.array_split(np.arange(stimulus.samples), len(models)) if len(p)]
    with ThreadPoolExecutor(len(models)) as pool:
        jobs = [
            pool.submit(run, model, stimulus.take(slice(p[0], p[-1] + 1)))
            for model, p in zip(models, parts, strict=False)
        ]
        return [job.result() for job in jobs]


def claim(path: Path) -> None:
    """Make an empty wave file, with its folders; InputError if that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    except OSError as error:
        raise InputError(
            f"wave file must be writable, not {str(path)!r} ({error.strerror})"
        ) from None


def _library(path: Path) -> ctypes.CDLL:
    lib = ctypes.CDLL(str(path))
    handle, i64, u32, pointer = ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint32, ctypes.c_void_p
    for name, result, arguments in (
        ("sl_new", handle, (ctypes.c_int, pointer)),
        ("sl_free", None, (handle,)),
        ("sl_memory", ctypes.c_int, (handle, i64, ctypes.c_char_p, pointer, pointer, pointer)),
        ("sl_write", None, (handle, u32, u32)),
        ("sl_read", i64, (handle, u32)),
        ("sl_send", ctypes.c_int, (handle, u32, u32, u32, i64)),
        ("sl_tick", None, (handle,)),
        ("sl_idle", ctypes.c_int, (handle, i64)),
        ("sl_events", i64, (handle, pointer, i64)),
        ("sl_cycles", None, (handle, i64)),
        ("sl_ready", None, (handle, ctypes.c_int)),
        ("sl_evaluations", ctypes.c_uint64, (handle,)),
        ("sl_feed", None, (handle, pointer, i64)),
        ("sl_fed", i64, (handle,)),
        ("sl_run", ctypes.c_int, (handle, pointer)),
        ("sl_wave_open", ctypes.c_int, (handle, ctypes.c_char_p)),
        ("sl_wave_close", None, (handle,)),
        ("sl_coverage", None, (handle, ctypes.c_char_p)),
    ):
        if name.startswith(("sl_wave", "sl_coverage", "sl_fe")) and not hasattr(
            lib, name
        ):  # a build without waves, coverage, two banks
            continue
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib
