"""Pair rules on given spike trains, in real numbers: what the integers are compared with.

Order of a tick as in docs/plasticity.md: pre events see the post trace of the tick before, post
events the pre trace of this one. Weights stay in 0..1.
"""

import numpy as np

from spikeloop.golden.rules.stdp.rule import PairRule, TargetRule

__all__ = ["follow"]


def follow(
    rule: PairRule | TargetRule, weights: np.ndarray, pre: np.ndarray, post: np.ndarray
) -> np.ndarray:
    """The weights float64 ``[axon, neuron]`` after all ticks, without noise.

    weights: float64 ``[axon, neuron]``; pre: 0/1 ``[tick, axon]``; post: 0/1 ``[tick, neuron]``
    """
    w = np.array(weights, np.float64)
    tau = rule.tau_plus if isinstance(rule, PairRule) else rule.tau
    keep_x = np.exp(-1 / tau)
    keep_y = np.exp(-1 / rule.tau_minus) if isinstance(rule, PairRule) else 0.0
    adds = isinstance(rule, PairRule) and rule.add
    x, y = np.zeros(len(w)), np.zeros(w.shape[1])
    for before, after in zip(pre > 0, post > 0, strict=True):
        if isinstance(rule, PairRule) and before.any():
            w[before] = np.clip(w[before] + rule.lowered(w[before], y[None]), 0, 1)
        x *= keep_x
        x[before] = np.minimum(x[before] + 1, 1) if adds else 1
        y *= keep_y
        if after.any():
            w[:, after] = np.clip(w[:, after] + rule.raised(w[:, after], x[:, None]), 0, 1)
        y[after] = np.minimum(y[after] + 1, 1) if adds else 1
    return w
