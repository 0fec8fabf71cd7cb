"""The engine of the plastic core that numba compiles (the optional extra "fast").

State and result are those of pysim.plastic.numpy_engine. The walk itself is pysim.plastic.kernel.
"""

from typing import Any

import numpy as np

from spikeloop.pysim.lessons.lesson import Lesson, LessonState
from spikeloop.pysim.lessons.trace import NEURON_FIELDS, LessonTrace, crc_of
from spikeloop.pysim.plastic.kernel import AVAILABLE, present

__all__ = ["AVAILABLE", "run"]

NOTHING = np.zeros(0, np.int64)


def run(
    lesson: Lesson,
    first: int = 0,
    last: int | None = None,
    state: LessonState | None = None,
    *,
    record: bool = True,
) -> LessonTrace:
    """Presentations first..last - 1 of a lesson.

    state: what the presentation before left; by default the lesson's own, as after CLEAR.
    record: False leaves updates, arrivals and all values but the spikes' counts empty; s is then
    int64 ``[presentation, neuron]``.
    """
    p, last = lesson.population, lesson.presentations if last is None else last
    state = state or lesson.state
    numbers = np.array([*p.settings.values(), p.weight_bits, p.membrane_bits], np.int64)
    tables = (p.post, p.pre, p.near, p.far)
    w, theta, dirty = state.weights.T.copy(), state.theta.copy(), state.dirty.copy()
    ticks, crcs, counts = state.ticks, [], []
    values: list[np.ndarray] = []
    arrivals: list[np.ndarray] = []
    updates: list[np.ndarray] = []
    clips: list[int] = []
    kept: tuple[list[Any], ...] = (values, arrivals, updates, clips)
    for n in range(first, last):
        flags = (bool(flag[n]) for flag in (lesson.learn, lesson.adapt, lesson.normalise))
        found = present(numbers, tables, w, theta, dirty, ticks, *lesson.of(n), *flags, record, n)
        ticks = found[4]
        for rows, part in zip(kept, found[:4], strict=True):
            rows.append(part)
        counts.append(found[5])
        crcs.append(crc_of(w.T))
    whole = np.concatenate([np.zeros((0, len(NEURON_FIELDS), p.neurons), np.int64), *values])
    columns = {name: whole[:, at] for at, name in enumerate(NEURON_FIELDS)}
    if not record:
        columns["s"] = np.array(counts, np.int64).reshape(-1, p.neurons)
    return LessonTrace(
        first=first,
        **columns,
        arrivals=np.concatenate([np.zeros((0, 4), np.int64), *arrivals]),
        updates=np.concatenate([np.zeros((0, 7), np.int64), *updates]),
        crc=np.array(crcs, np.int64),
        clips=np.array(clips, np.int64),
        state=LessonState(np.ascontiguousarray(w.T), theta, dirty, int(ticks)),
        cycles=NOTHING,
        rest_cycles=NOTHING,
        normalise_cycles=NOTHING,
    )
