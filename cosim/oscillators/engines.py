"""Who can run a net of oscillators: golden, the two engines of pysim, and the Verilated macro."""

from spikeloop.cosim.macros.engines import Engine
from spikeloop.pysim.onn.cycles import with_cycles
from spikeloop.pysim.onn.params import OnnParams
from spikeloop.pysim.oscillators.net import OnnNet

__all__ = ["open_engine"]

LARGE = 32  # oscillators from which a slow compilation pays


def open_engine(name: str, net: OnnNet) -> Engine:
    """The engine ``name`` for a net, with a lane for each oscillator.

    Its ``run`` is that of the engines of pysim.onn.
    """
    params = OnnParams.of(net)
    if name == "verilator":
        from spikeloop.cosim.macros.onn import OnnModel

        model = OnnModel(params, optimise=net.size >= LARGE)
        return Engine(name, model.run, model.close)
    if name == "golden":
        from spikeloop.golden.oscillators import run as golden

        return Engine(name, golden.run)
    from spikeloop.pysim.onn import numba_engine, numpy_engine

    compiled = name == "pysim" and numba_engine.AVAILABLE
    run = numba_engine.run if compiled else numpy_engine.run
    return Engine(name, lambda *a, **k: with_cycles(params, net, run(*a, **k)))
