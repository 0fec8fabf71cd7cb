"""The trace of a show: every value of every step, and how two of them differ."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikeloop.pysim.dendrites.settings import PASSING, UNITS
from spikeloop.pysim.dendrites.state import DendriticState

__all__ = ["FIELDS", "DendriticTrace", "Differences", "differences"]

FIELDS = (*UNITS, *PASSING)
"""Rows of a trace: the state of a neuron, then what lives for a step."""
COUNTS = ("steps", "inputs", "spikes", "clips", "saturations", "cycles")
INPUT_ARRAYS = ("currents", "psps")


@dataclass(frozen=True, eq=False)
class DendriticTrace:
    """What the steps of a show left behind.

    units:   int64 ``[step, field, neuron]`` after each step, rows FIELDS; empty if not recorded
    pairs:   int64 ``[step, neuron, neuron]``: the inhibition, likewise
    rin:     uint64 ``[step]``, likewise
    state:   after the last step
    steps, inputs, spikes, clips, saturations: the counters of docs/dendritic.md
    cycles:  of the macro; None where the engine has no clock
    """

    units: np.ndarray
    pairs: np.ndarray
    rin: np.ndarray
    state: DendriticState
    steps: int
    inputs: int
    spikes: int
    clips: int
    saturations: int
    cycles: int | None = None

    def field(self, name: str) -> np.ndarray:
        """A field of every step, int64 ``[step, neuron]``."""
        return self.units[:, FIELDS.index(name)]


class Differences(NamedTuple):
    """Values compared; how many of them differ; the first difference, a sentence."""

    compared: int
    different: int
    first: str | None


def differences(
    a: DendriticTrace, b: DendriticTrace, names: tuple[str, str] = ("pysim", "RTL")
) -> Differences:
    """Compares two traces of the same show: steps, states, counters, cycles where both have them.

    The first difference is the one of the earliest step.
    """
    compared, different, first = 0, 0, None
    for name, one, other in _values(a, b):
        if one.shape != other.shape:
            sentence = f"{name}: shape {one.shape} in {names[0]}, {other.shape} in {names[1]}"
            return Differences(compared + 1, different + 1, sentence)
        unequal = one != other
        compared, different = compared + one.size, different + int(unequal.sum())
        if unequal.any() and first is None:
            at = tuple(int(i) for i in np.argwhere(unequal)[0])
            first = f"{_place(name, at)}: {one[at]} in {names[0]}, {other[at]} in {names[1]}"
    return Differences(compared, different, first)


def _values(a: DendriticTrace, b: DendriticTrace) -> list[tuple[str, np.ndarray, np.ndarray]]:
    pairs = [("units", a.units, b.units), ("pairs", a.pairs, b.pairs), ("rin", a.rin, b.rin)]
    x, y = a.state, b.state
    pairs += [
        (f"state {name}", getattr(x, name), getattr(y, name))
        for name in ("units", "inhibition", *INPUT_ARRAYS, "weights")
    ]
    pairs.append(("state age, rin", _whole(x), _whole(y)))
    for name in COUNTS:
        one, other = getattr(a, name), getattr(b, name)
        if one is not None and other is not None:
            pairs.append((f"counter {name}", np.array([one]), np.array([other])))
    return pairs


def _whole(state: DendriticState) -> np.ndarray:
    return np.array([state.age, state.rin], np.uint64)


def _place(name: str, at: tuple[int, ...]) -> str:
    if name == "units":
        return f"step {at[0]}, neuron {at[2]}, {FIELDS[at[1]]}"
    if name == "pairs":
        return f"step {at[0]}, inhibition of {at[1]} by {at[2]}"
    if name == "rin":
        return f"step {at[0]}, rin"
    if name == "state units":
        return f"state, neuron {at[1]}, {list(UNITS)[at[0]]}"
    if name == "state weights":
        return f"state, weight of input {at[1]} onto neuron {at[0]}"
    return f"{name} {at}"
