"""One node of an imported graph, and what a step of its neurons does in real numbers."""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from spikeloop.pysim.common.errors import InputError

__all__ = [
    "Node",
    "RealAdaptation",
    "RealCurrent",
    "RealNeurons",
    "check_tau",
    "identifier",
    "real_neurons",
    "snapped",
]


@dataclass(frozen=True, eq=False)
class Node:
    """A node of a graph.

    kind:     NIR's name of the primitive. "Leaky" and "Membrane" are ours: neurons with factors of
              a step, which spike or do not. They may have a current or an adaptation.
    values:   its arrays (float64, int64 or str).
    metadata: what its writer added; of ours "current" and "adaptation" ("new" or "old") and
              "adaptation_reset".
    """

    name: str
    kind: str
    values: dict[str, Any]
    metadata: dict[str, Any]


def identifier(name: str) -> str:
    """A name that our networks allow."""
    clean = re.sub(r"[^0-9A-Za-z_]", "_", name)[:48]
    return clean if clean.isidentifier() else f"n{clean}"


class RealCurrent(NamedTuple):
    """A synaptic current y := decay y + gain S, in units of the membrane.

    decay: float64 ``[size]``.
    order: the membrane takes the "new" or the "old" current.
    bias:  what arrives in a step without spikes, ``[size]``.
    shifts: gain, fraction, rounding and current_rounding of the population that it was, int64
            ``[size]``; None where the import chooses them.
    """

    decay: np.ndarray
    order: str
    bias: np.ndarray
    shifts: dict[str, np.ndarray] | None = None


class RealAdaptation(NamedTuple):
    """An adaptation a := decay a + step (after a spike), which raises the threshold.

    decay, step: float64 ``[size]``.
    order: the threshold takes the adaptation after its decay ("new") or before ("old").
    reset: a soft reset subtracts the raised threshold.
    """

    decay: np.ndarray
    step: np.ndarray
    order: str
    reset: bool


@dataclass(frozen=True, eq=False)
class RealNeurons:
    """A node's neurons with real parameters, each float64 ``[size]``: v := decay v + gain I + bias.

    threshold:  compared with v.
    subtract:   what a soft reset subtracts.
    v_reset:    v after a hard reset.
    v_init:     v before step 0.
    v_min:      v gets no lower than this, -inf for no bound.
    current:    the synaptic current that I is, or None.
    adaptation: what raises the threshold, or None.
    """

    decay: np.ndarray
    gain: np.ndarray
    bias: np.ndarray
    threshold: np.ndarray
    subtract: np.ndarray
    v_reset: np.ndarray
    v_init: np.ndarray
    v_min: np.ndarray
    current: RealCurrent | None = None
    adaptation: RealAdaptation | None = None


def real_neurons(
    node: Node, size: int, dt: float, reset: str | None, arriving: np.ndarray | float
) -> RealNeurons:
    """The step of ``node`` by Euler's method with step ``dt``.

    reset:    of a spiking node (one of RESETS of the semantics), else None.
    arriving: what arrives in a step without spikes.
    InputError for a time constant that is not positive or shorter than ``dt``, and for a threshold
    that is not above the value of a hard reset.
    """

    def value(key: str, usual: float | np.ndarray) -> np.ndarray:
        given = np.asarray(node.values.get(key, usual), np.float64).ravel()
        return np.broadcast_to(given, (size,)).copy()

    tau, threshold, v_reset = value("tau", 1.0), value("v_threshold", 1.0), value("v_reset", 0.0)
    leak: np.ndarray | float = value("offset", 0.0)
    if node.kind in ("LIF", "LI"):
        check_tau(node.name, "tau", tau, dt)
        share, decay = dt / tau, np.maximum(0.0, 1 - dt / tau)
        leak = value("v_leak", 0.0) * share
    elif node.kind == "Output":  # a sum without memory
        share, decay = np.ones(size), np.zeros(size)
    else:
        share = np.full(size, 1.0 if node.kind in ("Leaky", "Membrane") else dt)
        decay = value("beta", 1.0)
    if reset in ("hard", "pause") and (threshold <= v_reset).any():
        raise InputError(
            f"v_threshold of node {node.name!r} must lie above v_reset, not {threshold.min():g} "
            f"with {v_reset.max():g}"
        )
    gain = snapped(value("r", 1.0) * share)
    constant = np.broadcast_to(arriving, (size,)) * gain
    current = None
    if "current" in node.metadata:
        syn = snapped(value("syn_gain", 1.0))
        gain, arriving_there, constant = gain * syn, constant * syn, np.zeros(size)
        decay_y = snapped(value("syn_decay", 0.0))
        shifts = None
        if np.size(node.values.get("fraction", ())) == size:
            keys = ("gain", "fraction", "rounding", "current_rounding")
            shifts = {key: node.values[key] for key in keys}
        order = str(node.metadata["current"])
        current = RealCurrent(decay_y, order, arriving_there, shifts)
    adaptation = None
    if "adaptation" in node.metadata:
        adaptation = RealAdaptation(
            value("adapt_decay", 0.0),
            value("adapt_step", 0.0),
            str(node.metadata["adaptation"]),
            bool(node.metadata.get("adaptation_reset")),
        )
    return RealNeurons(
        decay=snapped(decay),
        gain=gain,
        bias=constant + leak,
        threshold=threshold,
        subtract=value("v_subtract", threshold),
        v_reset=v_reset,
        v_init=value("v_init", 0.0),
        v_min=value("v_min", -np.inf),
        current=current,
        adaptation=adaptation,
    )


def check_tau(name: str, what: str, tau: np.ndarray, dt: float) -> None:
    """InputError unless time constants of a node are positive and not shorter than ``dt``."""
    if (tau <= 0).any():
        raise InputError(f"{what} of node {name!r} must be positive, not {tau.min()}")
    if (dt > tau * (1 + 1e-6)).any():  # files round to 24 bits
        raise InputError(
            f"dt must be at most {what} of node {name!r} ({tau.min():g}), not {dt:g}: "
            "give a smaller --dt"
        )


def snapped(values: np.ndarray) -> np.ndarray:
    """``values``, those within 1e-6 of a multiple of 2^-12 replaced by that multiple.

    Products and quotients of numbers that a file rounded to 24 bits miss it by that much.
    """
    short = np.rint(values * 4096) / 4096
    return np.where(np.abs(values - short) <= 1e-6 * np.abs(short), short, values)
