"""Cycles of the plastic core, from what a lesson did. The RTL counts the same.

n events, Y neurons with a post trace, s spikes, A axons, N neurons, W words of L lanes, the last of
which has E neurons:

    scan      = 1 + sum over chunks of 64 lines of max(1, spikes)
    neurons   = (n + 2 if n else 1) + (W - 1) max(n + 3 if n else 2, L) + E + 9
    pre       = n Y + 11       if learn and ltd and n and Y
    post      = s A + 11       if learn and s
    TICK      = scan + neurons + pre + 1 + post + s + 1
    REST      = max(A, N) + 1
    NORMALISE = 2 + 3 N + (A + 3) dirty + (A + 52) dirty with a sum that is not 0

Stalls of the spikes' receiver are counted apart.
"""

from dataclasses import replace

import numpy as np

from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.lessons.lesson import Lesson, LessonState
from spikeloop.pysim.lessons.trace import LessonTrace
from spikeloop.pysim.plastic.params import LINE_CHUNK, PlasticParams

__all__ = ["normalise_cycles", "rest_cycles", "tick_cycles", "with_cycles"]

DRAIN = 11  # of the plasticity unit
STEP = 9  # of the neuron step


def tick_cycles(
    p: PlasticParams,
    pop: np.ndarray,
    n: np.ndarray,
    live: np.ndarray,
    s: np.ndarray,
    learn: np.ndarray,
) -> np.ndarray:
    """Cycles of ticks: int64 ``[tick]``.

    pop: spikes of each chunk of lines, ``[tick, chunk]``.
    n, live, s: events, neurons with a post trace, spikes; ``live`` is 0 where ``ltd`` is.
    """
    scan = 1 + np.maximum(pop, 1).sum(1)
    first, further = np.where(n > 0, n + 2, 1), np.where(n > 0, n + 3, 2)
    neurons = first + (p.words - 1) * np.maximum(further, p.lanes) + p.last_lanes + STEP
    pre = np.where(learn & (n * live > 0), n * live + DRAIN, 0)
    post = np.where(learn & (s > 0), s * p.axons + DRAIN, 0)
    return scan + neurons + pre + 1 + post + s + 1


def rest_cycles(p: PlasticParams) -> int:
    """Cycles of REST, and of CLEAR."""
    return max(p.axons, p.neurons) + 1


def normalise_cycles(p: PlasticParams, dirty: int, scaled: int) -> int:
    """Cycles of NORMALISE. dirty: marked neurons; scaled: those whose weights are not all 0."""
    return 2 + 3 * p.neurons + (p.axons + 3) * dirty + (p.axons + 52) * scaled


def with_cycles(
    p: PlasticParams, lesson: Lesson, trace: LessonTrace, state: LessonState | None = None
) -> LessonTrace:
    """A recorded trace with the cycles that core ``p`` takes for it.

    state: the one that the trace began with; by default the lesson's own.
    """
    count = len(trace.crc)
    bounds = lesson.first[trace.first : trace.first + count + 1]
    rows = slice(bounds[0], bounds[-1])
    spikes = unpack(lesson.spikes[rows], p.axons)
    lines = np.concatenate([spikes, unpack(lesson.teacher[rows], p.neurons)], 1)
    padded = np.zeros((len(lines), p.line_rows * LINE_CHUNK), np.uint8)
    padded[:, : p.lines] = lines
    pop = padded.reshape(len(lines), p.line_rows, LINE_CHUNK).sum(2, dtype=np.int64)
    live = np.zeros(len(lines), np.int64)
    live[1:] = (trace.y[:-1] > 0).sum(1)
    starts = bounds[:-1] - bounds[0]
    live[starts] = 0
    learn = np.repeat(
        lesson.learn[trace.first : trace.first + count],
        lesson.ticks[trace.first : trace.first + count],
    )
    cycles = tick_cycles(
        p,
        pop,
        spikes.sum(1, dtype=np.int64),
        live * lesson.population["ltd"],
        trace.s.sum(1),
        learn,
    )
    return replace(
        trace,
        cycles=cycles,
        rest_cycles=np.full(count, rest_cycles(p)),
        normalise_cycles=_normalising(p, lesson, trace, (state or lesson.state).dirty),
    )


def _normalising(
    p: PlasticParams, lesson: Lesson, trace: LessonTrace, dirty: np.ndarray
) -> np.ndarray:
    """Cycles of NORMALISE behind each presentation; 0 where there is none."""
    dirty, cycles = dirty.copy(), np.zeros(len(trace.crc), np.int64)
    scaled = trace.updates[trace.updates[:, 2] == 2]
    at = 0
    for n in range(len(cycles)):
        number = trace.first + n
        rows = trace.s[at : at + lesson.ticks[number]]
        at += len(rows)
        if lesson.learn[number]:
            dirty |= rows.any(0)
        if lesson.normalise[number]:
            whole = len(np.unique(scaled[scaled[:, 0] == number, 4]))
            cycles[n] = normalise_cycles(p, int(dirty.sum()), whole)
            dirty[:] = False
    return cycles
