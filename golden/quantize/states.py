"""Synaptic currents and adaptations in integers: how many bits of a fraction each state gets.

A current is held in units of 1 / 2^gain of the weights, and the membrane behind it in units of
1 / 2^(gain - fraction). Both are finer than the weights, so that decays by shifts lose little. An
adaptation is held in units of 1 / 2^adaptation_scale of the membrane.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from spikeloop.golden.quantize.leak import best_leak, leak_arrays
from spikeloop.pysim.common.limits import LEAK_TERMS, MAX_GAIN
from spikeloop.pysim.network.elements import Population

__all__ = ["ADAPTATION_BITS", "CURRENT_BITS", "decay_arrays", "finer", "gain_for", "spare_bits"]

CURRENT_BITS = 24
"""Width of synaptic currents, unless something else is asked for."""
ADAPTATION_BITS = 22
"""Width of adaptations: in float32 their sums with a membrane of 24 bits stay exact."""
SHARE = 0.9
"""Share of a width that known values may take; the rest is headroom."""


def finer(p: Population) -> np.ndarray:
    """Units of the membrane in one unit of the weights, float64 ``[size]``: 2^(gain - fraction)."""
    shift = p.gain.astype(np.float64) - p.fraction
    return np.exp2(np.where(p.current != 0, shift, 0.0))


def spare_bits(reach: float, bits: int, most: int) -> int:
    """The largest left shift, 0..most, with which ``reach`` stays in a share of ``bits`` bits."""
    if reach <= 0:
        return most
    return int(np.clip(np.floor(np.log2(SHARE * 2.0**bits / reach)), 0, most))


def gain_for(reach: float, bits: int = CURRENT_BITS) -> int:
    """The largest gain of a current of ``bits`` bits that reaches ``reach`` units of weights."""
    return spare_bits(reach, bits - 1, min(MAX_GAIN, bits - 1))


def decay_arrays(
    prefix: str, decays: Sequence[Sequence[float]], terms: int = LEAK_TERMS
) -> tuple[dict[str, Any], float]:
    """The arrays of a decay for :meth:`Population.make`, and its largest error.

    prefix: "current_" or "adaptation_".
    decays: factors a step, 0..1, ``[page][neuron]``, or ``[page][1]`` for all neurons.
    """
    pages = [[best_leak(float(decay), terms) for decay in page] for page in decays]
    k0, sign, shift = (
        np.concatenate([np.atleast_2d(part) for part in parts])
        for parts in zip(*(leak_arrays(page) for page in pages), strict=True)
    )
    arrays = {f"{prefix}k0": k0, f"{prefix}sign": sign, f"{prefix}shift": shift}
    return arrays, max(leak.error for page in pages for leak in page)
