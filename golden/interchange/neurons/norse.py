"""Neurons of Norse 1.1; spike v > v_th, then v := v_reset.

    LIFBoxCell   v := v + dt tau_mem_inv (v_leak - v + I)
    LIFCell      i := i + I, v as above with that i, then i := i - dt tau_syn_inv i
    LSNNCell     v with the i of the step before, i := i - dt tau_syn_inv i + I, and the threshold
                 b := b - dt tau_adapt_inv (b - v_th), from v_th on; a spike adds beta to it
    LICell       the membrane of a LIFCell that never spikes

LIF, LSNN and LI take all steps at a call. The recurrent forms hold the weights of their input.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

from spikeloop.golden.interchange.graph.node import Node
from spikeloop.golden.interchange.neurons.neuron import Neuron, array, check

__all__ = ["cell"]


def cell(path: str, module: Any) -> Neuron:
    """A LIFBoxCell, or one of the LIF, LSNN and LI forms."""
    p, name = module.p, type(module).__name__
    share = _share(module, p.tau_mem_inv)
    rest = array(p.v_leak)
    values = {"beta": 1 - share, "r": share, "offset": share * rest, "v_init": rest}
    meta: dict[str, Any] = {}
    if name != "LIFBoxCell":
        values["syn_decay"] = 1 - _share(module, p.tau_syn_inv)
        meta["current"] = "old" if name.startswith("LSNN") else "new"
    if name.startswith("LI") and not name.startswith("LIF"):
        check(path, np.float64(1), beta=values["beta"], v_leak=rest)
        return Neuron(Node(path, "Membrane", values, meta))
    threshold = array(p.v_th)
    check(path, threshold, beta=values["beta"])
    values |= {"v_threshold": threshold, "v_reset": array(p.v_reset)}
    meta |= {"compare": ">", "reset": "hard"}
    if name.startswith("LSNN"):
        kept = 1 - _share(module, p.tau_adapt_inv)
        values |= {"adapt_decay": kept, "adapt_step": array(p.beta)}
        meta["adaptation"] = "new"
    node = Node(path, "Leaky", values, meta)
    if "Recurrent" not in name:
        return Neuron(node)
    return Neuron(node, _linear(module.recurrent_weights), entry=_linear(module.input_weights))


def _share(module: Any, inverse: Any) -> np.ndarray:
    """dt / tau, rounded as Norse rounds it."""
    return array(module.dt * torch.as_tensor(inverse))


def _linear(weights: torch.Tensor) -> nn.Linear:
    layer = nn.Linear(weights.shape[1], weights.shape[0], bias=False).double().eval()
    with torch.no_grad():
        layer.weight.copy_(weights)
    return layer
