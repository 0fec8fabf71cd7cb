"""The plastic core's RTL: exactly pysim and golden, in every cycle, on every geometry."""

from collections import Counter

import numpy as np
import pytest

from spikeloop.cosim.macros.plastic import PlasticModel
from spikeloop.golden.reference import plastic as golden
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.lessons.trace import NEURON_FIELDS, differences
from spikeloop.pysim.plastic import numpy_engine
from spikeloop.pysim.plastic.cycles import with_cycles
from spikeloop.pysim.plastic.params import PlasticParams
from tests.campaigns.regression.lessons import CORES, first_difference
from tests.make.lessons.bins import BINS
from tests.make.lessons.random import SIZES, random_lesson


@pytest.fixture(scope="module")
def model() -> PlasticModel:
    return PlasticModel(CORES["learns"], optimise=False)


def test_rtl_is_golden_and_pysim(seed: int, model: PlasticModel) -> None:
    totals, corners = Counter(), Counter()
    seeds = [[seed, 100, n] for n in range(12)]
    found = first_difference(
        model.params, seeds, model=model, also=(golden.run,), totals=totals, corners=corners
    )
    assert found is None
    assert totals["v"] > 1000 and totals["updates"] > 1000 and totals["cycles"] > 500
    assert set(corners) <= set(BINS)


@pytest.mark.slow
@pytest.mark.parametrize("name", CORES)
def test_rtl_is_pysim_on_every_core(name: str, seed: int) -> None:
    assert first_difference(CORES[name], [[seed, 200, n] for n in range(12)]) is None


@pytest.mark.slow
def test_lanes_change_no_value(seed: int) -> None:
    """Three widths of a word give one log."""
    lesson = random_lesson(np.random.default_rng([seed, 1]), SIZES["narrow"])
    p = lesson.population
    logs = []
    for lanes in (4, 8, 16):
        core = PlasticModel(PlasticParams.of(p, lanes), optimise=False)
        logs.append(core.run(lesson))
        core.close()
    for log in logs[1:]:
        found = differences(logs[0], log, lesson.ticks, ("4 lanes", "more"))
        different = {name for name, n in found.different.items() if n}
        assert different <= {"cycles"}
    assert len(logs[0].updates) > 1000


def test_a_lesson_goes_on_from_a_state(seed: int, model: PlasticModel) -> None:
    lesson = random_lesson(np.random.default_rng([seed, 6]), SIZES["small"], presentations=6)
    want = with_cycles(model.params, lesson, numpy_engine.run(lesson))
    begin = model.run(lesson, 0, 2)
    middle = model.run(lesson, 2, 4, fresh=False)
    model.run(random_lesson(np.random.default_rng([seed, 7]), SIZES["small"]))  # another lesson
    end = model.run(lesson, 4, None, middle.state)
    for name in (*NEURON_FIELDS, "updates", "arrivals", "crc", "cycles", "normalise_cycles"):
        parts = np.concatenate([getattr(part, name) for part in (begin, middle, end)])
        assert np.array_equal(parts, getattr(want, name)), name
    assert end.state.ticks == want.state.ticks


def test_the_worst_tick_takes_as_long_as_predicted(model: PlasticModel) -> None:
    """All axons and all neurons spike in every tick: nothing is dropped."""
    lesson = random_lesson(np.random.default_rng(1), SIZES["small"])
    p = lesson.population.changed(
        fire=1,
        refractory=0,
        ltd=1,
        w_teach=(1 << 24) - 1,
        w_lat=0,
        f0=5,
        e_exc=1 << 20,
        v_th=1000,
        v_reset=0,
        k_m=60000,
        theta_plus=0,
    )
    every = np.ones((1, 20, p.axons), np.uint8), np.ones((1, 20, p.neurons), np.uint8)
    full = Lesson.make(p, lesson.weights, every[0], teacher=every[1])
    want = with_cycles(model.params, full, numpy_engine.run(full))
    assert want.s.all() and len(want.updates) > 1.9 * 20 * p.axons * p.neurons * 0.95
    found = differences(want, model.run(full), full.ticks, ("pysim", "RTL"))
    assert found.first is None and found.compared["cycles"] == 20


def test_frozen_presentations_leave_the_crc(seed: int, model: PlasticModel) -> None:
    lesson = random_lesson(np.random.default_rng([seed, 2]), SIZES["small"], presentations=30)
    off = np.zeros(30, bool)
    trace = model.run(lesson.with_(learn=off, adapt=off, normalise=off))
    assert len(set(trace.crc.tolist())) == 1 and not len(trace.updates)


def test_counters_count_what_was_logged(seed: int, model: PlasticModel) -> None:
    before = model.counters()
    trace = model.run(random_lesson(np.random.default_rng([seed, 8]), SIZES["small"]), stall=5)
    after = {name: n - before[name] for name, n in model.counters().items()}
    assert after["spikes"] == trace.s.sum() and after["updates"] == len(trace.updates)
    assert after["weight_clips"] == trace.clips.sum() and (after["stalls"] > 0) == trace.s.any()
    whole = sum(int(getattr(trace, n).sum()) for n in ("cycles", "rest_cycles", "normalise_cycles"))
    assert after["cycles"] == whole + model.clear_cycles


def test_a_core_of_another_size_is_refused(model: PlasticModel) -> None:
    lesson = random_lesson(np.random.default_rng(0), SIZES["narrow"])
    with pytest.raises(InputError, match="axons of the population must be those of the core, 9"):
        model.load(lesson)
