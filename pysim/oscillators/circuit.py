"""The VO2 relaxation oscillator in volts and ohms, and its integers for the relaxation cell.

    C dV/dt = (V_DD - V) / R - V / R_S + sum over j of (V_j - V) / R_ij

R is R_MET while the device is metallic, until V reaches V_PLUS, and R_INS until V falls to V_MINUS:
an ideal hysteresis. Source of the circuit and its constants: Delacour & Todri-Sanial 2021, Table 1.
The paper prints V_H = 1.99 V, which gives a period of 20.74 us; 1.999 V gives its 21.6 us.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError

__all__ = [
    "CAPACITY",
    "PERIOD",
    "R_INS",
    "R_MET",
    "R_SERIES",
    "SUPPLY",
    "T_CHARGE",
    "T_DISCHARGE",
    "V_MINUS",
    "V_PLUS",
    "Step",
    "rounded",
]

SUPPLY, R_SERIES, CAPACITY = 2.5, 20e3, 500e-12
R_INS, R_MET = 100.2e3, 990.0
V_PLUS, V_MINUS = 1.5, 0.501


def _time(resistance: float, start: float, end: float) -> float:
    """Seconds from one voltage to another with the device at ``resistance``."""
    rate = 1 / resistance + 1 / R_SERIES
    limit = SUPPLY / resistance / rate
    return CAPACITY / rate * math.log((start - limit) / (end - limit))


T_DISCHARGE = _time(R_INS, V_PLUS, V_MINUS)
T_CHARGE = _time(R_MET, V_MINUS, V_PLUS)
PERIOD = T_DISCHARGE + T_CHARGE
"""Seconds: 21.22 + 0.36 = 21.58 us."""


def rounded(x: Any) -> Any:
    """round(x) of docs/onn.md: a number or an array of floats to int64."""
    return np.floor(np.asarray(x) + 0.5).astype(np.int64)


@dataclass(frozen=True)
class Step:
    """The arithmetic of the relaxation cell: its formats and its step.

    steps:         n, steps in PERIOD, 64..16,384
    v_frac, x_frac, coupling_bits: F, X, G
    """

    steps: int = 4096
    v_frac: int = 24
    x_frac: int = 18
    coupling_bits: int = 12

    def __post_init__(self) -> None:
        check_int("steps of a period", self.steps, 64, 16_384)

    @property
    def seconds(self) -> float:
        """h."""
        return PERIOD / self.steps

    @property
    def formats(self) -> dict[str, int]:
        return {"coupling_bits": self.coupling_bits, "v_frac": self.v_frac, "x_frac": self.x_frac}

    def fraction(self, least: float) -> int:
        """E, the most bits behind the point for which a coupling of ``least`` ohm still fits."""
        unit = self.seconds / CAPACITY
        most = math.log2(((1 << self.coupling_bits) - 0.5) / (unit / least))
        rates = math.log2((1 << 23) / (unit * (1 / R_MET + 1 / R_SERIES)))
        bits = math.floor(min(most, rates, 40 + self.v_frac - self.x_frac))
        if bits <= self.v_frac - self.x_frac:
            raise InputError(
                f"smallest coupling resistance must be larger for {self.coupling_bits} bits, "
                f"not {least:,.0f} ohm"
            )
        return bits

    def couplings(self, resistances: np.ndarray, fraction: int) -> np.ndarray:
        """Integers of resistances in ohm (inf: none), with ``fraction`` bits behind the point.

        InputError if one overflows coupling_bits; nothing is clipped.
        """
        g = rounded(self.seconds / CAPACITY / resistances * 2.0**fraction)
        if g.max() >> self.coupling_bits:
            raise InputError(
                f"couplings must be below {1 << self.coupling_bits} ({self.coupling_bits} bits), "
                f"not {g.max()}: a resistance of {resistances.min():,.0f} ohm needs fewer bits "
                "behind the point"
            )
        return g

    def settings(self, fraction: int) -> dict[str, int]:
        """Settings of the circuit with ``fraction`` bits behind the point: rates and thresholds."""
        unit, charge = self.seconds / CAPACITY, 2.0 ** (fraction + self.x_frac)
        return {
            "sh": fraction + self.x_frac - self.v_frac,
            "a_ins": int(rounded(unit * SUPPLY / R_INS * charge)),
            "a_met": int(rounded(unit * SUPPLY / R_MET * charge)),
            "b_ins": int(rounded(unit * (1 / R_INS + 1 / R_SERIES) * 2.0**fraction)),
            "b_met": int(rounded(unit * (1 / R_MET + 1 / R_SERIES) * 2.0**fraction)),
            "v_high": math.ceil(V_PLUS * 2**self.v_frac),
            "v_low": math.floor(V_MINUS * 2**self.v_frac),
        }
