"""The second states in loops that numba compiles: synaptic current and adaptation, one step.

They are called for chips that have the states, between the sums of a tick and the membranes' step
(pysim/model/ticks/kernel.py). The functions are plain Python where numba is not installed.
"""

import numpy as np

try:
    import numba

    AVAILABLE = True
except ImportError:
    AVAILABLE = False

__all__ = ["ADAPTIVE", "SYNAPTIC", "after_spikes", "decayed", "synapse"]

_DECAY = (
    "k0",
    "toward_zero",
    "at_least_one",
    *(f"{field}{r}" for r in range(3) for field in ("sign", "shift")),
)
SYNAPTIC = (*_DECAY, "current", "old", "gain", "fraction")
"""Rows of a page of Tables.synaptic."""
ADAPTIVE = (*_DECAY, "adaptation", "old", "step", "scale", "reset")
"""Rows of a page of Tables.adaptive."""

K0, TOWARD_ZERO, AT_LEAST_ONE, TERMS = 0, 1, 2, 3
HAS, OLD = len(_DECAY), len(_DECAY) + 1
GAIN, FRACTION = len(_DECAY) + 2, len(_DECAY) + 3
STEP, SCALE, RESET = len(_DECAY) + 2, len(_DECAY) + 3, len(_DECAY) + 4


def _decay(page: np.ndarray, i: int, x: int) -> int:
    """The decay of state x of neuron i."""
    total = x if page[K0, i] else 0
    for at in range(TERMS, TERMS + 6, 2):
        sign, shift = page[at, i], page[at + 1, i]
        if not sign:
            continue
        if page[TOWARD_ZERO, i]:
            size = abs(x) >> shift
            if page[AT_LEAST_ONE, i] and x:
                size = max(size, 1)
            total += sign * (size if x > 0 else -size)
        else:
            total += sign * (x >> shift)
    return total


def synapse(
    sums: np.ndarray,
    y: np.ndarray,
    clipped: np.ndarray,
    page: np.ndarray,
    bits: int,
    first: int,
    last: int,
) -> None:
    """Currents of neurons first..last - 1: ``sums``, Z, becomes J; ``y`` moves on."""
    high, low = (1 << (bits - 1)) - 1, -(1 << (bits - 1))
    for i in range(first, last):
        if not page[HAS, i]:
            y[i] = 0
            continue
        total = _decay(page, i, y[i]) + (sums[i] << page[GAIN, i])
        after = min(max(total, low), high)
        clipped[i] |= after != total
        sums[i] = (y[i] if page[OLD, i] else after) >> page[FRACTION, i]
        y[i] = after


def decayed(
    a: np.ndarray,
    raises: np.ndarray,
    clipped: np.ndarray,
    page: np.ndarray,
    bits: int,
    first: int,
    last: int,
) -> None:
    """Adaptations of neurons first..last - 1 before their spikes: ``a`` becomes B, ``raises`` w."""
    high = (1 << bits) - 1
    for i in range(first, last):
        raises[i] = 0
        if not page[HAS, i]:
            a[i] = 0
            continue
        total = _decay(page, i, a[i])
        left = min(max(total, 0), high)
        clipped[i] |= left != total
        raises[i] = (a[i] if page[OLD, i] else left) >> page[SCALE, i]
        a[i] = left


def after_spikes(
    a: np.ndarray,
    fired: np.ndarray,
    clipped: np.ndarray,
    page: np.ndarray,
    bits: int,
    first: int,
    last: int,
) -> None:
    """Adaptations of neurons first..last - 1 after their spikes: ``a``, B, becomes a'."""
    high = (1 << bits) - 1
    for i in range(first, last):
        if fired[i] and page[HAS, i]:
            total = a[i] + page[STEP, i]
            clipped[i] |= total > high
            a[i] = min(total, high)


if AVAILABLE:
    _decay = numba.njit(nogil=True, cache=True)(_decay)
    synapse = numba.njit(nogil=True, cache=True)(synapse)
    decayed = numba.njit(nogil=True, cache=True)(decayed)
    after_spikes = numba.njit(nogil=True, cache=True)(after_spikes)
