"""STDP: the identities of the papers, and integers that follow the reals on the same spikes."""

import math
from typing import Any

import numpy as np
import pytest

from spikeloop.golden.rules.stdp.floats import follow
from spikeloop.golden.rules.stdp.rule import NOISE, PairRule, TargetRule
from spikeloop.golden.rules.stdp.scaling import Scaling
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.lessons.population import PlasticPopulation
from spikeloop.pysim.plastic import numba_engine, numpy_engine

LOG = Scaling(kind="log", plus=0.5, minus=0.45, w0=0.5)
RULES = {
    "log": PairRule(scaling=LOG),
    "add": PairRule(scaling=Scaling(kind="add", plus=0.5, minus=0.45), eta=0.01),
    "mult": PairRule(scaling=Scaling(kind="mult", plus=0.5, minus=0.9), tau_plus=20.0),
    "log, all pairs": PairRule(scaling=LOG, add=True),
    "target": TargetRule(),
}


def forced(rule: Any, weight_bits: int, **settings: Any) -> PlasticPopulation:
    """20 axons and 5 neurons that spike when their teacher does, and never else."""
    return PlasticPopulation.make(
        20,
        5,
        weight_bits=weight_bits,
        **rule.settings(weight_bits),
        v_th=3 << 20,
        e_exc=1 << 21,
        k_m=2000,
        w_shift=16 - weight_bits,
        w_teach=(1 << 24) - 1,
        **settings,
    )


def trains(rng: np.random.Generator, ticks: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    return rng.random((1, ticks, 20)) < 0.02, rng.random((1, ticks, 5)) < 0.02


def test_log_balances_at_its_fixed_point() -> None:
    """Chakraborty & Mukhopadhyay 2021, Table 1: c+ 1, c- 0.5, gamma 50, W0 0.006."""
    paper = Scaling(kind="log", plus=1.0, minus=0.5, w0=0.006)
    assert 17 * paper.potentiation(0.006) == pytest.approx(17 * math.exp(-1 / 50))
    assert 34 * paper.depression(0.006) == 17.0
    exact = Scaling(kind="log", plus=1.0, minus=17 * math.exp(-1 / 50) / 34, w0=0.006)
    assert round(exact.minus, 5) == 0.49010
    assert exact.balance(0.006, 17, 34) == pytest.approx(0, abs=1e-12)
    assert exact.balance(0.005, 17, 34) > 0 > exact.balance(0.007, 17, 34)


def test_log_is_continuous_with_its_slope() -> None:
    below, at, above = (LOG.depression(0.5 + d) for d in (-1e-6, 0, 1e-6))
    assert at - below == pytest.approx(above - at, rel=1e-4)


def test_add_depresses_and_mult_has_a_fixed_point() -> None:
    for minus in (0.55, 0.6):
        assert Scaling(kind="add", plus=1.0, minus=minus).balance(0.5, 17, 34) < 0
    assert Scaling(kind="mult", plus=1.0, minus=100.0).fixed_point(17, 34) == pytest.approx(0.005)
    mult = Scaling(kind="mult", plus=1.0, minus=0.5 / 0.006)
    assert mult.fixed_point(17, 34) == pytest.approx(0.006)
    assert mult.balance(0.006, 17, 34) == pytest.approx(0, abs=1e-12)
    with pytest.raises(InputError, match="must be asked of mult, not of add"):
        Scaling(kind="add", plus=1.0, minus=1.0).fixed_point(17, 34)


@pytest.mark.parametrize("bits", [16, 12])
@pytest.mark.parametrize("name", RULES)
def test_integers_follow_the_reals(name: str, bits: int, seed: int) -> None:
    rng, rule = np.random.default_rng([seed, bits]), RULES[name]
    pre, post = trains(rng)
    weights = rng.integers(1 << bits - 2, 3 << bits - 2, (20, 5))
    p = forced(rule, bits, stochastic=0)
    trace = numba_engine.run(Lesson.make(p, weights, pre, teacher=post))
    assert np.array_equal(trace.s, post[0]) and len(trace.updates) > 1000
    real = follow(rule, weights / 2.0**bits, pre[0], post[0])
    moved = np.abs(real - weights / 2.0**bits).max()
    far = np.abs(trace.state.weights / 2.0**bits - real).max()
    assert moved > 0.05 and far < (0.004 if bits == 16 else 0.03), (moved, far)


def test_rounding_at_random_has_no_bias(seed: int) -> None:
    """Changes below half a step: to nearest none is made, at random their mean is."""
    rng = np.random.default_rng(seed)
    rule = PairRule(scaling=Scaling(kind="add", plus=0.5, minus=0.5), eta=0.0038)
    pre, post = trains(rng)
    weights = np.full((20, 5), 128)
    ends = [
        numpy_engine.run(Lesson.make(forced(rule, 8, stochastic=n), weights, pre, teacher=post))
        for n in (0, 1)
    ]
    real = follow(rule, weights / 256, pre[0], post[0]) * 256
    assert np.array_equal(ends[0].state.weights, weights)
    error = ends[1].state.weights - real
    assert abs(error.mean()) < 4 * error.std() / 10 and np.abs(real - 128).mean() > 0.2


def test_noise_has_the_strength_that_was_asked_for(seed: int) -> None:
    rule = PairRule(scaling=Scaling(kind="add", plus=0.5, minus=0.5), eta=0.02, sigma=0.5)
    assert rule.settings(16)["sigma"] == round(0.5 * NOISE) == 111
    pre, post = trains(np.random.default_rng(seed), 4000)
    p = forced(rule, 16, stochastic=0)
    lesson = Lesson.make(p, np.full((20, 5), 32768), pre, teacher=post)
    noisy, plain = (
        numba_engine.run(n) for n in (lesson, lesson.with_(population=p.changed(sigma=0)))
    )
    change = [(t.updates[:, 6] - t.updates[:, 5]).astype(float) for t in (noisy, plain)]
    wide = np.abs(change[1]) > 100
    ratio = change[0][wide] / change[1][wide] - 1
    assert abs(ratio.mean()) < 4 * 0.5 / math.sqrt(wide.sum())
    assert ratio.std() == pytest.approx(0.5, abs=0.02)


def test_a_rule_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match="kind of STDP must be one of log, add, mult, not 'exp'"):
        Scaling(kind="exp", plus=1.0, minus=1.0)
    with pytest.raises(InputError, match="w0 of STDP must be above 0, not 0"):
        Scaling(kind="log", plus=1.0, minus=1.0, w0=0)
    weak = PairRule(scaling=Scaling(kind="add", plus=1e-9, minus=1e-9))
    with pytest.raises(InputError, match="largest change of a rule must be in the reach of 8 bits"):
        weak.settings(8)
