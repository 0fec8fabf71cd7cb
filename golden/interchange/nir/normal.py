"""Nodes of a NIR file in the few forms that the importer knows.

Threshold        a neuron without memory: it spikes where its input is above the threshold
Delay            whole steps of dt
Conv, "same"     numbers; behind an even kernel one more on one side, which is a kernel one longer
leading batch 1  shapes without it
Flatten (Norse)  axes counted without the batch
LIF (sinabs)     v := a v + (1 - a) I, a = exp(-dt / tau)
CubaLIF, CubaLI  factors of a step; Rockpool's are exp(-dt / tau), and its current is i := b (i + S)
shapes (Rockpool) without samples and steps
tau = inf        decay 1; the gain r dt / tau is 1 where r is infinite too (snnTorch, beta = 1)
"""

from dataclasses import replace
from typing import Any

import numpy as np

from spikeloop.golden.interchange.graph.maps import plain_convolution
from spikeloop.golden.interchange.graph.node import Node, check_tau, snapped
from spikeloop.golden.interchange.graph.semantics import FIXED
from spikeloop.golden.interchange.nir.shifts import read_shifts
from spikeloop.pysim.common.errors import InputError

__all__ = ["normal"]

OURS = ("current", "adaptation", "adaptation_reset")
"""Metadata that only nodes of ours have."""
CLOSE = 1e-6  # of a delay to a whole number of steps


def normal(nodes: dict[str, Node], dt: float, framework: str | None) -> dict[str, Node]:
    """The nodes in their plain forms; InputError for one that has none."""
    batch = _has_batch(nodes)
    if framework == "rockpool":
        nodes = {name: _last_axis(node) for name, node in nodes.items()}
    return {name: _plain(node, dt, framework, batch) for name, node in nodes.items()}


def _has_batch(nodes: dict[str, Node]) -> bool:
    """Whether the inputs carry a leading batch of 1 in front of channels, height and width."""
    shapes = [np.ravel(n.values.get("shape", ())) for n in nodes.values() if n.kind == "Input"]
    return bool(shapes) and all(len(shape) == 4 and shape[0] == 1 for shape in shapes)


def _plain(node: Node, dt: float, framework: str | None, batch: bool) -> Node:
    foreign = {key: v for key, v in node.metadata.items() if key not in OURS}
    node = replace(node, metadata=foreign)
    if batch:
        node = replace(node, values={key: _unbatched(key, v) for key, v in node.values.items()})
    if node.kind.startswith("Conv"):
        return plain_convolution(node)
    if node.kind == "Flatten" and framework == "norse":
        first = int(np.ravel(node.values.get("start_dim", 1))[0])
        return replace(node, values=node.values | {"start_dim": np.int64(max(0, first - 1))})
    if node.kind == "Delay":
        return _delay(node, dt)
    if node.kind == "Threshold":
        values = {"beta": np.float64(0), "v_threshold": node.values["threshold"]}
        return replace(node, kind="Leaky", values=values, metadata=FIXED)
    if node.kind == "LIF" and framework == "sinabs":
        return _exponential(node, dt)
    if node.kind in ("CubaLIF", "CubaLI"):
        return _with_current(node, dt, framework)
    if node.kind in ("LIF", "LI"):
        return _endless(node, dt)
    return node


def _exponential(node: Node, dt: float) -> Node:
    """sinabs' neuron: v := a v + (1 - a) (v_leak + r I), a = exp(-dt / tau)."""
    beta = np.exp(-dt / np.asarray(node.values["tau"], np.float64))
    values = {key: v for key, v in node.values.items() if key not in ("tau", "r", "v_leak")}
    values |= {
        "beta": beta,
        "r": (1 - beta) * node.values.get("r", 1.0),
        "offset": (1 - beta) * node.values.get("v_leak", 0.0),
    }
    return replace(node, kind="Leaky", values=values)


def _last_axis(node: Node) -> Node:
    """Rockpool's shapes of inputs and outputs are [sample, step, line]."""
    if node.kind not in ("Input", "Output") or np.size(node.values.get("shape", 0)) < 3:
        return node
    return replace(node, values=node.values | {"shape": np.ravel(node.values["shape"])[-1:]})


def _with_current(node: Node, dt: float, framework: str | None) -> Node:
    """A membrane behind a current, in factors of a step."""

    def value(key: str, usual: float) -> np.ndarray:
        return np.asarray(node.values.get(key, usual), np.float64)

    mem, syn = value("tau_mem", 1.0), value("tau_syn", 1.0)
    if framework == "rockpool":
        beta, kept = np.exp(-dt / mem), np.exp(-dt / syn)
        taken, gain, offset = kept * value("w_in", 1.0), np.float64(1.0), value("v_leak", 0.0)
    else:
        check_tau(node.name, "tau_mem", mem, dt)
        check_tau(node.name, "tau_syn", syn, dt)
        beta, kept = snapped(1 - dt / mem), snapped(1 - dt / syn)
        taken, gain = snapped(value("w_in", 1.0) * dt / syn), snapped(value("r", 1.0) * dt / mem)
        offset = value("v_leak", 0.0) * dt / mem
    values = {key: v for key, v in node.values.items() if key in ("v_threshold", "v_reset")}
    values |= {"beta": beta, "r": gain, "offset": offset, "tau_mem": mem}
    values |= {"syn_decay": kept, "syn_gain": taken}
    if framework is None:
        values |= read_shifts(node.metadata, taken, gain)
    kind = "Leaky" if node.kind == "CubaLIF" else "Membrane"
    return replace(node, kind=kind, values=values, metadata=node.metadata | {"current": "new"})


def _unbatched(key: str, value: Any) -> Any:
    if key == "shape":
        flat = np.ravel(value)
        return flat[1:] if len(flat) == 4 and flat[0] == 1 else value
    four = isinstance(value, np.ndarray) and value.ndim == 4 and value.shape[0] == 1
    return value[0] if four and key != "weight" else value


def _delay(node: Node, dt: float) -> Node:
    steps = np.unique(np.asarray(node.values.get("delay", 0.0), np.float64) / dt)
    whole = np.rint(steps)
    if (
        len(steps) != 1
        or abs(steps[0] - whole[0]) > CLOSE * max(1.0, abs(whole[0]))
        or whole[0] < 0
    ):
        raise InputError(
            f"delay of node {node.name!r} must be one whole number of steps of dt = {dt:g}, not "
            f"{', '.join(f'{s:g}' for s in steps[:4])}"
        )
    if not whole[0]:
        return replace(node, kind="Pass", values={})
    return replace(node, values={"steps": np.int64(whole[0])})


def _endless(node: Node, dt: float) -> Node:
    """A time constant without end: the neuron integrates."""
    tau, r = (np.asarray(node.values.get(key, 1.0), np.float64) for key in ("tau", "r"))
    if not np.isinf(tau).any() and not np.isinf(r).any():
        return node
    tau, r = np.broadcast_arrays(tau, r)
    if (np.isinf(tau) != np.isinf(r)).any():
        raise InputError(
            f"tau and r of node {node.name!r} must be infinite together, so that its gain "
            "r dt / tau is 1, not one of them"
        )
    endless = np.isinf(tau)
    leak = np.asarray(node.values.get("v_leak", 0.0), np.float64)
    share = np.where(endless, 0.0, dt / np.where(endless, 1.0, tau))
    gain = np.where(endless, 1.0, np.where(endless, 0.0, r) * share)
    values = {key: v for key, v in node.values.items() if key not in ("tau", "r", "v_leak")}
    values |= {"beta": 1 - share, "r": gain, "offset": leak * share}
    return replace(node, kind="Leaky" if node.kind == "LIF" else "Membrane", values=values)
