"""Which modules are neurons, and how their state is kept, read and put back."""

from typing import Any

import torch
from torch import nn

from spikeloop.golden.interchange.neurons.neuron import framework

__all__ = ["is_neuron", "keeps_state", "one_step", "reset", "state_of"]

WHOLE = ("LIF", "LIFRecurrent", "LSNN", "LSNNRecurrent", "LI")
"""Norse's neurons that take all steps at a call."""


def is_neuron(module: nn.Module) -> bool:
    """Whether a module is a neuron of a framework, of any kind."""
    where = type(module).__module__
    name = type(module).__name__
    match framework(module):
        case "snntorch":
            return "._neurons" in where or "._layers" in where
        case "spikingjelly":
            return ".neuron" in where
        case "norse":
            return name.endswith(("Cell", "Recurrent")) or name in (*WHOLE, "LIFBox")
        case "sinabs":
            return any(part in where for part in (".iaf", ".lif", ".alif", ".exp_leak"))
    return False


def keeps_state(module: nn.Module) -> bool:
    """Whether a call without state continues with the state of the call before.

    Norse's neurons of all steps begin anew with each call; their steps belong together.
    """
    return framework(module) != "norse" or getattr(module, "step_mode", None) == "m"


def state_of(module: nn.Module) -> torch.Tensor | None:
    """The membrane that a neuron keeps, or None."""
    if not is_neuron(module):
        return None
    for name in ("mem", "v", "v_mem"):
        value = getattr(module, name, None)
        if isinstance(value, torch.Tensor) and value.numel():
            return value
    return None


def reset(net: nn.Module) -> None:
    """Put every neuron into its state before the first step."""
    module: Any  # the frameworks' classes are not known here
    for module in net.modules():
        kind = framework(module)
        if kind == "snntorch":
            for name in ("mem", "syn", "spk"):
                if isinstance(getattr(module, name, None), torch.Tensor):
                    setattr(module, name, torch.zeros(0, dtype=torch.float64))
        elif kind == "spikingjelly" and hasattr(module, "reset"):
            module.reset()
        elif kind == "sinabs" and hasattr(module, "reset_states"):
            module.reset_states()


def one_step(module: Any) -> None:
    """Make a neuron take one step at a call and give spikes as wide as its input.

    SpikingJelly's may take many (``step_mode`` "m"), and show their membranes then. So may
    Norse's, which get that mark here.
    """
    kind = framework(module) if is_neuron(module) else None
    if kind == "norse" and type(module).__name__ in WHOLE:
        module.step_mode = "m"
    if kind == "spikingjelly" and getattr(module, "step_mode", None) == "m":
        module.backend, module.store_v_seq = "torch", True
    if kind == "snntorch" and callable(grad := getattr(module, "spike_grad", None)):
        module.spike_grad = lambda x: grad(x).to(x.dtype)
    if kind == "sinabs":  # its layers take [sample, step, ...], or both axes in one (Squeeze)
        whole = type(module)
        if hasattr(whole, "squeeze_forward"):
            whole = next(c for c in whole.__mro__ if not hasattr(c, "squeeze_forward"))
        module.forward = lambda x: whole.forward(module, x.unsqueeze(1)).squeeze(1).to(x.dtype)
