"""Who can run a net of oscillators: golden, the two engines of pysim, and the Verilated macro."""

from collections.abc import Callable, Sequence

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.onn.cycles import with_cycles
from spikeloop.pysim.onn.params import OnnParams
from spikeloop.pysim.oscillators.net import OnnNet
from spikeloop.pysim.oscillators.trace import OnnTrace

__all__ = ["ENGINES", "Engine", "check_engines", "open_engine"]

ENGINES = ("golden", "pysim", "numpy", "verilator")
LARGE = 32  # oscillators from which a slow compilation pays


class Engine:
    """A name, and ``run`` as of the engines of pysim.onn."""

    def __init__(self, name: str, run: Callable[..., OnnTrace]) -> None:
        self.name, self.run = name, run

    def close(self) -> None:
        """Give back what it holds."""


def check_engines(names: Sequence[str]) -> list[str]:
    """The names without repetition; InputError for an unknown one, and for none."""
    known = list(dict.fromkeys(names))
    for name in known or [""]:
        if name not in ENGINES:
            raise InputError(f"backend must be one of {', '.join(ENGINES)}, not {name!r}")
    return known


def open_engine(name: str, net: OnnNet) -> Engine:
    """The engine ``name`` for a net, with a lane for each oscillator."""
    params = OnnParams.of(net)
    if name == "verilator":
        from spikeloop.cosim.macros.onn import OnnModel

        model = OnnModel(params, optimise=net.size >= LARGE)
        engine = Engine(name, model.run)
        engine.close = model.close  # type: ignore[method-assign]
        return engine
    if name == "golden":
        from spikeloop.golden.oscillators import run as golden

        return Engine(name, golden.run)
    from spikeloop.pysim.onn import numba_engine, numpy_engine

    compiled = name == "pysim" and numba_engine.AVAILABLE
    run = numba_engine.run if compiled else numpy_engine.run
    return Engine(name, lambda *a, **k: with_cycles(params, net, run(*a, **k)))
