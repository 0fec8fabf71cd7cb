"""The witness of the oscillators on a net of ours: what it says, as a trace."""

import numpy as np

from spikeloop.pysim.oscillators.net import OnnNet, OnnState
from spikeloop.pysim.oscillators.trace import OnnTrace
from tests.witness.onn import Phase, Relaxation

__all__ = ["witness"]


def witness(
    net: OnnNet, start: np.ndarray, *, steps: int | None = None, state: OnnState | None = None
) -> OnnTrace:
    """A run of the witness; arguments as of the engines of pysim.onn."""
    kind = Relaxation if net.cell == "relaxation" else Phase
    model = kind(
        {**net.formats, **net.settings}, net.couplings.tolist(), np.asarray(start).tolist()
    )
    names = {"v": "V"}
    first = 0
    if state is not None:
        first = state.step
        for name, row in zip(net.units, state.units.tolist(), strict=True):
            setattr(model, names.get(name, name), row)
        model.step, model.period, model.cycles, model.same = state.whole.tolist()
    units, whole, ended = [], [], False
    while not ended and (steps is None or len(units) < steps):
        ended = model.advance()
        units.append([list(row) for row in model.units()])
        whole.append(model.whole())
    last = OnnState(np.array(model.units()), np.array(model.whole()))
    done = len(units)
    return OnnTrace(
        first, np.array(units), np.array(whole), last, done, model.clips, model.crossings, ended
    )
