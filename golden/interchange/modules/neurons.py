"""Neurons of the frameworks as nodes of a graph: what one step of each computes.

    snnTorch 1.0      Leaky, Lapicque, RLeaky     u := beta u + I (+ recurrent)   spike u > theta
    SpikingJelly      IFNode, LIFNode, ParametricLIFNode                          spike v >= theta
    Norse 1.1         LIFBoxCell                  v := v + dt tau_inv (v_leak - v + I), v > theta
    sinabs 3          IAF, LIF                    v := a v + (1 - a) I, a = exp(-1/tau), v >= theta

snnTorch's delayed reset acts one step after the spike, so the membrane it shows is that before the
reset. Its "zero" without delay and every other reset here act in the step of the spike. A neuron
with a second state (Synaptic, Alpha, CubaLIF) is refused by name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from spikeloop.golden.interchange.graph.node import Node
from spikeloop.pysim.common.errors import InputError

__all__ = ["Neuron", "is_neuron", "keeps_state", "neuron_of", "one_step", "reset", "state_of"]

SECOND_STATE = ("Synaptic", "RSynaptic", "Alpha", "LIFCell", "LIFRecurrentCell", "LIFRefracCell")
FRAMEWORKS = ("snntorch.", "spikingjelly.", "norse.", "sinabs.")


@dataclass(frozen=True, eq=False)
class Neuron:
    """A neuron as a node.

    recurrent: a module of its own that its spikes of the step before go through.
    shown:     the membrane that the framework shows, "before" or "after" the reset.
    """

    node: Node
    recurrent: nn.Module | None = None
    shown: str = "after"


def is_neuron(module: nn.Module) -> bool:
    """Whether a module is a neuron of a framework, of any kind."""
    where = type(module).__module__
    name = type(module).__name__
    match _framework(module):
        case "snntorch":
            return "._neurons" in where or "._layers" in where
        case "spikingjelly":
            return ".neuron" in where
        case "norse":
            return name.endswith(("Cell", "Recurrent")) or name in ("LIF", "LI", "LIFBox")
        case "sinabs":
            return any(part in where for part in (".iaf", ".lif", ".alif", ".exp_leak"))
    return False


def keeps_state(module: nn.Module) -> bool:
    """Whether the neuron keeps its membrane, so that a call without state continues with it."""
    return _framework(module) != "norse"


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
        kind = _framework(module)
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

    SpikingJelly's may take many (``step_mode`` "m"); they show their membranes then.
    """
    kind = _framework(module) if is_neuron(module) else None
    if kind == "spikingjelly" and getattr(module, "step_mode", None) == "m":
        module.backend, module.store_v_seq = "torch", True
    if kind == "snntorch" and callable(grad := getattr(module, "spike_grad", None)):
        module.spike_grad = lambda x: grad(x).to(x.dtype)
    if kind == "sinabs":  # its layers take [sample, step, ...], or both axes in one (Squeeze)
        whole = type(module)
        if hasattr(whole, "squeeze_forward"):
            whole = next(c for c in whole.__mro__ if not hasattr(c, "squeeze_forward"))
        module.forward = lambda x: whole.forward(module, x.unsqueeze(1)).squeeze(1).to(x.dtype)


def neuron_of(path: str, module: nn.Module) -> Neuron:
    """The node of a neuron; InputError names what cannot be had."""
    name, readers = type(module).__name__, _READERS[_framework(module) or ""]
    second = name in SECOND_STATE or getattr(module, "tau_syn", None) is not None
    if name not in readers or (second and name in ("LIF", "LIFSqueeze")):
        why = ": its synaptic current is a second state, which the core does not have"
        raise InputError(
            f"neurons {path!r} must be one of {', '.join(readers)}, not {name}"
            f"{why if second else ''}"
        )
    return readers[name](path, module)


def _framework(module: nn.Module) -> str | None:
    where = type(module).__module__
    return next((p[:-1] for p in FRAMEWORKS if where.startswith(p)), None)


def _array(value: Any) -> np.ndarray:
    flat = np.asarray(torch.as_tensor(value).detach().cpu().double().numpy(), np.float64)
    return flat.reshape(-1)[0] if flat.size == 1 else flat


def _checked(path: str, threshold: np.ndarray, **values: np.ndarray) -> None:
    for name, value in {"threshold": threshold, **values}.items():
        if not np.isfinite(value).all():
            raise InputError(
                f"{name} of neurons {path!r} must be finite, not {np.ravel(value)}"[:200]
            )
    if (np.asarray(threshold) <= 0).any():
        raise InputError(
            f"threshold of neurons {path!r} must be positive, not {np.min(threshold):g}"
        )


def _leaky(path: str, module: Any) -> Neuron:
    for what, bad in (
        ("without inhibition, not with it", module.inhibition),
        ("without state_quant, not with it", bool(module.state_quant)),
        (
            "of graded_spikes_factor 1, not another",
            float(_array(module.graded_spikes_factor).max()) != 1.0,
        ),
    ):
        if bad:
            raise InputError(f"neurons {path!r} must be {what}")
    threshold, gain = _array(module.threshold), 1.0
    if type(module).__name__ == "Lapicque":
        share = float(module.time_step) / (_array(module.R) * _array(module.C))
        beta, gain = 1 - share, _array(module.R) * share
        delayed = True
    else:
        beta, delayed = np.clip(_array(module.beta), 0, 1), bool(module.reset_delay)
    _checked(path, threshold, beta=beta)
    mechanism = str(module.reset_mechanism)
    if type(module).__name__ == "RLeaky" and mechanism == "zero":
        raise InputError(
            f"reset_mechanism of neurons {path!r} must be 'subtract' or 'none', not 'zero', which "
            "in RLeaky drops the input of the next step too"
        )
    kind = {"none": "none", "zero": "hard"}.get(mechanism, "late" if delayed else "soft")
    values = {"beta": beta, "r": gain, "v_threshold": threshold, "v_reset": np.float64(0)}
    node = Node(path, "Leaky", values, {"compare": ">", "reset": kind})
    recurrent = getattr(module, "recurrent", None)
    return Neuron(node, recurrent, "before" if delayed or mechanism == "none" else "after")


def _spikingjelly(path: str, module: Any) -> Neuron:
    threshold = np.float64(module.v_threshold)
    v_reset = module.v_reset
    name = type(module).__name__
    if name == "IFNode":
        beta, gain = np.float64(1.0), np.float64(1.0)
    else:
        tau = (
            1 / _array(module.w.sigmoid())
            if name == "ParametricLIFNode"
            else np.float64(module.tau)
        )
        beta = 1 - 1 / tau
        gain = 1 / tau if module.decay_input else np.float64(1.0)
    rest = np.float64(0.0 if v_reset is None else v_reset)
    _checked(path, threshold, beta=beta)
    values = {"beta": beta, "r": gain, "v_threshold": threshold, "v_reset": rest}
    values |= {"offset": (1 - beta) * rest, "v_init": rest}
    meta = {"compare": ">=", "reset": "soft" if v_reset is None else "hard"}
    return Neuron(Node(path, "Leaky", values, meta))


def _sinabs(path: str, module: Any) -> Neuron:
    spike = getattr(module.spike_fn, "__name__", type(module.spike_fn).__name__)
    if spike != "SingleSpike":
        raise InputError(f"neurons {path!r} must have spike_fn SingleSpike, not {spike}")
    beta: Any = np.float64(1.0)
    gain: Any = np.float64(1.0)
    if type(module).__name__.startswith("LIF"):
        beta = np.exp(-1 / _array(module.tau_mem))
        gain = 1 - beta if module.norm_input else np.float64(1.0)
    threshold = _array(module.spike_threshold)
    _checked(path, threshold, beta=beta)
    values = {"beta": beta, "r": gain, "v_threshold": threshold, "v_reset": np.float64(0)}
    if (least := getattr(module, "min_v_mem", None)) is not None:
        if _array(least).max() > 0:
            raise InputError(
                f"min_v_mem of neurons {path!r} must be at most 0, not {_array(least).max():g}"
            )
        values["v_min"] = _array(least)
    hard = type(module.reset_fn).__name__ == "MembraneReset"
    meta = {"compare": ">=", "reset": "hard" if hard else "soft"}
    return Neuron(Node(path, "Leaky", values, meta))


def _norse(path: str, module: Any) -> Neuron:
    p = module.p
    share = float(module.dt) * _array(p.tau_mem_inv)
    threshold, rest = _array(p.v_th), _array(p.v_reset)
    _checked(path, threshold, beta=1 - share)
    values = {"beta": 1 - share, "r": share, "v_threshold": threshold, "v_reset": rest}
    values |= {"offset": share * _array(p.v_leak), "v_init": _array(p.v_leak)}
    return Neuron(Node(path, "Leaky", values, {"compare": ">", "reset": "hard"}))


_READERS: dict[str, dict[str, Callable[[str, Any], Neuron]]] = {
    "snntorch": {"Leaky": _leaky, "RLeaky": _leaky, "Lapicque": _leaky},
    "spikingjelly": {
        "IFNode": _spikingjelly,
        "LIFNode": _spikingjelly,
        "ParametricLIFNode": _spikingjelly,
    },
    "norse": {"LIFBoxCell": _norse},
    "sinabs": {"IAF": _sinabs, "IAFSqueeze": _sinabs, "LIF": _sinabs, "LIFSqueeze": _sinabs},
}
