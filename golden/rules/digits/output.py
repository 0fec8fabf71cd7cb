"""ALSA's output layer: ten neurons that a teacher makes spike while the features are frozen.

The spikes of the features are the input. The threshold is so high that only the teacher makes
neurons spike, at 20 Hz; so the others' weights do not change, as the paper asks. Answers are read
by count: the digit with the largest sum of its weights over the spikes of the features.

Source: Mo et al. 2022, "MNIST Classification": weights 0.1 to 0.2 at first, eta 0.001, alpha
-0.003, beta 2, tau 100 ms.
"""

import numpy as np

from spikeloop.golden.rules.alsa.rule import Alsa
from spikeloop.golden.rules.digits.neurons import Neurons

__all__ = ["CLASSES", "OUTPUT", "RULE", "counted", "first_weights", "teacher_of"]

CLASSES = 10
RULE = Alsa(eta=0.001, alpha=-0.003, beta=2.0, tau=100.0)
OUTPUT = Neurons(v_th=-10.0, tau_e=1.0, refractory=5, gate=True, teach=100.0)
EVERY = 50  # ticks between two teacher spikes: 20 Hz


def first_weights(features: int, seed: int) -> np.ndarray:
    """Weights float64 ``[feature, 10]``."""
    return np.random.default_rng([seed, 1]).uniform(0.1, 0.2, (features, CLASSES))


def teacher_of(digit: int, ticks: int) -> np.ndarray:
    """Teacher spikes uint8 ``[tick, 10]``: at ticks 49, 99, 149 ..."""
    spikes = np.zeros((ticks, CLASSES), np.uint8)
    spikes[EVERY - 1 :: EVERY, digit] = 1
    return spikes


def counted(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Answers int64 ``[image]`` by the sum of the weights over the features' spikes."""
    return (counts @ np.asarray(weights, np.float64)).argmax(1)
