"""A recorded run as the graph of one step: nodes, edges, and which neuron each node was.

Calls of one neuron that hand its state on are a *chain*; call k of a chain is its step k. The step
is read off from the last call of each chain, backwards to spikes and inputs. Spikes of an earlier
call arrive with that delay. The step before it must look the same. Otherwise the net does other
things at other times, which is refused with the line.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from spikeloop.golden.interchange.graph.node import Node, identifier
from spikeloop.golden.interchange.graph.order import READOUT
from spikeloop.golden.interchange.modules.layers import piece_of
from spikeloop.golden.interchange.neurons.read import neuron_of
from spikeloop.golden.interchange.neurons.state import is_neuron, keeps_state
from spikeloop.golden.interchange.trace.record import Op, Value, values_in
from spikeloop.pysim.common.errors import InputError

__all__ = ["Chain", "StepGraph", "chains_of", "step_graph"]

KEEPS = {
    "sum", "mean", "max", "amax", "argmax", "stack", "cat", "reshape", "flatten", "__getitem__",
    "permute", "transpose", "view",
}  # fmt: skip
"""Functions behind the last neurons that only arrange or count their spikes."""
COUNTS = {"add", "__add__", "__radd__", "__iadd__", "add_", "div", "__truediv__", "mul", "__mul__"}
"""Functions that may add up the spikes of one population over the steps."""


@dataclass(eq=False)
class Chain:
    """One population: its calls in order of the steps."""

    name: str
    module: nn.Module
    calls: list[Op] = field(default_factory=list)


@dataclass
class StepGraph:
    """``nodes`` and ``edges`` of one step, for the importer; ``chains`` the population behind a
    neuron's node; ``shown`` whether its framework shows the membrane before or after the reset;
    ``readout`` a node whose membrane is the answer, and whose spikes nobody uses."""

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    chains: dict[str, Chain] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    readout: str | None = None


def chains_of(ops: list[Op]) -> list[Chain]:
    """The populations of a run, in the order of their first call."""
    chains: list[Chain] = []
    by_call: dict[Op, Chain] = {}
    hidden: dict[nn.Module, Chain] = {}
    for op in ops:
        if op.kind != "module" or not is_neuron(op.call):
            continue
        states = [v for v in values_in((op.args[1:], op.kwargs)) if by_call.get(v.op)]
        given = [a for a in (*op.args[1:], *op.kwargs.values()) if a is not None]
        if states:
            chain = by_call[states[0].op]
        elif not given and keeps_state(op.call) and op.call in hidden:
            chain = hidden[op.call]
        else:
            count = sum(chain.module is op.call for chain in chains)
            chain = Chain(f"{op.name}_{count + 1}" if count else op.name, op.call)
            chains.append(chain)
            if not given:
                hidden[op.call] = chain
        chain.calls.append(op)
        by_call[op] = chain
    return chains


def step_graph(
    chains: list[Chain],
    result: Any,
    inputs: dict[Value, int],
    shape: tuple[int, ...],
    *,
    binary: bool = True,
) -> StepGraph:
    """The graph of one step.

    chains: the populations of a run, and ``result`` what forward returned.
    inputs: the values that are the input of a step, with the step, or -1 for an input that is the
            same in every step.
    shape:  of one input.
    binary: whether the input is spikes.
    """
    steps = {len(chain.calls) for chain in chains}
    if len(steps) > 1:
        counts = ", ".join(f"{chain.name!r} {len(chain.calls)} times" for chain in chains)
        raise InputError(f"neurons must all run once a step, not {counts}")
    builder = _Builder(chains, inputs, shape, binary)
    last = steps.pop() - 1
    for chain in chains:
        if last > 1 and builder.signature(chain, last) != builder.signature(chain, last - 1):
            raise InputError(
                f"forward must do the same in every step, not something else for {chain.name!r} at "
                f"{chain.calls[last].where}"
            )
        builder.neuron(chain, last)
    builder.output(result, last)
    return builder.graph


class _Builder:
    def __init__(
        self, chains: list[Chain], inputs: dict[Value, int], shape: tuple[int, ...], binary: bool
    ) -> None:
        self.graph, self.chains, self.inputs, self.binary = StepGraph(), chains, inputs, binary
        self.place = {op: (chain, k) for chain in chains for k, op in enumerate(chain.calls)}
        self.names: dict[Op, str] = {}
        self.emits: set[Op] = set()  # operations whose result is spikes
        self._add(Node("input", "Input", {"shape": np.array(shape, np.int64)}, {}))

    def neuron(self, chain: Chain, step: int) -> None:
        """The chain's node, and all that leads to it in ``step``."""
        call = chain.calls[step]
        size = int(np.prod(call.results[0].shape[1:]))
        neuron = neuron_of(chain.name, chain.module)
        name = self._chain_name(chain)
        shape = tuple(call.results[0].shape[1:])
        values = {
            key: np.reshape(value, shape) if np.size(value) == size > 1 else np.asarray(value)
            for key, value in neuron.node.values.items()
        }
        node = Node(name, neuron.node.kind, values, {**neuron.node.metadata, "shape": shape})
        self._add(node)
        self.graph.chains[name], self.graph.shown[name] = chain, neuron.shown
        arriving = next(values_in(call.args[:1] or tuple(call.kwargs.values())), None)
        if arriving is None:
            raise InputError(f"neurons {chain.name!r} must be fed by the net, not by a constant")
        source = self._source(arriving, step)
        if neuron.entry is not None:
            source = self._through(neuron.entry, source, arriving, f"{name}_entry", call)
        self._edge(source, name)
        if neuron.recurrent is not None:
            self._recurrent(name, neuron.recurrent, call)

    def _recurrent(self, name: str, module: nn.Module, call: Op) -> None:
        """The way from a population to itself, through a layer of its own, one step later."""
        source, spikes = self._delayed(name, 1), Value(call, 0)
        self._edge(self._through(module, source, spikes, f"{name}_recurrent", call), name)

    def _through(self, module: nn.Module, source: str, value: Value, name: str, call: Op) -> str:
        """The nodes of a layer that a neuron holds, behind ``source``; the last of them."""
        op = Op("module", name, (value,), {}, module, call.where)
        with torch.no_grad():
            op.results = (module(value.tensor),)
        for node in piece_of(op, self._fresh(name)).nodes:
            self._add(node)
            self._edge(source, node.name)
            source = node.name
        return source

    def output(self, result: Any, step: int) -> None:
        """The node that forward returns.

        Of several, it is the one that the others lead to.
        """
        ends: list[str] = []
        membranes: list[Chain] = []
        for value in self._answers(result, set()):
            leaves = set(self._leaves(value, set()))
            chains = {chain for chain, _ in leaves}
            if len(chains) == 1 and (value.op in self.place or value.op.name in COUNTS):
                chain = chains.pop()
                if value.op in self.place and value.index:
                    membranes.append(chain)
                else:
                    ends.append(self._chain_name(chain))
            elif chains and {k for _, k in leaves} == {step}:
                ends.append(self._source(value, step))
        if not ends and len({*membranes}) == 1:
            ends = [self._membrane(membranes[0])]
        ends = list(dict.fromkeys(ends))
        last = [end for end in ends if not self._behind(end) & set(ends)] or ends[:1]
        if not last:
            raise InputError(
                "forward must return spikes of neurons, their count over the steps, or what a "
                "layer makes of them in each step, not another value"
            )
        if len(last) > 1:
            raise InputError(
                f"forward must return one answer, not those of {' and '.join(map(repr, last))}: "
                "return the one that is to be compared"
            )
        self._add(Node("output", "Output", {}, {}))
        self._edge(last[0], "output")

    def _membrane(self, chain: Chain) -> str:
        """The population whose membrane alone is the answer: it must not spike."""
        name = self._chain_name(chain)
        node = self.graph.nodes[name]
        if node.metadata.get("reset", "none") != "none" or any(
            s == name for s, _ in self.graph.edges
        ):
            raise InputError(
                f"forward must return the spikes of {chain.name!r}, not its membrane alone, as "
                "they reset it or feed other neurons (reset_mechanism='none' reads a membrane out)"
            )
        endless = node.values | {"v_threshold": np.float64(np.inf)}
        self.graph.nodes[name] = replace(node, values=endless)
        self.graph.readout = name
        return name

    def _behind(self, name: str) -> set[str]:
        """The nodes that a node leads to, without itself."""
        seen: set[str] = set()
        pending = [name]
        while pending:
            at = pending.pop()
            after = {target for source, target in self.graph.edges if source == at} - seen
            seen |= after
            pending += after
        return seen - {name}

    def _answers(self, item: Any, seen: set[Value]) -> Iterator[Value]:
        """Values that forward returns, behind what only arranges them; of a list the last first."""
        for value in values_in(item):
            if value in seen:
                continue
            seen.add(value)
            op = value.op
            if op in self.place or op.kind != "function" or op.name not in KEEPS:
                yield value
            else:
                yield from self._answers(list(values_in((op.args, op.kwargs)))[::-1], seen)

    def _leaves(self, value: Value, seen: set[Op]) -> Iterator[tuple[Chain, int]]:
        """The populations that a value is computed from, each with the step."""
        if value.op in self.place:
            yield self.place[value.op]
        elif value.op not in seen:
            seen.add(value.op)
            for inner in values_in((value.op.args, value.op.kwargs)):
                yield from self._leaves(inner, seen)

    def signature(self, chain: Chain, step: int) -> Any:
        """What leads to a chain in a step, with times relative to it."""

        def of(value: Value) -> Any:
            if value in self.inputs:
                at = self.inputs[value]
                return "input", at if at < 0 else step - at
            if value.op in self.place:
                source, k = self.place[value.op]
                return "neuron", id(source), value.index, step - k
            what = id(value.op.call) if value.op.kind == "module" else value.op.name
            return what, value.index, *(of(v) for v in values_in((value.op.args, value.op.kwargs)))

        return [of(value) for value in values_in(chain.calls[step].args[:1])]

    def _source(self, value: Value, step: int) -> str:
        """The node that a value comes from, made if it is not there."""
        if value in self.inputs:
            return self._delayed(
                "input", step - self.inputs[value] if self.inputs[value] >= 0 else 0
            )
        if value.op in self.place:
            chain, k = self.place[value.op]
            if value.index:
                raise InputError(
                    f"membrane of neurons {chain.name!r} must not feed other layers, as it does at "
                    f"{value.op.where}"
                )
            return self._delayed(self._chain_name(chain), step - k)
        if value.op not in self.names:
            self._operation(value.op, step)
        return self.names[value.op]

    def _operation(self, op: Op, step: int) -> None:
        for value in values_in((op.args, op.kwargs)):  # first, so that each finds a name of its own
            self._source(value, step)
        name = self._fresh(op.name.strip("_"))
        piece = piece_of(op, name)
        if piece.unless_spikes and not all(self._is_spikes(value) for value, _ in piece.ways):
            raise InputError(piece.unless_spikes)
        ways = [(self._source(value, step), nodes) for value, nodes in piece.ways]
        for node in piece.nodes:
            self._add(node)
        for source, nodes in ways:
            for node in nodes:
                self._add(node)
            way = [source, *(node.name for node in nodes), piece.nodes[0].name]
            for one, other in zip(way, way[1:], strict=False):
                self._edge(one, other)
        for before, after in zip(piece.nodes, piece.nodes[1:], strict=False):
            self._edge(before.name, after.name)
        self.names[op] = piece.nodes[-1].name
        if any(node.kind == "Leaky" for node in piece.nodes):
            self.emits.add(op)

    def _is_spikes(self, value: Value) -> bool:
        """Whether a value is spikes, or the input (0 or 1), as they are or in another place."""
        if value in self.inputs:
            return self.binary
        if value.op in self.place:
            kind = self.graph.nodes[self._chain_name(self.place[value.op][0])].kind
            return not value.index and kind not in READOUT
        inner = list(values_in((value.op.args, value.op.kwargs)))
        if not inner or not all(self._is_spikes(v) for v in inner):
            return False
        if value.op.name in ("reshape", "pick"):
            return True
        if value.op.name in ("rsub", "__rsub__"):  # 1 - spikes
            return tuple(a for a in value.op.args if not isinstance(a, Value)) == (1,)
        return value.op in self.emits

    def _delayed(self, source: str, delay: int) -> str:
        if not delay:
            return source
        name = f"{source}_delay{delay}"
        if name not in self.graph.nodes:
            self._add(Node(name, "Delay", {"steps": np.int64(delay)}, {}))
            self._edge(source, name)
        return name

    def _chain_name(self, chain: Chain) -> str:
        taken = ["input", "output", *(self._identifier(c.name) for c in self.chains)]
        name = self._identifier(chain.name)
        return name if taken.count(name) == 1 else f"{name}_{self.chains.index(chain)}"

    @staticmethod
    def _identifier(name: str) -> str:
        return identifier(name.replace(".", "_"))

    def _fresh(self, name: str) -> str:
        taken = {"input", "output", *self.graph.nodes, *map(self._chain_name, self.chains)}
        taken |= {part for name in taken if "_" in name for part in _beginnings(name)}
        name = self._identifier(name)
        if name not in taken:
            return name
        return next(f"{name}_{n}" for n in range(2, len(taken) + 3) if f"{name}_{n}" not in taken)

    def _add(self, node: Node) -> None:
        self.graph.nodes[node.name] = node

    def _edge(self, source: str, target: str) -> None:
        self.graph.edges.append((source, target))


def _beginnings(name: str) -> set[str]:
    """ "a_b_c": "a", "a_b"."""
    parts = name.split("_")
    return {"_".join(parts[:n]) for n in range(1, len(parts))}
