"""NIR graphs step by step in numpy, by nothing of the package: what NIR files mean.

    u = v + dt r I                        IF
    u = v + dt / tau (v_leak - v + r I)   LIF; ``exponential``: exp(-dt / tau) for 1 - dt / tau
    spike where u > threshold (or >=), then the reset

    i = i + dt / tau_syn (w_in x - i)         CubaLIF, CubaLI; ``exponential``, as Rockpool:
    u = v + dt / tau_mem (v_leak - v + r i)   i = b (i + w_in x), b = exp(-dt / tau_syn),
                                              u = a v + v_leak + i, a = exp(-dt / tau_mem)

An edge that closes a cycle carries the value of the step before.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn import functional

RESETS = ("hard", "soft", "late", "none")


@dataclass
class Euler:
    """``graph``: a nir.NIRGraph. ``resets``: by name of a node, else ``reset``.

    batched: shapes of the file have a leading batch of 1. ``flat_from``: subtracted from start_dim.
    """

    graph: Any
    dt: float = 1e-4
    compare: str = ">"
    reset: str = "hard"
    resets: dict[str, str] = field(default_factory=dict)
    exponential: bool = False
    flat_from: int = 0
    snap: int = 6  # decimals of dt / tau: files hold 32-bit floats

    def run(self, inputs: dict[str, np.ndarray], output: str = "output") -> np.ndarray:
        """What arrives at ``output``, [sample, step, ...], for spikes of each Input."""
        self.nodes: dict[str, Any] = {}
        self.before: dict[str, list[str]] = {}
        self._enter(self.graph, "")
        _samples, steps = next(iter(inputs.values())).shape[:2]
        self.v: dict[str, np.ndarray] = {}
        self.late: dict[str, np.ndarray] = {}
        self.past: dict[str, np.ndarray] = {}
        self.i: dict[str, np.ndarray] = {}
        rows = []
        for step in range(steps):
            self.now = {name: x[:, step].astype(float) for name, x in inputs.items()}
            self.open: set[str] = set()
            rows.append(self._value(output))
            self.past = dict(self.now)
        return np.stack(rows, 1)

    def _enter(self, graph: Any, prefix: str) -> tuple[str, str]:
        ends = {}
        for name, node in graph.nodes.items():
            if type(node).__name__ == "NIRGraph":
                ends[name] = self._enter(node, f"{prefix}{name}/")
            else:
                self.nodes[prefix + name] = node
                self.before.setdefault(prefix + name, [])
        for source, target in graph.edges:
            start = ends[source][1] if source in ends else prefix + source
            stop = ends[target][0] if target in ends else prefix + target
            if start not in self.before[stop]:
                self.before[stop].append(start)
        kinds = {type(node).__name__: prefix + name for name, node in graph.nodes.items()}
        return kinds.get("Input", ""), kinds.get("Output", "")

    def _value(self, name: str) -> np.ndarray:
        if name in self.now:
            return self.now[name]
        self.open.add(name)
        total = sum(self._past(b) if b in self.open else self._value(b) for b in self.before[name])
        self.open.discard(name)
        self.now[name] = self._node(name, self.nodes[name], np.asarray(total, float))
        return self.now[name]

    def _past(self, name: str) -> np.ndarray:
        """The spikes of neurons in the step before."""
        samples = len(next(iter(self.now.values())))
        silent = np.zeros((samples, *np.shape(self.nodes[name].v_threshold)))
        return self.past.get(name, silent)

    def _node(self, name: str, node: Any, x: np.ndarray) -> np.ndarray:
        kind = type(node).__name__
        if kind in ("CubaLIF", "CubaLI"):
            return self._with_current(name, node, x)
        if kind in ("IF", "LIF"):
            return self._neurons(name, node, x)
        if kind == "Threshold":
            return (x > node.threshold).astype(float)
        if kind in ("Linear", "Affine"):
            y = x @ np.asarray(node.weight, float).T
            return y + node.bias if kind == "Affine" else y
        if kind == "Scale":
            return x * np.asarray(node.scale, float)
        if kind == "Flatten":
            first = max(0, int(node.start_dim) - self.flat_from)
            return torch.as_tensor(x).flatten(1 + first, int(node.end_dim)).numpy()
        if kind in ("Conv1d", "Conv2d"):
            run = functional.conv1d if kind == "Conv1d" else functional.conv2d
            w, b = (torch.as_tensor(np.asarray(a, float)) for a in (node.weight, node.bias))
            padding = node.padding if isinstance(node.padding, str) else _sizes(node.padding)
            place = _sizes(node.stride), padding, _sizes(node.dilation), int(node.groups)
            return run(torch.as_tensor(x), w, b, *place).numpy()
        if kind in ("SumPool2d", "AvgPool2d"):
            kernel = _sizes(node.kernel_size)
            pair = kernel * 2 if len(kernel) == 1 else kernel
            y = functional.avg_pool2d(
                torch.as_tensor(x), pair, _sizes(node.stride), _sizes(node.padding)
            )
            return y.numpy() * (np.prod(pair) if kind == "SumPool2d" else 1)
        return x  # Output, Input of a nested graph

    def _neurons(self, name: str, node: Any, x: np.ndarray) -> np.ndarray:
        v = self.v.get(name, np.zeros_like(x))
        r = np.asarray(node.r, float)
        if type(node).__name__ == "IF":
            u = v + self.dt * r * x
        elif self.exponential:
            a = np.exp(-self.dt / np.asarray(node.tau, float))
            u = a * v + (1 - a) * (node.v_leak + r * x)
        else:
            tau = np.asarray(node.tau, float)
            share = np.where(np.isinf(tau), 0.0, np.round(self.dt / tau, self.snap))
            gain = np.where(np.isinf(tau), 1.0, np.round(np.where(np.isinf(r), 1, r), 5) * share)
            u = (1 - share) * v + share * np.asarray(node.v_leak, float) + gain * x
        return self._spikes(name, node, u)

    def _with_current(self, name: str, node: Any, x: np.ndarray) -> np.ndarray:
        """The spikes of a CubaLIF, or the membranes of a CubaLI."""
        v, i = (state.get(name, np.zeros_like(x)) for state in (self.v, self.i))
        mem, syn, leak, r, w = (
            np.asarray(getattr(node, key), float)
            for key in ("tau_mem", "tau_syn", "v_leak", "r", "w_in")
        )
        if self.exponential:
            i = np.exp(-self.dt / syn) * (i + w * x)
            u = np.exp(-self.dt / mem) * v + leak + i
        else:
            shares = (np.round(self.dt / tau, self.snap) for tau in (mem, syn))
            mem, syn = shares
            i = i + syn * (w * x - i)
            u = v + mem * (leak - v + r * i)
        self.i[name] = i
        if type(node).__name__ == "CubaLI":
            self.v[name] = u
            return u
        return self._spikes(name, node, u)

    def _spikes(self, name: str, node: Any, u: np.ndarray) -> np.ndarray:
        """The spikes for membranes u, which are then reset."""
        theta = np.asarray(node.v_threshold, float)
        reset = self.resets.get(name, self.reset)
        if reset == "late" and name in self.late:
            u = u - theta * self.late[name]
        spike = (u > theta if self.compare == ">" else u >= theta).astype(float)
        self.late[name] = spike
        if reset == "hard":
            u = np.where(spike > 0, np.asarray(node.v_reset, float), u)
        self.v[name] = u - np.where(spike > 0, theta, 0) if reset == "soft" else u
        return spike


def _sizes(value: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in np.ravel(value))
