"""The inner loop of the chip model, compiled by numba: event-driven, one sample after the other.

The functions are plain Python where numba is not installed; nothing calls them there.
"""

from typing import NamedTuple

import numpy as np

from spikeloop.pysim.chip.params import SCAN_BITS
from spikeloop.pysim.model.ticks.second_kernel import RESET, after_spikes, decayed, synapse

try:
    import numba

    AVAILABLE = True
except ImportError:
    AVAILABLE = False

__all__ = ["AVAILABLE", "PAGED", "PLAIN", "Currents", "Outputs", "State", "Tables", "run_ticks"]

PLAIN = (
    "v_init",
    "v_reset",
    "v_low",
    "low_value",
    "refractory",
    "fire",
    "hard",
    "soft",
    "bounded",
    "low_add",
    "hold",
)
"""Rows of Tables.plain."""
PAGED = (
    "bias",
    "v_th",
    "v_sub",
    "k0",
    "rectify",
    "toward_zero",
    "at_least_one",
    "sign0",
    "shift0",
    "sign1",
    "shift1",
    "sign2",
    "shift2",
)
"""Rows of a page of Tables.paged."""

(V_INIT, V_RESET, V_LOW, LOW_VALUE, REFRACTORY, FIRE, HARD, SOFT, BOUNDED, LOW_ADD, HOLD) = range(
    len(PLAIN)
)
(
    BIAS,
    V_TH,
    V_SUB,
    K0,
    RECTIFY,
    TOWARD_ZERO,
    AT_LEAST_ONE,
    SIGN0,
    SHIFT0,
    SIGN1,
    SHIFT1,
    SIGN2,
    SHIFT2,
) = range(len(PAGED))


class Tables(NamedTuple):
    """A core in the narrowest types that hold every value and sum, so that it fits into the cache.

    weights:  int8 or int16 ``[axon, neuron]``
    fanout:   int64 ``[axon]``
    sums:     empty; its type is that of the accumulators
    groups:   int64 ``[group, 4]``: start tick, page shift, first neuron, last neuron + 1
    plain:    ``[len(PLAIN), neuron]``, in the type of a membrane
    paged:    ``[page, len(PAGED), neuron]``, in the type of a membrane
    entries:  int64 ``[neuron]``: route entries of a neuron
    local:    int64 ``[neuron + 1]``: entries local[i]..local[i + 1] - 1 of ``axon`` and ``delay``
              lead from neuron i to the core's own axons
    axon:     int64 ``[entry]``
    delay:    int64 ``[entry]``
    chunk:    int64 ``[neuron]``: chunk of lanes that a neuron's spike is emitted from
    chunks:   number of chunks
    slots:    slots of the ring
    steps:    steps of a sample
    bits:     bits of a membrane
    synaptic: int64 ``[page, len(SYNAPTIC), neuron]``; no page on a chip without currents
    adaptive: int64 ``[page, len(ADAPTIVE), neuron]``; no page on a chip without adaptations
    current_bits:    bits of a synaptic current
    adaptation_bits: bits of an adaptation
    """

    weights: np.ndarray
    fanout: np.ndarray
    sums: np.ndarray
    groups: np.ndarray
    plain: np.ndarray
    paged: np.ndarray
    entries: np.ndarray
    local: np.ndarray
    axon: np.ndarray
    delay: np.ndarray
    chunk: np.ndarray
    chunks: int
    slots: int
    steps: int
    bits: int
    synaptic: np.ndarray
    adaptive: np.ndarray
    current_bits: int
    adaptation_bits: int


class State(NamedTuple):
    """What outlasts a tick: of each sample, or of one sample at a time.

    rings:  uint8 ``[state, slot, axon]``: events to come
    v:      ``[state, neuron]``: membranes
    c:      ``[state, neuron]``: steps of silence to come
    y:      int64 ``[state, neuron]``: synaptic currents
    a:      int64 ``[state, neuron]``: adaptations
    """

    rings: np.ndarray
    v: np.ndarray
    c: np.ndarray
    y: np.ndarray
    a: np.ndarray


class Outputs(NamedTuple):
    """What a run leaves.

    spikes:     uint8 ``[sample, step, neuron]``
    membranes:  int32 ``[sample, step, neuron]``, or of any shape if they are not recorded
    synaptic:   int32 ``[sample, step, neuron]``, on a chip with currents; so are
    adaptations: on a chip with adaptations
    recorded:   whether states are recorded
    figures:    int64 ``[sample, tick, 6]``: events, scan, sops, spikes, emission, saturations
    """

    spikes: np.ndarray
    membranes: np.ndarray
    synaptic: np.ndarray
    adaptations: np.ndarray
    recorded: bool
    figures: np.ndarray


class Currents(NamedTuple):
    """Currents of a PIM layer.

    frames:  ``[sample, frame, neuron]``, in the type of a membrane; no frame, no currents
    start:   frame k is new before tick start + k, and the last one is held
    """

    frames: np.ndarray
    start: int


def _accumulate(
    sums: np.ndarray, weights: np.ndarray, active: np.ndarray, n: int, first: int, last: int
) -> None:
    """Add the rows of the first ``n`` active axons to the neurons' sums, four rows in one pass."""
    kind = sums.dtype.type
    sums = sums[first:last]
    sums[:] = 0
    for e in range(0, n - n % 4, 4):
        a, b = weights[active[e]][first:last], weights[active[e + 1]][first:last]
        c, d = weights[active[e + 2]][first:last], weights[active[e + 3]][first:last]
        for i in range(sums.size):
            sums[i] = kind(kind(kind(sums[i] + a[i]) + kind(kind(b[i]) + c[i])) + d[i])
    for e in range(n - n % 4, n):
        a = weights[active[e]][first:last]
        for i in range(sums.size):
            sums[i] = kind(sums[i] + a[i])


def _step(
    sums: np.ndarray,
    v: np.ndarray,
    c: np.ndarray,
    fired: np.ndarray,
    plain: np.ndarray,
    page: np.ndarray,
    biases: np.ndarray,
    clipped: np.ndarray,
    mark: bool,
    bits: int,
    first: int,
    last: int,
) -> int:
    """One step of the neurons first..last - 1: updates v, c and fired.

    Returns how many neurons clipped; with ``mark`` it sets them in ``clipped`` too.

    There are no branches, so that the loop vectorises. For the same reason slices of rows start at
    index 0: an index that might be negative would not vectorise. Every intermediate is cast to the
    type of ``v``, which holds it; numba would widen it to 64 bits.
    """
    kind = v.dtype.type
    v_reset = plain[V_RESET][first:last]
    v_low = plain[V_LOW][first:last]
    low_value = plain[LOW_VALUE][first:last]
    refractory = plain[REFRACTORY][first:last]
    fire = plain[FIRE][first:last]
    hard = plain[HARD][first:last]
    soft = plain[SOFT][first:last]
    bounded = plain[BOUNDED][first:last]
    low_add = plain[LOW_ADD][first:last]
    hold = plain[HOLD][first:last]
    bias = biases[first:last]
    v_th = page[V_TH][first:last]
    v_sub = page[V_SUB][first:last]
    k0 = page[K0][first:last]
    rectify = page[RECTIFY][first:last]
    toward_zero = page[TOWARD_ZERO][first:last]
    at_least_one = page[AT_LEAST_ONE][first:last]
    sign0, shift0 = page[SIGN0][first:last], page[SHIFT0][first:last]
    sign1, shift1 = page[SIGN1][first:last], page[SHIFT1][first:last]
    sign2, shift2 = page[SIGN2][first:last], page[SHIFT2][first:last]
    sums, v, c, fired = sums[first:last], v[first:last], c[first:last], fired[first:last]
    clipped = clipped[first:last]
    high = kind((1 << (bits - 1)) - 1)
    low = kind(-(1 << (bits - 1)))
    zero, one = kind(0), kind(1)
    # Shifts are at most membrane_bits, far less: the mask only tells the compiler.
    most = 31 if v.itemsize == 4 else 63
    clips = zero
    for i in range(v.size):
        current = kind(sums[i] + bias[i])
        current = max(current, zero) if rectify[i] else current
        x = v[i]
        # Toward zero: shift |v| and give it the sign again; flip is 0 or -1.
        flip = kind(-toward_zero[i]) if x < zero else zero
        size = kind((x ^ flip) - flip)
        least = min(size, at_least_one[i])
        total = kind((x if k0[i] else zero) + current)
        term = kind((max(kind(size >> (shift0[i] & most)), least) ^ flip) - flip)
        total = kind(total + kind(sign0[i] * term))
        term = kind((max(kind(size >> (shift1[i] & most)), least) ^ flip) - flip)
        total = kind(total + kind(sign1[i] * term))
        term = kind((max(kind(size >> (shift2[i] & most)), least) ^ flip) - flip)
        total = kind(total + kind(sign2[i] * term))
        u = min(max(total, low), high)
        clip = u != total
        s = (fire[i] != 0) & (u >= v_th[i]) & (c[i] == 0)
        held = (hold[i] != 0) & (c[i] > 0)
        below = (bounded[i] != 0) & (u < v_low[i])
        raised = kind((u if low_add[i] else zero) + low_value[i])
        raised_u = min(max(raised, low), high)
        rest = v_reset[i] if held else (raised_u if below else u)
        less = kind(u - v_sub[i])
        less_u = min(max(less, low), high)
        after = v_reset[i] if hard[i] else (less_u if soft[i] else u)
        clip |= (s & (soft[i] != 0) & (less_u != less)) | (
            ~s & ~held & below & (raised_u != raised)
        )
        v[i] = after if s else rest
        c[i] = refractory[i] if s else max(kind(c[i] - one), zero)
        fired[i] = s
        clips = kind(clips + (one if clip else zero))
        if mark:
            clipped[i] |= clip
    return clips


def run_ticks(
    tables: Tables,
    events: np.ndarray,
    currents: Currents,
    state: State,
    out: Outputs,
    begin: int,
    end: int,
) -> None:
    """Ticks begin..end - 1 of every sample of ``events``, uint8 ``[sample, tick, axon]``.

    The state of sample b is row b (modulo their number) of each array of ``state``; tick 0 clears
    it.
    """
    samples, _, axons = events.shape
    count, steps, slots = tables.chunk.size, tables.steps, tables.slots
    plain, paged, groups = tables.plain, tables.paged, tables.groups
    local, axon, delay = tables.local, tables.axon, tables.delay
    active = np.zeros(axons + 1, np.int64)
    sums = np.zeros(count, tables.sums.dtype)
    fired = np.zeros(count, np.uint8)
    firing = np.zeros(count + 1, np.int64)
    per_chunk = np.zeros(tables.chunks, np.int64)
    frames, driven = currents.frames.shape[1], np.zeros(count, plain.dtype)
    has_current, adapts = tables.current_bits > 0, tables.adaptation_bits > 0
    clipped, raises = np.zeros(count, np.uint8), np.zeros(count, np.int64)
    for b in range(samples):
        row = b % len(state.v)
        ring, v, c, figures = state.rings[row], state.v[row], state.c[row], out.figures[b]
        synaptic, adaptation = state.y[row], state.a[row]
        if begin == 0:
            v[:] = plain[V_INIT]
            c[:] = 0
            synaptic[:] = 0
            adaptation[:] = 0
            ring[:] = 0
        for tick in range(begin, end):
            slot = tick % slots
            n = scan = sops = 0
            for at in range(0, axons, SCAN_BITS):
                before = n
                for a in range(at, min(at + SCAN_BITS, axons)):
                    active[n] = a
                    n += events[b, tick, a] | ring[slot, a]
                scan += max(n - before, 1)
            for e in range(n):
                sops += tables.fanout[active[e]]
            ring[slot] = 0
            per_chunk[:] = 0
            clips = total = 0
            clipped[:] = 0
            for g in range(groups.shape[0]):
                step, first, last = tick - groups[g, 0], groups[g, 2], groups[g, 3]
                if step < 0 or step >= steps:
                    continue
                turn = min(step >> groups[g, 1], paged.shape[0] - 1)
                page = paged[turn]
                _accumulate(sums, tables.weights, active, n, first, last)
                bias = page[BIAS]
                if frames:
                    current = currents.frames[b, min(max(tick - currents.start, 0), frames - 1)]
                    if has_current:  # it passes through the synaptic current too
                        for i in range(first, last):
                            sums[i] = sums.dtype.type(sums[i] + current[i])
                    else:
                        for i in range(first, last):
                            driven[i] = driven.dtype.type(bias[i] + current[i])
                        bias = driven
                if has_current:
                    own = tables.synaptic[turn]
                    synapse(sums, synaptic, clipped, own, tables.current_bits, first, last)
                if adapts:
                    own = tables.adaptive[turn]
                    decayed(adaptation, raises, clipped, own, tables.adaptation_bits, first, last)
                    page = page.copy()
                    for i in range(first, last):
                        page[V_TH, i] += raises[i]
                        page[V_SUB, i] += raises[i] if own[RESET, i] else 0
                clips += _step(
                    sums,
                    v,
                    c,
                    fired,
                    plain,
                    page,
                    bias,
                    clipped,
                    has_current or adapts,
                    tables.bits,
                    first,
                    last,
                )
                if adapts:
                    after_spikes(
                        adaptation, fired, clipped, own, tables.adaptation_bits, first, last
                    )
                out.spikes[b, step, first:last] = fired[first:last]
                if out.recorded:
                    out.membranes[b, step, first:last] = v[first:last]
                    if has_current:
                        out.synaptic[b, step, first:last] = synaptic[first:last]
                    if adapts:
                        out.adaptations[b, step, first:last] = adaptation[first:last]
                m = 0
                for i in range(first, last):
                    firing[m] = i
                    m += fired[i]
                for k in range(m):
                    i = firing[k]
                    per_chunk[tables.chunk[i]] += tables.entries[i]
                    for e in range(local[i], local[i + 1]):
                        ring[(tick + delay[e]) % slots, axon[e]] = 1
                total += m
            if has_current or adapts:
                clips = clipped.sum()
            emit = 0
            for k in range(tables.chunks):
                emit += max(per_chunk[k], 1)
            figures[tick, 0], figures[tick, 1], figures[tick, 2] = n, scan, sops
            figures[tick, 3], figures[tick, 4], figures[tick, 5] = total, emit, clips


if AVAILABLE:
    _accumulate = numba.njit(nogil=True, cache=True)(_accumulate)
    _step = numba.njit(nogil=True, cache=True)(_step)
    run_ticks = numba.njit(nogil=True, cache=True)(run_ticks)
