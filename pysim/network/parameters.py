"""The parameters of a population's neurons: one table of types, shapes, defaults and ranges, and
the largest values that networks and chips can hold.

The arithmetic contract (docs/arithmetic.md) says what every parameter does. A population's arrays,
its file, its checks and the models' tables are written from here.
"""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "ADAPTATION",
    "ARRAYS",
    "CURRENT",
    "LEAK_TERMS",
    "LeakRounding",
    "LowBound",
    "MAX_DELAY",
    "MAX_GAIN",
    "MAX_PAGES",
    "MAX_PAGE_SHIFT",
    "MAX_REFRACTORY",
    "MAX_START",
    "MAX_WEIGHT_BITS",
    "PARAMETERS",
    "Parameter",
    "Reset",
    "StateUse",
    "Widths",
    "full_shape",
]

LEAK_TERMS = 3
"""Shift-add terms of one leak or decay."""
MAX_PAGES = 64
"""Pages of the paged parameters of a population."""
MAX_PAGE_SHIFT = 15
"""log2 of the steps of a page: the last step of the longest sample is 2^16 - 1."""
MAX_DELAY = 16
"""Steps of a logical delay, ticks of a physical one."""
MAX_START = 255
"""Start tick of a population."""
MAX_REFRACTORY = 63
"""Steps of silence after a spike."""
MAX_WEIGHT_BITS = 16
"""Width of a weight."""
MAX_GAIN = 15
"""Left shift of a sum on its way into a synaptic current."""


class Reset(IntEnum):
    """What a spike does to the membrane."""

    HARD = 0  # v' = v_reset
    SOFT = 1  # v' = sat(u - v_sub)
    NONE = 2  # v' = u


class LeakRounding(IntEnum):
    """How shr(v, m) rounds."""

    FLOOR = 0  # arithmetic right shift
    TOWARD_ZERO = 1  # sign(v) * (|v| >> m)
    AT_LEAST_ONE = 2  # sign(v) * max(|v| >> m, 1), 0 for v = 0


class LowBound(IntEnum):
    """What happens to a neuron that did not spike and lies below v_low."""

    NONE = 0
    CLIP = 1  # v' = v_low
    RESET = 2  # v' = v_low_reset
    ADD = 3  # v' = sat(u + v_low_add)


class StateUse(IntEnum):
    """Whether a neuron has a second state, and which value of it acts in a step."""

    NONE = 0  # it has not
    NEW = 1  # after the update (synaptic current) or the decay (adaptation) of this step
    OLD = 2  # before it


class Widths(NamedTuple):
    """Widths of a network's states; 0 for a state that it does not have."""

    membrane: int
    current: int = 0
    adaptation: int = 0

    @property
    def gain(self) -> int:
        """Largest left shift of a sum."""
        return max(0, min(MAX_GAIN, self.current - 1))

    @property
    def step(self) -> int:
        """Largest adaptation."""
        return (1 << self.adaptation) - 1


class Parameter(NamedTuple):
    """One parameter of the neurons of a population.

    dtype:    type of the array
    axes:     "paged" ``[pages, size]``, "terms" ``[pages, LEAK_TERMS, size]``, "plain" ``[size]``
    default:  the neutral value; None: that of v_th
    low:      least value; None for bool and for the full range of a membrane
    high:     greatest value, or the name of the entry of Widths that it is, or None as for ``low``
    """

    dtype: Any
    axes: str
    default: Any
    low: int | None = None
    high: int | str | None = None

    def range(self, widths: Widths) -> tuple[int, int] | None:
        """Least and greatest value; None for bool."""
        if self.dtype is np.bool_:
            return None
        if self.low is None:
            return -(1 << (widths.membrane - 1)), (1 << (widths.membrane - 1)) - 1
        high = getattr(widths, self.high) if isinstance(self.high, str) else self.high
        assert high is not None
        return self.low, high


def _decay(prefix: str, width: str, k0: bool) -> dict[str, Parameter]:
    """A shift-add decay: the kept value and up to LEAK_TERMS shifted ones."""
    return {
        f"{prefix}k0": Parameter(np.bool_, "paged", k0),
        f"{prefix}sign": Parameter(np.int8, "terms", 0, -1, 1),
        f"{prefix}shift": Parameter(np.uint8, "terms", 0, 0, width),
        f"{prefix}rounding": Parameter(np.uint8, "plain", 0, 0, 2),
    }


_LEAK = _decay("leak_", "membrane", True)

CURRENT: dict[str, Parameter] = {
    "current": Parameter(np.uint8, "plain", StateUse.NONE, 0, 2),
    **_decay("current_", "current", False),
    "gain": Parameter(np.uint8, "plain", 0, 0, "gain"),
    "fraction": Parameter(np.uint8, "plain", 0, 0, "current"),
}
"""of the synaptic current; in a file only of a population that has one"""

ADAPTATION: dict[str, Parameter] = {
    "adaptation": Parameter(np.uint8, "plain", StateUse.NONE, 0, 2),
    **_decay("adaptation_", "adaptation", False),
    "adaptation_step": Parameter(np.int64, "plain", 0, 0, "step"),
    "adaptation_scale": Parameter(np.uint8, "plain", 0, 0, "adaptation"),
    "adaptation_reset": Parameter(np.bool_, "plain", False),
}
"""of the adaptation; in a file only of a population that has one"""

MEMBRANE: dict[str, Parameter] = {
    "bias": Parameter(np.int64, "paged", 0),
    "v_th": Parameter(np.int64, "paged", 1),
    "v_sub": Parameter(np.int64, "paged", None),
    "k0": _LEAK["leak_k0"],
    "leak_sign": _LEAK["leak_sign"],
    "leak_shift": _LEAK["leak_shift"],
    "rounding": _LEAK["leak_rounding"],
    "rectify": Parameter(np.bool_, "plain", False),
    "fire": Parameter(np.bool_, "plain", True),
    "reset": Parameter(np.uint8, "plain", Reset.HARD, 0, 2),
    "v_reset": Parameter(np.int64, "plain", 0),
    "low": Parameter(np.uint8, "plain", LowBound.NONE, 0, 3),
    "v_low": Parameter(np.int64, "plain", 0),
    "v_low_reset": Parameter(np.int64, "plain", 0),
    "v_low_add": Parameter(np.int64, "plain", 0),
    "refractory": Parameter(np.uint8, "plain", 0, 0, MAX_REFRACTORY),
    "hold": Parameter(np.bool_, "plain", False),
    "v_init": Parameter(np.int64, "plain", 0),
}
"""of every neuron"""

PARAMETERS: dict[str, Parameter] = {**MEMBRANE, **CURRENT, **ADAPTATION}
"""every parameter by name"""

ARRAYS: dict[str, Any] = {name: parameter.dtype for name, parameter in PARAMETERS.items()}
"""arrays of a population: their types"""


def full_shape(name: str, pages: int, size: int) -> tuple[int, ...]:
    """Shape of the array of parameter ``name`` in a population of ``pages`` and ``size``."""
    return {"paged": (pages, size), "terms": (pages, LEAK_TERMS, size), "plain": (size,)}[
        PARAMETERS[name].axes
    ]
