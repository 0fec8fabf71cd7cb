"""The layer of features: its spikes, its two forms, its read-outs."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spikeloop.cosim.digits.learner import IntegerCore, open_core
from spikeloop.golden.rules.digits import output
from spikeloop.golden.rules.digits.encoders import poisson
from spikeloop.golden.rules.digits.floats import FloatCore
from spikeloop.golden.rules.digits.layer import PIXELS, RULES, Layer, layer
from spikeloop.golden.rules.digits.neurons import MILLIVOLT, weights_of
from spikeloop.golden.rules.digits.votes import answers, labels_of
from spikeloop.golden.rules.stdp.floats import follow
from spikeloop.golden.rules.stdp.rule import PairRule
from spikeloop.pysim.common.errors import InputError

IMAGE = np.zeros(PIXELS, np.uint8)
IMAGE[200:320] = 200


def test_pixels_spike_at_their_rates_and_by_their_keys() -> None:
    image = np.array([0, 64, 255], np.uint8)
    spikes = poisson(image, 40_000, (1, 2, 0))
    for got, rate in zip(spikes.mean(0), (0, 0.016, 0.06375), strict=True):
        assert abs(got - rate) <= 4 * np.sqrt(rate / 40_000)
    lifted = poisson(image, 40_000, (1, 2, 1), 32.0)
    assert abs(lifted.mean(0)[2] - 0.09575) < 4 * np.sqrt(0.096 / 40_000)
    assert np.array_equal(spikes, poisson(image, 40_000, (1, 2, 0)))
    assert not np.array_equal(spikes, poisson(image, 40_000, (1, 3, 0)))


def plain(rule: str, **changes: float) -> Layer:
    """A layer that does not normalise."""
    chosen = layer(rule, 10, **changes)
    return replace(chosen, constants=replace(chosen.constants, norm=0.0), high=0.6)


@pytest.mark.parametrize("name", [*RULES, "log, all pairs"])
def test_the_real_core_learns_as_the_rule_says(name: str) -> None:
    """Its own spikes, given to the rule's writing without a net, end in the same weights."""
    chosen = plain(name.partition(",")[0])
    if "," in name:
        assert isinstance(chosen.rule, PairRule)
        chosen = replace(chosen, rule=replace(chosen.rule, add=True))
    core, pre = open_core(chosen, 3, None), chosen.spikes(IMAGE, (3, 0))
    before = core.weights.copy()
    post = core.present(pre)
    assert post.sum() > 20 and np.abs(core.weights - before).max() > 0.01
    if name == "alsa":
        want = by_ages(chosen.rule, before, pre, post)
    else:
        want = follow(chosen.rule, before, pre, post)
    assert np.abs(core.weights - want).max() < 1e-6


def by_ages(rule: Any, weights: np.ndarray, pre: np.ndarray, post: np.ndarray) -> np.ndarray:
    w, age = weights.copy(), np.full(len(weights), np.inf)
    for arrived, fired in zip(pre > 0, post > 0, strict=True):
        age = np.where(arrived, 0.0, age + 1)
        w[:, fired] += rule.change(w[:, fired], age[:, None])
    return w


@pytest.mark.parametrize("rule", RULES)
def test_integers_begin_as_the_reals_do(rule: str) -> None:
    """The first spikes: the same, and weights within rounding."""
    chosen = layer(rule, 10)  # thresholds decay in steps of a period, so here not at all
    chosen = replace(chosen, constants=replace(chosen.constants, tau_theta=np.inf))
    real, integer = open_core(chosen, 1, None), open_core(chosen, 1)
    spikes = chosen.spikes(IMAGE, (1, 0))[:60]
    fired = [core.present(spikes) for core in (real, integer)]
    assert np.array_equal(*fired) and fired[0].sum() > 2
    assert np.abs(real.theta - integer.theta / MILLIVOLT).max() < 0.01
    assert np.abs(real.weights - integer.weights / 65536).max() < 0.002
    assert real.weights.sum(0)[fired[0].any(0)] == pytest.approx(78.4, abs=0.01)


def test_frozen_layers_keep_weights_and_thresholds() -> None:
    chosen = layer("log", 10, sigma=0.5)
    for bits in (None, 16):
        core = open_core(chosen, 1, bits)
        weights, theta = core.weights.copy(), core.theta.copy()
        for _ in range(13):  # 4,550 ticks: more than a period of the decay
            fired = core.present(chosen.spikes(IMAGE, (1, 0)), learn=False)
        assert fired.any() and np.array_equal(core.weights, weights)
        assert np.array_equal(core.theta, theta)


def test_noise_of_the_reals_has_its_strength() -> None:
    """Up to the first spike, each change is one draw: zeta has mean 0 and spread sigma."""
    quiet, noisy = (open_core(plain("add", sigma=s), 3, None) for s in (0.0, 0.5))
    before, spikes = quiet.weights.copy(), plain("add").spikes(IMAGE, (3, 0))
    first = int(np.flatnonzero(open_core(plain("add"), 3, None).present(spikes).any(1))[0])
    for core in (quiet, noisy):
        assert core.present(spikes[: first + 1]).any()
    moved, apart = quiet.weights - before, noisy.weights - quiet.weights
    zeta = apart[moved > 0] / moved[moved > 0]
    assert len(zeta) > 50 and abs(zeta.mean()) < 4 * 0.5 / np.sqrt(len(zeta))
    assert zeta.std() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(2 * len(zeta)))


def test_each_neuron_votes_for_its_digit() -> None:
    counts = np.array([[5, 0, 0], [4, 1, 0], [0, 3, 0], [1, 4, 0]])
    labels = labels_of(counts, np.array([7, 7, 2, 2]))
    assert labels.tolist() == [7, 2, -1]
    assert answers(np.array([[2, 1, 9], [1, 2, 9]]), labels).tolist() == [7, 2]


def test_the_teacher_alone_makes_the_output_spike() -> None:
    rng = np.random.default_rng(0)
    features = (rng.random((350, 40)) < 0.1).astype(np.uint8)
    weights, teacher = output.first_weights(40, 0), output.teacher_of(3, 350)
    assert np.flatnonzero(teacher[:, 3]).tolist() == [49, 99, 149, 199, 249, 299, 349]
    population = output.OUTPUT.population(40, output.CLASSES, output.RULE)
    integers = IntegerCore(population, weights_of(weights), np.zeros(10, np.int64))
    reals = FloatCore(output.OUTPUT, output.RULE, weights, np.zeros(10))
    for core, unit in ((integers, 65536), (reals, 1)):
        before = core.weights / unit
        fired = core.present(features, teacher)
        assert np.array_equal(fired, teacher)
        moved = np.abs(core.weights / unit - before).max(0)
        assert moved[3] > 1e-4 and not moved[np.arange(10) != 3].any()
    assert output.counted(np.array([[0, 3]]), np.array([[0.9, 0.1], [0.2, 0.5]])).tolist() == [1]


def test_a_rule_has_its_own_constants() -> None:
    with pytest.raises(InputError, match="rule must be one of alsa, target, log, add, mult, not"):
        layer("bcm", 10)
    with pytest.raises(InputError, match="constant of a rule must be one of eta, alpha, beta, tau"):
        layer("alsa", 10, sigma=0.5)
