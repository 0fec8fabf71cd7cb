"""The two engines: against golden, the witness, steps by hand, and a Hopfield net."""

from collections import Counter

import numpy as np
import pytest

from spikeloop.golden.oscillators import run as golden
from spikeloop.pysim.onn import numba_engine, numpy_engine
from spikeloop.pysim.onn.zeta import FRACTIONS, TABLE, calibrate, resistance_at
from spikeloop.pysim.oscillators.circuit import Step
from spikeloop.pysim.oscillators.digits import digits, fuzzy
from spikeloop.pysim.oscillators.hebb import inputs, phase_net, relaxation_net
from spikeloop.pysim.oscillators.net import OnnNet, OnnState
from spikeloop.pysim.oscillators.settings import CELLS
from spikeloop.pysim.oscillators.trace import differences
from tests.make.onn.bins import BINS, count
from tests.make.onn.random import random_case, random_params
from tests.make.onn.witness import witness

OTHERS = (numpy_engine.run, golden.run, witness)


@pytest.mark.parametrize("cell", CELLS)
def test_all_writings_agree(cell: str, seed: int) -> None:
    corners, compared = Counter[str](), 0
    for n in range(24):
        rng = np.random.default_rng([seed, n])
        case = random_case(rng, random_params(rng, cell, 9), 120)
        how = {"steps": case.steps, "state": case.state}
        want = numba_engine.run(case.net, case.start, **how)
        corners.update(count(case.net, case.start, case.state, want))
        for other in OTHERS:
            found = differences(case.net, want, other(case.net, case.start, **how))
            assert found.first is None, (n, other.__module__)
            compared += found.compared
    assert compared > 20_000 and set(corners) <= set(BINS[cell])
    assert sum(map(bool, corners.values())) > len(BINS[cell]) / 2


def test_golden_runs_many_samples_as_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = phase_net(digits())
    starts = np.stack([inputs(net, fuzzy(digits()[i], 12, rng)) for i in range(6)])
    traces = golden.run_samples(net, starts)
    assert len({trace.steps for trace in traces}) >= 1
    for start, trace in zip(starts, traces, strict=True):
        assert differences(net, numba_engine.run(net, start), trace).first is None


def test_a_run_goes_on_from_any_state(seed: int) -> None:
    net = relaxation_net(digits(), calibrate(Step()))
    start = inputs(net, fuzzy(digits()[3], 10, np.random.default_rng(seed)))
    whole = numba_engine.run(net, start, steps=3000)
    state, parts = None, []
    for steps in (1, 999, 2000):
        parts.append(numba_engine.run(net, start, steps=steps, state=state))
        state = parts[-1].state
    assert np.array_equal(np.concatenate([part.units for part in parts]), whole.units)
    assert sum(part.clips + part.crossings for part in parts) == whole.clips + whole.crossings


def two(**settings: int) -> OnnNet:
    """Two oscillators of round numbers: a charge of 8, no rate, thresholds at 64 and 32."""
    usual = {
        "sh": 1,
        "a_ins": 0,
        "a_met": 16,
        "b_ins": 0,
        "b_met": 0,
        "v_high": 64,
        "v_low": 32,
        "t_on": 0,
        "steps_max": 40,
        "settle": 0,
        "reference": 0,
    }
    formats = {"coupling_bits": 4, "v_frac": 12, "x_frac": 12}
    return OnnNet.make("relaxation", np.array([[0, 1], [1, 0]]), formats, {**usual, **settings})


def test_a_step_by_hand() -> None:
    net = two()
    state = OnnState(np.array([[60, 40], [1, 1], [9, 4], [0, 0], [0, 0]]), np.array([5, 0, 0, 0]))
    after = numpy_engine.run(net, np.zeros(2, int), steps=1, state=state)
    # (16 - 20) / 2 = -2 and (16 + 20) / 2 = 18: neither reaches 64
    assert after.units[0].tolist() == [[58, 58], [1, 1], [10, 5], [0, 0], [0, 0]]
    state.units[0] = (70, 58)
    after = numpy_engine.run(net, np.zeros(2, int), steps=1, state=state)
    # (16 - 12) / 2 = 2 and (16 + 12) / 2 = 14: both cross; 10 steps have passed
    assert after.units[0].tolist() == [[72, 72], [0, 0], [0, 0], [0, 0], [0, 0]]
    assert after.whole[0].tolist() == [6, 10, 1, 0]


def test_rounding_is_to_nearest_halves_up() -> None:
    net = two(a_ins=3)
    state = OnnState(np.zeros((5, 2), int), np.array([0, 0, 0, 0]))
    state.units[0] = 40
    assert (
        numpy_engine.run(net, np.zeros(2, int), steps=1, state=state).units[0, 0].tolist()
        == [42] * 2
    )


def test_phase_decisions_are_those_of_a_hopfield_net() -> None:
    net = phase_net(digits())
    agreed = 0
    for k in (6, 12, 20):
        rng = np.random.default_rng(1000 + k)
        for i in range(30):
            pixels = fuzzy(digits()[i % 6], k, rng)
            signs, tie = np.where(inputs(net, pixels) < 4, 1, -1), False
            for _ in range(50):
                field = net.couplings @ signs
                tie |= bool((field == 0).any())
                signs = np.where(field > 0, 1, -1)
            read = numba_engine.run(net, inputs(net, pixels), record=False).pixels()
            same = (read == signs).all() or (read == -signs).all()
            agreed += bool(same or tie)
    assert agreed == 90


def test_digits_are_recalled_by_both_cells() -> None:
    nets = phase_net(digits()), relaxation_net(digits(), calibrate(Step()), settle=4)
    for net in nets:
        right = 0
        for i in range(12):
            target = digits()[i % 6]
            pixels = fuzzy(target, 12, np.random.default_rng(i))
            trace = numba_engine.run(net, inputs(net, pixels), record=False)
            assert trace.ended and trace.state.whole[3] >= net["settle"]
            read = trace.pixels()
            right += bool((read == target).all() or (read == -target).all())
        assert right >= 10
        assert trace.steps < 20 * net.metadata["steps"]


def test_switches_that_close_early_lose_the_memory() -> None:
    """The step of coupling is that at which the last starter is at V+ (docs/onn.md)."""
    net = relaxation_net(digits(), calibrate(Step()), settle=4)
    assert calibrate(Step()).crossing == 90 and net["t_on"] == 2138
    early = net.with_(t_on=6152)

    def right(chosen: OnnNet) -> int:
        read = [numba_engine.run(chosen, inputs(net, d), record=False).pixels() for d in digits()]
        return sum(
            bool((r == d).all() or (r == -d).all()) for r, d in zip(read, digits(), strict=True)
        )

    assert right(net) == 6 and right(early) < 4


@pytest.mark.parametrize("at", [0, 9, 18])
def test_the_kept_table_is_found_again(at: int) -> None:
    assert resistance_at(Step(), float(FRACTIONS[at])) == pytest.approx(TABLE[at], rel=1e-4)
