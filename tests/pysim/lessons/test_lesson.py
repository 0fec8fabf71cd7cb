"""Populations and lessons: what is refused, and the tables from real functions."""

import math
from typing import Any

import numpy as np
import pytest

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.lessons.population import PlasticPopulation
from spikeloop.pysim.lessons.settings import SETTINGS
from spikeloop.pysim.lessons.tables import exponential, keep, linear


def lesson(**changes: Any) -> Lesson:
    values = {"weights": np.zeros((3, 2), int), "spikes": np.zeros((1, 4, 3), int), **changes}
    return Lesson.make(PlasticPopulation.make(3, 2), **values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"axons": 0}, "axons of a plastic population must be in 1..4096, not 0"),
        ({"weight_bits": 7}, "weight_bits of a plastic population must be in 8..16, not 7"),
        ({"membrane_bits": 33}, "must be in 16..32, not 33"),
        ({"k_m": 65536}, "setting k_m of a plastic population must be in 0..65535, not 65536"),
        ({"keep_e": 65537}, "setting keep_e of a plastic population must be in 0..65536"),
        ({"shift_post": 7}, "setting shift_post of a plastic population must be in 8..32, not 7"),
        ({"b": 65536}, "setting b of a plastic population must be in -65536..65535, not 65536"),
        ({"v_th": 1 << 23}, "must be in -8388608..8388607"),
        ({"speed": 1}, "must be one of v_rest, .*, not 'speed'"),
        ({"w_min": 9, "w_max": 8}, "w_min of a plastic population must be at most w_max, 8, not 9"),
        ({"post": np.zeros((127, 2), int)}, r"must be integers of shape \(128, 2\)"),
        ({"post": np.full((128, 2), 40000)}, "values of table post must be in 0..65535, not 80000"),
        ({"near": np.full(32, 65536)}, "values of table near must be in 0..65535, not 65536"),
    ],
)
def test_a_wrong_population_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PlasticPopulation.make(**{"axons": 3, "neurons": 2, **values})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weights": np.full((3, 2), 65536)}, "weights of a lesson must be in 0..65535, not 65536"),
        ({"weights": np.full((3, 2), -1)}, "weights of a lesson must be in 0..65535, not -1"),
        ({"weights": np.zeros((2, 3), int)}, r"must be of shape \(3, 2\), not \(2, 3\)"),
        ({"weights": np.zeros((3, 2))}, "weights of a lesson must be integers, not float64"),
        ({"spikes": np.full((1, 4, 3), 2)}, "spikes of a lesson must be in 0..1, not 2"),
        ({"spikes": np.zeros((1, 4, 2), int)}, r"spikes of a lesson must be of shape \(4, 3\)"),
        ({"spikes": np.zeros((1, 65536, 3), bool)}, "must be in 1..65535, not 65536"),
        ({"spikes": np.zeros((1, 0, 3), bool)}, "ticks of a presentation must be in 1..65535"),
        ({"teacher": np.ones((1, 4, 2), int)}, "w_teach of a lesson with teacher spikes must be"),
        ({"teacher": np.zeros((1, 4, 3), int)}, r"teacher of a lesson must be of shape \(4, 2\)"),
        ({"theta": 1 << 24}, "theta of a lesson must be in 0..16777215"),
        ({"learn": np.ones(2, bool)}, r"learn of a lesson must be of shape \(1,\), not \(2,\)"),
        ({"labels": np.array([2])}, "labels of a lesson must be in -1..1, not 2"),
    ],
)
def test_a_wrong_lesson_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        lesson(**values)


def test_weights_outside_the_bounds_are_refused() -> None:
    p = PlasticPopulation.make(3, 2, w_min=5, w_max=9)
    with pytest.raises(InputError, match=r"must be in 5..9, not 0"):
        Lesson.make(p, np.zeros((3, 2), int), np.zeros((1, 1, 3), int))


def test_defaults_are_in_range_and_change_nothing() -> None:
    p = PlasticPopulation.make(3, 2, weight_bits=8)
    assert list(p.settings) == [setting.name for setting in SETTINGS]
    assert p["w_max"] == 255 and p["keep_theta"] == 65536 and p["sigma"] == 0
    assert p.changed(w_max=7)["w_max"] == 7 and p["w_max"] == 255


def test_presentations_of_unequal_length_are_found_again() -> None:
    rng = np.random.default_rng(0)
    p = PlasticPopulation.make(9, 17, w_teach=1)
    spikes, teacher = rng.integers(0, 2, (7, 9)), rng.integers(0, 2, (7, 17))
    made = Lesson.make(p, np.zeros((9, 17), int), spikes, ticks=[3, 4], teacher=teacher)
    for n, rows in enumerate((slice(0, 3), slice(3, 7))):
        assert np.array_equal(made.of(n)[0], spikes[rows])
        assert np.array_equal(made.of(n)[1], teacher[rows])


def test_tables_of_real_functions() -> None:
    assert keep(math.inf) == 65536 and keep(1.0) == round(65536 / math.e)
    near, far = exponential(50.0)
    assert near[0] == far[0] == 65535 and near[1] == round(65536 * math.exp(-0.02))
    assert far[3] == round(65536 * math.exp(-96 / 50))
    table = linear(lambda w: w * (1 - w), 1 << 16)
    assert table[64, 0] == 1 << 14 and table[0].tolist() == [0, round(65536 / 128 * 127 / 128)]
    for wrong, message in (
        (lambda: keep(0), "time constant of a decay must be above 0 ticks, not 0"),
        (lambda: exponential(-1), "time constant of a pre trace must be above 0 ticks, not -1"),
        (lambda: linear(lambda w: w, 1 << 17), "values of table weight dependence must be"),
        (lambda: linear(lambda w: float(w > 0.5), 65535), "slopes of table weight dependence"),
    ):
        with pytest.raises(InputError, match=message):
            wrong()
