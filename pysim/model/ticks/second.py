"""The second states in numpy: synaptic current and adaptation, one step (docs/arithmetic.md).

All values are int64 ``[sample, neuron]``; parameters are int64 ``[neuron]`` of the step's page, by
the names of pysim.model.ticks.state.Neurons.
"""

import numpy as np

from spikeloop.pysim.model.ticks.arith import leak, saturate

__all__ = ["after_spikes", "decayed", "synapse"]

Values = dict[str, np.ndarray]


def _decay(p: Values, prefix: str, x: np.ndarray, terms: int) -> np.ndarray:
    """The decay of state ``x``: the exact sum of the kept state and its shifted terms."""
    pairs = [(p[f"{prefix}sign{r}"], p[f"{prefix}shift{r}"]) for r in range(terms)]
    flags = p[f"{prefix}toward_zero"], p[f"{prefix}at_least_one"]
    return leak(x, p[f"{prefix}k0"], pairs, *flags)


def synapse(
    p: Values, y: np.ndarray, arriving: np.ndarray, bits: int, terms: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The current of a step.

    arriving: Z. Returns (y', J, where clip 4 acted).
    """
    has = p["y_current"] != 0
    total = _decay(p, "y_", y, terms) + (arriving << p["y_gain"])
    after = saturate(total, bits)
    acting = np.where(p["y_old"], y, after) >> p["y_fraction"]
    return np.where(has, after, 0), np.where(has, acting, arriving), has & (after != total)


def decayed(
    p: Values, a: np.ndarray, bits: int, terms: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The adaptation before the step's spikes.

    Returns (B, w, where clip 5 acted).
    """
    has = p["a_adaptation"] != 0
    total = _decay(p, "a_", a, terms)
    left = np.clip(total, 0, (1 << bits) - 1)
    raises = np.where(p["a_old"], a, left) >> p["a_scale"]
    return np.where(has, left, 0), np.where(has, raises, 0), has & (left != total)


def after_spikes(
    p: Values, left: np.ndarray, spikes: np.ndarray, bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """The adaptation after the step's spikes; ``left`` is B.

    Returns (a', where clip 6 acted).
    """
    total = left + np.where(spikes & (p["a_adaptation"] != 0), p["a_step"], 0)
    after = np.minimum(total, (1 << bits) - 1)
    return after, after != total
