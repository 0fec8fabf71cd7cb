"""The engine of oscillators that numba compiles (the optional extra "fast").

Arguments and result are those of pysim.onn.numpy_engine. The walk itself is pysim.onn.kernel.
"""

import numpy as np

from spikeloop.pysim.onn import kernel
from spikeloop.pysim.onn.kernel import AVAILABLE
from spikeloop.pysim.oscillators.net import OnnNet, OnnState
from spikeloop.pysim.oscillators.trace import OnnTrace

__all__ = ["AVAILABLE", "run"]


def run(
    net: OnnNet,
    start: np.ndarray,
    *,
    steps: int | None = None,
    state: OnnState | None = None,
    record: bool = True,
) -> OnnTrace:
    """A run, or its next ``steps`` steps.

    start:  delays or slots, ``[oscillator]``.
    steps:  where to stop at the latest; by default where the run ends.
    state:  what the steps before left; by default the beginning.
    record: False keeps the last state only.
    """
    start = net.check_input(start)
    state = net.begin(start) if state is None else state
    limit = net["steps_max"] - state.step if steps is None else steps
    units, whole = state.units.copy(), state.whole.copy()
    kept = limit if record else 0
    every = np.zeros((kept, *units.shape), np.int32)
    wholes, counts = np.zeros((kept, 4), np.int32), np.zeros(4, np.int64)
    places = (units, whole, every, wholes, limit, counts)
    if net.cell == "relaxation":
        shift = net.formats["v_frac"] - net.formats["x_frac"]
        numbers = np.array([*(net[name] for name in kernel.ORDER), shift, net.top], np.int64)
        kernel.relaxation(numbers, net.couplings, start, *places)
    else:
        names = ("steps_max", "settle", "reference")
        kernel.phase(net.slots, *(net[name] for name in names), net.couplings, *places)
    clips, crossings, ended, done = counts.tolist()
    return OnnTrace(
        first=state.step,
        units=every[:done],
        whole=wholes[:done],
        state=OnnState(units, whole),
        steps=done,
        clips=clips,
        crossings=crossings,
        ended=bool(ended),
    )
