"""Tables of a plastic population from real functions: decays, pre traces, weight dependence.

    keep(tau)      = round(65536 exp(-1/tau))                        tau in ticks
    near[i]        = min(65535, round(65536 exp(-i/tau)))            far[i]: with 32 i
    base[i]        = round(unit f(i/128))     slope[i] = round(unit f((i+1)/128)) - base[i]

Weights are fractions of 2^B here: 0 <= w < 1. docs/plasticity.md says how the integers are used.
"""

import math
from collections.abc import Callable

import numpy as np

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.lessons.settings import WHOLE

__all__ = ["AGES", "SEGMENTS", "check_table", "exponential", "keep", "linear"]

SEGMENTS = 128
"""Segments of a weight-dependence table."""
AGES = 32
"""Entries of each of the two tables of the pre trace."""
TABLE_MAX = (1 << 16) - 1


def keep(tau: float) -> int:
    """What a decay of time constant ``tau`` ticks keeps in a tick, 0..65536. Infinity: all."""
    if not tau > 0:
        raise InputError(f"time constant of a decay must be above 0 ticks, not {tau}")
    return round(WHOLE * math.exp(-1 / tau))


def exponential(tau: float) -> tuple[np.ndarray, np.ndarray]:
    """The tables ``near`` and ``far`` of a pre trace of time constant ``tau`` ticks: int64 [32]."""
    if not tau > 0:
        raise InputError(f"time constant of a pre trace must be above 0 ticks, not {tau}")
    at = np.arange(AGES)
    near, far = (np.exp(-step * at / tau) for step in (1, AGES))
    return (
        np.minimum(TABLE_MAX, np.rint(WHOLE * near).astype(np.int64)),
        np.minimum(TABLE_MAX, np.rint(WHOLE * far).astype(np.int64)),
    )


def linear(function: Callable[[float], float], unit: float) -> np.ndarray:
    """``function`` of w on 0..1, in units of 1/``unit``: base and slope, int64 ``[128, 2]``.

    InputError if a value leaves 0..65535 or a slope leaves 16 bits: take another unit.
    """
    edges = np.array([round(unit * function(i / SEGMENTS)) for i in range(SEGMENTS + 1)], np.int64)
    return check_table(np.stack([edges[:-1], np.diff(edges)], 1), "weight dependence")


def check_table(table: np.ndarray, what: str) -> np.ndarray:
    """A table of bases and slopes; InputError unless docs/plasticity.md allows it."""
    table = np.asarray(table)
    if table.shape != (SEGMENTS, 2) or not np.issubdtype(table.dtype, np.integer):
        raise InputError(
            f"table {what} must be integers of shape ({SEGMENTS}, 2), not {table.dtype} of shape "
            f"{table.shape}"
        )
    table = table.astype(np.int64)
    ends = np.concatenate([table[:, 0], table.sum(1)])
    if wrong := ends[(ends < 0) | (ends > TABLE_MAX)].tolist():
        raise InputError(f"values of table {what} must be in 0..{TABLE_MAX}, not {wrong[0]}")
    slopes = table[:, 1]
    if wrong := slopes[(slopes < -(1 << 15)) | (slopes >= 1 << 15)].tolist():
        raise InputError(f"slopes of table {what} must be in -32768..32767, not {wrong[0]}")
    return table
