"""Functional bins of the second states: synaptic currents and adaptations (docs/arithmetic.md).

tests/campaigns/functional_bins.py counts them, on chips that have the states, with its own.
"""

from typing import Protocol

import numpy as np

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.model.ticks.arith import leak
from spikeloop.pysim.network.elements import LeakRounding, Widths

__all__ = ["Met", "adaptation_bins", "bin_names", "current_bins", "spike_bins"]

Values = dict[str, np.ndarray]


class Met(Protocol):
    """Counts where a bin is met: bool, of a shape that broadcasts to ``[sample, neuron]``."""

    def __call__(self, name: str, where: np.ndarray) -> None: ...


def bin_names(chip: Chip) -> list[str]:
    """The bins of the states that ``chip`` has."""
    names = []
    if chip.current_bits:
        most = Widths(chip.membrane_bits, chip.current_bits).gain
        names += [
            *(f"current {use}" for use in ("none", "new", "old")),
            "clip 4, high",
            "clip 4, low",
            *(f"{r.name.lower()} rounds a negative y" for r in LeakRounding),
            *_decay_names("current", "y", f"Q = {chip.current_bits}"),
            "gain 0",
            f"gain {most}",
            "fraction 0",
            f"fraction Q = {chip.current_bits}",
            "fraction rounds a negative current",
            "held while y moves",
            "rectify acts on a current",
        ]
    if chip.adaptation_bits:
        names += [
            *(f"adaptation {use}" for use in ("none", "new", "old")),
            "clip 5, high",
            "clip 5, low",
            "clip 6",
            *_decay_names("adaptation", "a", f"R = {chip.adaptation_bits}"),
            "scale 0",
            f"scale R = {chip.adaptation_bits}",
            "held while a moves",
            "spike adds a step",
            "masked spike adds no step",
            "w costs a spike",
            "threshold beyond the membranes",
            "soft reset with w",
            "soft reset without w",
            "clip 2 by w alone",
        ]
    return names


def _decay_names(state: str, name: str, width: str) -> list[str]:
    return [
        f"at_least_one of {name} = 0",
        f"at_least_one keeps a shifted {name}",
        f"{state} kept",
        f"{state} not kept",
        f"{state} term added",
        f"{state} term subtracted",
        f"{state} shift by 0",
        f"{state} shift by {width}",
        f"page turns with {name} != 0",
    ]


def _decayed(chip: Chip, p: Values, prefix: str, x: np.ndarray) -> np.ndarray:
    """The exact decay of the state ``x``."""
    terms = [(p[f"{prefix}sign{r}"], p[f"{prefix}shift{r}"]) for r in range(chip.leak_terms)]
    return leak(x, p[f"{prefix}k0"], terms, p[f"{prefix}toward_zero"], p[f"{prefix}at_least_one"])


def _decay_bins(
    met: Met, chip: Chip, p: Values, prefix: str, x: np.ndarray, has: np.ndarray, turns: np.ndarray
) -> None:
    """How the state x decays. ``turns``: the neuron is on another page than in the step before."""
    state, name, width, bits = {
        "y_": ("current", "y", "Q", chip.current_bits),
        "a_": ("adaptation", "a", "R", chip.adaptation_bits),
    }[prefix]
    moving = has & (x != 0)
    met(f"{state} kept", moving & (p[f"{prefix}k0"] != 0))
    met(f"{state} not kept", moving & (p[f"{prefix}k0"] == 0))
    met(f"page turns with {name} != 0", moving & turns)
    one = p[f"{prefix}at_least_one"] != 0
    toward = (p[f"{prefix}toward_zero"] != 0) & ~one
    for r in range(chip.leak_terms):
        sign, m = p[f"{prefix}sign{r}"], p[f"{prefix}shift{r}"]
        on = moving & (sign != 0)
        lost = on & (x < 0) & ((x >> m) << m != x)
        gone = np.abs(x) >> m == 0
        met(f"floor rounds a negative {name}", lost & ~toward & ~one)
        met(f"toward_zero rounds a negative {name}", lost & toward)
        met(f"at_least_one rounds a negative {name}", lost & one & gone)
        met(f"at_least_one keeps a shifted {name}", on & (x > 0) & one & gone)
        met(f"at_least_one of {name} = 0", has & (sign != 0) & one & (x == 0))
        met(f"{state} term added", on & (sign > 0))
        met(f"{state} term subtracted", on & (sign < 0))
        met(f"{state} shift by 0", on & (m == 0))
        met(f"{state} shift by {width} = {bits}", on & (m == bits))


def current_bins(
    met: Met,
    chip: Chip,
    p: Values,
    y: np.ndarray,
    z: np.ndarray,
    held: np.ndarray,
    turns: np.ndarray,
) -> np.ndarray:
    """Counts the bins of the synaptic current y, which the sum z reaches. Returns J."""
    bits, has, old = chip.current_bits, p["y_current"] != 0, p["y_old"] != 0
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    total = _decayed(chip, p, "y_", y) + (z << p["y_gain"])
    after = np.clip(total, low, high)
    acting = np.where(old, y, after)
    drive = np.where(has, acting >> p["y_fraction"], z)
    met("current none", ~has & (z != 0))
    met("current new", has & ~old & (y != after))
    met("current old", has & old & (y != after))
    met("clip 4, high", has & (total > high))
    met("clip 4, low", has & (total < low))
    _decay_bins(met, chip, p, "y_", y, has, turns)
    most = Widths(chip.membrane_bits, bits).gain
    for gain in (0, most):
        met(f"gain {gain}", has & (p["y_gain"] == gain) & (z != 0))
    met("fraction 0", has & (p["y_fraction"] == 0) & (acting != 0))
    met(f"fraction Q = {bits}", has & (p["y_fraction"] == bits) & (acting != 0))
    lost = acting != acting >> p["y_fraction"] << p["y_fraction"]
    met("fraction rounds a negative current", has & (acting < 0) & lost)
    met("held while y moves", has & held & (y != after))
    met("rectify acts on a current", has & (p["rectify"] != 0) & (drive + p["bias"] < 0))
    return drive


def adaptation_bins(
    met: Met, chip: Chip, p: Values, a: np.ndarray, held: np.ndarray, turns: np.ndarray
) -> np.ndarray:
    """Counts the bins of the adaptation a before the step's spikes. Returns w."""
    bits, has, old = chip.adaptation_bits, p["a_adaptation"] != 0, p["a_old"] != 0
    total = _decayed(chip, p, "a_", a)
    left = np.clip(total, 0, (1 << bits) - 1)
    raises = np.where(has, np.where(old, a, left) >> p["a_scale"], 0)
    met("adaptation none", np.broadcast_to(~has, a.shape))
    met("adaptation new", ~old & (raises != 0) & (a != left))
    met("adaptation old", old & (raises != 0) & (a != left))
    met("clip 5, high", has & (total > left))
    met("clip 5, low", has & (total < 0))
    _decay_bins(met, chip, p, "a_", a, has, turns)
    for scale, name in ((0, "0"), (bits, f"R = {bits}")):
        met(f"scale {name}", has & (p["a_scale"] == scale) & (a != 0))
    met("held while a moves", has & held & (a != left))
    return raises


def spike_bins(
    met: Met, chip: Chip, p: Values, u: np.ndarray, w: np.ndarray, a: np.ndarray, c: np.ndarray
) -> None:
    """Counts what the raised part w of the threshold does at the membrane u; a, c before it."""
    low, high = -(1 << chip.membrane_bits - 1), (1 << chip.membrane_bits - 1) - 1
    most = (1 << chip.adaptation_bits) - 1
    has, fire, soft = p["a_adaptation"] != 0, p["fire"] != 0, p["soft"] != 0
    reaches = fire & (u >= p["v_th"] + w)
    spike = reaches & (c == 0)
    left = np.clip(_decayed(chip, p, "a_", a), 0, most)
    adds = has & (p["a_step"] > 0)
    met("spike adds a step", spike & adds)
    met("clip 6", spike & adds & (left + p["a_step"] > most))
    met("masked spike adds no step", reaches & (c > 0) & adds)
    met("w costs a spike", fire & (c == 0) & (u >= p["v_th"]) & (u < p["v_th"] + w))
    met("threshold beyond the membranes", fire & (w > 0) & (p["v_th"] + w > high))
    lowers = p["a_reset"] != 0
    met("soft reset with w", spike & soft & lowers & (w > 0))
    met("soft reset without w", spike & soft & ~lowers & (w > 0))
    less = u - p["v_sub"]
    met("clip 2 by w alone", spike & soft & lowers & (less >= low) & (less - w < low))
