"""The Verilated macro of oscillators alone in this process, built and cached like a chip.

It is loaded through its port and driven by the native harness cosim/macros/onn.cpp.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spikeloop.cosim.macros.port.build import MacroBuild
from spikeloop.cosim.macros.port.client import LoadPort
from spikeloop.hdl.names import ONN_TOP
from spikeloop.pysim.onn.contents import input_chunks, net_chunks, state_of
from spikeloop.pysim.onn.memories import memories, setting_bits
from spikeloop.pysim.onn.params import COUNTERS, OnnParams
from spikeloop.pysim.oscillators.net import OnnNet, OnnState
from spikeloop.pysim.oscillators.settings import UNITS
from spikeloop.pysim.oscillators.trace import OnnTrace

__all__ = ["ONN", "OnnModel"]

HANGS, TOO_MANY_STEPS = 1, 2  # what onn_run returns
LIMIT_CYCLES = 200_000  # without a step: the macro hangs


class _Run(ctypes.Structure):
    """The structure Run of cosim/macros/onn.cpp."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("oscillators", "room", "limit_cycles", "record")),
        *((name, ctypes.c_void_p) for name in ("units", "whole")),
        *((name, ctypes.c_int64) for name in ("steps", "settled")),
        ("last", ctypes.c_void_p),
    ]


def _model_header(p: OnnParams) -> str:
    """The text of model.h: geometry, places of fields in ports, names of the ports."""
    from spikeloop.hdl.onn.memories import load_layout

    bits = {"v": p.volt_bits, "age": 16, "phase": 16, "phi": p.phase_bits, "new": p.phase_bits}
    widths = [bits.get(name, 1) for name in UNITS[p.cell]]
    places = [sum(widths[:at]) for at in range(len(widths))]
    layout = load_layout(p)
    ports = " ".join(f"X(unit_{i})" for i in range(p.oscillators))
    values: dict[str, object] = {
        "FIELDS": len(widths),
        "UNITS(X)": ports,
        **{f"LOAD_{name.upper()}": field.offset for name, field in layout},
        **{f"LOAD_{name.upper()}_BITS": field.width for name, field in layout},
    }
    tables = (
        f"static const int FIELD_AT[] = {{{', '.join(map(str, places))}}};\n"
        f"static const int FIELD_BITS[] = {{{', '.join(map(str, widths))}}};\n"
    )
    return "".join(f"#define {name} {value}\n" for name, value in values.items()) + tables


def _generate(params: OnnParams) -> str:
    from spikeloop.hdl.verilog import generate_onn

    return generate_onn(params)


ONN = MacroBuild(ONN_TOP, "macro of oscillators", "onn.cpp", _generate, _model_header)


class OnnModel(LoadPort):
    """A Verilated macro. ``load`` a net, then ``run`` as the engines of pysim.onn do."""

    def __init__(self, params: OnnParams, *, optimise: bool = True, coverage: bool = False) -> None:
        self.params = params
        library = ONN.library(params, optimise=optimise, coverage=coverage)
        super().__init__(library, "onn", memories(params), COUNTERS)
        self._net: OnnNet | None = None
        self._steps_max = list(setting_bits(params)).index("steps_max")

    def run(
        self,
        net: OnnNet,
        start: np.ndarray,
        *,
        steps: int | None = None,
        state: OnnState | None = None,
        record: bool = True,
        fresh: bool = True,
    ) -> OnnTrace:
        """A run, or its next ``steps`` steps.

        start, steps, state, record: as of the engines of pysim.onn.
        fresh: False: the macro goes on with the state and input that it holds.
        RuntimeError if the macro hangs.
        """
        if self._net is not net:
            self.write_chunks(net_chunks(self.params, net))
            self._net = net
        if fresh:
            state = net.begin(start) if state is None else state
            self.write_chunks(input_chunks(self.params, net, start, state))
            first = state.step
        else:
            first = int(self.read("globals")[0, 0])
        end = net["steps_max"] if steps is None else min(first + steps, net["steps_max"])
        self.write_chunks(np.array([[0, self._steps_max, 0, end]], np.uint32))
        room = end - first if record else 0
        units = np.zeros((room, len(net.units), net.size), np.int32)
        whole, last = np.zeros((room, 4), np.int32), np.zeros(4, np.int64)
        before = self.counters()
        run = _Run(
            oscillators=net.size,
            room=room,
            limit_cycles=LIMIT_CYCLES,
            record=record,
            units=units.ctypes.data,
            whole=whole.ctypes.data,
            last=last.ctypes.data,
        )
        status = self.function("run")(self._handle, ctypes.byref(run))
        if status == HANGS:
            raise RuntimeError(f"macro makes no step within {LIMIT_CYCLES} cycles")
        if status == TOO_MANY_STEPS:
            raise RuntimeError(f"macro makes more than {room} steps")
        spent = {name: n - before[name] for name, n in self.counters().items()}
        if spent["steps"] != run.steps:
            raise RuntimeError(f"macro counts {spent['steps']} steps and makes {run.steps}")
        return OnnTrace(
            first=first,
            units=units[: run.steps],
            whole=whole[: run.steps],
            state=self.state(),
            steps=run.steps,
            clips=spent["clips"],
            crossings=spent["crossings"],
            ended=bool(run.settled) or int(last[0]) >= net["steps_max"],
            cycles=spent["cycles"],
            reads=spent["reads"],
        )

    def state(self) -> OnnState:
        """What the macro holds, read through the load port."""
        if self._net is None:
            raise RuntimeError("macro must hold a net: call run()")
        return state_of(
            self.params, self._net, self.read("state"), self.read("globals")[:, 0].astype(np.int64)
        )

    def coverage(self, path: Path) -> None:
        """Write the coverage points hit so far (a macro built with ``coverage``)."""
        self.function("coverage")(self._handle, str(path).encode())

    def write(self, name: str, rows: np.ndarray, word: Sequence[int]) -> None:
        """The same word, as chunks, into some rows of a memory."""
        number = [memory.name for memory in memories(self.params)].index(name)
        chunks = memories(self.params)[number].chunks
        self.write_chunks(
            np.array(
                [(number, row, at, word[at]) for row in rows for at in range(chunks)], np.uint32
            ).reshape(-1, 4)
        )
