"""The node of any neuron, or the reason why it cannot be had."""

from collections.abc import Callable
from typing import Any

from torch import nn

from spikeloop.golden.interchange.neurons import norse, sinabs, snntorch, spikingjelly
from spikeloop.golden.interchange.neurons.neuron import Neuron, framework
from spikeloop.pysim.common.errors import InputError

__all__ = ["neuron_of"]

READERS: dict[str, dict[str, Callable[[str, Any], Neuron]]] = {
    "snntorch": dict.fromkeys(
        ("Leaky", "RLeaky", "Lapicque", "Synaptic", "RSynaptic"), snntorch.leaky
    ),
    "spikingjelly": dict.fromkeys(("IFNode", "LIFNode", "ParametricLIFNode"), spikingjelly.node),
    "norse": dict.fromkeys(
        (
            "LIFBoxCell",
            "LIFCell",
            "LIF",
            "LIFRecurrentCell",
            "LIFRecurrent",
            "LSNNCell",
            "LSNN",
            "LSNNRecurrentCell",
            "LSNNRecurrent",
            "LICell",
            "LI",
        ),
        norse.cell,
    ),
    "sinabs": dict.fromkeys(
        ("IAF", "IAFSqueeze", "LIF", "LIFSqueeze", "ALIF", "ALIFSqueeze"), sinabs.layer
    ),
}
WHY = {"Alpha": "its membrane is the difference of two currents, and a neuron of the core has one"}
"""Why a neuron is not among them, where there is more to say than its name."""


def neuron_of(path: str, module: nn.Module) -> Neuron:
    """The node of a neuron; InputError names what cannot be had."""
    name, readers = type(module).__name__, READERS[framework(module) or ""]
    if name not in readers:
        why = f": {WHY[name]}" if name in WHY else ""
        raise InputError(f"neurons {path!r} must be one of {', '.join(readers)}, not {name}{why}")
    return readers[name](path, module)
