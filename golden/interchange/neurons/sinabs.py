"""Neurons of sinabs 3; a = exp(-1 / tau), spike v >= theta.

    IAF              v := v + I
    LIF              v := a v + (1 - a) I, or a v + I without norm_input
    with tau_syn     i := a_syn (i + S), and I is that i
    ALIF             theta = b0 + scale b;  b := a_b b + (1 - a_b) s  after the comparison

MembraneSubtract() takes theta from the membrane, which in ALIF is the raised one.
"""

from typing import Any

import numpy as np

from spikeloop.golden.interchange.graph.node import Node
from spikeloop.golden.interchange.neurons.neuron import Neuron, array, check
from spikeloop.pysim.common.errors import InputError

__all__ = ["layer"]


def layer(path: str, module: Any) -> Neuron:
    """IAF, LIF or ALIF, or their Squeeze forms."""
    name = type(module).__name__.removesuffix("Squeeze")
    spike = getattr(module.spike_fn, "__name__", type(module.spike_fn).__name__)
    if spike != "SingleSpike":
        raise InputError(f"neurons {path!r} must have spike_fn SingleSpike, not {spike}")
    beta: Any = np.float64(1.0)
    gain: Any = np.float64(1.0)
    if name != "IAF":
        beta = array(module.alpha_mem_calculated)
        gain = 1 - beta if module.norm_input else np.float64(1.0)
    threshold = array(module.b0 if name == "ALIF" else module.spike_threshold)
    check(path, threshold, beta=beta)
    values = {"beta": beta, "r": gain, "v_threshold": threshold, "v_reset": np.float64(0)}
    if (least := getattr(module, "min_v_mem", None)) is not None:
        if array(least).max() > 0:
            raise InputError(
                f"min_v_mem of neurons {path!r} must be at most 0, not {array(least).max():g}"
            )
        values["v_min"] = array(least)
    hard = type(module.reset_fn).__name__ == "MembraneReset"
    meta: dict[str, Any] = {"compare": ">=", "reset": "hard" if hard else "soft"}
    subtracted = getattr(module.reset_fn, "subtract_value", None)
    if subtracted is not None:
        values["v_subtract"] = array(subtracted)
    synaptic = getattr(module, "alpha_syn_calculated", None)
    if synaptic is not None:
        if name == "ALIF":
            raise InputError(
                f"neurons {path!r} must be without tau_syn, not with it: sinabs' ALIF forgets "
                "that current between calls"
            )
        values |= {"syn_decay": array(synaptic), "syn_gain": array(synaptic)}
        meta["current"] = "new"
    if name == "ALIF":
        kept = array(module.alpha_adapt_calculated)
        values |= {"adapt_decay": kept, "adapt_step": array(module.adapt_scale) * (1 - kept)}
        meta |= {"adaptation": "old", "adaptation_reset": subtracted is None}
    return Neuron(Node(path, "Leaky", values, meta))
