"""The C interface of the harness: its functions, its structures, and the buffers of a run.

The structures are those of cosim/verilator/samples.cpp, field by field.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spikeloop.cosim.front import Traffic
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.pim.front import padded_rows
from spikeloop.pysim.pim.memories import stream_word
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import STATES, Trace, recorded_states

__all__ = ["Buffers", "Input", "Population", "Run", "array_of", "open_library"]

_i64, _u32, _pointer = ctypes.c_int64, ctypes.c_uint32, ctypes.c_void_p


def _fields(numbers: str, pointers: str) -> list[tuple[str, type]]:
    """Fields of a structure of the harness: 64-bit numbers, then pointers."""
    return [(n, _i64) for n in numbers.split()] + [(n, _pointer) for n in pointers.split()]


class Input(ctypes.Structure):
    _fields_ = _fields("core size delay first_axon stride", "spikes")


class Population(ctypes.Structure):
    _fields_ = [*_fields("core size start", "neurons spikes"), ("states", _pointer * len(STATES))]


class Pim(ctypes.Structure):
    _fields_ = _fields("pixels frames start size", "images rows streams neurons currents")


class Front(ctypes.Structure):
    _fields_ = _fields(
        "writes reads groups runs",
        "write_addresses writes_of read_addresses reads_of firsts axons delays",
    )


class Run(ctypes.Structure):
    _fields_ = [
        *_fields("samples steps ticks lanes words axon_chunks slots cycle_limit", ""),
        ("bits", _i64 * len(STATES)),
        *_fields("cores inputs populations counters", "input population counts pim front"),
    ]


def array_of(kind: type[ctypes.Structure], items: Sequence[ctypes.Structure]) -> ctypes.Array:
    """Structures side by side; at least one, so that there is an address."""
    return (kind * max(1, len(items)))(*items)


class Buffers:
    """Structures of one run. Keeps the arrays alive that they point into."""

    def __init__(self) -> None:
        self._arrays: list[np.ndarray] = []

    def _address(self, array: np.ndarray) -> int:
        self._arrays.append(array)
        return array.ctypes.data

    def inputs(self, core: int, image: Image, stimulus: Stimulus) -> list[Input]:
        """The inputs whose spikes the host sends; those of others come from other cores."""
        structures = []
        for place in image.placement.inputs:
            if place.name in stimulus.spikes:
                spikes = np.ascontiguousarray(stimulus.spikes[place.name])
                numbers = (core, place.size, place.delay, place.first_axon, spikes.shape[2])
                structures.append(Input(*numbers, self._address(spikes)))
        return structures

    def populations(
        self, core: int, image: Image, trace: Trace, samples: int, membranes: bool
    ) -> list[Population]:
        """All populations; allocates their spikes and states in ``trace``."""
        structures, recorded = [], recorded_states(image.network, membranes)
        for place in image.placement.populations:
            shape = (samples, image.steps)
            trace.spikes[place.name] = np.empty((*shape, -(-place.size // 8)), np.uint8)
            neurons = np.ascontiguousarray(place.neurons, dtype=np.int64)
            states = (_pointer * len(STATES))()
            for i, part in enumerate(STATES):
                if part in recorded:
                    values = getattr(trace, part)
                    values[place.name] = np.empty((*shape, place.size), np.int32)
                    states[i] = self._address(values[place.name])
            pointers = (self._address(neurons), self._address(trace.spikes[place.name]))
            structures.append(Population(core, place.size, place.start, *pointers, states))
        return structures

    def pim(self, image: Image, stimulus: Stimulus, trace: Trace) -> Pim:
        """The PIM layer; allocates its currents in ``trace``."""
        head = image.pim_head
        assert head is not None
        place, frames = image.placement.population(head.target), head.frames(image.steps)
        currents = np.empty((stimulus.samples, frames, place.size), np.int32)
        trace.currents[head.target] = currents
        arrays = (
            np.ascontiguousarray(stimulus.pixels[head.name]),
            padded_rows(head.window),
            np.array([stream_word(frame) for frame in range(frames)], np.uint32),
            np.ascontiguousarray(place.neurons, np.int64),
            currents,
        )
        pointers = [self._address(array) for array in arrays]
        return Pim(head.pixels, frames, place.start, place.size, *pointers)

    def front(self, traffic: Traffic) -> tuple[Front, np.ndarray]:
        """The source, and the words that are read of it: uint32 ``[sample, read]``."""
        source = traffic.source
        read = np.empty((len(traffic.words), traffic.read.size), np.uint32)
        begins = np.array([source.begins(place) for place in source.places]).reshape(-1, 2)
        arrays = (
            traffic.written,
            traffic.words,
            traffic.read,
            read,
            begins[:, 0].astype(np.int64),
            np.array([place.first_axon for place in source.places], np.uint32),
            begins[:, 1].astype(np.uint32),
        )
        counts = (traffic.written.size, traffic.read.size, len(begins), source.runs)
        return Front(*counts, *(self._address(array) for array in arrays)), read


def open_library(path: Path) -> ctypes.CDLL:
    """The harness of a build, its functions typed. Some are only in builds that need them."""
    lib = ctypes.CDLL(str(path))
    handle, i64, u32, pointer = _pointer, _i64, _u32, _pointer
    for name, result, arguments in (
        ("sl_new", handle, (ctypes.c_int, pointer)),
        ("sl_free", None, (handle,)),
        ("sl_memory", ctypes.c_int, (handle, i64, ctypes.c_char_p, pointer, pointer, pointer)),
        ("sl_write", None, (handle, u32, u32)),
        ("sl_reset", None, (handle, i64)),
        ("sl_burst", i64, (handle, pointer, pointer, pointer, i64, pointer, i64, i64)),
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
        optional = name.startswith(("sl_wave", "sl_coverage", "sl_fe"))  # sl_feed, sl_fed
        if optional and not hasattr(lib, name):
            continue
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib
