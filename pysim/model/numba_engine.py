"""The chip model's inner loop compiled by numba (the optional extra "fast"): event-driven, one sample after the other.

Same state, same result as pysim.model.core's numpy engine; used by pysim.model.core where numba is installed. It walks samples in
two threads without the GIL (no parallel runtime of numba's: a process that forks later stays safe).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from spikeloop.pysim.chip.params import SCAN_BITS
from spikeloop.pysim.chip.records import ROUTE_LOCAL
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.model.state import Drive, Neurons, Raw

try:
    import numba

    AVAILABLE = True
except ImportError:
    AVAILABLE = False

__all__ = ["AVAILABLE", "Running", "Tables", "each", "run", "tables"]

THREADS = 2
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


def each(work: Callable[[Any], Any], parts: list[Any]) -> list[Any]:
    """``work`` of each part, in order, two at a time."""
    if len(parts) == 1:
        return [work(parts[0])]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, parts))


def run(tables: "Tables", events: np.ndarray, membranes: bool, drive: Drive | None = None) -> Raw:
    """Run the samples of ``events`` uint8 ``[sample, tick, axon]`` from CLEAR, with the currents of a PIM layer if there are any."""
    running = Running(tables, events, membranes, drive, together=False)
    running.ticks(0, events.shape[1])
    return running.finish()


class Running:
    """A run on its way: tick after tick from CLEAR, all samples of ``events`` at once; or, not ``together``, one after the other."""

    def __init__(
        self,
        tables: "Tables",
        events: np.ndarray,
        membranes: bool,
        drive: Drive | None = None,
        *,
        together: bool = True,
    ) -> None:
        samples, ticks, axons = events.shape
        count, states = tables.chunk.size, samples if together else 1
        self.tables, self.events = tables, events
        self.raw = Raw.zeros(samples, ticks, tables.steps, count, membranes)
        self._figures = np.zeros((samples, ticks, 6), np.int64)
        self._ring = np.zeros((states, tables.slots, axons), np.uint8)
        self._drive = (
            drive.currents.astype(tables.plain.dtype)
            if drive
            else np.zeros((1, 0, 0), tables.plain.dtype)
        )
        self._drive_start = drive.start if drive else 0
        self._v, self._c = (np.zeros((states, count), tables.plain.dtype) for _ in range(2))

    def tick(self, tick: int) -> None:
        """Run the tick of this number; they come in order."""
        self.ticks(tick, tick + 1)

    def ticks(self, begin: int, end: int) -> None:
        """Run these ticks of each sample."""
        raw = self.raw
        v_out = raw.membranes if raw.membranes is not None else np.zeros((1, 1, 1), np.int32)
        _samples(
            self.events,
            *self.tables,
            raw.spikes,
            v_out,
            raw.membranes is not None,
            self._figures,
            self._ring,
            self._v,
            self._c,
            begin,
            end,
            self._drive,
            self._drive_start,
        )

    def finish(self) -> Raw:
        """What the ticks left."""
        raw, figures = self.raw, self._figures
        raw.events, raw.scan, raw.sops, raw.fired, raw.emit, raw.saturations = (
            figures[:, :, i].copy() for i in range(6)
        )
        return raw


class Tables(NamedTuple):
    """A core's arrays in the narrowest types that hold every value and sum: what the loop reads, it reads from the cache."""

    weights: np.ndarray
    fanout: np.ndarray
    sums: np.ndarray  # empty: its type is the accumulators'
    groups: np.ndarray
    plain: np.ndarray
    paged: np.ndarray
    entries: np.ndarray  # route entries of a neuron
    local: np.ndarray  # [n + 1]: of neuron i those to the core's own axons are local[i]..local[i + 1] - 1 of the next two
    axon: np.ndarray
    delay: np.ndarray
    chunk: np.ndarray
    chunks: int
    slots: int
    steps: int  # of a sample
    bits: int  # of a membrane


def tables(image: Image, n: Neurons, fanout: np.ndarray) -> Tables:
    """The tables of the neurons ``n`` of an image; ``fanout`` int64 ``[axon]``."""
    chip, d = image.chip, image.chip.derived
    most = int(
        np.abs(n.weights.astype(np.int64)).sum(axis=0).max(initial=0)
    )  # of any sum, also of a part of one
    # |L + I| <= 4 * 2^(P-1) + 2^(P-1) + most, and the current of a PIM layer
    driven = 1 << (chip.pim.macro.current_bits - 1) if chip.pim else 0
    kind = np.int32 if (5 << (chip.membrane_bits - 1)) + most + driven < 1 << 31 else np.int64
    byte = kind is np.int32 and n.weights.min(initial=0) >= -128 and n.weights.max(initial=0) < 128
    short = (
        byte and most < 1 << 15
    )  # four combinations of types in all, each compiled when first met
    count, pages = n.place.size, n.p["bias"].shape[0]
    nothing = np.zeros(count, np.int64)
    plain = np.stack([n.p[name] for name in PLAIN]).astype(kind)
    paged = np.stack(
        [np.broadcast_to(n.p.get(name, nothing), (pages, count)) for name in PAGED], axis=1
    ).astype(kind)
    own = np.flatnonzero(n.route["kind"] == ROUTE_LOCAL)
    local = np.searchsorted(n.route["neuron"][own], np.arange(count + 1))
    return Tables(
        weights=n.weights.astype(np.int8) if byte else n.weights,
        fanout=fanout,
        sums=np.zeros(0, np.int16 if short else np.int32),
        groups=np.array(n.groups, np.int64).reshape(-1, 3),
        plain=plain,
        paged=paged,
        entries=n.entries,
        local=local,
        axon=n.route["address"][own],
        delay=n.route["delay"][own],
        chunk=n.chunk,
        chunks=d.words * d.spike_chunks,
        slots=d.slots,
        steps=image.steps,
        bits=chip.membrane_bits,
    )


def _accumulate(
    sums: np.ndarray, weights: np.ndarray, active: np.ndarray, n: int, first: int, last: int
) -> None:
    """Add the rows of the first ``n`` active axons, four in one pass over the sums."""
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
    p: np.ndarray,
    q: np.ndarray,
    biases: np.ndarray,
    bits: int,
    first: int,
    last: int,
) -> int:
    """One step of the neurons first..last-1, without branches so that it vectorises: updates v, c, fired; returns how many clipped.

    Slices of rows start at index 0: an index that might be negative would not vectorise. Every intermediate is cast to the type
    of ``v``, which holds it: numba would widen it to 64 bits.
    """
    kind = v.dtype.type
    v_reset, v_low, low_value, refractory, fire = (
        p[1][first:last],
        p[2][first:last],
        p[3][first:last],
        p[4][first:last],
        p[5][first:last],
    )
    hard, soft, bounded, low_add, hold = (
        p[6][first:last],
        p[7][first:last],
        p[8][first:last],
        p[9][first:last],
        p[10][first:last],
    )
    bias, v_th, v_sub, k0, rectify = (
        biases[first:last],
        q[1][first:last],
        q[2][first:last],
        q[3][first:last],
        q[4][first:last],
    )
    toward_zero, at_least_one = q[5][first:last], q[6][first:last]
    sign0, shift0, sign1, shift1 = (
        q[7][first:last],
        q[8][first:last],
        q[9][first:last],
        q[10][first:last],
    )
    sign2, shift2 = q[11][first:last], q[12][first:last]
    sums, v, c, fired = sums[first:last], v[first:last], c[first:last], fired[first:last]
    high = kind((1 << (bits - 1)) - 1)
    low = kind(-(1 << (bits - 1)))
    zero, one = kind(0), kind(1)
    most = (
        31 if v.itemsize == 4 else 63
    )  # shifts are at most membrane_bits, far less: the mask only tells the compiler
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
        total = kind(
            total
            + kind(sign0[i] * kind((max(kind(size >> (shift0[i] & most)), least) ^ flip) - flip))
        )
        total = kind(
            total
            + kind(sign1[i] * kind((max(kind(size >> (shift1[i] & most)), least) ^ flip) - flip))
        )
        total = kind(
            total
            + kind(sign2[i] * kind((max(kind(size >> (shift2[i] & most)), least) ^ flip) - flip))
        )
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
    return clips


def _samples(
    events: np.ndarray,
    weights: np.ndarray,
    fanout: np.ndarray,
    no_sums: np.ndarray,
    groups: np.ndarray,
    plain: np.ndarray,
    paged: np.ndarray,
    entries: np.ndarray,
    local: np.ndarray,
    axon: np.ndarray,
    delay: np.ndarray,
    chunk: np.ndarray,
    chunks: int,
    slots: int,
    steps: int,
    bits: int,
    spikes: np.ndarray,
    v_out: np.ndarray,
    membranes: bool,
    figures: np.ndarray,
    rings: np.ndarray,
    vs: np.ndarray,
    cs: np.ndarray,
    begin: int,
    end: int,
    drive: np.ndarray,
    drive_start: int,
) -> None:
    """Ticks begin..end - 1 of every sample; the state of sample b is row b (mod their number) of ``rings``, ``vs``, ``cs``.

    ``drive``: currents ``[sample, frame, neuron]``, new before ticks drive_start + frame; no frame, no currents.
    """
    samples, _, axons = events.shape
    count = chunk.size
    active = np.zeros(axons + 1, np.int64)
    sums = np.zeros(count, no_sums.dtype)
    fired = np.zeros(count, np.uint8)
    firing = np.zeros(count + 1, np.int64)
    per_chunk = np.zeros(chunks, np.int64)
    frames, driven = drive.shape[1], np.zeros(count, plain.dtype)
    for b in range(samples):
        ring, v, c = rings[b % len(rings)], vs[b % len(vs)], cs[b % len(cs)]
        if begin == 0:
            v[:] = plain[0]
            c[:] = 0
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
                sops += fanout[active[e]]
            ring[slot] = 0
            per_chunk[:] = 0
            clips = total = 0
            for g in range(groups.shape[0]):
                step, first, last = tick - groups[g, 0], groups[g, 1], groups[g, 2]
                if step < 0 or step >= steps:
                    continue
                page = min(step, paged.shape[0] - 1)
                _accumulate(sums, weights, active, n, first, last)
                bias = paged[page][0]
                if frames:
                    current = drive[b, min(max(tick - drive_start, 0), frames - 1)]
                    for i in range(first, last):
                        driven[i] = driven.dtype.type(bias[i] + current[i])
                    bias = driven
                clips += _step(sums, v, c, fired, plain, paged[page], bias, bits, first, last)
                spikes[b, step, first:last] = fired[first:last]
                if membranes:
                    v_out[b, step, first:last] = v[first:last]
                m = 0
                for i in range(first, last):
                    firing[m] = i
                    m += fired[i]
                for k in range(m):
                    i = firing[k]
                    per_chunk[chunk[i]] += entries[i]
                    for e in range(local[i], local[i + 1]):
                        ring[(tick + delay[e]) % slots, axon[e]] = 1
                total += m
            emit = 0
            for k in range(chunks):
                emit += max(per_chunk[k], 1)
            figures[b, tick, 0], figures[b, tick, 1], figures[b, tick, 2] = n, scan, sops
            figures[b, tick, 3], figures[b, tick, 4], figures[b, tick, 5] = total, emit, clips


if AVAILABLE:
    _accumulate = numba.njit(nogil=True, cache=True)(_accumulate)
    _step = numba.njit(nogil=True, cache=True)(_step)
    _samples = numba.njit(nogil=True, cache=True)(_samples)
