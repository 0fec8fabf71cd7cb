"""The exact circuit: against closed forms, and our fixed-point arithmetic against it."""

import numpy as np
import pytest

from spikeloop.cosim.oscillators.paper import discharge_error, four, free_period, window
from spikeloop.golden.oscillators.exact import boundary, free, two
from spikeloop.pysim.onn.zeta import calibrate, resistance_at
from spikeloop.pysim.oscillators.circuit import PERIOD, T_CHARGE, T_DISCHARGE, V_MINUS, Step


def test_a_discharge_ends_at_the_lower_threshold() -> None:
    assert free(T_DISCHARGE) == pytest.approx(V_MINUS, abs=1e-12)
    assert pytest.approx(59.4, abs=0.05) == T_DISCHARGE / T_CHARGE
    assert pytest.approx(21.577e-6, abs=1e-9) == PERIOD


def test_equal_oscillators_stay_together_with_the_free_period() -> None:
    phase, period = two(20e3, 0.0)
    assert phase == pytest.approx(0, abs=1e-9) and period == pytest.approx(1, abs=1e-9)
    apart, longer = two(1e12, PERIOD / 4)  # as good as uncoupled
    assert apart == pytest.approx(0.25, abs=1e-6) and longer == pytest.approx(1, abs=1e-6)


def test_the_fixed_oscillator_is_as_exact_as_its_step() -> None:
    assert 21.5e-6 < free_period(Step()) < 21.7e-6
    exact, floats = discharge_error(Step())
    assert exact < 0.2e-3 and floats < 0.01e-3


@pytest.mark.parametrize("delay", [0.05, 0.25, 0.45])
def test_the_fixed_boundary_is_near_the_exact_one_and_above(delay: float) -> None:
    assert 1 < calibrate(Step()).resistance(2 * delay) / boundary(delay * PERIOD) < 1.12


def test_finer_steps_come_nearer() -> None:
    exact = boundary(PERIOD / 4)
    coarse, usual, fine = (
        abs(resistance_at(Step(steps), 0.5) / exact - 1) for steps in (2048, 4096, 8192)
    )
    assert fine < usual < coarse


def test_windows_of_two_and_memory_of_four() -> None:
    assert all(window(Step(), 10e3)) and not any(window(Step(), 30e3))
    assert two(20e3, PERIOD / 4)[1] == pytest.approx(1.51, abs=0.01)
    read = four(Step())
    assert read.pop("(1, 1, 1, 1)") == "++++"
    assert set(read.values()) == {"+-+-"} and len(read) == 6


def test_boundaries_fall_with_the_delay() -> None:
    assert (np.diff(calibrate(Step()).ohm) < 0).all()
