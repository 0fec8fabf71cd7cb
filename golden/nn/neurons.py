"""The neurons of a layer, in real units of its weights, and the population that they become.

LIF        a membrane that leaks
CubaLIF    a synaptic current in front of it
ALIF       a threshold that each spike raises
CubaALIF   both
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeloop.golden.quantize.leak import round_half_away
from spikeloop.golden.quantize.states import (
    ADAPTATION_BITS,
    CURRENT_BITS,
    decay_arrays,
    gain_for,
    spare_bits,
)
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import LeakRounding, LowBound, Population, Reset, StateUse

__all__ = ["ALIF", "LIF", "CubaALIF", "CubaLIF", "population"]

GROWTH = 4.0
"""How much larger than their first sums the weights may grow before a current saturates."""
THRESHOLD_BITS = 14
"""Fineness of a membrane behind a current: its threshold takes about this many bits."""


@dataclass(frozen=True, kw_only=True)
class LIF:
    """Neurons of the contract (docs/arithmetic.md); real values in units of the weights.

    leak:       factor a step, 0..1, as up to three shifts; 1 integrates, 0 forgets. A list has one
                a page.
    threshold:  spike at u >= threshold; a list: one a page.
    reset:      "hard" (to ``v_reset``), "soft" (minus the threshold) or "none".
    rounding:   of the shifts: "floor", "toward_zero" or "at_least_one".
    low:        lower bound: None, or ("clip", v), ("reset", v, to) or ("add", v, amount).
    refractory: steps of silence after a spike; ``hold``: at ``v_reset`` meanwhile.
    rectify:    a negative current counts as 0.
    recurrent:  every neuron to every neuron, one step later.
    fires:      False for a read-out, whose membrane is the answer.
    """

    leak: float | list[float] = 1.0
    threshold: float | list[float] = 1.0
    reset: str = "soft"
    v_reset: float = 0.0
    rounding: str = "floor"
    low: tuple[Any, ...] | None = None
    refractory: int = 0
    hold: bool = False
    rectify: bool = False
    recurrent: bool = False
    fires: bool = True


@dataclass(frozen=True, kw_only=True)
class CubaLIF(LIF):
    """LIF behind a synaptic current y := decay y + S, which drives the membrane.

    current_decay: factor a step, 0..1, as up to three shifts; a list has one a page.
    current_order: the membrane takes the "new" current, of the same step, or the "old" one.
    """

    current_decay: float | list[float] = 0.5
    current_order: str = "new"


@dataclass(frozen=True, kw_only=True)
class ALIF(LIF):
    """LIF with an adaptation a := decay a + step (if it spikes), which raises the threshold.

    adaptation_decay: factor a step, 0..1, as up to three shifts; a list has one a page.
    adaptation_step:  what a spike adds to the threshold, 0 or more.
    adaptation_order: the threshold takes the adaptation after its decay ("new") or before ("old").
    adaptation_reset: a soft reset subtracts the raised threshold.
    """

    adaptation_decay: float | list[float] = 0.875
    adaptation_step: float = 0.25
    adaptation_order: str = "new"
    adaptation_reset: bool = False


@dataclass(frozen=True, kw_only=True)
class CubaALIF(CubaLIF, ALIF):
    """LIF behind a synaptic current, with an adaptation."""


RESETS = {"hard": Reset.HARD, "soft": Reset.SOFT, "none": Reset.NONE}
ROUNDINGS = {r.name.lower(): r for r in LeakRounding}
BOUNDS = {b.name.lower(): b for b in LowBound if b is not LowBound.NONE}
ORDERS = {"new": StateUse.NEW, "old": StateUse.OLD}


def population(
    name: str, size: int, n: LIF, scale: float, bits: int, bias: np.ndarray | None, arriving: float
) -> Population:
    """The neurons in whole numbers: thresholds up, the rest to the nearest.

    scale:    units of one real weight; bits: of a weight.
    bias:     real, float64 ``[size]``, or None.
    arriving: the largest sum of the sizes of one neuron's weights, in units.
    """
    paged = _pages(n)
    leaks, thresholds = paged["leak"], np.asarray(paged["threshold"])
    states: dict[str, Any] = {}
    unit = scale
    if isinstance(n, CubaLIF):
        states, finer = _current(n, paged["current_decay"], scale * thresholds.max(), arriving)
        unit = scale * finer
    if isinstance(n, ALIF):
        states |= _adaptation(n, paged["adaptation_decay"], unit)
    leak, _ = decay_arrays("leak_", [[leak] for leak in leaks])
    bound: dict[str, Any] = {}
    if n.low is not None:
        kind = _one_of(n, "low", n.low[0], BOUNDS)
        bound = {"low": kind, "v_low": _unit(n.low[1], unit)}
        if kind is LowBound.RESET:
            bound["v_low_reset"] = _unit(n.low[2], unit)
        if kind is LowBound.ADD:
            bound["v_low_add"] = _unit(n.low[2], unit)
    return Population.make(
        name,
        size,
        pages=len(leaks),
        weight_bits=bits,
        bias=0 if bias is None else round_half_away(bias * unit),
        v_th=np.ceil(thresholds * unit - 1e-9)[:, None].astype(np.int64),
        v_sub=round_half_away(thresholds * unit)[:, None],
        k0=leak.pop("leak_k0"),
        **leak,
        rounding=_one_of(n, "rounding", n.rounding, ROUNDINGS),
        rectify=n.rectify,
        fire=n.fires,
        reset=_one_of(n, "reset", n.reset, RESETS),
        v_reset=_unit(n.v_reset, unit),
        refractory=n.refractory,
        hold=n.hold,
        **bound,
        **states,
    )


def _current(
    n: CubaLIF, decays: list[float], threshold: float, arriving: float
) -> tuple[dict[str, Any], float]:
    """The arrays of a current, and units of the membrane in one of the weights.

    threshold: in units of the weights.
    """
    gain = gain_for(GROWTH * arriving, CURRENT_BITS)
    spare = THRESHOLD_BITS - int(np.ceil(np.log2(max(threshold, 1.0))))
    finer = int(np.clip(spare, 0, gain))
    arrays, _ = decay_arrays("current_", [[decay] for decay in decays])
    arrays |= {
        "current": _one_of(n, "current_order", n.current_order, ORDERS),
        "current_rounding": _one_of(n, "rounding", n.rounding, ROUNDINGS),
        "gain": gain,
        "fraction": gain - finer,
    }
    return arrays, 2.0**finer


def _adaptation(n: ALIF, decays: list[float], unit: float) -> dict[str, Any]:
    """The arrays of an adaptation; ``unit``: units of one real membrane."""
    arrays, _ = decay_arrays("adaptation_", [[decay] for decay in decays])
    step = _number(n, "adaptation_step", n.adaptation_step, 0.0, np.inf) * unit
    scale = spare_bits(step / max(1 - max(decays), 2.0**-6), ADAPTATION_BITS, ADAPTATION_BITS)
    return arrays | {
        "adaptation": _one_of(n, "adaptation_order", n.adaptation_order, ORDERS),
        "adaptation_rounding": _one_of(n, "rounding", n.rounding, ROUNDINGS),
        "adaptation_step": _unit(step, 2.0**scale),
        "adaptation_scale": scale,
        "adaptation_reset": n.adaptation_reset,
    }


def _pages(n: LIF) -> dict[str, list[float]]:
    """The paged values, each as a list of as many pages as the longest has."""
    names = ["leak", "threshold"]
    names += ["current_decay"] if isinstance(n, CubaLIF) else []
    names += ["adaptation_decay"] if isinstance(n, ALIF) else []
    values = {}
    for name in names:
        value = getattr(n, name)
        pages = value if isinstance(value, (list, tuple)) else [value]
        least, most = (-np.inf, np.inf) if name == "threshold" else (0.0, 1.0)
        values[name] = [_number(n, name, page, least, most) for page in pages]
    most_pages = max(map(len, values.values()))
    if any(len(value) not in (1, most_pages) for value in values.values()):
        counts = " and ".join(str(len(value)) for value in values.values())
        raise InputError(
            f"{' and '.join(names)} must have as many pages as one another, not {counts}"
        )
    return {name: value * (most_pages // len(value)) for name, value in values.items()}


def _number(n: LIF, name: str, value: Any, least: float, most: float) -> float:
    """A finite number in ``least``..``most``; InputError for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not (least <= number <= most and np.isfinite(number)):
        limits = f"a number in {least:g}..{most:g}"
        if not np.isfinite(most):
            limits = "a number of 0 or more" if least == 0 else "a finite number"
        raise InputError(f"{name} of {type(n).__name__} must be {limits}, not {value!r}")
    return number


def _unit(value: float, scale: float) -> np.ndarray:
    return round_half_away(np.asarray(float(value) * scale))


def _one_of(n: LIF, what: str, name: str, known: dict[str, Any]) -> Any:
    if name not in known:
        raise InputError(
            f"{what} of {type(n).__name__} must be one of {', '.join(known)}, not {name!r}"
        )
    return known[name]
