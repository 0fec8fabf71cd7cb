"""Four writings of docs/plasticity.md agree: golden, the two engines of pysim, and the witness."""

import numpy as np
import pytest

from spikeloop.golden.reference import plastic as golden
from spikeloop.pysim.lessons.trace import NEURON_FIELDS, differences, replay
from spikeloop.pysim.plastic import numba_engine, numpy_engine
from tests.make.lessons.random import SIZES, long_lesson, random_lesson
from tests.witness.lessons import witness


@pytest.mark.parametrize("size", SIZES)
def test_golden_engines_and_witness_agree(size: str, seed: int) -> None:
    updates = 0
    for number in range(6):
        lesson = random_lesson(np.random.default_rng([seed, number]), SIZES[size], ticks=25)
        want = golden.run(lesson)
        updates += len(want.updates)
        for run in (numpy_engine.run, numba_engine.run, witness):
            found = differences(want, run(lesson), lesson.ticks, ("golden", run.__module__))
            assert found.first is None, f"seed {seed}, {number}"
            assert found.compared["v"] == want.v.size > 0
        assert np.array_equal(
            replay(lesson.weights, want.updates, range(lesson.presentations)), want.crc
        )
    assert updates > 5


def test_long_silences_agree(seed: int) -> None:
    lesson = long_lesson(np.random.default_rng(seed), SIZES["small"])
    want = golden.run(lesson)
    for run in (numpy_engine.run, numba_engine.run, witness):
        assert differences(want, run(lesson), lesson.ticks, ("golden", "other")).first is None


@pytest.mark.parametrize("run", [golden.run, numpy_engine.run, numba_engine.run])
def test_a_lesson_goes_on_where_it_stopped(run: object, seed: int) -> None:
    lesson = random_lesson(np.random.default_rng([seed, 5]), SIZES["narrow"], presentations=5)
    whole, begin = run(lesson), run(lesson, 0, 2)
    rest = run(lesson, 2, None, begin.state)
    for name in ("v", "theta", "updates", "arrivals", "crc", "clips"):
        parts = np.concatenate([getattr(begin, name), getattr(rest, name)])
        assert np.array_equal(parts, getattr(whole, name)), name
    assert np.array_equal(rest.state.weights, whole.state.weights)


def test_frozen_presentations_change_no_weight_and_no_threshold(seed: int) -> None:
    lesson = random_lesson(np.random.default_rng([seed, 3]), SIZES["small"], presentations=6)
    p = lesson.population.changed(keep_theta=65536, fire=1, bias=1 << 22, v_low=0)
    off = np.zeros(6, bool)
    trace = golden.run(lesson.with_(population=p, learn=off, adapt=off, normalise=off))
    assert trace.s.any() and not len(trace.updates) and len(set(trace.crc.tolist())) == 1
    assert np.array_equal(trace.state.weights, lesson.weights)
    assert np.array_equal(trace.state.theta, lesson.theta)


def test_without_a_record_the_weights_are_the_same(seed: int) -> None:
    lesson = random_lesson(np.random.default_rng([seed, 1]), SIZES["narrow"])
    want = golden.run(lesson)
    for run in (numpy_engine.run, numba_engine.run):
        got = run(lesson, record=False)
        assert np.array_equal(got.crc, want.crc) and not len(got.updates) and not len(got.v)
    counts = np.add.reduceat(want.s, lesson.first[:-1])
    assert np.array_equal(numba_engine.run(lesson, record=False).s, counts)


@pytest.mark.parametrize(
    "field", [*NEURON_FIELDS, "arrivals", "updates", "crc", "clips", "weights", "theta"]
)
def test_a_difference_is_seen_and_named(field: str, seed: int) -> None:
    lesson = random_lesson(np.random.default_rng([seed, 9]), SIZES["small"])
    a, b = golden.run(lesson), golden.run(lesson)
    holder = b.state if field == "weights" else b
    array = getattr(holder, field)
    assert array.size
    array.reshape(-1)[-1] += 1
    found = differences(a, b, lesson.ticks, ("golden", "other"))
    assert sum(found.different.values()) == 1
    assert found.first.startswith("presentation") and "in golden" in found.first


def test_a_lost_update_is_seen(seed: int) -> None:
    lesson = random_lesson(np.random.default_rng([seed, 9]), SIZES["small"])
    trace = golden.run(lesson)
    changed = np.flatnonzero(trace.updates[:, 5] != trace.updates[:, 6])
    short = np.delete(trace.updates, changed[-1], 0)
    assert (replay(lesson.weights, short, range(lesson.presentations)) != trace.crc).any()
