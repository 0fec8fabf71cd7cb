"""Pair rules of STDP: real numbers, and the integers that a plastic core takes.

    post spike:  dw = +eta (1 + zeta) a+(w) x        x: pre trace, decays with tau+
    pre spike:   dw = -eta (1 + zeta) a-(w) y        y: post trace, decays with tau-
    target:      dw = eta (1 + zeta) (x - x_tar) (1 - w)^mu   at a post spike, none at a pre spike

zeta is noise of mean 0 and standard deviation sigma. With traces that are set, each spike pairs
with the most recent one; with traces that add, with all, up to 1 in sum. Sources: Chakraborty &
Mukhopadhyay 2021, eq. 2 and 3; Diehl & Cook 2015, eq. 1.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeloop.golden.rules.stdp.scaling import Scaling
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.lessons.tables import SEGMENTS, TABLE_MAX, exponential, keep, linear

__all__ = ["NOISE", "PairRule", "TargetRule"]

FACTOR_BITS, TRACE_BITS = 14, 16  # of F at a post spike and at a pre spike
NOISE = 256 * 128 / math.sqrt(4 * (256**2 - 1) / 12)
"""Setting sigma for a standard deviation of 1: the four bytes' own is 147.8."""


def _table(
    function: Callable[[float], float], factor_bits: int, weight_bits: int
) -> tuple[np.ndarray, int]:
    """``function`` of 0..1 as a table, as fine as it can be; and the right shift of its changes.

    InputError for a function so weak or so strong that no shift of 8..32 fits.
    """
    edges = [function(i / SEGMENTS) for i in range(SEGMENTS + 1)]
    step = max(abs(b - a) for a, b in zip(edges, edges[1:], strict=False))
    most = max(*edges, 2 * step)
    unit = min(math.floor(math.log2(TABLE_MAX / most)), 32 - factor_bits + weight_bits)
    shift = factor_bits + unit - weight_bits
    if shift < 8 or most * 2.0**unit < 1:
        raise InputError(
            f"largest change of a rule must be in the reach of {weight_bits} bits, not {most:.3g}: "
            "take another eta"
        )
    return linear(function, 2.0**unit), shift


@dataclass(frozen=True, kw_only=True)
class PairRule:
    """A pair rule. Times are in ticks, weights fractions of 2^B.

    add: traces add instead of being set.
    """

    scaling: Scaling
    eta: float = 0.05
    tau_plus: float = 17.0
    tau_minus: float = 34.0
    sigma: float = 0.0
    add: bool = False

    def raised(self, w: np.ndarray, x: np.ndarray) -> np.ndarray:
        """dw at a post spike of weights with pre traces ``x``, without noise."""
        return self.eta * np.vectorize(self.scaling.potentiation)(w) * x

    def lowered(self, w: np.ndarray, y: np.ndarray) -> np.ndarray:
        """dw at a pre spike of weights with post traces ``y``, without noise."""
        return -self.eta * np.vectorize(self.scaling.depression)(w) * y

    def settings(self, weight_bits: int) -> dict[str, Any]:
        """Tables and settings of a plastic population with this rule."""
        near, far = exponential(self.tau_plus)

        def post(w: float) -> float:
            return self.eta * self.scaling.potentiation(w)

        def pre(w: float) -> float:
            return self.eta * self.scaling.depression(w)

        raising, shift_post = _table(post, FACTOR_BITS, weight_bits)
        lowering, shift_pre = _table(pre, TRACE_BITS, weight_bits)
        one = {"x_set": 0, "x_one": TABLE_MAX, "y_set": 0, "y_one": TABLE_MAX} if self.add else {}
        return {
            "post": raising,
            "pre": lowering,
            "near": near,
            "far": far,
            "keep_y": keep(self.tau_minus),
            "b": 1 << FACTOR_BITS,
            "f0": 0,
            "ltd": 1,
            "shift_post": shift_post,
            "shift_pre": shift_pre,
            "sigma": round(self.sigma * NOISE),
            **one,
        }


@dataclass(frozen=True, kw_only=True)
class TargetRule:
    """Diehl & Cook's rule with a target trace."""

    eta: float = 0.01
    x_tar: float = 0.4
    mu: float = 1.0
    tau: float = 20.0

    def raised(self, w: np.ndarray, x: np.ndarray) -> np.ndarray:
        """dw at a post spike of weights with pre traces ``x``."""
        return self.eta * (x - self.x_tar) * (1 - w) ** self.mu

    def settings(self, weight_bits: int) -> dict[str, Any]:
        """Tables and settings of a plastic population with this rule."""
        near, far = exponential(self.tau)

        def post(w: float) -> float:
            return float(self.eta * (1 - w) ** self.mu)

        raising, shift = _table(post, FACTOR_BITS, weight_bits)
        return {
            "post": raising,
            "near": near,
            "far": far,
            "b": 1 << FACTOR_BITS,
            "f0": -round(self.x_tar * (1 << FACTOR_BITS)),
            "ltd": 0,
            "shift_post": shift,
        }
