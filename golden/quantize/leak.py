"""Leaks as sums of shifts, and the rounding of weights and thresholds
(docs/arithmetic.md, "Real numbers to integers").
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product

import numpy as np

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.parameters import LEAK_TERMS

__all__ = ["Leak", "best_leak", "integer_threshold", "leak_arrays", "round_half_away", "shift_leak"]


def round_half_away(x: np.ndarray) -> np.ndarray:
    """The nearest integers, int64, with halves away from zero; exact for every float64.

    Adding 0.5 first would not be exact: that sum may itself be rounded up.
    """
    whole = np.trunc(x)
    return (whole + np.sign(x) * (np.abs(x - whole) >= 0.5)).astype(np.int64)


def integer_threshold(theta: float, *, strict: bool = False, membrane_bits: int = 24) -> int:
    """The integer threshold v_th that decides as ``theta`` does, for every integer membrane u.

    u >= v_th holds exactly when u >= theta, or when u > theta if ``strict``. InputError if v_th
    does not fit ``membrane_bits``.
    """
    if not math.isfinite(theta):
        raise InputError(f"threshold must be finite, not {theta}")
    v_th = math.floor(theta) + 1 if strict else math.ceil(theta)
    limit = 1 << (membrane_bits - 1)
    if not -limit <= v_th < limit:
        raise InputError(
            f"threshold must be in {-limit}..{limit - 1} ({membrane_bits} bits), not {v_th}: "
            "use fewer weight bits or a wider membrane"
        )
    return v_th


@dataclass(frozen=True)
class Leak:
    """The factor k0 + sum of sign * 2^-shift.

    terms: (sign, shift) of each shift.
    error: distance from the factor that was asked for.
    """

    k0: bool
    terms: tuple[tuple[int, int], ...]
    error: float

    @property
    def value(self) -> float:
        return self.k0 + math.fsum(sign * 2.0**-shift for sign, shift in self.terms)


def shift_leak(tau: float, membrane_bits: int = 24) -> Leak:
    """The nearest of 0 (clear), 1 (none) and 2^-m for m = 1..membrane_bits.

    A tie takes the smaller value, which has the larger m. InputError for tau outside 0..1.
    """
    _check_tau(tau)
    choices = [0.0] + [2.0**-m for m in range(membrane_bits, -1, -1)]
    best = min(choices, key=lambda value: (abs(value - tau), value))
    k0 = best == 1.0
    return Leak(k0, () if k0 or best == 0.0 else ((1, round(-math.log2(best))),), abs(best - tau))


def best_leak(tau: float, terms: int = LEAK_TERMS, max_shift: int = 12) -> Leak:
    """The best sum of k0 and up to ``terms`` (0..3) shifts of 1..max_shift for tau in 0..1.

    Among equal errors, fewer terms win, then smaller shifts. 0.9 becomes 1 - 2^-3 + 2^-5 - 2^-7
    with an error of 0.0016. InputError for tau or ``terms`` out of range.
    """
    _check_tau(tau)
    if not 0 <= terms <= LEAK_TERMS:
        raise InputError(f"terms of a leak must be in 0..{LEAK_TERMS}, not {terms}")
    values, sums = _leak_sums(terms, max_shift)
    best = int(np.abs(values - tau).argmin())  # the first of equals
    return Leak(*sums[best], abs(float(values[best]) - tau))


def leak_arrays(leaks: Sequence[Leak]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """k0 bool ``[n]``, leak_sign int8 and leak_shift uint8 ``[1, LEAK_TERMS, n]`` of n leaks."""
    sign = np.zeros((1, LEAK_TERMS, len(leaks)), np.int8)
    shift = np.zeros((1, LEAK_TERMS, len(leaks)), np.uint8)
    for i, leak in enumerate(leaks):
        for r, (s, m) in enumerate(leak.terms):
            sign[0, r, i], shift[0, r, i] = s, m
    return np.array([leak.k0 for leak in leaks]), sign, shift


@cache
def _leak_sums(
    terms: int, max_shift: int
) -> tuple[np.ndarray, list[tuple[bool, tuple[tuple[int, int], ...]]]]:
    """The value of every sum, and its (k0, terms); the preferred sums come first.

    The shifts of a sum differ: two equal ones would make another shift or cancel.
    """
    sums = [
        (k0, tuple(zip(signs, shifts, strict=True)))
        for count in range(terms + 1)
        for shifts in sorted(combinations(range(1, max_shift + 1), count), key=sum)
        for k0 in (False, True)
        for signs in product((-1, 1), repeat=count)
    ]
    return np.array([Leak(*s, 0.0).value for s in sums]), sums


def _check_tau(tau: float) -> None:
    if not 0 <= tau <= 1:
        raise InputError(f"tau must be in 0..1, not {tau}")
