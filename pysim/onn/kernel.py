"""Oscillators as loops over single numbers, compiled by numba (docs/onn.md).

The functions are plain Python where numba is not installed; they give the same there, slowly.
"""

from typing import Any

import numpy as np

try:
    import numba

    AVAILABLE = True
except ImportError:
    AVAILABLE = False

__all__ = ["AVAILABLE", "phase", "relaxation"]

FULL = 65535
(SH, A_INS, A_MET, B_INS, B_MET, V_HIGH, V_LOW, T_ON, STEPS_MAX, SETTLE, R, DX, TOP) = range(13)
ORDER = (
    *("sh", "a_ins", "a_met", "b_ins", "b_met", "v_high", "v_low", "t_on"),
    *("steps_max", "settle", "reference"),
)
"""Settings of the relaxation cell as the kernel takes them; two formats follow."""
V, MET, AGE, PHASE, OUT = range(5)
PHI, NEW, REF, SIDE = range(4)
STEP, PERIOD, CYCLES, SAME = range(4)
CLIPS, CROSSINGS, ENDED, DONE = range(4)


def _compiled(function: Any) -> Any:
    return numba.njit(cache=True, boundscheck=False)(function) if AVAILABLE else function


@_compiled
def relaxation(
    s: np.ndarray,
    g: np.ndarray,
    start: np.ndarray,
    u: np.ndarray,
    whole: np.ndarray,
    units: np.ndarray,
    wholes: np.ndarray,
    limit: int,
    counts: np.ndarray,
) -> None:
    """At most ``limit`` steps of the relaxation cell.

    s:      settings in ORDER, then F - X and the highest voltage, int64.
    g:      couplings, start: delays; u ``[5, N]``, whole ``[4]``: the state, changed in place.
    units, wholes: where each step's state goes; of length 0 to keep none.
    counts: clips, crossings, whether the run ended, steps done; changed in place.
    """
    size = len(start)
    half = 1 << (s[SH] - 1)
    x = np.zeros(size, np.int64)
    sums = np.zeros(size, np.int64)
    crossed = np.zeros(size, np.bool_)
    for i in range(size):
        for j in range(size):
            sums[i] += g[i, j]
    r = s[R]
    for done in range(limit):
        n = whole[STEP]
        on = n >= s[T_ON]
        for i in range(size):
            x[i] = u[V, i] >> s[DX]
        for i in range(size):
            crossed[i] = False
            if n < start[i]:
                continue
            metallic = u[MET, i] != 0
            total = s[A_MET] - s[B_MET] * x[i] if metallic else s[A_INS] - s[B_INS] * x[i]
            if on:
                dot = 0
                for j in range(size):
                    dot += g[i, j] * x[j]
                total += dot - sums[i] * x[i]
            v = u[V, i] + ((total + half) >> s[SH])
            if v < 0:
                v = 0
                counts[CLIPS] += 1
            elif v > s[TOP]:
                v = s[TOP]
                counts[CLIPS] += 1
            u[V, i] = v
            if metallic:
                if v >= s[V_HIGH]:
                    crossed[i] = True
                    u[MET, i] = 0
                    counts[CROSSINGS] += 1
            elif v <= s[V_LOW]:
                u[MET, i] = 1
        before = u[AGE, r]
        for i in range(size):
            u[AGE, i] = 0 if crossed[i] else min(u[AGE, i] + 1, FULL)
        if crossed[r]:
            period = min(before + 1, FULL)
            changed = whole[CYCLES] == 0
            for i in range(size):
                u[PHASE, i] = u[AGE, i]
                four = 4 * u[AGE, i]
                out = 0 if four < period or four >= 3 * period else 1
                if out != u[OUT, i]:
                    changed = True
                    u[OUT, i] = out
            whole[PERIOD] = period
            whole[SAME] = 0 if changed else min(whole[SAME] + 1, 255)
            whole[CYCLES] = min(whole[CYCLES] + 1, FULL)
        whole[STEP] = n + 1
        if len(wholes):
            units[done] = u
            wholes[done] = whole
        counts[DONE] = done + 1
        settled = s[SETTLE] != 0 and crossed[r] and on and whole[SAME] >= s[SETTLE]
        if settled or n + 1 >= s[STEPS_MAX]:
            counts[ENDED] = 1
            return


@_compiled
def phase(
    slots: int,
    steps_max: int,
    settle: int,
    r: int,
    g: np.ndarray,
    u: np.ndarray,
    whole: np.ndarray,
    units: np.ndarray,
    wholes: np.ndarray,
    limit: int,
    counts: np.ndarray,
) -> None:
    """At most ``limit`` steps of the phase cell; arguments as of ``relaxation``, u ``[4, N]``."""
    size = len(g)
    shown = np.zeros(size, np.int64)
    for done in range(limit):
        slot = whole[STEP] % slots
        for j in range(size):
            shown[j] = 1 if (slot - u[PHI, j]) % slots < slots // 2 else -1
        for i in range(size):
            h = 0
            for j in range(size):
                h += g[i, j] * shown[j]
            now = u[REF, i] if h == 0 else (1 if h > 0 else 0)
            if now == 1 and u[REF, i] == 0:
                u[NEW, i] = slot
            u[REF, i] = now
        last = slot == slots - 1
        if last:
            changed = False
            for i in range(size):
                if u[NEW, i] != u[PHI, i]:
                    changed = True
                    u[PHI, i] = u[NEW, i]
            for i in range(size):
                four = 4 * ((u[PHI, i] - u[PHI, r]) % slots)
                u[SIDE, i] = 0 if four < slots or four >= 3 * slots else 1
            whole[SAME] = 0 if changed else min(whole[SAME] + 1, 255)
            whole[CYCLES] = min(whole[CYCLES] + 1, FULL)
        whole[STEP] += 1
        if len(wholes):
            units[done] = u
            wholes[done] = whole
        counts[DONE] = done + 1
        if (settle != 0 and last and whole[SAME] >= settle) or whole[STEP] >= steps_max:
            counts[ENDED] = 1
            return
