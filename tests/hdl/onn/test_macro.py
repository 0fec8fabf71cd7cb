"""The RTL of the oscillators: exactly pysim and golden, in every step and every cycle."""

from collections import Counter

import numpy as np
import pytest

from spikeloop.cosim.macros.onn import OnnModel
from spikeloop.golden.oscillators import run as golden
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.oscillators.hebb import phase_net
from tests.campaigns.macros.onn import MACROS, first_difference
from tests.make.onn.random import random_case


@pytest.fixture(scope="module", params=["oscillates", "phases-turns"])
def model(request: pytest.FixtureRequest) -> OnnModel:
    return OnnModel(MACROS[request.param], optimise=False)


def test_rtl_is_golden_and_pysim(seed: int, model: OnnModel) -> None:
    totals = Counter[str]()
    seeds = [[seed, 100, n] for n in range(30)]
    assert first_difference(model.params, seeds, model=model, totals=totals) is None
    few = [[seed, 101, n] for n in range(4)]
    found = first_difference(model.params, few, model=model, also=(golden.run,), totals=totals)
    assert found is None
    assert totals["pysim = RTL"] > 50_000 and totals["cycles"] > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["oscillates-turns", "phases"])
def test_rtl_is_pysim_on_every_macro(name: str, seed: int) -> None:
    assert first_difference(MACROS[name], [[seed, 200, n] for n in range(40)]) is None


def test_counters_count_what_was_done(seed: int, model: OnnModel) -> None:
    before = model.counters()
    case = random_case(np.random.default_rng([seed, 1]), model.params)
    trace = model.run(case.net, case.start, steps=case.steps, state=case.state)
    after = {name: n - before[name] for name, n in model.counters().items()}
    assert after["steps"] == trace.steps and after["cycles"] == trace.cycles > 0
    assert after["clips"] == trace.clips and after["crossings"] == trace.crossings


def test_a_net_of_another_size_is_refused(model: OnnModel) -> None:
    net = phase_net(np.array([[1, -1] * 10]))
    with pytest.raises(InputError, match=r"(cell|oscillators) of the net must be"):
        model.run(net, np.zeros(20, int))
