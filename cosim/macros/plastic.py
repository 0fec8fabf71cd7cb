"""The Verilated plastic core alone in this process, built and cached like a chip.

It is loaded through its port and driven by the native harness cosim/macros/plastic.cpp.
"""

import ctypes
from pathlib import Path

import numpy as np

from spikeloop.cosim.macros.port.build import MacroBuild
from spikeloop.cosim.macros.port.client import LoadPort
from spikeloop.hdl.names import PLASTIC_TOP
from spikeloop.pysim.lessons.lesson import Lesson, LessonState
from spikeloop.pysim.lessons.trace import NEURON_FIELDS, LessonTrace
from spikeloop.pysim.plastic.contents import chunks
from spikeloop.pysim.plastic.memories import memories, state_fields
from spikeloop.pysim.plastic.params import COUNTERS, PlasticParams

__all__ = ["PLASTIC", "PlasticModel"]

HANGS, SPIKES_LOST = 1, 2  # what plastic_run returns
WORDS = ("first", "presentations", "record", "pins", "limit_cycles", "stall")
POINTERS = (
    *("ticks", "spikes", "teacher", "learn", "adapt", "normalise", "values", "counts"),
    *("cycles", "rest_cycles", "normalise_cycles", "crc", "clips"),
)


class _Run(ctypes.Structure):
    """The structure Run of cosim/macros/plastic.cpp."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in WORDS),
        *((name, ctypes.c_void_p) for name in POINTERS),
    ]


def _model_header(p: PlasticParams) -> str:
    """The text of model.h: geometry, places of fields in ports, names of two memories."""
    from spikeloop.hdl.plastic.core import neuron_layout
    from spikeloop.hdl.synapses.memories import load_layout, state_layout
    from spikeloop.hdl.synapses.update import update_layout

    load, neuron, update = load_layout(p), neuron_layout(p), update_layout(p)
    state = neuron["state"].offset
    values: dict[str, object] = {
        "AXONS": p.axons,
        "NEURONS": p.neurons,
        "LANES": p.lanes,
        "WEIGHT_BITS": p.weight_bits,
        "MEMBRANE_BITS": p.membrane_bits,
        "AXON_BITS": p.axon_bits,
        "NEURON_BITS": p.neuron_bits,
        "LINE_ROWS": p.line_rows,
        "SPIKE_BYTES": -(-p.axons // 8),
        "TEACHER_BYTES": -(-p.neurons // 8),
        "NEURON_NUMBER": neuron["neuron"].offset,
        "NEURON_SPIKE": neuron["spike"].offset,
        **{f"NEURON_{name.upper()}": state + field.offset for name, field in state_layout(p)},
        **{f"UPDATE_{name.upper()}": field.offset for name, field in update},
        "ARRIVAL_AXON": 0,
        "ARRIVAL_X": p.axon_bits,
        **{f"LOAD_{name.upper()}": field.offset for name, field in load},
        **{f"LOAD_{name.upper()}_BITS": field.width for name, field in load},
        "LINES_MEMORY": "plastic__DOT__lines__DOT__lines_memory__DOT__ram__DOT__mem",
        "WEIGHTS_MEMORY": "plastic__DOT__weights_memory__DOT__ram__DOT__mem",
    }
    return "".join(f"#define {name} {value}\n" for name, value in values.items())


def _generate(params: PlasticParams) -> str:
    from spikeloop.hdl.verilog import generate_plastic

    return generate_plastic(params)


PLASTIC = MacroBuild(PLASTIC_TOP, "plastic core", "plastic.cpp", _generate, _model_header)


class PlasticModel(LoadPort):
    """A Verilated plastic core. ``run`` presentations of a lesson, as the engines of pysim do."""

    def __init__(
        self, params: PlasticParams, *, optimise: bool = True, library: Path | None = None
    ) -> None:
        self.params = params
        library = library or PLASTIC.library(params, optimise=optimise)
        super().__init__(library, "plastic", memories(params), COUNTERS)
        for name in ("clear", "rows"):
            self.function(name).restype = ctypes.c_int64
        self.clear_cycles = 0

    def load(self, lesson: Lesson, state: LessonState | None = None) -> None:
        """Give the core a lesson's settings and tables, and ``state`` (default: the lesson's)."""
        self.params.check(lesson.population)
        every = chunks(self.params, lesson, state)
        settings = int((every[:, 0] == 0).sum())
        self.write_chunks(every[:settings])
        self.clear_cycles = self.function("clear")(self._handle, ctypes.c_int64(self._limit))
        if self.clear_cycles < 0:
            raise RuntimeError(f"core does not end CLEAR within {self._limit} cycles")
        self.write_chunks(every[settings:])

    def run(
        self,
        lesson: Lesson,
        first: int = 0,
        last: int | None = None,
        state: LessonState | None = None,
        *,
        record: bool = True,
        stall: int = 0,
        pins: bool = False,
        fresh: bool = True,
    ) -> LessonTrace:
        """Presentations first..last - 1 of a lesson.

        state: what the presentation before left; by default the lesson's own, as after CLEAR.
        record: False leaves values, arrivals and updates empty.
        stall: seed of random pauses of the spikes' receiver; 0 for none.
        pins: spikes go in through the stream ``i``, the last line first.
        fresh: False: the core goes on with what it holds, ``state`` is ignored.
        RuntimeError if the core hangs or loses a spike.
        """
        last = lesson.presentations if last is None else last
        if fresh:
            self.load(lesson, state)
            self._ticks = (state or lesson.state).ticks
        p, count = self.params, last - first
        bounds = lesson.first
        rows = slice(bounds[first], bounds[last])
        total, names = int(bounds[last] - bounds[first]), slice(first, last)
        arrays = {
            "ticks": lesson.ticks[names],
            "spikes": lesson.spikes[rows],
            "teacher": lesson.teacher[rows],
            **{
                n: getattr(lesson, n)[names].view(np.uint8) for n in ("learn", "adapt", "normalise")
            },
            "values": np.zeros((total if record else 0, len(NEURON_FIELDS), p.neurons), np.int32),
            "counts": np.zeros((count, p.neurons), np.int64),
            "cycles": np.zeros(total, np.int64),
            **{n: np.zeros(count, np.int64) for n in POINTERS[-4:]},
        }
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        run = _Run(
            first=first,
            presentations=count,
            record=record,
            pins=pins,
            limit_cycles=self._limit,
            stall=stall,
            **{name: array.ctypes.data for name, array in arrays.items()},
        )
        status = self.function("run")(self._handle, ctypes.byref(run))
        if status == HANGS:
            raise RuntimeError(f"core does not end a command within {self._limit} cycles")
        if status == SPIKES_LOST:
            raise RuntimeError("spikes that leave the core are not those of its neurons")
        self._ticks = self._ticks + total & 0xFFFFFFFF
        values = arrays["values"].astype(np.int64)
        columns = {name: values[:, at] for at, name in enumerate(NEURON_FIELDS)}
        if not record:
            columns["s"] = arrays["counts"]
        return LessonTrace(
            first=first,
            **columns,
            arrivals=self._log(0, 4),
            updates=self._log(1, 7),
            state=self.state(),
            **{name: arrays[name] for name in POINTERS[-5:]},
        )

    def state(self) -> LessonState:
        """What the core holds: weights, and theta and marks read through the load port."""
        p = self.params
        weights = np.zeros((p.axons, p.neurons), np.uint16)
        self.function("weights")(self._handle, weights.ctypes.data_as(ctypes.c_void_p))
        fields, at = {}, 0
        words = self.read("state").astype(object)
        whole = [sum(int(chunk) << 32 * n for n, chunk in enumerate(row)) for row in words]
        for name, bits in state_fields(p):
            fields[name] = [word >> at & (1 << bits) - 1 for word in whole]
            at += bits
        theta, dirty = np.array(fields["theta"], np.int64), np.array(fields["dirty"], bool)
        return LessonState(weights, theta, dirty, self._ticks)

    def coverage(self, path: Path) -> None:
        """Write the coverage points hit so far (a library built with ``coverage=True``)."""
        self.function("coverage")(self._handle, str(path).encode())

    @property
    def _limit(self) -> int:
        """Cycles of the longest command, and some."""
        p = self.params
        return 1000 + 4 * p.words * p.axons + 3 * p.neurons * (p.axons + 80)

    def _log(self, which: int, width: int) -> np.ndarray:
        rows = np.zeros((self.function("rows")(self._handle, which), width), np.int64)
        self.function("log")(self._handle, which, rows.ctypes.data_as(ctypes.c_void_p))
        return rows
