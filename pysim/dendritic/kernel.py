"""Dendritic neurons as loops over single numbers, compiled by numba (docs/dendritic.md).

As in the macro, the weights of a step are written while the next step sweeps over its inputs. The
functions are plain Python where numba is not installed.
"""

from typing import Any

import numpy as np

from spikeloop.pysim.dendrites.settings import SETTINGS

try:
    import numba

    AVAILABLE = True
except ImportError:
    AVAILABLE = False

__all__ = ["AVAILABLE", "walk"]

ORDER = tuple(SETTINGS)
IMPULSE, LEAK_I, LEAK_E, LEAK_U, GAIN_D, ATTENUATION = (
    ORDER.index(name) for name in ("impulse", "leak_i", "leak_e", "leak_u", "gain_d", "attenuation")
)
STAT_SHIFT, WARM_UP, NOISE, RATE, DECAY, SPIKE_GAIN = (
    ORDER.index(name) for name in ("stat_shift", "warm_up", "noise", "rate", "decay", "spike_gain")
)
LEAK_P, LEAK_D, STEP_P, STEP_D, G_MAX = (
    ORDER.index(name) for name in ("leak_p", "leak_d", "step_p", "step_d", "g_max")
)
U, F, MEAN, VAR, TRACE_P, TRACE_D, RN, RS, V, Q, C, S = range(12)
INPUTS, SPIKES, CLIPS, SATURATIONS = range(4)
HALF = 1 << 15
TOP_I, TOP_E, TOP_U, TOP_26, TOP_W = ((1 << n) - 1 for n in (17, 20, 20, 25, 31))
LOW_U, LOW_26, LOW_W = -1 - TOP_U, -1 - TOP_26, -1 - TOP_W


def _compiled(function: Any) -> Any:
    return numba.njit(cache=True, boundscheck=False)(function) if AVAILABLE else function


@_compiled
def _inputs(s: Any, threshold: Any, i: Any, e: Any, rin: Any, drawn: Any, counts: Any) -> None:
    """Step 1. ``drawn``: room for the words of a step."""
    x = rin[0]
    for word in range(len(drawn)):
        x ^= x << np.uint64(13)
        x ^= x >> np.uint64(7)
        x ^= x << np.uint64(17)
        drawn[word] = x
    rin[0] = x
    h = drawn.view(np.uint16)  # the lowest field first: all we run on is little-endian
    leak_i, leak_e, impulse = s[LEAK_I], s[LEAK_E], s[IMPULSE]
    spikes, clips = 0, 0
    for j in range(len(threshold)):
        spike = np.int64(np.int64(h[j]) < threshold[j])
        spikes += spike
        current = i[j] - ((leak_i * i[j] + HALF) >> 16) + impulse * spike
        clips += current > TOP_I
        current = min(current, TOP_I)
        i[j] = current
        psp = e[j] - ((leak_e * e[j] + HALF) >> 16) + current
        clips += psp > TOP_E
        e[j] = min(psp, TOP_E)
    counts[INPUTS] += spikes
    counts[CLIPS] += clips


@_compiled
def _weights(w: Any, c: int, decay: int, em: Any, ahead: Any) -> Any:
    """Step 6 of one neuron's weights, with ``em`` of that step, and the sum of the next step 2.

    Returns the sum over ``ahead``, em of the next step, and how many weights were clipped.
    """
    half = np.int64(1) << (decay - 1)
    clipped, total = 0, np.int64(0)
    for j in range(len(em)):
        old = np.int64(w[j])
        new = old - ((old + half) >> decay) + ((c * np.int64(em[j]) + 4096) >> 13)
        kept = min(max(new, LOW_W), TOP_W)
        clipped += kept != new
        w[j] = np.int32(kept)
        total += (kept >> 14) * np.int64(ahead[j])
    return total, clipped


@_compiled
def _dendrite(w: Any, em: Any) -> int:
    """The sum of step 2 of one neuron."""
    total = np.int64(0)
    for j in range(len(em)):
        total += np.int64(w[j] >> 14) * np.int64(em[j])
    return total


@_compiled
def _root(x: int) -> int:
    root = np.int64(np.sqrt(np.float64(x)))
    while root * root > x:
        root -= 1
    while (root + 1) * (root + 1) <= x:
        root += 1
    return max(root, 1)


@_compiled
def _next(x: int) -> int:
    x ^= x << 13 & 0xFFFFFFFF
    x ^= x >> 17
    return x ^ (x << 5 & 0xFFFFFFFF)


@_compiled
def _look(table: Any, a: int) -> int:
    return table[min(max(a + 384, 0), 1023)]


@_compiled
def _trace(s: Any, u: Any, counts: Any) -> None:
    """Step 7 but for the pairs."""
    for a in range(u.shape[1]):
        u[RS, a] = _next(u[RS, a])
        spike = 1 if u[RS, a] >> 16 < s[SPIKE_GAIN] * u[F, a] >> 16 else 0
        u[S, a] = spike
        counts[SPIKES] += spike
        p = u[TRACE_P, a] - ((s[LEAK_P] * u[TRACE_P, a] + HALF) >> 16) - s[STEP_P] * spike
        d = u[TRACE_D, a] - ((s[LEAK_D] * u[TRACE_D, a] + HALF) >> 16) + s[STEP_D] * spike
        u[TRACE_P, a] = min(max(p, LOW_26), TOP_26)
        u[TRACE_D, a] = min(max(d, LOW_26), TOP_26)
        counts[CLIPS] += (u[TRACE_P, a] != p) + (u[TRACE_D, a] != d)


@_compiled
def _pairs(s: Any, u: Any, g: Any) -> None:
    for a in range(len(g)):
        if u[S, a] == 0:
            continue
        for k in range(len(g)):
            if k == a:
                continue
            change = ((u[TRACE_P, k] + u[TRACE_D, k]) * s[G_MAX] + (1 << 23)) >> 24
            both = u[S, k] != 0
            for row, column in ((a, k), (k, a)):
                if not both:
                    g[row, column] = min(max(g[row, column] + change, 0), s[G_MAX])
                elif row == a:  # its twin comes in the turn of k
                    mine = ((u[TRACE_P, a] + u[TRACE_D, a]) * s[G_MAX] + (1 << 23)) >> 24
                    g[a, k] = min(max(g[a, k] + change + mine, 0), s[G_MAX])


@_compiled
def _learn(s: Any, table: Any, u: Any) -> None:
    """Step 6 but for the weights."""
    for a in range(u.shape[1]):
        z = ((u[U, a] << 4) - u[MEAN, a]) // _root(u[VAR, a])
        x = _next(u[RN, a])
        u[RN, a] = x
        b = (x & 255) + (x >> 8 & 255) + (x >> 16 & 255) + (x >> 24)
        f = min(max(_look(table, z) + (b - 510) * s[NOISE], 0), 65535)
        q = _look(table, s[ATTENUATION] * u[V, a] >> 24)
        u[F, a], u[Q, a] = f, q
        u[C, a] = ((((f - q) * (65536 - q) + HALF) >> 16) * s[RATE] + HALF) >> 16


@_compiled
def walk(
    s: np.ndarray,
    table: np.ndarray,
    threshold: np.ndarray,
    steps: int,
    learn: bool,
    plastic: bool,
    w: np.ndarray,
    g: np.ndarray,
    i: np.ndarray,
    e: np.ndarray,
    u: np.ndarray,
    rin: np.ndarray,
    age: int,
    units: np.ndarray,
    pairs: np.ndarray,
    rins: np.ndarray,
    counts: np.ndarray,
) -> int:
    """The steps of a show; the age behind it.

    s:      settings in ORDER. w: weights, int32. i, e: of the inputs, int64.
    u:      int64 ``[12, N]``: the state of the neurons, then v, q, c, s. All changed in place.
    units, pairs, rins: where each step's values go; of length 0 to keep none.
    counts: input spikes, output spikes, clips, saturations; added to.
    """
    size = len(g)
    em = np.zeros(len(e), np.int32)
    ahead = np.zeros(len(e), np.int32)
    drawn = np.zeros((len(e) + 3) // 4, np.uint64)
    pending = False
    for done in range(steps):
        _inputs(s, threshold, i, e, rin, drawn, counts)
        em, ahead = ahead, em
        for j in range(len(e)):
            ahead[j] = e[j] >> 4
        for a in range(size):
            if pending:
                total, clipped = _weights(w[a], u[C, a], s[DECAY], em, ahead)
                counts[SATURATIONS] += clipped
            else:
                total = _dendrite(w[a], ahead)
            v = total >> 12
            u[V, a] = min(max(v, LOW_26), TOP_26)
            counts[CLIPS] += u[V, a] != v
        pending = False
        u[Q], u[C], u[S] = 0, 0, 0
        for a in range(size):
            inh = np.int64(0)
            for k in range(size):
                inh += g[a, k] * u[F, k]
            old = u[U, a]
            drive = (s[GAIN_D] * (u[V, a] - old - (inh >> 20)) + HALF) >> 16
            new = old - ((s[LEAK_U] * old + HALF) >> 16) + drive
            u[U, a] = min(max(new, LOW_U), TOP_U)
            counts[CLIPS] += u[U, a] != new
        if not learn:
            for a in range(size):
                u[F, a] = _look(table, u[U, a] >> 8)
        else:
            for a in range(size):
                k = u[U, a] >> 6
                u[MEAN, a] += ((k << 10) - u[MEAN, a]) >> s[STAT_SHIFT]
                d = k - (u[MEAN, a] >> 10)
                u[VAR, a] += ((d * d << 4) - u[VAR, a]) >> s[STAT_SHIFT]
            if age <= s[WARM_UP]:
                u[F] = 0
            else:
                _learn(s, table, u)
                pending = True
                if plastic:
                    _trace(s, u, counts)
                    _pairs(s, u, g)
            age = min(age + 1, 65535)
        if len(rins):
            units[done], pairs[done], rins[done] = u, g, rin[0]
    if pending:
        for a in range(size):
            counts[SATURATIONS] += _weights(w[a], u[C, a], s[DECAY], ahead, em)[1]
    return age
