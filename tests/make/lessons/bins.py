"""Corners of the plastic core, counted in lessons that ran: what a comparison has really seen."""

from collections import Counter

import numpy as np

from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.lessons.trace import LessonTrace

__all__ = ["BINS", "count"]

FULL24 = (1 << 24) - 1
BINS = (
    *("pre and post spike in one tick", "pre and post update of a synapse in one tick"),
    *("two posts of a word in one tick", "weight at w_min", "weight at w_max", "weight clipped"),
    *("weight falls", "weight rises", "weight stays", "noise", "nearest", "stochastic"),
    *(
        "age 0",
        "age 31",
        "age 32",
        "age 1023",
        "age 1024",
        "dead axon visited",
        "dead axon skipped",
    ),
    *("F = 0 skipped", "f0 < 0", "f0 > 0", "K wraps", "normalised", "Z = 0", "M saturated"),
    *("not dirty", "ge full", "gi full", "theta full", "lower clip", "input while refractory"),
    *("gated input", "teacher", "teacher and axons", "lateral", "own spike spared", "frozen tick"),
    *("adapt without learn", "silent tick", "all spike", "trace set", "trace added", "y added"),
    *("theta decays", "theta waits", "fire off", "rest after learning", "spike at the threshold"),
)
"""Names of all corners."""


def count(lesson: Lesson, trace: LessonTrace, lanes: int) -> Counter[str]:
    """How often each corner came up in a recorded trace of a whole lesson."""
    p, found = lesson.population, Counter[str]()
    s, updates = trace.s > 0, trace.updates
    bounds = lesson.first
    learn, adapt = (np.repeat(flag, lesson.ticks) for flag in (lesson.learn, lesson.adapt))
    first = np.zeros(len(s), bool)
    first[bounds[:-1]] = True
    K = (p["first_tick"] + np.arange(len(s))) & 0xFFFFFFFF
    lines = [lesson.of(n) for n in range(lesson.presentations)]
    spikes, teacher = (np.concatenate(part) > 0 for part in zip(*lines, strict=True))

    def before(values: np.ndarray) -> np.ndarray:
        """Of the tick before; 0 after REST."""
        old = np.zeros_like(values)
        old[1:] = values[:-1]
        old[first] = 0
        return old

    tick = bounds[updates[:, 0]] + updates[:, 1] if len(updates) else np.zeros(0, int)
    of_post, of_pre = updates[updates[:, 2] == 1], updates[updates[:, 2] == 0]
    keys = [set(map(tuple, rows[:, [0, 1, 3, 4]].tolist())) for rows in (of_post, of_pre)]
    found["pre and post update of a synapse in one tick"] = len(keys[0] & keys[1])
    post_ticks = tick[updates[:, 2] == 1]
    found["pre and post spike in one tick"] = int(spikes[post_ticks, of_post[:, 3]].sum())
    word = np.arange(p.neurons) // lanes
    per_word = np.stack([s[:, word == n].sum(1) for n in range(word[-1] + 1)])
    found["two posts of a word in one tick"] = int((per_word[:, learn] > 1).sum())
    old, new = updates[updates[:, 2] < 2, 5:].T
    found["weight at w_min"], found["weight at w_max"] = (
        int((old == p[name]).sum()) for name in ("w_min", "w_max")
    )
    found["weight clipped"] = int(trace.clips.sum())
    for name, wrong in (("falls", new < old), ("rises", new > old), ("stays", new == old)):
        found[f"weight {name}"] = int(wrong.sum())
    found["noise"] = len(old) * (p["sigma"] > 0)
    found["stochastic" if p["stochastic"] else "nearest"] = len(old)
    found["f0 < 0"] = len(of_post) * (p["f0"] < 0)
    found["f0 > 0"] = len(of_post) * (p["f0"] > 0)
    _ages(found, lesson, spikes, s, learn, len(of_post))
    found["K wraps"] = int(((K == 0) & (np.arange(len(K)) > 0)).sum())
    _normalised(found, lesson, trace)
    busy = before(trace.c) > 0
    events = spikes.sum(1)
    found["ge full"], found["gi full"] = (
        int((trace.ge == FULL24).sum()),
        int((trace.gi == FULL24).sum()),
    )
    found["theta full"] = int((trace.theta == FULL24).sum())
    found["lower clip"] = int(((trace.v == p["v_low"]) & ~s).sum())
    blocked = int((busy & (events > 0)[:, None]).sum())
    found["gated input" if p["gate"] else "input while refractory"] = blocked
    found["teacher"] = int(teacher.sum())
    found["teacher and axons"] = int((teacher & (events > 0)[:, None]).sum())
    was = before(s)
    found["lateral"] = int((was.sum(1)[:, None] - was > 0).sum()) * (p["w_lat"] > 0)
    found["own spike spared"] = int(was.sum()) * (p["w_lat"] > 0)
    found["frozen tick"] = int((~learn & ~adapt).sum())
    found["adapt without learn"] = int((~learn & adapt).sum())
    found["silent tick"], found["all spike"] = int((events == 0).sum()), int(s.all(1).sum())
    found["trace set" if p["x_set"] else "trace added"] = len(trace.arrivals)
    found["y added"] = int(s.sum()) * (not p["y_set"])
    decays = K % (1 << p["theta_period"]) == 0
    found["theta decays"], found["theta waits"] = int(decays.sum()), int((~decays).sum())
    found["fire off"] = len(s) * (not p["fire"])
    edge = p["v_low"] == p["v_th"] and not trace.theta.any()  # below is clipped to the threshold
    found["spike at the threshold"] = int(s.sum()) * edge
    found["rest after learning"] = int((lesson.learn[:-1]).sum())
    return found


def _ages(
    found: Counter[str],
    lesson: Lesson,
    spikes: np.ndarray,
    s: np.ndarray,
    learn: np.ndarray,
    performed: int,
) -> None:
    """Ages of the pre traces that post events read, and axons that have none."""
    visited, f0, bounds = 0, lesson.population["f0"], lesson.first
    for begin, end in zip(bounds[:-1], bounds[1:], strict=True):
        last = np.full(spikes.shape[1], -1)
        for tick in range(begin, end):
            last[spikes[tick]] = tick
            posts = int(s[tick].sum()) if learn[tick] else 0
            if not posts:
                continue
            visited += posts * len(last)
            for age in (0, 31, 32, 1023, 1024):
                found[f"age {age}"] += posts * int(((last >= 0) & (tick - last == age)).sum())
            found["dead axon visited" if f0 else "dead axon skipped"] += posts * int(
                (last < 0).sum()
            )
    found["F = 0 skipped"] = visited - performed


def _normalised(found: Counter[str], lesson: Lesson, trace: LessonTrace) -> None:
    """Neurons that NORMALISE scaled, spared, or found without weight."""
    p, dirty = lesson.population, np.zeros(lesson.population.neurons, bool)
    rows = trace.updates[trace.updates[:, 2] == 2]
    for n, (begin, end) in enumerate(zip(lesson.first[:-1], lesson.first[1:], strict=True)):
        dirty |= trace.s[begin:end].any(0) & lesson.learn[n]
        if not lesson.normalise[n]:
            continue
        here = rows[rows[:, 0] == n]
        scaled = np.unique(here[:, 4])
        found["normalised"] += len(scaled)
        found["not dirty"] += int((~dirty).sum())
        found["Z = 0"] += int(dirty.sum()) - len(scaled)
        for neuron in scaled:
            total = int(here[here[:, 4] == neuron, 5].sum())
            found["M saturated"] += (p["target"] << 16) // total > FULL24
        dirty[:] = False
