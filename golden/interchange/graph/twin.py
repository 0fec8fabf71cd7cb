"""The float twin of an imported graph: what it computes in float64, step by step.

The twin reads the nodes alone and uses torch's functions, so it is a writing of its own beside the
maps and integers of the importer. An import of a module compares it with the user's forward
(golden/interchange/modules/agree.py); every import compares its integers with it.

    u = decay v + gain I + offset,  spike if u > threshold (or >=), then the reset

            decay        gain       offset
    Leaky, Membrane
            beta         r          offset
    IF      1            dt r       0
    LIF     1 - dt/tau   r dt/tau   v_leak dt/tau
    I, LI   as IF and LIF, but without spikes
    Output  0            1          0                where it is behind linear nodes

A Leaky or Membrane node may have a synaptic current y and an adaptation a:

    y' = syn_decay y + syn_gain S       I = y' ("new") or y ("old")
    b  = adapt_decay a                  threshold + b ("new") or + a ("old"),  a' = b + adapt_step s
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from spikeloop.golden.interchange.graph.node import Node, snapped
from spikeloop.golden.interchange.graph.order import READOUT, Graph
from spikeloop.golden.interchange.graph.semantics import SPIKING, Settled
from spikeloop.pysim.common.errors import InputError

__all__ = ["Reach", "Twin", "TwinRun"]


class Reach(NamedTuple):
    """The largest sizes of the states of a node that the floats reached, in real units.

    ``current`` is in units of the membrane: what drives it in a step.
    """

    membrane: float
    current: float = 0.0
    adaptation: float = 0.0


@dataclass(frozen=True)
class TwinRun:
    """Of each neuron's node, float64 [sample, step, ...]: ``spikes`` (0 or 1), membranes ``before``
    and ``after`` the reset. Of nodes that have them: ``driven``, what the current is to the
    membrane at the end of the step; ``adapted``, the adaptation there; ``raised``, what it added to
    the threshold in the step."""

    spikes: dict[str, torch.Tensor] = field(default_factory=dict)
    before: dict[str, torch.Tensor] = field(default_factory=dict)
    after: dict[str, torch.Tensor] = field(default_factory=dict)
    driven: dict[str, torch.Tensor] = field(default_factory=dict)
    adapted: dict[str, torch.Tensor] = field(default_factory=dict)
    raised: dict[str, torch.Tensor] = field(default_factory=dict)

    def part(self, samples: slice) -> "TwinRun":
        """The run of some of its samples."""
        runs = (getattr(self, f.name) for f in fields(self))
        return TwinRun(*({name: x[samples] for name, x in run.items()} for run in runs))

    def reach(self, name: str) -> Reach:
        """The largest sizes of the states of a node."""
        states = (run.get(name) for run in (self.before, self.driven, self.adapted))
        return Reach(*(0.0 if x is None or not x.numel() else float(x.abs().max()) for x in states))


class Row(NamedTuple):
    """One step of a node, by the names of :class:`TwinRun`."""

    spikes: torch.Tensor
    before: torch.Tensor
    after: torch.Tensor
    driven: torch.Tensor | None = None
    adapted: torch.Tensor | None = None
    raised: torch.Tensor | None = None


class Twin:
    """A graph of NIR nodes in float64, with what ``settled`` says of a step."""

    def __init__(self, graph: Graph, settled: Settled) -> None:
        self.graph, self.settled = graph, settled
        self.order = [n for n in graph.order() if graph.nodes[n].kind not in ("Input", "Delay")]
        delays = [name for name, node in graph.nodes.items() if node.kind == "Delay"]
        self.remembered = {source for source, _ in graph.late}
        self.remembered |= {source for name in delays for source in graph.before[name]}

    def run(self, inputs: dict[str, torch.Tensor]) -> TwinRun:
        """``inputs``: spikes of each Input node, float64 [sample, step, ...]."""
        nodes = self.graph.nodes
        rows: dict[str, list[Row]] = defaultdict(list)
        past: dict[str, list[torch.Tensor]] = defaultdict(list)
        some = next(iter(inputs.values()))
        for step in range(some.shape[1]):
            values = {name: x[:, step] for name, x in inputs.items()}
            for name in self.order:
                arriving = self._arriving(name, values, past, some)
                if nodes[name].kind in (*SPIKING, *READOUT) or (
                    name == self.graph.output and arriving is not None and self._sums()
                ):
                    if arriving is None:
                        arriving = some.new_zeros(len(some), *self.graph.shapes[name])
                    rows[name].append(self._step(name, arriving, rows[name]))
                    values[name] = rows[name][-1].spikes
                elif arriving is not None:
                    values[name] = linear(nodes[name], arriving)
                else:
                    values[name] = self._quiet(name, some)
            for name in self.remembered & values.keys():
                past[name].append(values[name])
        run = TwinRun()
        for name in list(rows):  # one after the other, so that none is in memory twice
            for part, steps in zip(Row._fields, zip(*rows.pop(name), strict=True), strict=True):
                if steps[0] is not None:
                    getattr(run, part)[name] = torch.stack(steps, 1)
        return run

    def _sums(self) -> bool:
        """Whether the output node sums what linear nodes lead to it."""
        sources = self.graph.sources(self.graph.output)
        kinds = (*SPIKING, *READOUT)
        return not (len(sources) == 1 and self.graph.nodes[sources[0]].kind in kinds)

    def _arriving(
        self,
        name: str,
        values: dict[str, torch.Tensor],
        past: dict[str, list[torch.Tensor]],
        some: torch.Tensor,
    ) -> torch.Tensor | None:
        """The sum of what leads to a node in this step; None if nothing exists yet."""
        total: torch.Tensor | None = None
        for source in self.graph.before[name]:
            node = self.graph.nodes[source]
            if node.kind == "Delay":
                steps = int(np.ravel(node.values["steps"])[0])
                rows = past[self.graph.before[source][0]]
                value = rows[-steps] if len(rows) >= steps else None
            elif (source, name) in self.graph.late:
                value = past[source][-1] if past[source] else self._quiet(source, some)
            else:
                value = values.get(source)
            if value is not None:
                total = value if total is None else total + value
        return total

    def _quiet(self, name: str, some: torch.Tensor) -> torch.Tensor:
        """What a node gives before anything has spiked: its biases alone. ``some`` tells how many
        samples there are."""
        node = self.graph.nodes[name]
        if node.kind in ("Input", *SPIKING):
            return some.new_zeros(len(some), *self.graph.shapes[name])
        arriving = [self._quiet(source, some) for source in self.graph.before[name]]
        return linear(node, sum(arriving[1:], arriving[0]))

    def _step(self, name: str, arriving: torch.Tensor, rows: list[Row]) -> Row:
        """One step of a node of neurons behind the rows of the steps before."""
        node, shape = self.graph.nodes[name], arriving.shape[1:]
        last = rows[-1] if rows else None

        def value(key: str, usual: float) -> torch.Tensor:
            given = torch.as_tensor(np.asarray(node.values.get(key, usual), np.float64))
            return given.reshape(shape) if given.numel() > 1 else given.reshape(())

        decay, gain, offset = self._factors(node, value)
        current, driven = gain * arriving, None
        if "current" in node.metadata:
            old = torch.zeros_like(arriving)
            if last is not None and last.driven is not None:
                old = last.driven
            driven = value("syn_decay", 0.0) * old + value("syn_gain", 1.0) * current
            current = driven if node.metadata["current"] == "new" else old
        raised = decayed = None
        theta = value("v_threshold", 1.0)
        if "adaptation" in node.metadata:
            before = torch.zeros_like(arriving)
            if last is not None and last.adapted is not None:
                before = last.adapted
            decayed = value("adapt_decay", 0.0) * before
            raised = decayed if node.metadata["adaptation"] == "new" else before
            theta = theta + raised
        v = torch.zeros_like(arriving) + value("v_init", 0.0) if last is None else last.after
        u = decay * v + current + offset
        reset = self.settled.reset.get(name)
        if reset == "late" and last is not None:
            u = u - last.spikes * value("v_threshold", 1.0)
        if reset == "pause" and last is not None:
            u = torch.where(last.spikes > 0, value("v_reset", 0.0), u)
        if node.kind not in SPIKING:
            return Row(torch.zeros_like(u), u, u, driven)
        above = u > theta if self.settled.compare[name] == ">" else u >= theta
        spike = above.double()
        after = u
        if reset == "soft":
            given = value("v_subtract", 0.0) if "v_subtract" in node.values else None
            subtracted = value("v_threshold", 1.0) if given is None else given
            if raised is not None and node.metadata.get("adaptation_reset"):
                subtracted = subtracted + raised
            after = u - spike * subtracted
        if reset in ("hard", "pause"):
            after = torch.where(above, value("v_reset", 0.0), u)
        adapted = None if decayed is None else decayed + value("adapt_step", 0.0) * spike
        after = torch.maximum(after, value("v_min", -np.inf))
        return Row(spike, u, after, driven, adapted, raised)

    def _factors(
        self, node: Node, get: Callable[[str, float], torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        """Decay, gain and offset of one step; ``get`` reads a value of the node, or its default."""
        dt = self.settled.dt
        match node.kind:
            case "Leaky" | "Membrane":
                return get("beta", 1.0), get("r", 1.0), get("offset", 0.0)
            case "LIF" | "LI":  # a file rounds to 24 bits: short fractions are meant
                share = torch.clamp(dt / get("tau", 1.0), max=1.0)
                decay, gain = (
                    torch.as_tensor(snapped(x.numpy())) for x in (1 - share, get("r", 1.0) * share)
                )
                return decay, gain, get("v_leak", 0.0) * share
            case "IF" | "I":
                return torch.ones(()), get("r", 1.0) * dt, torch.zeros(())
        return torch.zeros(()), torch.ones(()), torch.zeros(())


def linear(node: Node, x: torch.Tensor) -> torch.Tensor:
    """A linear node in float64, by torch's own functions; ``x`` [sample, ...]."""

    def value(key: str) -> torch.Tensor:
        return torch.as_tensor(np.asarray(node.values[key], np.float64))

    def sizes(key: str, usual: int) -> tuple[int, ...]:
        return tuple(int(n) for n in np.ravel(node.values.get(key, usual)))

    bias = value("bias") if "bias" in node.values else None
    match node.kind:
        case "Pass" | "Output" | "Delay":
            return x
        case "Reshape":
            return x.reshape(len(x), *sizes("shape", 1))
        case "Flatten":
            first, last = sizes("start_dim", 0)[0], sizes("end_dim", -1)[0]
            axes = x.dim() - 1
            return x.flatten(1 + first % axes, 1 + last % axes)
        case "Linear" | "Affine":
            return functional.linear(x, value("weight"), bias)
        case "Scale":
            factor = value("scale")
            out = x * (factor.reshape(x.shape[1:]) if factor.numel() > 1 else factor.reshape(()))
            return out if bias is None else out + bias.reshape(x.shape[1:])
        case "Conv1d" | "Conv2d":
            run = functional.conv1d if node.kind == "Conv1d" else functional.conv2d
            geometry = sizes("stride", 1), sizes("padding", 0), sizes("dilation", 1)
            return run(x, value("weight"), bias, *geometry, sizes("groups", 1)[0])
        case "AvgPool2d" | "SumPool2d":
            kernel = sizes("kernel_size", 1)
            pair = kernel if len(kernel) == 2 else kernel * 2
            out = functional.avg_pool2d(x, pair, sizes("stride", 1), sizes("padding", 0))
            return out * int(np.prod(pair)) if node.kind == "SumPool2d" else out
    raise InputError(f"node {node.name!r} must be of a known kind, not {node.kind}")
