"""zeta^-1 and c0 of the fixed-point arithmetic itself, at the step in use.

zeta^-1(x) is found by bisection of the resistance between two oscillators that stand x apart on the
discharge. The net is mapped with it, so it does not suffer from the error of the step. The table of
the default step is kept; `calibrate` finds it again (tests/pysim/onn).
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.onn import kernel, numba_engine, numpy_engine
from spikeloop.pysim.oscillators.circuit import (
    CAPACITY,
    PERIOD,
    R_INS,
    R_SERIES,
    SUPPLY,
    V_PLUS,
    Step,
)
from spikeloop.pysim.oscillators.hebb import Calibration
from spikeloop.pysim.oscillators.net import OnnNet, OnnState

__all__ = ["FRACTIONS", "TABLE", "calibrate", "discharge", "in_phase", "pair", "resistance_at"]

FRACTIONS = np.round(np.arange(0.05, 0.96, 0.05), 2)
"""Delays of the table, in T/2."""
OFFSETS, HALVINGS, PERIODS = 4, 16, 14
LOW, HIGH = 9e3, 100e3  # ohm
TABLE = (
    *(26368.2, 20355.9, 18017.8, 16479.7, 15475.5, 14737.3, 14137.2, 13600.6, 13137.5, 12714.6),
    *(12414.5, 12103.5, 11837.4, 11585.0, 11371.6, 11173.4, 10964.3, 10805.9, 10654.1),
)
"""Ohm at FRACTIONS for the default Step."""


def discharge(seconds: float) -> float:
    """Volts of a free oscillator, insulating, so long after it was at V+."""
    rate = 1 / R_INS + 1 / R_SERIES
    limit = SUPPLY / R_INS / rate
    return limit + (V_PLUS - limit) * math.exp(-seconds * rate / CAPACITY)


def pair(step: Step, ohm: float, periods: int = PERIODS) -> OnnNet:
    """Two oscillators with a resistance between them, coupled from the first step on."""
    fraction = step.fraction(ohm)
    couplings = step.couplings(np.array([[np.inf, ohm], [ohm, np.inf]]), fraction)
    settings = {
        **step.settings(fraction),
        "t_on": 0,
        "steps_max": periods * step.steps,
        "settle": 0,
        "reference": 0,
    }
    return OnnNet.make("relaxation", couplings, step.formats, settings, {"steps": step.steps})


def in_phase(step: Step, ohm: float, delay: float, offset: float = 0.0, **run: Any) -> bool:
    """Whether two oscillators that start ``delay`` seconds apart end in phase.

    offset: seconds that both are further, below a step.
    """
    net = pair(step, ohm, **run)
    volts = (discharge(delay + offset), discharge(offset))
    state = net.begin(np.zeros(2, np.int64))
    state.units[0] = [math.floor(v * 2**step.v_frac) for v in volts]
    engine = numba_engine if kernel.AVAILABLE else numpy_engine
    end = engine.run(
        net, np.zeros(2, np.int64), state=OnnState(state.units, state.whole), record=False
    )
    return bool(end.pixels()[1] > 0)


def resistance_at(step: Step, fraction: float) -> float:
    """zeta^-1 in ohm at a delay of ``fraction`` T/2: the mean of logarithms over offsets."""
    found = []
    for number in range(OFFSETS):
        low, high = LOW, HIGH
        for _ in range(HALVINGS):
            middle = math.sqrt(low * high)
            if in_phase(step, middle, fraction * PERIOD / 2, number / OFFSETS * step.seconds):
                low = middle
            else:
                high = middle
        found.append(math.log(low * high) / 2)
    return math.exp(sum(found) / OFFSETS)


def crossing(step: Step) -> int:
    """c0: steps of a free oscillator from V = 0 to its first crossing of V+."""
    net = pair(step, 750e3).with_(t_on=(1 << 24) - 1)
    trace = numpy_engine.run(net, np.zeros(2, np.int64), steps=step.steps // 4)
    return int(trace.whole[:, 2].argmax()) + 1


@lru_cache
def calibrate(step: Step, *, anew: bool = False) -> Calibration:
    """zeta^-1 and c0 of a step. anew: measure the default step's table as well.

    InputError without numba for any but the default step: it would take hours.
    """
    if step == Step() and not anew:
        ohm = np.array(TABLE)
    elif not kernel.AVAILABLE:
        raise InputError("numba is missing: pip install 'spikeloop[fast]' to use another step")
    else:
        ohm = np.array([resistance_at(step, float(f)) for f in FRACTIONS])
    return Calibration(step, crossing(step), FRACTIONS, ohm)
