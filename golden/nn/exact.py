"""The largest number on the way of a step, so that floating point holds it exactly."""

import numpy as np

from spikeloop.pysim.network.elements import Population, StateUse, Widths

__all__ = ["EXACT", "Sums"]

EXACT = 1 << 24  # whole numbers below are exact in float32, in whatever order they are added
ROUNDED = 3.0  # most that the rounding of three terms adds


class Sums:
    """The bounds of a population's sums (docs/arithmetic.md, "Why nothing overflows")."""

    def __init__(self, p: Population, widths: Widths) -> None:
        self._membrane = _kept(p, "leak_") * 2.0 ** (widths.membrane - 1) + ROUNDED
        has = p.current != StateUse.NONE
        self._driven, self._all_driven = bool(has.any()), bool(has.all())
        if self._driven:
            self._clip = 2.0 ** (widths.current - 1)
            self._gain = float(np.exp2(p.gain[has].astype(np.float64)).max())
            self._fraction = float(np.exp2(p.fraction[has].astype(np.float64)).min())
            self._current = _kept(p, "current_")
            self._decay = float(_factors(p, "current_")[:, has].max())
        self._others = 0.0
        if p.has_adaptation:
            most, half = 2.0**widths.adaptation, 2.0 ** (widths.membrane - 1)
            least = int(p.adaptation_scale[p.adaptation != StateUse.NONE].min())
            beside = max(float(np.abs(x).max()) for x in (p.v_th, p.v_sub))
            self._others = max(
                _kept(p, "adaptation_") * most + ROUNDED,
                most + float(p.adaptation_step.max()),
                half + beside + most / 2**least,
            )

    def largest(self, arriving: float, bias: float) -> float:
        """A bound on the size of every sum of a step.

        arriving: the largest sum of the weights' sizes of one neuron; bias: the largest bias.
        """
        drive, current = arriving, 0.0
        if self._driven:
            added, size = arriving * self._gain, self._clip
            if self._decay < 1:  # a current that decays never gets beyond this
                size = min(size, (added + ROUNDED) / (1 - self._decay))
            current = self._current * size + ROUNDED + added
            drive = size / self._fraction if self._all_driven else max(drive, size / self._fraction)
        return max(self._membrane + drive + bias, current, self._others)


def _terms(p: Population, prefix: str) -> np.ndarray:
    """The signed terms of a decay, float64 ``[page, term, neuron]``."""
    shift = getattr(p, f"{prefix}shift").astype(np.float64)
    terms: np.ndarray = getattr(p, f"{prefix}sign") * np.exp2(-shift)
    return terms


def _kept(p: Population, prefix: str) -> float:
    """The largest sum of the sizes of a decay's parts, as a share of the state."""
    k0 = p.k0 if prefix == "leak_" else getattr(p, f"{prefix}k0")
    return float((k0 + np.abs(_terms(p, prefix)).sum(axis=1)).max(initial=0.0))


def _factors(p: Population, prefix: str) -> np.ndarray:
    """The size of each decay's factor, float64 ``[page, neuron]``."""
    factors: np.ndarray = np.abs(getattr(p, f"{prefix}k0") + _terms(p, prefix).sum(axis=1))
    return factors
