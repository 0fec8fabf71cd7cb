"""The witness of the plastic core on a Lesson of ours: what it says, as a trace."""

import numpy as np

from spikeloop.pysim.lessons.lesson import Lesson, LessonState
from spikeloop.pysim.lessons.trace import NEURON_FIELDS, LessonTrace
from tests.witness.plastic import Witness

__all__ = ["witness"]


def witness(lesson: Lesson) -> LessonTrace:
    """What the witness says of a whole lesson."""
    p = lesson.population
    numbers = {
        **p.settings,
        "A": p.axons,
        "N": p.neurons,
        "B": p.weight_bits,
        "P": p.membrane_bits,
        **{name: getattr(p, name).tolist() for name in ("post", "pre", "near", "far")},
    }
    model = Witness(numbers, lesson.weights.tolist(), lesson.theta.tolist(), p["first_tick"])
    rows, crcs, clips = [], [], []
    for n in range(lesson.presentations):
        model.rest(n)
        before = model.clips
        spikes, teacher = (part.tolist() for part in lesson.of(n))
        flags = bool(lesson.learn[n]), bool(lesson.adapt[n])
        rows += [model.tick(*lines, *flags) for lines in zip(spikes, teacher, strict=True)]
        if lesson.normalise[n]:
            model.normalise()
        crcs.append(model.crc())
        clips.append(model.clips - before)
    values = np.array(rows)
    state = LessonState(
        np.array(model.w, np.uint16), np.array(model.theta), np.array(model.dirty, bool), model.K
    )
    return LessonTrace(
        first=0,
        **{name: values[:, at] for at, name in enumerate(NEURON_FIELDS)},
        arrivals=np.array(model.arrivals).reshape(-1, 4),
        updates=np.array(model.updates).reshape(-1, 7),
        crc=np.array(crcs),
        clips=np.array(clips),
        state=state,
        cycles=np.zeros(0),
        rest_cycles=np.zeros(0),
        normalise_cycles=np.zeros(0),
    )
