"""The engine of dendritic neurons that numba compiles (the optional extra "fast").

Arguments and result are those of pysim.dendritic.numpy_engine. The walk itself is
pysim.dendritic.kernel.
"""

import numpy as np

from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.settings import PASSING, UNITS
from spikeloop.pysim.dendrites.state import DendriticState
from spikeloop.pysim.dendrites.trace import FIELDS, DendriticTrace
from spikeloop.pysim.dendritic import kernel
from spikeloop.pysim.dendritic.kernel import AVAILABLE

__all__ = ["AVAILABLE", "show"]


def show(
    net: DendriticNet,
    stimulus: np.ndarray,
    state: DendriticState,
    steps: int,
    *,
    learn: bool,
    plastic: bool = True,
    record: bool = True,
) -> DendriticTrace:
    """A show: ``steps`` steps with one stimulus.

    stimulus: thresholds, int64 ``[input]``.
    state:    what was before; it stays as it is.
    record:   False keeps the last state only.
    """
    threshold = net.check_stimuli(np.asarray(stimulus)[None])[0]
    state = state.check(net)
    size, kept = net.neurons, steps if record else 0
    settings = np.array([net[name] for name in kernel.ORDER], np.int64)
    w = np.ascontiguousarray(state.weights, np.int32)
    units = np.concatenate([state.units, np.zeros((len(PASSING), size), np.int64)])
    rin, counts = np.array([state.rin], np.uint64), np.zeros(4, np.int64)
    every = np.zeros((kept, len(FIELDS), size), np.int64)
    pairs, rins = np.zeros((kept, size, size), np.int64), np.zeros(kept, np.uint64)
    changed = (w, state.inhibition, state.currents, state.psps, units, rin)
    age = kernel.walk(
        settings,
        net.table,
        threshold,
        steps,
        learn,
        plastic,
        *changed,
        state.age,
        every,
        pairs,
        rins,
        counts,
    )
    inputs, spikes, clips, saturations = counts.tolist()
    return DendriticTrace(
        units=every,
        pairs=pairs,
        rin=rins,
        state=DendriticState(
            w.astype(np.int64),
            state.inhibition,
            state.currents,
            state.psps,
            units[: len(UNITS)],
            int(rin[0]),
            int(age),
        ),
        steps=steps,
        inputs=inputs,
        spikes=spikes,
        clips=clips,
        saturations=saturations,
    )
