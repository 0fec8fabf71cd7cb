"""The arithmetic of docs/arithmetic.md on numpy int64 arrays: small functions that broadcast.

Values of at most 32 bits and sums of at most 36 stay exact in int64.
"""

import numpy as np

__all__ = ["leak", "low_bound", "saturate", "shift_right"]


def saturate(x: np.ndarray, bits: int) -> np.ndarray:
    """Clip to the two's-complement range of ``bits``."""
    return np.clip(x, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def shift_right(
    v: np.ndarray,
    m: np.ndarray,
    toward_zero: np.ndarray | None = None,
    at_least_one: np.ndarray | None = None,
) -> np.ndarray:
    """shr(v, m): floor without flags; with ``toward_zero`` sign(v) * (|v| >> m).

    With both sign(v) * max(|v| >> m, 1), 0 for v = 0.
    """
    floor = v >> m
    if toward_zero is None:
        return floor
    size = np.abs(v) >> m
    if at_least_one is not None:
        size = np.where(at_least_one, np.maximum(size, 1), size)
    return np.where(toward_zero, np.sign(v) * size, floor)


def leak(
    v: np.ndarray,
    k0: np.ndarray,
    terms: list[tuple[np.ndarray, np.ndarray]],
    toward_zero: np.ndarray | None,
    at_least_one: np.ndarray | None,
) -> np.ndarray:
    """L: the sum of the kept membrane and the signed terms (sign, shift), each rounded alone."""
    total = np.where(k0, v, 0)
    for sign, shift in terms:
        total = total + sign * shift_right(v, shift, toward_zero, at_least_one)
    return total


def low_bound(u: np.ndarray, v_low: np.ndarray, value: np.ndarray, add: np.ndarray) -> np.ndarray:
    """What u becomes before clip 3: below ``v_low`` it is ``value``, or u + value where ``add``."""
    return np.where(u < v_low, np.where(add, u + value, value), u)
