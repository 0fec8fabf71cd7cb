"""The graph of a NIR file: the order of its neurons, the edges that close a cycle, and what
leads to each neuron.

Everything linear between two spiking nodes becomes one map (golden/interchange/graph/maps.py). An
edge that closes a cycle carries the spikes of the step before, unless a Delay node of the cycle
says how late they are. All other edges carry those of the same step.
"""

from collections import defaultdict
from dataclasses import replace

import numpy as np

from spikeloop.golden.interchange.graph.maps import LinearMap, Route, Shape, apply, node_shape
from spikeloop.golden.interchange.graph.node import Node
from spikeloop.golden.interchange.graph.semantics import SPIKING
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.parameters import MAX_DELAY

__all__ = ["LINEAR", "READOUT", "Graph"]

READOUT = ("I", "LI", "Membrane")
LINEAR = (
    "Affine",
    "Linear",
    "Scale",
    "Conv1d",
    "Conv2d",
    "SumPool2d",
    "AvgPool2d",
    "Flatten",
    "Reshape",
    "Delay",
    "Pass",
)
RESHAPING = (
    "Flatten",
    "Reshape",
    "Delay",
    "Pass",
)  # their product with the identity is no map of its own yet
MAX_ROUTES = 256  # to one node


class Graph:
    """Nodes by name and the edges between them.

    entries: names of the Input nodes.
    output:  name of the one Output node.
    late:    edges (source, target) that close a cycle.
    shapes:  shape of each input and neuron node, entered by :meth:`settle_shape` in :meth:`order`.
    """

    def __init__(self, nodes: dict[str, Node], edges: list[tuple[str, str]]) -> None:
        self.nodes = nodes
        self.before: dict[str, list[str]] = defaultdict(list)
        self.after: dict[str, list[str]] = defaultdict(list)
        for source, target in edges:
            if source not in self.before[target]:
                self.before[target].append(source)
                self.after[source].append(target)
        outputs = [n for n in nodes if nodes[n].kind == "Output"]
        self.entries = [n for n in nodes if nodes[n].kind == "Input"]
        if len(outputs) != 1 or not self.entries:
            raise InputError(
                f"NIR graph must have one Output and at least one Input, not {len(outputs)} and "
                f"{len(self.entries)}"
            )
        self.output = outputs[0]
        self.late = self._closing_edges()
        self.shapes: dict[str, Shape] = {n: node_shape(nodes[n], "shape") for n in self.entries}

    # -- order -----------------------------------------------------------------------------------

    def _closing_edges(self) -> set[tuple[str, str]]:
        """Edges that close a cycle, searched depth first from the inputs.

        InputError for a cycle without a spiking node.
        """
        closing, state = set(), dict.fromkeys(self.nodes, 0)  # 0 new, 1 on the stack, 2 done
        for first in [*self.entries, *sorted(self.nodes)]:
            stack = [(first, iter(sorted(self.after[first])))] if not state[first] else []
            state[first] = state[first] or 1
            while stack:
                name, rest = stack[-1]
                following = None if self.nodes[name].kind == "Delay" else next(rest, None)
                if following is None:
                    state[name] = 2
                    stack.pop()
                elif state[following] == 1:
                    closing.add((name, following))
                    names = [n for n, _ in stack]
                    cycle = names[names.index(following) :]
                    if not any(self.nodes[n].kind in SPIKING for n in cycle):
                        raise InputError(
                            f"cycle {'->'.join(cycle)} must hold a spiking node (IF or LIF), "
                            "not only linear ones"
                        )
                elif state[following] == 0:
                    state[following] = 1
                    stack.append((following, iter(sorted(self.after[following]))))
        return closing

    def order(self) -> list[str]:
        """All nodes, each behind those that lead to it in the same step."""
        done: dict[str, None] = {}
        pending = sorted(self.nodes)
        while pending:
            ready = [
                n for n in pending if all(b in done or self._is_late(b, n) for b in self.before[n])
            ]
            done |= dict.fromkeys(ready)
            pending = [n for n in pending if n not in done]
        return list(done)

    def _is_late(self, source: str, target: str) -> bool:
        """Whether what an edge carries is that of an earlier step."""
        return (source, target) in self.late or self.nodes[source].kind == "Delay"

    def sources(self, name: str) -> list[str]:
        """Nodes that lead to ``name``, seen through nodes that only pass values on."""
        return [
            m
            for b in self.before[name]
            for m in (self.sources(b) if self.nodes[b].kind == "Pass" else [b])
        ]

    # -- what arrives ----------------------------------------------------------------------------

    def routes(self, name: str) -> list[Route]:
        """The routes to ``name``: one for each way from a spiking node or an input.

        The delay of a route is that of its Delay nodes, and 1 if one of its edges closes a cycle.
        """
        ways: list[tuple[str, list[str], int]] = []

        def go_back(at: str, way: list[str], delay: int) -> None:
            for b in self.before[at]:
                delayed = delay + ((b, at) in self.late)
                if self.nodes[b].kind == "Delay":
                    delayed += int(np.ravel(self.nodes[b].values["steps"])[0])
                if self.nodes[b].kind in LINEAR:
                    go_back(b, [b, *way], delayed)
                elif self.nodes[b].kind in READOUT:
                    raise InputError(
                        f"edge {b!r}->{at!r} must come from a spiking node, not from "
                        f"{self.nodes[b].kind}, whose value is no spike"
                    )
                else:
                    ways.append((b, way, delayed))
                    if len(ways) > MAX_ROUTES:
                        raise InputError(
                            f"ways that lead to node {name!r} must be at most {MAX_ROUTES}, "
                            "not more"
                        )

        go_back(name, [], 0)
        if not ways:
            raise InputError(f"node {name!r} must be reached from an input, not from nothing")
        routes = []
        for source, way, delay in ways:
            if delay > MAX_DELAY:
                raise InputError(
                    f"way from {source!r} to {name!r} must be at most {MAX_DELAY} steps late, not "
                    f"{delay}"
                )
            routes.append(Route(source, delay, self._product(source, way)))
        return routes

    def _product(self, source: str, way: list[str]) -> LinearMap:
        """The product of the maps of the linear nodes ``way``, in their order."""
        product, last, fresh = LinearMap.one(self._shape(source)), source, True
        for name in way:
            product, last = apply(self.nodes[name], product, last, fresh), name
            fresh = fresh and self.nodes[name].kind in RESHAPING
        return replace(product, last=last)

    def bias(self, name: str) -> np.ndarray | float:
        """What arrives at ``name`` in a step in which nothing spikes."""
        total: np.ndarray | float = 0.0
        for b in self.before[name]:
            node = self.nodes[b]
            if node.kind not in LINEAR:
                continue
            arriving, bias = self.bias(b), node.values.get("bias", 0.0)
            if np.any(arriving):
                shape = self._shape_into(b)
                spread = np.broadcast_to(np.asarray(arriving).ravel(), (int(np.prod(shape)),))
                fresh = node.kind not in RESHAPING
                arriving = apply(node, LinearMap.one(shape), b, fresh).image(spread)
            if not np.any(bias):
                bias = 0.0
            elif node.kind.startswith("Conv"):  # one value a channel
                bias = np.repeat(np.asarray(bias), int(np.prod(self._shape_from(b)[1:])))
            total = total + arriving + bias
        return total

    # -- shapes ----------------------------------------------------------------------------------

    def settle_shape(self, name: str, maps: list[LinearMap]) -> Shape:
        """The shape of a neuron node, entered in ``shapes``; ``maps`` lead to it.

        The node's parameters decide where they are arrays, else what arrives. InputError if they
        disagree.
        """
        self.shapes[name] = shape = self._neuron_shape(name, maps)
        return shape

    def _neuron_shape(self, name: str, maps: list[LinearMap]) -> Shape:
        node = self.nodes[name]
        if "shape" in node.metadata:  # traced: forward has shown it
            return tuple(node.metadata["shape"])
        stated: list[Shape] = [
            value.shape
            for key, value in node.values.items()
            if isinstance(value, np.ndarray) and value.size > 1 and key != "shape"
        ]
        if node.kind == "Output" and "shape" in node.values:
            stated = [node_shape(node, "shape")]
        shape: Shape = stated[0] if stated else maps[0].shape if maps else (1,)
        for arriving in maps:
            if arriving.shape != shape:
                raise InputError(
                    f"edge {arriving.last!r}->{name!r} must carry the shape of its target, "
                    f"{shape}, not {arriving.shape}"
                )
        if any(s != shape for s in stated):
            raise InputError(
                f"parameters of node {name!r} must be of one shape, not "
                f"{' and '.join(map(str, {*stated}))}"
            )
        return shape

    def _shape(self, name: str) -> Shape:
        """Shape of an input or neuron node, also of one whose own turn has not come."""
        return self.shapes.get(name) or self._neuron_shape(name, [])

    def _shape_into(self, name: str) -> Shape:
        """Shape that arrives at a linear node."""
        b = self.before[name][0]
        return self._shape_from(b) if self.nodes[b].kind in LINEAR else self._shape(b)

    def _shape_from(self, name: str) -> Shape:
        """Shape that leaves a linear node."""
        node, source = self.nodes[name], self.before[name][0]
        return apply(node, LinearMap.one(self._shape_into(name)), source, True).shape
