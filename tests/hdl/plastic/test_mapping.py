"""Random numbers are keyed: where a synapse lies on the core changes no value of a lesson.

A lesson is put onto wider cores and onto other lines; its log, renamed and sorted, stays the same.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from spikeloop.cosim.macros.plastic import PlasticModel
from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.lessons.trace import LessonTrace
from spikeloop.pysim.plastic import numba_engine
from spikeloop.pysim.plastic.params import PlasticParams
from tests.make.lessons.random import SIZES, random_lesson

AXON_STEP, NEURON_STEP = 0x85EBCA6B, 0xC2B2AE35  # of a key (docs/plasticity.md, "The hash")


def moved(
    lesson: Lesson, axon: np.ndarray, neuron: np.ndarray, size: tuple[int, int], seed: int
) -> Lesson:
    """The lesson with its axon a at ``axon[a]``, its neuron n at ``neuron[n]``; others are silent.

    A neuron that is added has no weight, and a threshold that it cannot reach.
    """
    p, (axons, neurons) = lesson.population, size
    weights = np.full(size, p["w_min"])
    weights[np.ix_(axon, neuron)] = lesson.weights
    theta = np.full(neurons, (1 << 24) - 1)
    theta[neuron] = lesson.theta
    ticks = int(lesson.ticks.sum())
    spikes, teacher = np.zeros((ticks, axons), bool), np.zeros((ticks, neurons), bool)
    parts = [lesson.of(n) for n in range(lesson.presentations)]
    spikes[:, axon], teacher[:, neuron] = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    return Lesson.make(
        replace(p.changed(seed=seed & 0xFFFFFFFF), axons=axons, neurons=neurons),
        weights,
        spikes,
        ticks=lesson.ticks,
        teacher=teacher,
        theta=theta,
        **{name: getattr(lesson, name) for name in ("learn", "adapt", "normalise")},
    )


def log(trace: LessonTrace, axon: np.ndarray, neuron: np.ndarray) -> list[np.ndarray]:
    """What the lesson's own neurons did: values, arrivals and updates, by the lesson's numbers."""
    values = [getattr(trace, name)[:, neuron] for name in ("s", "v", "ge", "gi", "theta", "c", "y")]
    old_axon, old_neuron = np.full(4096, -1), np.full(4096, -1)
    old_axon[axon], old_neuron[neuron] = np.arange(len(axon)), np.arange(len(neuron))
    arrivals, updates = trace.arrivals.copy(), trace.updates.copy()
    arrivals[:, 2] = old_axon[arrivals[:, 2]]
    updates[:, 3], updates[:, 4] = old_axon[updates[:, 3]], old_neuron[updates[:, 4]]
    updates = updates[(updates[:, 3:5] >= 0).all(1)]  # added axons may learn: nobody hears them
    rows = [table[np.lexsort(table.T[::-1])] for table in (arrivals, updates)]
    return [*values, *rows, trace.state.weights[np.ix_(axon, neuron)]]


def places(lesson: Lesson, rng: np.random.Generator) -> list[tuple[Lesson, tuple]]:
    """The lesson moved along, its key with it; and, without random numbers, its lines permuted."""
    p = lesson.population
    axon, neuron = np.arange(p.axons), np.arange(p.neurons)
    far_axon, far_neuron = axon + 7, neuron + 4
    seed = p["seed"] - 7 * AXON_STEP - 4 * NEURON_STEP
    plain = lesson.with_(population=p.changed(stochastic=0, sigma=0))
    mixed_axon, mixed_neuron = rng.permutation(p.axons), rng.permutation(p.neurons)
    size = (p.axons, p.neurons)
    wide = (p.axons + 9, p.neurons + 6)
    return [
        (lesson, (axon, neuron)),
        (moved(lesson, far_axon, far_neuron, wide, seed), (far_axon, far_neuron)),
        (plain, (axon, neuron)),
        (moved(plain, mixed_axon, mixed_neuron, size, p["seed"]), (mixed_axon, mixed_neuron)),
    ]


def compared(seed: int, run: Callable[[Lesson, int], LessonTrace], lanes: tuple[int, ...]) -> int:
    """Asserts that a lesson's log is the same at all places and lanes; the updates compared."""
    rng, total = np.random.default_rng([seed, 400]), 0
    lesson = random_lesson(rng, SIZES["narrow"])
    p = lesson.population.changed(keep_theta=65536, stochastic=1, sigma=99, ltd=1, fire=1, f0=2000)
    # nothing is normalised: a sum of weights has other axons in it on a wider core
    still = np.zeros(lesson.presentations, bool)
    cases = places(lesson.with_(population=p, normalise=still), rng)
    for first in (0, 2):
        want = None
        for chosen, place in cases[first : first + 2]:
            for width in lanes:
                got = log(run(chosen, width), *place)
                want = want or got
                assert all(map(np.array_equal, want, got)), (first, width)
                total += len(got[-2])
    return total


def test_places_change_no_value(seed: int) -> None:
    assert compared(seed, lambda lesson, _: numba_engine.run(lesson), (1,)) > 1000


@pytest.mark.slow
def test_places_and_lanes_change_no_value_of_the_rtl(seed: int) -> None:
    def run(lesson: Lesson, lanes: int) -> LessonTrace:
        model = PlasticModel(PlasticParams.of(lesson.population, lanes), optimise=False)
        try:
            return model.run(lesson)
        finally:
            model.close()

    assert compared(seed, run, (4, 8, 16)) > 10_000
