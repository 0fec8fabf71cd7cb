"""Leak factors as sums of shifts, and the rounding of weights and thresholds
(docs/arithmetic.md, "Real numbers to integers").
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product

import numpy as np

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.limits import LEAK_TERMS

__all__ = ["Leak", "best_leak", "integer_threshold", "leak_arrays", "round_half_away", "shift_leak"]


def round_half_away(x: np.ndarray) -> np.ndarray:
    """Nearest integers int64, halves away from zero, exact for every float64 (no 0.5 is added, which could round up by itself)."""
    whole = np.trunc(x)
    return (whole + np.sign(x) * (np.abs(x - whole) >= 0.5)).astype(np.int64)


def integer_threshold(theta: float, *, strict: bool = False, membrane_bits: int = 24) -> int:
    """v_th such that for integers u: u >= v_th is u >= theta, or u > theta if ``strict``. Out of the membrane range is an InputError."""
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
    """k0 + sum of sign * 2^-shift: the factor ``value``, off the wanted one by ``error`` (absolute)."""

    k0: bool
    terms: tuple[tuple[int, int], ...]  # (sign, shift)
    error: float

    @property
    def value(self) -> float:
        return self.k0 + math.fsum(sign * 2.0**-shift for sign, shift in self.terms)


def shift_leak(tau: float, membrane_bits: int = 24) -> Leak:
    """The nearest of 0 (clear), 1 (none) and 2^-m, m = 1..membrane_bits; a tie takes the smaller, that is the larger m."""
    _check_tau(tau)
    choices = [0.0] + [2.0**-m for m in range(membrane_bits, -1, -1)]
    best = min(choices, key=lambda value: (abs(value - tau), value))
    k0 = best == 1.0
    return Leak(k0, () if k0 or best == 0.0 else ((1, round(-math.log2(best))),), abs(best - tau))


def best_leak(tau: float, terms: int = LEAK_TERMS, max_shift: int = 12) -> Leak:
    """The best k0 + up to ``terms`` (0..3) shifts of 1..max_shift for a factor tau in 0..1.

    Of equal errors the one of fewer terms, then of smaller shifts: 0.9 becomes 1 - 2^-3 + 2^-5 - 2^-7 (error 0.0016).
    """
    _check_tau(tau)
    if not 0 <= terms <= LEAK_TERMS:
        raise InputError(f"terms of a leak must be in 0..{LEAK_TERMS}, not {terms}")
    values, sums = _leak_sums(terms, max_shift)
    best = int(np.abs(values - tau).argmin())  # the first of equals
    return Leak(*sums[best], abs(float(values[best]) - tau))


def leak_arrays(leaks: Sequence[Leak]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """k0 bool ``[n]``, leak_sign int8 and leak_shift uint8 ``[1, LEAK_TERMS, n]`` of ``n`` leaks."""
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
    """Every sum with its value, the preferred ones first. Shifts differ: equal ones would make another shift or cancel."""
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
