"""Who can show stimuli to dendritic neurons: golden, pysim's two engines, the Verilated macro."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.state import DendriticState
from spikeloop.pysim.dendrites.trace import DendriticTrace
from spikeloop.pysim.dendritic.cycles import show_cycles
from spikeloop.pysim.dendritic.params import DendriticParams

__all__ = ["ENGINES", "Engine", "check_engines", "open_engine"]

ENGINES = ("golden", "pysim", "numpy", "verilator")
LARGE = 256  # inputs from which a slow compilation pays


class Engine:
    """A name, and ``show`` as of the engines of pysim.dendritic."""

    def __init__(self, name: str, show: Callable[..., DendriticTrace]) -> None:
        self.name, self.show = name, show

    def close(self) -> None:
        """Give back what it holds."""


def check_engines(names: Sequence[str]) -> list[str]:
    """The names without repetition; InputError for an unknown one, and for none."""
    known = list(dict.fromkeys(names))
    for name in known or [""]:
        if name not in ENGINES:
            raise InputError(f"backend must be one of {', '.join(ENGINES)}, not {name!r}")
    return known


def open_engine(name: str, net: DendriticNet) -> Engine:
    """The engine ``name``; a Verilated macro is as large as the net."""
    if name == "verilator":
        from spikeloop.cosim.macros.dendritic import DendriticModel

        params = DendriticParams.of(net, stimuli=1)
        model = DendriticModel(params, optimise=net.inputs >= LARGE)
        engine = Engine(name, model.show)
        engine.close = model.close  # type: ignore[method-assign]
        return engine
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
