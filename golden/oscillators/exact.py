"""Two coupled oscillators of ideal hysteresis, solved exactly in pieces, and one by Euler's rule.

Between two switchings the circuit is linear: each voltage is a constant and two exponentials, with
one extremum at most. A crossing lies between two points of which one is beyond the threshold, and
is found by bisection. Nothing here depends on a step, so this is what the fixed-point arithmetic
is measured against (docs/onn.md, "The circuit").
"""

import math

import numpy as np

from spikeloop.pysim.oscillators.circuit import (
    CAPACITY,
    PERIOD,
    R_INS,
    R_MET,
    R_SERIES,
    SUPPLY,
    V_MINUS,
    V_PLUS,
)

__all__ = ["boundary", "euler", "free", "two"]

HORIZON = 3 * PERIOD  # no oscillator waits longer for a threshold


def free(seconds: float) -> float:
    """Volts of a free oscillator so long after it crossed V+; below T_DISCHARGE."""
    rate = 1 / R_INS + 1 / R_SERIES
    limit = SUPPLY / R_INS / rate
    return limit + (V_PLUS - limit) * math.exp(-rate / CAPACITY * seconds)


def euler(step: float, steps: int) -> np.ndarray:
    """Volts of a free oscillator from V+ on by Euler's rule in float64: ``[steps + 1]``.

    step: seconds.
    """
    volts, metallic = [V_PLUS], False
    for _ in range(steps):
        v = volts[-1]
        current = (SUPPLY - v) / (R_MET if metallic else R_INS) - v / R_SERIES
        v += step / CAPACITY * current
        metallic = v < V_PLUS if metallic else v <= V_MINUS
        volts.append(v)
    return np.array(volts)


class _Piece:
    """Both voltages from a moment on, while no device turns."""

    def __init__(self, ohm: float, volts: np.ndarray, metallic: list[bool]) -> None:
        g = np.array([1 / (R_MET if metal else R_INS) for metal in metallic])
        matrix = np.diag(-(g + 1 / R_SERIES + 1 / ohm)) + np.array([[0, 1], [1, 0]]) / ohm
        self.rates, vectors = np.linalg.eigh(matrix / CAPACITY)
        self.rest = np.linalg.solve(matrix, -SUPPLY * g)
        self.parts = vectors * (vectors.T @ (volts - self.rest))

    def at(self, seconds: float) -> np.ndarray:
        return self.rest + self.parts @ np.exp(self.rates * seconds)

    def reaches(self, i: int, threshold: float, rises: bool) -> float:
        """Seconds until voltage i is at or beyond the threshold; inf if never."""
        sign = 1 if rises else -1

        def beyond(t: float) -> float:
            return sign * (float(self.at(t)[i]) - threshold)

        (a, b), (p, q) = self.parts[i], self.rates
        points = [0.0, HORIZON]
        if a * b * p * q < 0:  # the slope is 0 somewhere
            turn = math.log(-b * q / (a * p)) / (p - q)
            if 0 < turn < HORIZON:
                points.insert(1, turn)
        if beyond(0.0) >= 0:
            return 0.0
        for low, high in zip(points, points[1:], strict=False):
            if beyond(high) >= 0:
                for _ in range(80):
                    middle = (low + high) / 2
                    low, high = (low, middle) if beyond(middle) >= 0 else (middle, high)
                return high
        return math.inf


def two(ohm: float, delay: float, periods: int = 14) -> tuple[float, float]:
    """Two oscillators coupled by ``ohm`` that stand ``delay`` seconds apart on the discharge.

    Returns their phase in 0..0.5 of a period, and the period in free ones, after ``periods`` free
    periods; nan where they stop.
    """
    volts, metallic, now = np.array([free(delay), V_PLUS]), [False, False], 0.0
    crossings: tuple[list[float], list[float]] = ([], [])
    while now < periods * PERIOD:
        piece = _Piece(ohm, volts, metallic)
        waits = [
            piece.reaches(i, V_PLUS if metal else V_MINUS, metal)
            for i, metal in enumerate(metallic)
        ]
        i = int(np.argmin(waits))
        if math.isinf(waits[i]):
            return math.nan, math.nan
        now, volts = now + waits[i], piece.at(waits[i])
        volts[i] = V_PLUS if metallic[i] else V_MINUS
        if metallic[i]:
            crossings[i].append(now)
        metallic[i] = not metallic[i]
    length = crossings[0][-1] - crossings[0][-2]
    phase = (crossings[1][-1] - crossings[0][-1]) / length % 1
    return min(phase, 1 - phase), length / PERIOD


def boundary(delay: float, low: float = 8e3, high: float = 60e3) -> float:
    """zeta^-1 in ohm: where two oscillators ``delay`` seconds apart change to out of phase."""
    for _ in range(14):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if two(middle, delay)[0] < 0.25 else (low, middle)
    return math.sqrt(low * high)
