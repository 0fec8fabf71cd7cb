"""Synaptic currents and adaptations in integers: how many bits of a fraction each state gets.

    y = scale 2^gain y_real                  weights are integers of the scale
    v = scale 2^(gain - fraction) v_real     so J = y >> fraction is in units of the membrane
    a = unit of v 2^adaptation_scale a_real

Current and membrane are finer than the weights, so that decays by shifts lose little.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from spikeloop.golden.quantize.leak import best_leak, leak_arrays, round_half_away
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import Population, StateUse
from spikeloop.pysim.network.parameters import LEAK_TERMS, MAX_GAIN

__all__ = ["ADAPTATION_BITS", "CURRENT_BITS", "decay_arrays", "finer", "gain_for", "spare_bits"]

CURRENT_BITS = 24
"""Width of synaptic currents, unless something else is asked for."""
ADAPTATION_BITS = 22
"""Width of adaptations: in float32 their sums with a membrane of 24 bits stay exact."""
MEMBRANE_BITS = 24
"""Width of the membranes of imported networks."""
ORDERS = {"new": StateUse.NEW, "old": StateUse.OLD}
"""What acts of a state, by the word of the imports."""
SHARE = 0.9
"""Share of a width that known values may take; the rest is headroom."""
CURRENT_ROOM, MEMBRANE_ROOM = 8.0, 4.0
"""How much larger than what floats reached the states behind weights may become."""
HEADROOM = SHARE * 2.0 ** (MEMBRANE_BITS - 1)
"""Largest membrane that floats may reach, in units of the integers."""


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
    prefix: str, decays: Sequence[Sequence[float] | np.ndarray], terms: int = LEAK_TERMS
) -> tuple[dict[str, Any], float]:
    """The arrays of a decay for :meth:`Population.make`, and its largest error.

    prefix: "leak_", "current_" or "adaptation_".
    decays: factors a step, 0..1, ``[page][neuron]``, or ``[page][1]`` for all neurons.
    """
    rows = np.array(decays, np.float64)
    values, which = np.unique(rows, return_inverse=True)
    leaks = [best_leak(float(value), terms) for value in values]
    k0, sign, shift = leak_arrays(leaks)
    which = which.reshape(rows.shape)
    arrays = {
        f"{prefix}k0": k0[which],
        f"{prefix}sign": np.moveaxis(sign[0][:, which], 0, 1),
        f"{prefix}shift": np.moveaxis(shift[0][:, which], 0, 1),
    }
    return arrays, max(leak.error for leak in leaks)


def current_arrays(
    decay: np.ndarray, order: str, scale: float, reach: float, membrane: float
) -> tuple[dict[str, Any], float, float]:
    """The arrays of a current, units of one real membrane, and the error of the decay.

    Gain and units are the largest that leave room for :data:`CURRENT_ROOM` times the known current
    and :data:`MEMBRANE_ROOM` times the known membrane.

    decay:    factors a step, float64 ``[size]``.
    order:    "new" or "old".
    scale:    units of one real weight.
    reach:    the largest current, and ``membrane``: the largest membrane or constant of it, real.
    InputError for decays outside 0..1.
    """
    _check_decay("a synaptic current", decay)
    arrays, error = decay_arrays("current_", [decay])
    gain = gain_for(CURRENT_ROOM * reach * scale)
    highest = MEMBRANE_ROOM * membrane * scale
    shift = np.log2(HEADROOM / highest) if highest > 0 else gain
    shift = int(np.clip(np.floor(shift), gain - CURRENT_BITS, gain))
    arrays |= {"current": ORDERS[order], "gain": gain, "fraction": gain - shift}
    return arrays, scale * 2.0**shift, error


def adaptation_arrays(
    decay: np.ndarray, step: np.ndarray, order: str, unit: float, reach: float
) -> tuple[dict[str, Any], float]:
    """The arrays of an adaptation, and the error of its decay.

    decay, step: float64 ``[size]``, the step in real units of the membrane.
    unit:        of one real membrane; ``reach``: the largest adaptation, real.
    InputError for decays outside 0..1 and for negative steps.
    """
    _check_decay("an adaptation", decay)
    if (step < 0).any():
        raise InputError(
            f"step of an adaptation must be 0 or more, not {step.min():g}: the chip's adaptation "
            "raises the threshold"
        )
    arrays, error = decay_arrays("adaptation_", [decay])
    most = max(reach, float(step.max())) * unit
    scale = spare_bits(most, ADAPTATION_BITS, ADAPTATION_BITS)
    whole = round_half_away(step * unit * 2.0**scale)
    arrays |= {
        "adaptation": ORDERS[order],
        "adaptation_step": np.minimum(whole, (1 << ADAPTATION_BITS) - 1),
        "adaptation_scale": scale,
    }
    return arrays, error


def _check_decay(what: str, decay: np.ndarray) -> None:
    outside = decay[~((decay >= 0) & (decay <= 1))]
    if outside.size:
        raise InputError(f"decay of {what} must be in 0..1, not {outside[0]:g}")
