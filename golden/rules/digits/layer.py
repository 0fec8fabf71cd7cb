"""The layer of features: 784 lines, neurons that inhibit each other, any rule, no labels.

An image is Poisson spikes of 350 ticks. An image that the layer answers with fewer than 5 spikes
comes again with rates lifted by 32 Hz, at most ``attempts`` times. Between two images all but
weights and thresholds goes to rest. The inhibitory layer of the papers is a count of rivals'
spikes one tick later.

Sources: Diehl & Cook 2015 (neurons, rates, weights of a neuron normalised to a sum of 78.4); Mo et
al. 2022 (the rule of ALSA); Chakraborty & Mukhopadhyay 2021 (scaling functions of log, add, mult).
Chosen by us on training images held out, 100 and 400 neurons: normalisation for ALSA too, of which
its paper does not speak; the rise of thresholds, 0.1 mV where Diehl & Cook have 0.05; and their
decay, 1e6 ms where they have 1e7, with which small layers fall silent (docs/lessons.md).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikeloop.golden.rules.alsa.rule import Alsa
from spikeloop.golden.rules.digits.encoders import poisson
from spikeloop.golden.rules.digits.neurons import Neurons
from spikeloop.golden.rules.stdp.rule import PairRule, TargetRule
from spikeloop.golden.rules.stdp.scaling import KINDS, Scaling
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.lessons.population import PlasticPopulation

__all__ = ["PIXELS", "RULES", "Layer", "layer"]

PIXELS = 784
LIFT = 32.0
"""Hz added to the highest rate with each further attempt."""
ENOUGH = 5
"""Spikes of the layer in answer to an image."""
THETA0 = 20.0
"""First adaptive threshold, mV."""
FEATURES = Neurons(tau_theta=1e6, theta_plus=0.1, lateral=17.0, norm=78.4)
RULES = ("alsa", "target", *KINDS)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What a layer of features is made of.

    attempts: presentations of one image, at most
    low, high: bounds of the first weights, which are uniform
    """

    rule: Alsa | PairRule | TargetRule
    neurons: int
    constants: Neurons = field(default=FEATURES)
    ticks: int = 350
    attempts: int = 4
    low: float = 0.003
    high: float = 0.303

    def first_weights(self, seed: int) -> np.ndarray:
        """Weights float64 ``[784, neuron]``, 0..1; normalised where the layer normalises."""
        rng = np.random.default_rng([seed, 0])
        weights = rng.uniform(self.low, self.high, (PIXELS, self.neurons))
        if self.constants.norm:
            weights *= self.constants.norm / weights.sum(0)
        return weights

    def population(self, weight_bits: int = 16, *, seed: int = 0) -> PlasticPopulation:
        """The layer as a plastic population learns it; ``seed`` of its random rounding."""
        return self.constants.population(
            PIXELS, self.neurons, self.rule, weight_bits, seed=seed & 0xFFFFFFFF
        )

    def spikes(self, image: np.ndarray, key: tuple[int, int], attempt: int = 0) -> np.ndarray:
        """Spikes uint8 ``[tick, 784]``. key: seed and number of the image."""
        return poisson(image, self.ticks, (*key, attempt), LIFT * attempt)


def layer(rule: str, neurons: int, **changes: float) -> Layer:
    """The layer of a rule by name, with the constants of the studies.

    changes: fields of the rule, and for log, add and mult also of its scaling functions.
    InputError for an unknown name or field.
    """
    if rule not in RULES:
        raise InputError(f"rule must be one of {', '.join(RULES)}, not {rule!r}")
    if rule == "alsa":
        values = {"eta": 0.015, "alpha": -0.3, "beta": 1.3, "tau": 20.0}
        return Layer(rule=Alsa(**_changed(values, changes)), neurons=neurons)
    if rule == "target":
        values = {"eta": 0.01, "x_tar": 0.4, "mu": 1.0, "tau": 20.0}
        target = TargetRule(**_changed(values, changes))
        return Layer(rule=target, neurons=neurons)
    shapes = {"plus": 0.5, "minus": 0.45, "w0": 0.5, "s": 5.0, "gamma": 50.0}
    values = {"eta": 0.05, "tau_plus": 20.0, "tau_minus": 20.0, "sigma": 0.0}
    every = _changed({**shapes, **values}, changes)
    scaling = Scaling(kind=rule, **{name: every.pop(name) for name in shapes})
    pair: Any = PairRule(scaling=scaling, **every)  # type: ignore[arg-type]
    return Layer(rule=pair, neurons=neurons)


def _changed(values: dict[str, float], changes: dict[str, float]) -> dict[str, float]:
    if unknown := sorted(set(changes) - set(values)):
        raise InputError(
            f"constant of a rule must be one of {', '.join(values)}, not {unknown[0]!r}"
        )
    return {**values, **changes}
