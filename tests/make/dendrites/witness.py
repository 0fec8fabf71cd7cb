"""The witness of the dendritic neurons on a net of ours: what it says of a show, as a trace."""

from collections import Counter

import numpy as np

from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.settings import UNITS
from spikeloop.pysim.dendrites.state import DendriticState
from spikeloop.pysim.dendrites.trace import FIELDS, DendriticTrace
from tests.make.dendrites.bins import Watched
from tests.witness.dendritic import Witness

__all__ = ["show"]


def show(
    net: DendriticNet,
    stimulus: np.ndarray,
    state: DendriticState,
    steps: int,
    *,
    learn: bool,
    plastic: bool = True,
    met: Counter[str] | None = None,
) -> DendriticTrace:
    """A show, recorded; arguments and result as of the engines of pysim.dendritic.

    met: counts the corners that the show meets.
    """
    names = ("weights", "inhibition", "currents", "psps")
    given = {name: getattr(state, name).tolist() for name in names}
    units = [dict(zip(UNITS, column, strict=True)) for column in state.units.T.tolist()]
    given |= {"units": units, "rin": state.rin, "age": state.age}
    kind = Witness if met is None else Watched
    model = kind(net.settings, net.table.tolist(), given)
    every, pairs, rin = [], [], []
    for _ in range(steps):
        model.step(stimulus.tolist(), learn, plastic)
        every.append([[unit[name] for unit in model.units] for name in FIELDS])
        pairs.append([list(row) for row in model.G])
        rin.append(model.rin)
    if isinstance(model, Watched) and met is not None:
        met.update(model.met)
    last = DendriticState(
        np.array(model.W),
        np.array(model.G),
        np.array(model.I),
        np.array(model.e),
        np.array([[unit[name] for unit in model.units] for name in UNITS]),
        model.rin,
        model.age,
    )
    counts = {n: getattr(model, n) for n in ("inputs", "spikes", "clips", "saturations")}
    return DendriticTrace(
        np.array(every), np.array(pairs), np.array(rin, np.uint64), last, steps=steps, **counts
    )
