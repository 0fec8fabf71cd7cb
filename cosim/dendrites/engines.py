"""Who can show stimuli to dendritic neurons: golden, pysim's two engines, the Verilated macro."""

from dataclasses import replace
from typing import Any

import numpy as np

from spikeloop.cosim.macros.engines import Engine
from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.state import DendriticState
from spikeloop.pysim.dendrites.trace import DendriticTrace
from spikeloop.pysim.dendritic.cycles import show_cycles
from spikeloop.pysim.dendritic.params import DendriticParams

__all__ = ["open_engine"]

LARGE = 256  # inputs from which a slow compilation pays


def open_engine(name: str, net: DendriticNet, stimuli: np.ndarray) -> Engine:
    """The engine ``name`` for a net and its stimuli, ``[stimulus, input]``.

    Its ``run`` is ``show`` of the engines of pysim.dendritic. A Verilated macro is as large as the
    net, and holds all stimuli.
    """
    if name == "verilator":
        macro = _Macro(net, stimuli)
        return Engine(name, macro.show, macro.model.close)
    if name == "golden":
        from spikeloop.golden.dendrites import integer

        return Engine(name, integer.show)
    from spikeloop.pysim.dendritic import numba_engine, numpy_engine

    compiled = name == "pysim" and numba_engine.AVAILABLE
    show = numba_engine.show if compiled else numpy_engine.show

    def predicted(
        net: DendriticNet,
        stimulus: Any,
        state: DendriticState,
        steps: int,
        *,
        learn: bool,
        plastic: bool = True,
        record: bool = True,
    ) -> DendriticTrace:
        trace = show(net, stimulus, state, steps, learn=learn, plastic=plastic, record=record)
        cycles = show_cycles(net, state.age, steps, learn=learn, plastic=plastic)
        return replace(trace, cycles=cycles)

    return Engine(name, predicted)


class _Macro:
    """The Verilated macro behind the arguments of pysim's engines."""

    def __init__(self, net: DendriticNet, stimuli: np.ndarray) -> None:
        from spikeloop.cosim.macros.dendritic.model import DendriticModel

        params = DendriticParams.of(net, len(stimuli))
        self.model = DendriticModel(params, optimise=net.inputs >= LARGE)
        self.model.load(net, stimuli)
        self.stimuli = stimuli
        self.held: DendriticState | None = None

    def show(
        self,
        net: DendriticNet,
        stimulus: np.ndarray,
        state: DendriticState,
        steps: int,
        *,
        learn: bool,
        plastic: bool = True,
        record: bool = True,
    ) -> DendriticTrace:
        """A show. The state is loaded unless the macro has come to the same by itself."""
        number = int(np.flatnonzero((self.stimuli == stimulus).all(1))[0])
        if self.held is None or not self.held.same(state):
            self.model.put(state)
        trace = self.model.show(number, steps, learn=learn, plastic=plastic, record=record)
        self.held = trace.state
        return trace
