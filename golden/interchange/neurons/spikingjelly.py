"""Neurons of SpikingJelly 2.0: IFNode, LIFNode, ParametricLIFNode; spike v >= theta."""

from typing import Any

import numpy as np

from spikeloop.golden.interchange.graph.node import Node
from spikeloop.golden.interchange.neurons.neuron import Neuron, array, check

__all__ = ["node"]


def node(path: str, module: Any) -> Neuron:
    """IFNode, LIFNode or ParametricLIFNode."""
    threshold = np.float64(module.v_threshold)
    v_reset = module.v_reset
    name = type(module).__name__
    if name == "IFNode":
        beta, gain = np.float64(1.0), np.float64(1.0)
    else:
        tau = (
            1 / array(module.w.sigmoid()) if name == "ParametricLIFNode" else np.float64(module.tau)
        )
        beta = 1 - 1 / tau
        gain = 1 / tau if module.decay_input else np.float64(1.0)
    rest = np.float64(0.0 if v_reset is None else v_reset)
    check(path, threshold, beta=beta)
    values = {"beta": beta, "r": gain, "v_threshold": threshold, "v_reset": rest}
    values |= {"offset": (1 - beta) * rest, "v_init": rest}
    meta = {"compare": ">=", "reset": "soft" if v_reset is None else "hard"}
    return Neuron(Node(path, "Leaky", values, meta))
