"""The Verilated macro of dendritic neurons alone in this process, built and cached like a chip.

It is loaded through its port and driven by the native harness in this folder.
"""

import ctypes
from pathlib import Path

import numpy as np

from spikeloop.cosim.macros.port.build import MacroBuild
from spikeloop.cosim.macros.port.client import LoadPort
from spikeloop.hdl.names import DENDRITIC_TOP
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.settings import INHIBITION_BITS, PASSING, PSP_BITS, UNITS
from spikeloop.pysim.dendrites.state import DendriticState
from spikeloop.pysim.dendrites.trace import DendriticTrace
from spikeloop.pysim.dendritic.contents import net_chunks, show_chunks, state_chunks, state_of
from spikeloop.pysim.dendritic.memories import memories
from spikeloop.pysim.dendritic.params import COUNTERS, DendriticParams

__all__ = ["DENDRITIC", "DendriticModel"]

HANGS, TOO_MANY_STEPS = 1, 2  # what dendritic_run returns
LIMIT_CYCLES = 10_000  # without a step: the macro hangs
REGISTERS, INPUTS = ("globals", "neurons", "inhibition"), ("weights", "synapses")


class _Run(ctypes.Structure):
    """The structure Run of harness.cpp."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("neurons", "room", "limit_cycles", "record")),
        *((name, ctypes.c_void_p) for name in ("units", "pairs", "rin")),
        ("steps", ctypes.c_int64),
    ]


def _model_header(p: DendriticParams) -> str:
    """The text of model.h: geometry, places of fields in ports, numbers of the neurons."""
    from spikeloop.hdl.dendrites.layouts import load_layout

    forms = [*UNITS.values(), *PASSING.values()]
    places = [sum(form.bits for form in forms[:at]) for at in range(len(forms))]
    values: dict[str, object] = {
        "FIELDS": len(forms),
        "INPUTS": p.inputs,
        "LANES": p.neurons,
        "PAIR_BITS": INHIBITION_BITS,
        "PSP_BITS": PSP_BITS,
        "SYNAPSES_MEMORY": "dendritic__DOT__synapses_memory__DOT__ram__DOT__mem",
        "WEIGHTS_MEMORY": "dendritic__DOT__weights_memory__DOT__ram__DOT__mem",
        "NEURONS(X)": " ".join(f"X({i})" for i in range(p.neurons)),
        **{f"LOAD_{name.upper()}": field.offset for name, field in load_layout(p)},
        **{f"LOAD_{name.upper()}_BITS": field.width for name, field in load_layout(p)},
    }
    tables = {
        "FIELD_AT": places,
        "FIELD_BITS": [form.bits for form in forms],
        "FIELD_SIGNED": [int(form.signed) for form in forms],
    }
    return "".join(
        (
            *(f"#define {name} {value}\n" for name, value in values.items()),
            *(
                f"static const int {name}[] = {{{', '.join(map(str, numbers))}}};\n"
                for name, numbers in tables.items()
            ),
        )
    )


def _generate(params: DendriticParams) -> str:
    from spikeloop.hdl.verilog import generate_dendritic

    return generate_dendritic(params)


DENDRITIC = MacroBuild(
    DENDRITIC_TOP, "macro of dendritic neurons", "dendritic/harness.cpp", _generate, _model_header
)


class DendriticModel(LoadPort):
    """A Verilated macro. ``load`` a net, ``put`` a state, then run shows."""

    def __init__(
        self, params: DendriticParams, *, optimise: bool = True, coverage: bool = False
    ) -> None:
        self.params = params
        library = DENDRITIC.library(params, optimise=optimise, coverage=coverage)
        super().__init__(library, "dendritic", memories(params), COUNTERS)
        self._net: DendriticNet | None = None

    def load(self, net: DendriticNet, stimuli: np.ndarray) -> None:
        """Settings, table and stimuli, int64 ``[stimulus, input]``."""
        self.write_chunks(net_chunks(self.params, net, stimuli))
        self._net = net

    def put(self, state: DendriticState) -> None:
        """The state from which the next show goes on."""
        self.write_chunks(state_chunks(self.params, self._loaded(), state))

    def show(
        self, stimulus: int, steps: int, *, learn: bool, plastic: bool = True, record: bool = True
    ) -> DendriticTrace:
        """A show of the stimulus of that number, from the state that the macro holds.

        record: False keeps the last state only. RuntimeError if the macro hangs.
        """
        size = self._loaded().neurons
        self.write_chunks(show_chunks(stimulus, steps, learn=learn, plastic=plastic))
        kept = steps if record else 0
        units = np.zeros((kept, len(UNITS) + len(PASSING), size), np.int64)
        pairs, rin = np.zeros((kept, size, size), np.int64), np.zeros(kept, np.uint64)
        before = self.counters()
        run = _Run(
            neurons=size,
            room=steps,
            limit_cycles=LIMIT_CYCLES,
            record=record,
            units=units.ctypes.data,
            pairs=pairs.ctypes.data,
            rin=rin.ctypes.data,
        )
        status = self.function("run")(self._handle, ctypes.byref(run))
        if status == HANGS:
            raise RuntimeError(f"macro makes no step within {LIMIT_CYCLES} cycles")
        if status == TOO_MANY_STEPS:
            raise RuntimeError(f"macro makes more than {steps} steps")
        spent = {name: n - before[name] for name, n in self.counters().items()}
        if spent["steps"] != run.steps:
            raise RuntimeError(f"macro counts {spent['steps']} steps and makes {run.steps}")
        done = run.steps
        state = self._state(self._inputs())
        return DendriticTrace(units[:done], pairs[:done], rin[:done], state=state, **spent)

    def state(self) -> DendriticState:
        """What the macro holds, read through the load port."""
        return self._state({name: self.read(name) for name in INPUTS})

    def _state(self, inputs: dict[str, np.ndarray]) -> DendriticState:
        registers = {name: self.read(name) for name in REGISTERS}
        return state_of(self.params, self._loaded(), {**registers, **inputs})

    def _inputs(self) -> dict[str, np.ndarray]:
        """The memories of all inputs, taken from the model at once: behind every show."""
        weights = np.zeros((self.params.inputs, self.params.neurons), np.int32)
        synapses = np.zeros((self.params.inputs, 2), np.uint32)
        pointers = (ctypes.c_void_p(array.ctypes.data) for array in (weights, synapses))
        self.function("inputs")(self._handle, *pointers)
        return {"weights": weights, "synapses": synapses}

    def coverage(self, path: Path) -> None:
        """Write the points hit so far, of a model built with ``coverage``."""
        self.function("coverage")(self._handle, str(path).encode())

    def _loaded(self) -> DendriticNet:
        if self._net is None:
            raise InputError("net of the macro is missing: call load()")
        return self._net
