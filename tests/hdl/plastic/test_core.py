"""The plastic core's RTL: exactly pysim and golden, in every cycle, on every geometry."""

from collections import Counter

import numpy as np
import pytest

from spikeloop.cosim.macros.plastic import PlasticModel
from spikeloop.golden.reference import plastic as golden
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.lessons.trace import NEURON_FIELDS, crc_of, differences
from spikeloop.pysim.plastic import numpy_engine
from spikeloop.pysim.plastic.cycles import with_cycles
from tests.campaigns.regression.lessons import CORES, first_difference
from tests.make.lessons.bins import BINS
from tests.make.lessons.random import SIZES, random_lesson

LIVELY = {"fire": 1, "w_teach": (1 << 24) - 1, "refractory": 0}


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
    """A thousand of them, of which many spike."""
    rng, off = np.random.default_rng([seed, 2]), np.zeros(1000, bool)
    lesson = random_lesson(rng, SIZES["small"], presentations=1000, ticks=4)
    p = lesson.population.changed(**LIVELY)
    trace = model.run(lesson.with_(population=p, learn=off, adapt=off, normalise=off))
    assert set(trace.crc.tolist()) == {crc_of(lesson.weights)} and not len(trace.updates)
    assert trace.s.sum() > 500


def test_a_slow_receiver_stops_the_emission_and_nothing_else(
    seed: int, model: PlasticModel
) -> None:
    lesson = random_lesson(np.random.default_rng([seed, 9]), SIZES["small"], presentations=8)
    lesson = lesson.with_(population=lesson.population.changed(**LIVELY))
    want = with_cycles(model.params, lesson, numpy_engine.run(lesson))
    before = model.counters()["stalls"]
    for stall in range(1, 9):
        found = differences(want, model.run(lesson, stall=stall), lesson.ticks, ("pysim", "RTL"))
        assert found.first is None and found.compared["cycles"] == lesson.ticks.sum()
    assert model.counters()["stalls"] - before > want.s.sum() > 20


@pytest.mark.parametrize("pins", [False, True])
def test_a_command_that_takes_too_long_is_an_error_and_the_core_goes_on(
    pins: bool, seed: int, model: PlasticModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesson = random_lesson(np.random.default_rng([seed, 8]), SIZES["small"], presentations=2)
    model.load(lesson)
    with monkeypatch.context() as patched:
        patched.setattr(PlasticModel, "_limit", 3)
        with pytest.raises(RuntimeError, match="core does not end a command within 3 cycles"):
            model.run(lesson, fresh=False, pins=pins)
    model.function("clear")(model._handle, 1 << 20)
    again = model.run(lesson, pins=pins)
    want = numpy_engine.run(lesson)
    assert differences(want, again, lesson.ticks, ("pysim", "RTL")).first is None


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
