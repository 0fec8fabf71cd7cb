"""Neurons of snnTorch 1.0.

    Leaky, Lapicque, RLeaky    u := beta u + I (+ recurrent)         spike u > theta
    Synaptic, RSynaptic        i := alpha i + I (+ recurrent),       u := beta u + i

A delayed reset acts one step after the spike, so the membrane it shows is that before the reset.
Of RLeaky, Synaptic and RSynaptic a delayed "zero" drops the whole next step of the membrane. Other
neurons and "zero" without delay begin the next step from 0. No reset touches the current.

RSynaptic without delay resets the membrane that it was handed, which nobody reads: its own is reset
one step later. With states of its own (``init_hidden``) or empty ones it stops there.
"""

from typing import Any

import numpy as np

from spikeloop.golden.interchange.graph.node import Node
from spikeloop.golden.interchange.neurons.neuron import Neuron, array, check
from spikeloop.pysim.common.errors import InputError

__all__ = ["leaky"]

DROPS = ("RLeaky", "Synaptic", "RSynaptic")
"""Neurons whose delayed "zero" drops the next step."""


def leaky(path: str, module: Any) -> Neuron:
    """Leaky, Lapicque, RLeaky, Synaptic or RSynaptic."""
    name = type(module).__name__
    for what, bad in (
        ("without inhibition, not with it", module.inhibition),
        ("without state_quant, not with it", bool(module.state_quant)),
        (
            "of graded_spikes_factor 1, not another",
            float(array(module.graded_spikes_factor).max()) != 1.0,
        ),
    ):
        if bad:
            raise InputError(f"neurons {path!r} must be {what}")
    threshold, gain = array(module.threshold), 1.0
    if name == "Lapicque":
        share = float(module.time_step) / (array(module.R) * array(module.C))
        beta, gain = 1 - share, array(module.R) * share
        delayed = True
    else:
        beta = np.clip(array(module.beta), 0, 1)
        delayed = bool(module.reset_delay) or name == "RSynaptic"
    check(path, threshold, beta=beta)
    mechanism = str(module.reset_mechanism)
    zero = "pause" if delayed and name in DROPS else "hard"
    kind = {"none": "none", "zero": zero}.get(mechanism, "late" if delayed else "soft")
    values = {"beta": beta, "r": gain, "v_threshold": threshold, "v_reset": np.float64(0)}
    meta: dict[str, Any] = {"compare": ">", "reset": kind}
    if name in ("Synaptic", "RSynaptic"):
        alpha = np.clip(array(module.alpha), 0, 1)
        check(path, threshold, alpha=alpha)
        values["syn_decay"], meta["current"] = alpha, "new"
    recurrent = getattr(module, "recurrent", None)
    shown = "before" if delayed or mechanism == "none" else "after"
    return Neuron(Node(path, "Leaky", values, meta), recurrent, shown)
