"""The rule of ALSA: real numbers, closed forms, and the integers that a plastic core takes.

At each spike of the neuron, for every synapse, with the age s of its axon's last spike:

    dw = eta (alpha + beta exp(-s / tau)) w (1 - w)

alpha < 0 depresses the synapses whose axon was silent. A pair changes nothing at
s = tau ln(-beta / alpha). With Poisson spikes of rate r, the drift of ln(w / (1 - w)) is
alpha + beta r tau / (1 + r tau) a post spike; it is 0 at r = 1 / (9 tau) if alpha = -beta / 10.

Source: Mo et al. 2022, "ALSA", eq. 6 and 7, Figure 3.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeloop.pysim.lessons.tables import exponential, linear

__all__ = ["Alsa"]

FACTOR_BITS = 14  # of F (docs/plasticity.md)
UNIT_BITS = 22  # of the weight dependence, eta in it


@dataclass(frozen=True, kw_only=True)
class Alsa:
    """The rule. Times are in ticks of 1 ms. The defaults are the paper's for iris."""

    eta: float = 0.015
    alpha: float = -0.1
    beta: float = 1.0
    tau: float = 50.0

    def change(self, w: np.ndarray, age: np.ndarray) -> np.ndarray:
        """dw of weights 0..1 whose axons spiked ``age`` ticks ago (infinity: never)."""
        return self.eta * (self.alpha + self.beta * np.exp(-age / self.tau)) * w * (1 - w)

    def crossing(self) -> float:
        """Age at which a pair changes nothing, in ticks."""
        return self.tau * math.log(self.beta / abs(self.alpha))

    def drift(self, rate: float) -> float:
        """Mean change of ln(w / (1 - w)) per post spike over eta; ``rate`` in spikes a tick."""
        return self.alpha + self.beta * rate * self.tau / (1 + rate * self.tau)

    def settings(self, weight_bits: int) -> dict[str, Any]:
        """Tables and settings of a plastic population with this rule."""
        near, far = exponential(self.tau)
        return {
            "post": linear(lambda w: self.eta * w * (1 - w), 1 << UNIT_BITS),
            "near": near,
            "far": far,
            "b": round(self.beta * (1 << FACTOR_BITS)),
            "f0": round(self.alpha * (1 << FACTOR_BITS)),
            "shift_post": FACTOR_BITS + UNIT_BITS - weight_bits,
            "x_set": 1,
            "ltd": 0,
        }
