"""The chip model's inner loop compiled by numba (the optional extra "fast"): event-driven, one sample after the other.

Same state, same result as pysim.core's numpy engine; used by pysim.core where numba is installed. It walks samples in
two threads without the GIL (no parallel runtime of numba's: a process that forks later stays safe).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from pysim.params import SCAN_BITS
from pysim.records import ROUTE_LOCAL

try:
    import numba
    AVAILABLE = True
except ImportError:
    AVAILABLE = False

if TYPE_CHECKING:
    from pysim.core import Core, Raw

__all__ = ["AVAILABLE", "each", "run"]

THREADS = 2
PLAIN = ("v_init", "v_reset", "v_low", "low_value", "refractory", "fire", "hard", "soft", "bounded", "low_add", "hold")
PAGED = ("bias", "v_th", "v_sub", "k0", "rectify", "toward_zero", "at_least_one", "sign0", "shift0", "sign1", "shift1", "sign2", "shift2")


def each(work: Callable[[Any], Any], parts: list[Any]) -> list[Any]:
    """``work`` of each part, in order, two at a time."""
    if len(parts) == 1:
        return [work(parts[0])]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, parts))


def run(core: "Core", events: np.ndarray, membranes: bool) -> "Raw":
    """Run the samples of ``events`` uint8 ``[sample, tick, axon]`` from CLEAR."""
    from pysim.core import Raw

    n, d, steps = core.neurons, core.chip.derived, core.image.steps
    samples, ticks, _ = events.shape
    count = n.place.size
    raw = Raw.zeros(samples, ticks, steps, count, membranes)
    nothing = np.zeros(count, np.int64)
    plain = np.stack([n.p[name] for name in PLAIN])
    pages = n.p["bias"].shape[0]
    paged = np.stack([np.broadcast_to(n.p.get(name, nothing), (pages, count)) for name in PAGED], axis=1)
    axon = np.where(n.route["kind"] == ROUTE_LOCAL, n.route["address"], -1)
    figures = np.stack([raw.events, raw.scan, raw.sops, raw.fired, raw.emit, raw.saturations])
    v_out = raw.membranes if raw.membranes is not None else np.zeros((1, 1, count), np.int32)
    _samples(events, n.weights, core.fanout, np.array(n.groups, np.int64).reshape(-1, 3), plain, paged, axon, n.route["delay"], n.chunk,
             d.words * d.spike_chunks, d.slots, steps, core.chip.membrane_bits, raw.spikes, v_out, membranes, figures)
    raw.events, raw.scan, raw.sops, raw.fired, raw.emit, raw.saturations = figures
    return raw


def _accumulate(sums: np.ndarray, row: np.ndarray) -> None:
    for i in range(sums.size):
        sums[i] += row[i]


def _step(sums: np.ndarray, v: np.ndarray, c: np.ndarray, fired: np.ndarray, p: np.ndarray, q: np.ndarray, bits: int) -> int:
    """One step of neurons in a row, without branches so that it vectorises: updates v, c, fired; returns how many clipped."""
    v_reset, v_low, low_value, refractory, fire, hard, soft, bounded, low_add, hold = (
        p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10])
    bias, v_th, v_sub, k0, rectify, toward_zero, at_least_one = q[0], q[1], q[2], q[3], q[4], q[5], q[6]
    sign0, shift0, sign1, shift1, sign2, shift2 = q[7], q[8], q[9], q[10], q[11], q[12]
    high = (np.int64(1) << (bits - 1)) - 1
    low = -high - 1
    clips = 0
    for i in range(v.size):
        current = sums[i] + bias[i]
        current = max(current, 0) if rectify[i] else current
        x = v[i]
        # Toward zero: shift |v| and give it the sign again; flip is 0 or -1.
        flip = (x >> 63) & -toward_zero[i]
        size = (x ^ flip) - flip
        least = min(size, at_least_one[i])
        total = k0[i] * x + current
        total += sign0[i] * ((max(size >> shift0[i], least) ^ flip) - flip)
        total += sign1[i] * ((max(size >> shift1[i], least) ^ flip) - flip)
        total += sign2[i] * ((max(size >> shift2[i], least) ^ flip) - flip)
        u = min(max(total, low), high)
        clip = u != total
        s = (fire[i] != 0) & (u >= v_th[i]) & (c[i] == 0)
        held = (hold[i] != 0) & (c[i] > 0)
        below = (bounded[i] != 0) & (u < v_low[i])
        raised = (u if low_add[i] else 0) + low_value[i]
        raised_u = min(max(raised, low), high)
        rest = v_reset[i] if held else (raised_u if below else u)
        less = u - v_sub[i]
        less_u = min(max(less, low), high)
        after = v_reset[i] if hard[i] else (less_u if soft[i] else u)
        clip |= (s & (soft[i] != 0) & (less_u != less)) | (~s & ~held & below & (raised_u != raised))
        v[i] = after if s else rest
        c[i] = refractory[i] if s else max(c[i] - 1, 0)
        fired[i] = s
        clips += clip
    return clips


def _samples(events: np.ndarray, weights: np.ndarray, fanout: np.ndarray, groups: np.ndarray, plain: np.ndarray, paged: np.ndarray,
             axon: np.ndarray, delay: np.ndarray, chunk: np.ndarray, chunks: int, slots: int, steps: int, bits: int,
             spikes: np.ndarray, v_out: np.ndarray, membranes: bool, figures: np.ndarray) -> None:
    samples, ticks, axons = events.shape
    count = chunk.size
    ring = np.zeros((slots, axons), np.uint8)
    active = np.zeros(axons, np.int64)
    sums = np.zeros(count, np.int32)
    v, c = np.zeros(count, np.int64), np.zeros(count, np.int64)
    fired = np.zeros(count, np.uint8)
    per_chunk = np.zeros(chunks, np.int64)
    for b in range(samples):
        v[:] = plain[0]
        c[:] = 0
        ring[:] = 0
        for tick in range(ticks):
            slot = tick % slots
            n = scan = sops = 0
            for begin in range(0, axons, SCAN_BITS):
                before = n
                for a in range(begin, min(begin + SCAN_BITS, axons)):
                    if events[b, tick, a] | ring[slot, a]:
                        active[n] = a
                        n += 1
                        sops += fanout[a]
                scan += max(n - before, 1)
            ring[slot] = 0
            per_chunk[:] = 0
            clips = total = 0
            for g in range(groups.shape[0]):
                step, first, last = tick - groups[g, 0], groups[g, 1], groups[g, 2]
                if step < 0 or step >= steps:
                    continue
                sums[first:last] = 0
                for e in range(n):
                    _accumulate(sums[first:last], weights[active[e], first:last])
                page = min(step, paged.shape[0] - 1)
                clips += _step(sums[first:last], v[first:last], c[first:last], fired[first:last], plain[:, first:last],
                               paged[page, :, first:last], bits)
                for i in range(first, last):
                    if fired[i]:
                        spikes[b, step, i] = 1
                        total += 1
                        per_chunk[chunk[i]] += 1
                        if axon[i] >= 0:
                            ring[(tick + delay[i]) % slots, axon[i]] = 1
                if membranes:
                    for i in range(first, last):
                        v_out[b, step, i] = v[i]
            emit = 0
            for k in range(chunks):
                emit += max(per_chunk[k], 1)
            figures[:, b, tick] = (n, scan, sops, total, emit, clips)


if AVAILABLE:
    _accumulate = numba.njit(nogil=True, cache=True)(_accumulate)
    _step = numba.njit(nogil=True, cache=True)(_step)
    _samples = numba.njit(nogil=True, cache=True)(_samples)
