"""The neurons of both layers, in the units of the papers; and as settings of a plastic core.

    dge/dt = -ge / tau_e     dgi/dt = -gi / tau_i     + lateral for each rival's spike
    tau_m dv/dt = (v_rest - v) + ge (e_exc - v) + gi (e_inh - v)      spike if v > v_th + theta
    theta rises by theta_plus with a spike, and decays with tau_theta

A tick is 1 ms, Euler for v. Potentials are in mV of 2^14 steps, conductances have 16 fraction bits
(docs/plasticity.md). Source: Diehl & Cook 2015, of which both papers say that they follow it.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from spikeloop.pysim.lessons.population import PlasticPopulation
from spikeloop.pysim.lessons.tables import keep

__all__ = ["MILLIVOLT", "Neurons", "Rule", "weights_of"]

MILLIVOLT = 1 << 14
CONDUCTANCE = 1 << 16
PERIOD = 12
"""theta decays once in 2^12 ticks: a time constant of 1e6 ticks needs it."""


class Rule(Protocol):
    """A rule of golden/rules/alsa or golden/rules/stdp."""

    def settings(self, weight_bits: int) -> dict[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class Neurons:
    """Constants of a layer. Potentials in mV, times in ms, conductances in units of the leak.

    v_low:      lower clip
    lateral:    what each rival's spike adds to gi
    teach:      what a teacher spike adds to ge
    gate:       a refractory neuron ignores its axons
    norm:       sum of the weights of a neuron that spiked, after each image; 0: not normalised
    """

    v_rest: float = -65.0
    v_reset: float = -65.0
    v_th: float = -72.0
    v_low: float = -100.0
    e_exc: float = 0.0
    e_inh: float = -100.0
    tau_m: float = 100.0
    tau_e: float = 1.0
    tau_i: float = 2.0
    tau_theta: float = math.inf
    theta_plus: float = 0.0
    refractory: int = 5
    gate: bool = False
    lateral: float = 0.0
    teach: float = 0.0
    norm: float = 0.0

    def population(
        self, axons: int, count: int, rule: Rule, weight_bits: int = 16, **settings: int
    ) -> PlasticPopulation:
        """``count`` of these neurons that learn by ``rule``."""
        potentials = ("v_rest", "v_reset", "v_low", "e_exc", "e_inh")
        values: dict[str, Any] = {
            **rule.settings(weight_bits),
            **{name: round(getattr(self, name) * MILLIVOLT) for name in potentials},
            "v_th": math.floor(self.v_th * MILLIVOLT) + 1,
            "k_m": round(65536 / self.tau_m),
            "keep_e": keep(self.tau_e),
            "keep_i": keep(self.tau_i),
            "keep_theta": keep(self.tau_theta / (1 << PERIOD)),
            "theta_period": PERIOD,
            "theta_plus": round(self.theta_plus * MILLIVOLT),
            "refractory": self.refractory,
            "gate": int(self.gate),
            "w_shift": 16 - weight_bits,
            "w_lat": round(self.lateral * CONDUCTANCE),
            "w_teach": round(self.teach * CONDUCTANCE),
            "target": round(self.norm * (1 << weight_bits)),
            **settings,
        }
        return PlasticPopulation.make(axons, count, weight_bits=weight_bits, **values)


def weights_of(values: np.ndarray, weight_bits: int = 16) -> np.ndarray:
    """Weights 0..1 as integers of ``weight_bits``: uint16."""
    most = (1 << weight_bits) - 1
    return np.minimum(np.rint(values * (1 << weight_bits)), most).astype(np.uint16)
