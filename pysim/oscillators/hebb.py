"""Patterns as couplings, by Hebb's rule, for both cells; pixels as inputs.

    W_ij = (1/N) sum over k of xi_i^k xi_j^k                       g(w) = (tanh(beta w) + 1) / 2
    relaxation   R_ij = factor (N - 1) zeta^-1(T/2 g(W_ij))        beta = N/32
    phase        w_ij = round(W_ij / max |W| (2^(bits - 1) - 1))

zeta^-1(x) is the resistance at which two oscillators that start x apart just change from in phase
to out of phase. It depends on the step of the arithmetic: a Calibration holds it for one step.
Source: Delacour & Todri-Sanial 2021, Equations 20 to 23. The factor is ours (docs/onn.md).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.oscillators.circuit import Step, rounded
from spikeloop.pysim.oscillators.net import OnnNet
from spikeloop.pysim.oscillators.settings import MAX_OSCILLATORS

__all__ = [
    "FACTOR",
    "Calibration",
    "check_patterns",
    "hebb",
    "inputs",
    "phase_net",
    "relaxation_net",
    "resistances",
]

FACTOR = 1.08
"""Mean factor on all resistances; chosen after the tolerance of the digits was seen."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """What the mapping needs to know of the arithmetic of ``step``.

    crossing:   c0, steps from V = 0 to the first crossing of V+
    fractions:  delays in units of T/2, ascending, float ``[n]``
    ohm:        zeta^-1 there, float ``[n]``
    """

    step: Step
    crossing: int
    fractions: np.ndarray
    ohm: np.ndarray

    @cached_property
    def _fit(self) -> np.polynomial.Polynomial:
        f = self.fractions
        return np.polynomial.Polynomial.fit(np.log(f / (1.02 - f)), np.log(self.ohm), 4)

    def resistance(self, fraction: np.ndarray | float) -> np.ndarray:
        """zeta^-1 in ohm of delays in units of T/2, by a polynomial of degree 4 of logarithms."""
        f = np.clip(np.asarray(fraction, np.float64), 1e-3, 1 - 1e-3)
        return np.exp(self._fit(np.log(f / (1.02 - f))))


def check_patterns(patterns: np.ndarray) -> np.ndarray:
    """Patterns as int64 ``[pattern, pixel]`` of -1 and +1; InputError for anything else."""
    patterns = np.asarray(patterns)
    if patterns.ndim > 2:
        patterns = patterns.reshape(len(patterns), -1)
    if patterns.ndim != 2 or not len(patterns) or not 2 <= patterns.shape[1] <= MAX_OSCILLATORS:
        raise InputError(
            f"patterns must be an array [pattern, pixel] of 2 to {MAX_OSCILLATORS} pixels, "
            f"not of shape {patterns.shape}"
        )
    if patterns.dtype.kind not in "iuf":
        raise InputError(f"pixels of patterns must be -1 or 1, not {patterns.dtype}")
    wrong = patterns[~np.isin(patterns, (-1, 1))]
    if wrong.size:
        raise InputError(f"pixels of patterns must be -1 or 1, not {wrong[0]}")
    return patterns.astype(np.int64)


def hebb(patterns: np.ndarray) -> np.ndarray:
    """W, float64 ``[pixel, pixel]``, 0 on the diagonal."""
    weights = patterns.T @ patterns / patterns.shape[1]
    np.fill_diagonal(weights, 0)
    return weights


def resistances(
    weights: np.ndarray, calibration: Calibration, beta: float, factor: float
) -> np.ndarray:
    """R in ohm, float64 ``[pixel, pixel]``, infinite on the diagonal."""
    share = (np.tanh(beta * weights) + 1) / 2
    ohm = factor * (len(weights) - 1) * calibration.resistance(share)
    np.fill_diagonal(ohm, np.inf)
    return ohm


def relaxation_net(
    patterns: np.ndarray,
    calibration: Calibration,
    *,
    beta: float | None = None,
    factor: float = FACTOR,
    periods: int = 20,
    settle: int = 0,
) -> OnnNet:
    """Relaxation oscillators that store the patterns.

    beta:    slope of the mapping; N/32 by default.
    factor:  on all resistances.
    periods: free periods after coupling, at most.
    settle:  the run ends after so many periods without a change; 0: never before.
    """
    patterns, step = check_patterns(patterns), calibration.step
    size = patterns.shape[1]
    beta = size / 32 if beta is None else beta
    if not (np.isfinite(beta) and 0 < beta <= 1000 and np.isfinite(factor) and 0.1 <= factor <= 10):
        raise InputError(
            f"beta must be in 0..1000 and the mean factor in 0.1..10, not {beta} and {factor}"
        )
    check_int("periods of a run", periods, 1, 1000)
    ohm = resistances(hebb(patterns), calibration, beta, factor)
    fraction = step.fraction(float(ohm.min()))
    on = step.steps // 2 + calibration.crossing
    settings = {
        **step.settings(fraction),
        "t_on": on,
        "steps_max": on + periods * step.steps,
        "settle": settle,
        "reference": 0,
    }
    return OnnNet.make(
        "relaxation",
        step.couplings(ohm, fraction),
        step.formats,
        settings,
        {"steps": step.steps, "beta": beta, "factor": factor, "patterns": len(patterns)},
    )


def phase_net(
    patterns: np.ndarray,
    *,
    coupling_bits: int = 5,
    phase_bits: int = 4,
    periods: int = 50,
    settle: int = 2,
) -> OnnNet:
    """Phase oscillators that store the patterns; arguments as of relaxation_net."""
    patterns = check_patterns(patterns)
    weights = hebb(patterns)
    check_int("bits of couplings", coupling_bits, 4, 14)
    check_int("bits of phases", phase_bits, 2, 8)
    check_int("periods of a run", periods, 1, 1000)
    largest = float(np.abs(weights).max())
    if not largest:
        raise InputError("patterns must correlate somewhere, not cancel in every pair of pixels")
    scaled = rounded(weights / largest * ((1 << coupling_bits - 1) - 1))
    np.fill_diagonal(scaled, 0)
    settings = {"steps_max": periods << phase_bits, "settle": settle, "reference": 0}
    formats = {"coupling_bits": coupling_bits, "phase_bits": phase_bits}
    return OnnNet.make(
        "phase", scaled, formats, settings, {"steps": 1 << phase_bits, "patterns": len(patterns)}
    )


def inputs(net: OnnNet, pixels: np.ndarray) -> np.ndarray:
    """Pixels -1..1 as delays or slots, int64: white 0, black half a period, grey between."""
    pixels = np.asarray(pixels, np.float64)
    if not (np.abs(pixels) <= 1).all():
        raise InputError(f"pixels must be in -1..1, not {pixels[~(np.abs(pixels) <= 1)][0]}")
    steps: Any = net.metadata.get("steps")
    check_int("steps of a free period in the net's metadata", steps, 1, 1 << 31)
    return rounded((1 - pixels) / 2 * (steps // 2))
