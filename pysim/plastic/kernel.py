"""The plastic core as loops over single numbers, compiled by numba (docs/plasticity.md).

One presentation a call. The functions are plain Python where numba is not installed; they give the
same there, slowly.
"""

from typing import Any

import numpy as np

from spikeloop.pysim.lessons.settings import SETTINGS

try:
    import numba

    AVAILABLE = True
except ImportError:
    AVAILABLE = False

__all__ = ["AVAILABLE", "present"]

(
    V_REST,
    V_RESET,
    V_TH,
    V_LOW,
    E_EXC,
    E_INH,
    BIAS,
    K_M,
    KEEP_E,
    KEEP_I,
    KEEP_Y,
    KEEP_THETA,
    THETA_PLUS,
    THETA_PERIOD,
    REFRACTORY,
    GATE,
    FIRE,
    W_SHIFT,
    W_LAT,
    W_TEACH,
    X_SET,
    Y_SET,
    X_ONE,
    Y_ONE,
    B,
    F0,
    LTD,
    SHIFT_POST,
    SHIFT_PRE,
    STOCHASTIC,
    SIGMA,
    W_MIN,
    W_MAX,
    TARGET,
    SEED,
    FIRST_TICK,
    WEIGHT_BITS,
    MEMBRANE_BITS,
) = range(len(SETTINGS) + 2)

MASK = 0xFFFFFFFF
FULL16, FULL24 = 0xFFFF, 0xFFFFFF


def _compiled(function: Any) -> Any:
    return numba.njit(cache=True, nogil=True)(function) if AVAILABLE else function


@_compiled
def _mix(z: int) -> int:
    z = (z + 0x7ED55D16 + (z << 12)) & MASK
    z = z ^ 0xC761C23C ^ (z >> 19)
    z = (z + 0x165667B1 + (z << 5)) & MASK
    z = ((z + 0xD3A2646C) ^ (z << 9)) & MASK
    z = (z + 0xFD7046C5 + (z << 3)) & MASK
    return z ^ 0xB55A4F09 ^ (z >> 16)


@_compiled
def _hash(seed: int, tick: int, a: int, n: int, use: int) -> int:
    key = (seed + (tick * 0x9E3779B9 & MASK) + a * 0x85EBCA6B) & MASK
    return _mix(_mix((key + n * 0xC2B2AE35 + use * 0x27D4EB2F) & MASK))


@_compiled
def _half_up(x: int, n: int) -> int:
    return (x + (1 << (n - 1))) >> n


@_compiled
def _changed(g: Any, tick: int, a: int, n: int, w: int, factor: int, table: Any, use: int) -> int:
    """What an update makes of weight ``w``, before the clip."""
    low = g[WEIGHT_BITS] - 7
    segment, rest = w >> low, w & ((1 << low) - 1)
    d = factor * (table[segment, 0] + ((table[segment, 1] * rest) >> low))
    if g[SIGMA]:
        h = _hash(g[SEED], tick, a, n, use)
        height = (h & 255) + ((h >> 8) & 255) + ((h >> 16) & 255) + (h >> 24) - 510
        d = _half_up(d * (256 + ((height * g[SIGMA]) >> 7)), 8)
    shift = g[SHIFT_POST] if use else g[SHIFT_PRE]
    r = 1 << (shift - 1)
    if g[STOCHASTIC]:
        r = _hash(g[SEED], tick, a, n, use + 2) >> (32 - shift)
    return w + ((d + r) >> shift)


@_compiled
def _trace(x: Any, t: Any, near: Any, far: Any, a: int, k: int) -> int:
    """xval."""
    age = k - t[a]
    if age >= 1024:
        return 0
    return (x[a] * ((near[age & 31] * far[age >> 5]) >> 16)) >> 16


@_compiled
def _room(log: Any, rows: int, more: int) -> Any:
    """``log``, or a longer copy if ``more`` rows do not fit behind ``rows``."""
    if rows + more <= len(log):
        return log
    longer = np.empty((2 * (rows + more), log.shape[1]), np.int64)
    longer[:rows] = log[:rows]
    return longer


@_compiled
def present(
    g: Any,
    tables: Any,
    w: Any,
    theta: Any,
    dirty: Any,
    tick: int,
    spikes: Any,
    teacher: Any,
    learn: bool,
    adapt: bool,
    normalise: bool,
    record: bool,
    number: int,
) -> Any:
    """A presentation, from REST to its NORMALISE. Changes ``w``, ``theta`` and ``dirty``.

    g:        int64: all settings in the order of SETTINGS, weight_bits, membrane_bits
    tables:   post, pre int64 ``[128, 2]``, near, far int64 ``[32]``
    w:        uint16 ``[neuron, axon]``
    tick:     K
    spikes:   uint8 ``[tick, axon]``; teacher: uint8 ``[tick, neuron]``
    number:   of the presentation, for the log
    Returns values int64 ``[tick, 7, neuron]``, arrivals, updates, clips, K, spikes ``[neuron]``.
    """
    post, pre, near, far = tables
    neurons, axons = w.shape
    top = (1 << (g[MEMBRANE_BITS] - 1)) - 1
    v = np.full(neurons, g[V_REST], np.int64)
    ge, gi = np.zeros(neurons, np.int64), np.zeros(neurons, np.int64)
    c, y = np.zeros(neurons, np.int64), np.zeros(neurons, np.int64)
    own, counts = np.zeros(neurons, np.int64), np.zeros(neurons, np.int64)
    x, t = np.zeros(axons, np.int64), np.zeros(axons, np.int64)
    sums, events = np.zeros(neurons, np.int64), np.empty(axons, np.int64)
    values = np.zeros((len(spikes) if record else 0, 7, neurons), np.int64)
    log, rows = np.empty((64, 7), np.int64), 0
    arrivals, arrived = np.empty((64, 4), np.int64), 0
    clips, rivals = 0, 0

    for k in range(len(spikes)):
        many = 0
        for a in range(axons):
            if spikes[k, a]:
                events[many] = a
                many += 1
        for n in range(neurons):
            sums[n] = 0
            for i in range(many):
                sums[n] += w[n, events[i]]
        if learn and g[LTD]:
            for n in range(neurons):
                if y[n] == 0:
                    continue
                if record:
                    log = _room(log, rows, many)
                for i in range(many):
                    a = events[i]
                    old = np.int64(w[n, a])
                    free = _changed(g, tick, a, n, old, -y[n], pre, 0)
                    new = min(max(free, g[W_MIN]), g[W_MAX])
                    clips += new != free
                    w[n, a] = new
                    if record:
                        log[rows] = (number, k, 0, a, n, old, new)
                        rows += 1
        if record:
            arrivals = _room(arrivals, arrived, many)
        for i in range(many):
            a = events[i]
            raised = min(_trace(x, t, near, far, a, k) + g[X_ONE], FULL16)
            x[a] = FULL16 if g[X_SET] else raised
            t[a] = k
            if record:
                arrivals[arrived] = (number, k, a, x[a])
                arrived += 1

        count = 0
        for n in range(neurons):
            drive = 0 if g[GATE] and c[n] > 0 else sums[n] << g[W_SHIFT]
            ge[n] = min(((ge[n] * g[KEEP_E]) >> 16) + drive, FULL24)
            if teacher[k, n]:
                ge[n] = min(ge[n] + g[W_TEACH], FULL24)
            gi[n] = min(((gi[n] * g[KEEP_I]) >> 16) + g[W_LAT] * (rivals - own[n]), FULL24)
            y[n] = (y[n] * g[KEEP_Y]) >> 16
            if tick & ((1 << g[THETA_PERIOD]) - 1) == 0:
                theta[n] = (theta[n] * g[KEEP_THETA]) >> 16
            own[n] = 0
            if c[n] > 0:
                v[n] = g[V_RESET]
                c[n] -= 1
            else:
                current = g[V_REST] - v[n] + g[BIAS] + _half_up(ge[n] * (g[E_EXC] - v[n]), 16)
                current += _half_up(gi[n] * (g[E_INH] - v[n]), 16)
                u = min(max(v[n] + _half_up(current * g[K_M], 16), g[V_LOW]), top)
                if g[FIRE] and u >= g[V_TH] + theta[n]:
                    own[n] = 1
                    count += 1
                    counts[n] += 1
                    u = g[V_RESET]
                    c[n] = g[REFRACTORY]
                    if adapt:
                        theta[n] = min(theta[n] + g[THETA_PLUS], FULL24)
                    y[n] = FULL16 if g[Y_SET] else min(y[n] + g[Y_ONE], FULL16)
                    if learn:
                        dirty[n] = True
                v[n] = u
            if record:
                values[k, :, n] = (own[n], v[n], ge[n], gi[n], theta[n], c[n], y[n])
        rivals = count

        if learn and count:
            for n in range(neurons):
                if not own[n]:
                    continue
                if record:
                    log = _room(log, rows, axons)
                for a in range(axons):
                    factor = _half_up(_trace(x, t, near, far, a, k) * g[B], 16) + g[F0]
                    if factor == 0:
                        continue
                    old = np.int64(w[n, a])
                    free = _changed(g, tick, a, n, old, factor, post, 1)
                    new = min(max(free, g[W_MIN]), g[W_MAX])
                    clips += new != free
                    w[n, a] = new
                    if record:
                        log[rows] = (number, k, 1, a, n, old, new)
                        rows += 1
        tick = (tick + 1) & MASK

    if normalise:
        for n in range(neurons):
            total = 0
            if dirty[n]:
                for a in range(axons):
                    total += w[n, a]
            if total > 0:
                scale = min((g[TARGET] << 16) // total, FULL24)
                if record:
                    log = _room(log, rows, axons)
                for a in range(axons):
                    old = np.int64(w[n, a])
                    new = min(max(_half_up(old * scale, 16), g[W_MIN]), g[W_MAX])
                    w[n, a] = new
                    if record:
                        log[rows] = (number, len(spikes), 2, a, n, old, new)
                        rows += 1
            dirty[n] = False
    return values, arrivals[:arrived], log[:rows], clips, tick, counts
