"""The RTL of the dendritic neurons: exactly pysim and golden, in every step and every cycle."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from spikeloop.cosim.macros.dendritic.model import DendriticModel
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.state import fresh
from spikeloop.pysim.dendrites.trace import differences
from tests.campaigns.macros.dendritic import MACROS, expected, first_difference
from tests.make.dendrites import witness
from tests.make.dendrites.random import Show, random_case


@pytest.fixture(scope="module")
def model() -> DendriticModel:
    return DendriticModel(MACROS["dendrites"], optimise=False)


def test_rtl_is_pysim_and_witness(seed: int, model: DendriticModel) -> None:
    totals, also = Counter[str](), {"witness": witness.show}
    seeds = [[seed, 100, n] for n in range(12)]
    found = first_difference(model.params, seeds, model=model, also=also, totals=totals)
    assert found is None
    assert totals["pysim = RTL"] > 100_000 and totals["cycles"] > 30_000
    assert totals["pysim = witness"] > 30_000


def test_a_show_goes_on_from_any_state(seed: int, model: DendriticModel) -> None:
    """One show of ten steps is four and six; a state read, written and read again is the same."""
    case = random_case(np.random.default_rng([seed, 1]), model.params)
    model.load(case.net, case.stimuli)
    model.put(case.state)
    whole = model.show(0, 10, learn=True)
    model.put(case.state)
    first = model.show(0, 4, learn=True)
    model.put(first.state)
    second = model.show(0, 6, learn=True)
    for name in ("units", "pairs", "rin"):
        parts = [getattr(part, name) for part in (first, second)]
        assert np.array_equal(np.concatenate(parts), getattr(whole, name))
    assert np.array_equal(second.state.weights, whole.state.weights)
    assert second.inputs + first.inputs == whole.inputs


def test_a_flush_comes_only_behind_changed_weights(model: DendriticModel) -> None:
    net = DendriticNet.make({"inputs": 13, "neurons": 3, "warm_up": 5})
    stimuli = np.full((1, 13), 6000)
    model.load(net, stimuli)
    state = fresh(net, 3)
    model.put(state)
    for learn, steps in ((True, 6), (True, 1), (False, 3), (True, 2)):
        show = Show(0, steps, learn, True)
        want = expected(net, stimuli, state, show)
        found = differences(want, model.show(0, steps, learn=learn))
        assert found.different == 0 and found.compared > 100, found.first
        state = want.state


def test_what_differs_is_named(model: DendriticModel) -> None:
    net = DendriticNet.make({"inputs": 13, "neurons": 3})
    stimuli = np.full((1, 13), 6000)
    model.load(net, stimuli)
    model.put(fresh(net, 3))
    want = expected(net, stimuli, replace(fresh(net, 3), rin=5), Show(0, 2, False, False))
    found = differences(want, model.show(0, 2, learn=False, plastic=False))
    assert found.different > 0 and found.first and "pysim" in found.first


def test_a_net_that_does_not_fit_is_refused(model: DendriticModel) -> None:
    net = DendriticNet.make({"inputs": 20, "neurons": 3})
    with pytest.raises(InputError, match=r"inputs of the net must be 13 at most"):
        model.load(net, np.zeros((1, 20), int))


@pytest.mark.slow
def test_rtl_is_pysim_on_more_neurons(seed: int) -> None:
    seeds = [[seed, 200, n] for n in range(40)]
    assert first_difference(MACROS["dendrites-cover"], seeds) is None
