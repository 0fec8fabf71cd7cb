"""ALSA: closed forms of the paper, integers that follow the reals, and the iris lessons."""

import numpy as np
import pytest

from spikeloop.golden.data.iris import folds, load_iris
from spikeloop.golden.rules.alsa import floats
from spikeloop.golden.rules.alsa.flowers import CLASSES, LINES, ON, TEACHER, rates_of, trains, trial
from spikeloop.golden.rules.alsa.rule import Alsa
from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.lessons.population import PlasticPopulation
from spikeloop.pysim.plastic import numba_engine

FIGURE_3 = [(tau, rate) for tau in (20.0, 50.0, 100.0) for rate in (2.0, 5.0, 10.0, 20.0, 40.0)]


@pytest.mark.parametrize(
    ("rule", "age"),
    [
        (Alsa(), 115.13),  # iris
        (Alsa(alpha=-0.3, beta=1.3, tau=20.0), 29.33),  # MNIST, features
        (Alsa(alpha=-0.2, beta=1.3, tau=20.0), 37.44),
        (Alsa(alpha=-0.003, beta=2.0, tau=100.0), 650.23),  # MNIST, output
    ],
)
def test_a_pair_changes_nothing_at_the_crossing(rule: Alsa, age: float) -> None:
    assert round(rule.crossing(), 2) == age
    assert rule.change(np.array(0.5), np.array(rule.crossing())) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(("tau", "hertz"), [(20.0, 5.56), (50.0, 2.22), (100.0, 1.11)])
def test_uncorrelated_spikes_change_nothing_at_one_rate(tau: float, hertz: float) -> None:
    assert Alsa(tau=tau).drift(1 / (9 * tau)) == pytest.approx(0, abs=1e-12)
    assert round(1000 / (9 * tau), 2) == hertz


def pairs(
    rng: np.random.Generator, rate: float, many: int, ticks: int
) -> tuple[np.ndarray, np.ndarray]:
    """Independent pre and post trains, 0/1 ``[tick, pair]``."""
    return tuple(rng.random((ticks, many)) < rate / 1000 for _ in range(2))


@pytest.mark.parametrize(("tau", "rate"), FIGURE_3)
def test_figure_3(tau: float, rate: float, seed: int) -> None:
    """The change of a weight of 0.5 in 60 s is that of the closed form, in reals and in integers.

    Mean over 16 pairs; 4 standard errors of the mean, and what a tick of 1 ms changes of the form.
    """
    rule, many, ticks = Alsa(eta=0.01, tau=tau), 16, 60_000
    rng = np.random.default_rng([seed, int(tau), int(rate)])
    pre, post = pairs(rng, rate, many, ticks)
    w, age = np.full(many, 0.5), np.full(many, np.inf)
    for arrived, fired in zip(pre, post, strict=True):
        age = np.where(arrived, 0.0, age + 1)
        if fired.any():
            w[fired] += rule.change(w[fired], age[fired])
    p = PlasticPopulation.make(
        many,
        many,
        **rule.settings(16),
        v_th=3 << 20,
        e_exc=1 << 21,
        k_m=2000,
        w_shift=0,
        w_teach=(1 << 24) - 1,
        gate=1,
        seed=seed,
    )
    lesson = Lesson.make(p, np.full((many, many), 1 << 15), pre[None], teacher=post[None])
    trace = numba_engine.run(lesson, record=False)
    assert np.array_equal(trace.s[0], post.sum(0))
    whole = np.diag(trace.state.weights) / 65536
    # a tick later the trace is the same: exp(-age / tau) summed over whole ticks
    x = rate / 1000 / (1 - (1 - rate / 1000) * np.exp(-1 / tau))
    mean = 0.01 * rate * ticks / 1000 * (rule.alpha + rule.beta * x)
    want = 1 / (1 + np.exp(-mean))
    assert np.abs(w - whole).max() < 0.004
    for got in (w, whole):
        assert abs(got.mean() - want) < 4 * got.std() / np.sqrt(many) + 0.004


def test_iris_is_fishers_table_in_five_groups(rng: np.random.Generator) -> None:
    lengths, species = load_iris()
    assert lengths.shape == (150, 4) and np.bincount(species).tolist() == [50, 50, 50]
    assert lengths[34].tolist() == [4.9, 3.1, 1.5, 0.2] and lengths.sum(0).round(1).tolist() == [
        876.5,
        458.6,
        563.7,
        179.9,
    ]
    groups = folds(species, rng)
    assert all(np.bincount(groups[species == n]).tolist() == [10] * 5 for n in range(3))


def test_lines_spike_as_the_encoder_says() -> None:
    lengths = np.array([[0.0], [5.5], [11.0]]).repeat(4, 1)
    rates = rates_of(lengths, lengths)
    assert rates.shape == (3, LINES)
    assert rates[0, :3].tolist() == [0.02, 0.01, 0] and rates[1, 5] == rates[1, 6] == 0.015
    spikes = trains(rates, 1000)
    assert spikes[0, :, 0].sum() == 20 and np.flatnonzero(spikes[0, :, 0])[:2].tolist() == [24, 74]


def test_a_trial_teaches_its_species_and_holds_its_test_back() -> None:
    one = trial(3, 2, passes=2)
    lesson = one.lesson()
    assert lesson.presentations == 240 and len(one.test_species) == 30
    spikes, teacher = lesson.of(5)
    assert not spikes[ON:].any() and np.flatnonzero(teacher.any(1)).tolist() == list(TEACHER)
    assert set(np.flatnonzero(teacher.any(0))) == {lesson.labels[5]}
    assert np.bincount(one.order).tolist() == [2] * 120
    test = one.test(lesson.weights)
    assert not test.learn.any() and not test.adapt.any() and not test.teacher.any()


def test_integers_learn_what_the_reals_learn() -> None:
    one = trial(0, 1, passes=1)
    real, wrong = floats.learn([one])
    trace = numba_engine.run(one.lesson(), record=False)
    assert wrong == 0 and trace.s.sum() == trace.s[np.arange(120), one.lesson().labels].sum()
    assert np.abs(real[0] - one.weights).max() > 0.3
    assert np.abs(trace.state.weights / 65536 - real[0]).max() < 0.002
    assert one.counted(trace.state.weights) == one.counted(real[0]) > 0.85
    assert trace.state.weights.shape == (LINES, CLASSES)
