"""The trace of a run of oscillators: every value of every step, and how two of them differ."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikeloop.pysim.oscillators.net import OnnNet, OnnState
from spikeloop.pysim.oscillators.settings import GLOBALS

__all__ = ["Differences", "OnnTrace", "differences"]


@dataclass(frozen=True, eq=False)
class OnnTrace:
    """What the steps ``first + 1`` .. of a run left behind.

    units:     int32 ``[step, field, oscillator]`` after each step; empty if not recorded
    whole:     int32 ``[step, 4]``, GLOBALS, likewise
    state:     after the last step
    steps:     steps of this trace
    clips:     voltages that were clipped
    crossings: times that an oscillator crossed V+; 0 in the phase cell
    ended:     the run is over: it settled, or came to ``steps_max``
    cycles:    of the macro; None where the engine has no clock
    reads:     words of couplings that it reads; None likewise
    """

    first: int
    units: np.ndarray
    whole: np.ndarray
    state: OnnState
    steps: int
    clips: int
    crossings: int
    ended: bool
    cycles: int | None = None
    reads: int | None = None

    def pixels(self) -> np.ndarray:
        """What is read at the end: int8 ``[oscillator]``, +1 in phase with r, else -1."""
        return (1 - 2 * self.state.units[-1]).astype(np.int8)


class Differences(NamedTuple):
    """Values compared; how many of them differ; the first difference, a sentence."""

    compared: int
    different: int
    first: str | None


def differences(
    net: OnnNet, a: OnnTrace, b: OnnTrace, names: tuple[str, str] = ("pysim", "RTL")
) -> Differences:
    """Compares two traces of the same steps: states, counters, and cycles where both have them."""
    for what in ("steps", "ended", "clips", "crossings", "cycles", "reads"):
        x, y = getattr(a, what), getattr(b, what)
        if x is not None and y is not None and x != y:
            return Differences(
                1, 1, f"from step {a.first}, {what}: {x} in {names[0]}, {y} in {names[1]}"
            )
    compared, different, first = 6, 0, None
    for one, other in ((a.units, b.units), (a.whole, b.whole)):
        if one.shape != other.shape:
            return Differences(
                1, 1, f"shapes {one.shape} in {names[0]}, {other.shape} in {names[1]}"
            )
        unequal = one != other
        compared, different = compared + one.size, different + int(unequal.sum())
    wrong = (a.units != b.units).any((1, 2)) | (a.whole != b.whole).any(1)
    if wrong.any():
        step = int(np.argmax(wrong))
        first = _sentence(net, a, b, step, names)
    for one, other in ((a.state.units, b.state.units), (a.state.whole, b.state.whole)):
        compared, different = compared + one.size, different + int((one != other).sum())
    if different and first is None:
        first = f"state after step {a.first + a.steps} differs between {names[0]} and {names[1]}"
    return Differences(compared, different, first)


def _sentence(net: OnnNet, a: OnnTrace, b: OnnTrace, step: int, names: tuple[str, str]) -> str:
    at = f"step {a.first + step}"
    row, unit = (found.tolist() for found in np.nonzero(a.units[step] != b.units[step]))
    if row:
        x, y = a.units[step, row[0], unit[0]], b.units[step, row[0], unit[0]]
        what = f"oscillator {unit[0]}, {net.units[row[0]]}"
    else:
        column = int(np.argmax(a.whole[step] != b.whole[step]))
        x, y, what = a.whole[step, column], b.whole[step, column], GLOBALS[column]
    return f"{at}, {what}: {x} in {names[0]}, {y} in {names[1]}"
