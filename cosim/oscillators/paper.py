"""The figures of Delacour & Todri-Sanial 2021, as our fixed-point arithmetic has them.

    spikeloop onn --figures [--samples N]

All of them are of pysim, whose every value the RTL has (docs/onn.md). Digits are our own, chosen as
pysim/oscillators/digits.py says; the mean factor is ours too.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from spikeloop.cosim.oscillators.recall import Plan, recall
from spikeloop.golden.oscillators.exact import boundary, euler, free, two
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.onn import numba_engine
from spikeloop.pysim.onn.zeta import calibrate, in_phase, pair
from spikeloop.pysim.oscillators.circuit import PERIOD, T_CHARGE, T_DISCHARGE, Step, rounded
from spikeloop.pysim.oscillators.digits import digits
from spikeloop.pysim.oscillators.hebb import FACTOR, phase_net, relaxation_net
from spikeloop.pysim.oscillators.net import OnnNet

__all__ = ["FIGURES", "four", "free_period", "run", "window"]

ALONE = 750e3  # ohm between two that are never coupled: as many bits as the digits have
DELAYS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)  # of a period
EXACT_AT = (0.05, 0.125, 0.25, 0.375, 0.45)
SCALES = (0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.3)
BETAS = (0.5, 1.0, 1.5, 1.875, 2.5, 3.0, 4.0)


def free_period(step: Step) -> float:
    """Period of a free oscillator of this step, in seconds: the mean of ten."""
    net = pair(step, ALONE).with_(t_on=(1 << 24) - 1, steps_max=12 * step.steps)
    trace = numba_engine.run(net, np.zeros(2, np.int64))
    at = np.flatnonzero(np.diff(trace.whole[:, 2], prepend=0))
    return float(np.diff(at).mean()) * step.seconds


def discharge_error(step: Step) -> tuple[float, float]:
    """Largest difference in volt of one free discharge from the exact one, and from Euler's."""
    net = pair(step, ALONE).with_(t_on=(1 << 24) - 1)
    start = np.zeros(2, np.int64)
    state = net.begin(start)
    state.units[0] = net["v_high"]
    steps = int(T_DISCHARGE / step.seconds) - 2
    trace = numba_engine.run(net, start, steps=steps, state=state)
    volts = trace.units[:, 0, 0] / 2**step.v_frac
    exact = np.array([free((n + 1) * step.seconds) for n in range(steps)])
    floats = euler(step.seconds, steps)[1:]
    return float(np.abs(volts - exact).max()), float(np.abs(volts - floats).max())


def window(step: Step, ohm: float) -> list[bool]:
    """Whether two oscillators end in phase at ``ohm``, for all DELAYS."""
    return [in_phase(step, ohm, delay * PERIOD) for delay in DELAYS]


def coupled_period(step: Step, ohm: float) -> float:
    """Period of two oscillators a quarter apart, in free exact ones."""
    net = pair(step, ohm)
    state = net.begin(np.zeros(2, np.int64))
    state.units[0] = rounded([free(PERIOD / 4) * 2**step.v_frac, free(0) * 2**step.v_frac])
    end = numba_engine.run(net, np.zeros(2, np.int64), state=state, record=False)
    return int(end.state.whole[1]) / step.steps


def four(step: Step) -> dict[str, str]:
    """Four oscillators that store (+ - + -): what is read, by input (section 2.1.9)."""
    curve = calibrate(step)
    stored = np.array([1, -1, 1, -1])
    ohm = 3 * np.where(np.outer(stored, stored) > 0, curve.resistance(0.75), curve.resistance(0.25))
    np.fill_diagonal(ohm, np.inf)
    fraction = step.fraction(float(ohm.min()))
    on = step.steps // 2 + curve.crossing
    settings = {
        **step.settings(fraction),
        "t_on": on,
        "steps_max": on + 20 * step.steps,
        "settle": 0,
        "reference": 0,
    }
    net = OnnNet.make("relaxation", step.couplings(ohm, fraction), step.formats, settings)
    found = {}
    for pixels in (
        (1, -1, 1, -1),
        (1, -1, 1, 1),
        (1, 1, 1, -1),
        (1, 0, 0, 0),
        (1, 0.5, 1, 0.2),
        (1, -0.5, 0.5, 0.5),
        (1, 1, 1, 1),
    ):
        start = rounded((1 - np.array(pixels)) / 2 * (step.steps // 2))
        read = numba_engine.run(net, start, record=False).pixels()
        found[str(pixels)] = "".join("+" if pixel > 0 else "-" for pixel in read)
    return found


def _recall(net: OnnNet, counts: Iterable[int], samples: int) -> dict[int, float]:
    return recall(net, Plan(digits(), tuple(counts), samples), ["pysim"]).rates()


def _oscillator() -> dict[str, Any]:
    periods = {n: free_period(Step(n)) * 1e6 for n in (1024, 2048, 4096)}
    exact, float_euler = discharge_error(Step())
    return {
        "T_osc, us, by steps of a period": periods,
        "T_osc exact, us": PERIOD * 1e6,
        "T_d / T_c": T_DISCHARGE / T_CHARGE,
        "discharge, mV from the exact one": exact * 1e3,
        "discharge, mV from Euler in floats": float_euler * 1e3,
    }


def _pairs() -> dict[str, Any]:
    curve = calibrate(Step())
    return {
        "in phase, by kilo-ohm": {
            k: f"{sum(window(Step(), 1e3 * k))} of {len(DELAYS)} delays" for k in (10, 20, 30, 40)
        },
        "zeta^-1, kilo-ohm, by delay in periods: fixed, exact": {
            x: (float(curve.resistance(2 * x)) / 1e3, boundary(x * PERIOD) / 1e3) for x in EXACT_AT
        },
        "period out of phase, by kilo-ohm: fixed, exact": {
            k: (coupled_period(Step(), 1e3 * k), two(1e3 * k, PERIOD / 4)[1]) for k in (20, 50)
        },
    }


def _relaxation(samples: int, counts: Iterable[int]) -> dict[int, float]:
    return _recall(relaxation_net(digits(), calibrate(Step())), counts, samples)


def _phases(samples: int) -> dict[int, float]:
    return _recall(phase_net(digits()), range(21), samples)


def _tolerance(samples: int) -> dict[float, float]:
    curve = calibrate(Step())
    nets = {x: relaxation_net(digits(), curve, factor=FACTOR * x) for x in SCALES}
    return {x: _recall(net, [10], 2 * samples)[10] for x, net in nets.items()}


def _slopes(samples: int) -> dict[float, float]:
    curve = calibrate(Step())
    nets = {beta: relaxation_net(digits(), curve, beta=beta) for beta in BETAS}
    return {beta: _recall(net, [12], samples)[12] for beta, net in nets.items()}


FIGURES: dict[str, Callable[[int], Any]] = {
    "one oscillator": lambda samples: _oscillator(),
    "two oscillators": lambda samples: _pairs(),
    "four oscillators": lambda samples: four(Step()),
    "recall, phase cell, by fuzzy pixels": _phases,
    "recall, relaxation cell, by fuzzy pixels": partial(_relaxation, counts=range(1, 21)),
    "recall of 10 fuzzy pixels (twice the samples), by scale of all resistances": _tolerance,
    "recall of 12 fuzzy pixels, by beta": _slopes,
}
"""Title -> what computes it from the samples of each point."""


def run(
    samples: int,
    *,
    started: Callable[[int], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """All figures: a document, and rows of a table. InputError without numba."""
    if not numba_engine.AVAILABLE:
        raise InputError("numba is missing: pip install 'spikeloop[fast]'")
    if started:
        started(len(FIGURES))
    document: dict[str, Any] = {"samples": samples}
    rows: dict[str, Any] = {}
    for title, figure in FIGURES.items():
        document[title] = figure(samples)
        rows[title] = ", ".join(f"{name}: {_short(n)}" for name, n in document[title].items())
        if progress:
            progress(1)
    return document, {**rows, "samples": f"{samples} of each point"}


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name} {_short(n)}" for name, n in value.items())
    if isinstance(value, tuple):
        return " / ".join(map(_short, value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)
