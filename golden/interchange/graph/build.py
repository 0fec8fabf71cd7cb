"""A graph of floats as an integer network.

    u = decay v + gain I + bias     I: the sum over all that leads to the neuron, or a synaptic
                                    current, which decays and takes that sum in
    spike if u > threshold + adaptation (or >=), and then
        hard  v := v_reset
        soft  v := u - threshold
        late  threshold is subtracted one step later
        none  v := u
        pause v := v_reset, and stays there for one step

golden/interchange/graph/order.py follows what leads where, golden/interchange/graph/twin.py
computes the floats, and golden/interchange/graph/population.py makes the integers.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from spikeloop.golden.interchange.common import Assumption, Imported
from spikeloop.golden.interchange.graph.drift import Floats, drift_of
from spikeloop.golden.interchange.graph.maps import Route
from spikeloop.golden.interchange.graph.node import Node, identifier, real_neurons
from spikeloop.golden.interchange.graph.order import READOUT, Graph
from spikeloop.golden.interchange.graph.population import EVERY_STEP, Converted, convert
from spikeloop.golden.interchange.graph.semantics import SPIKING, Semantics, Settled
from spikeloop.golden.interchange.graph.twin import Reach, Twin
from spikeloop.golden.quantize.states import ADAPTATION_BITS, CURRENT_BITS, MEMBRANE_BITS
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import Edge, Input, Population, Reset
from spikeloop.pysim.network.graph import Network, start_ticks
from spikeloop.pysim.network.readout import GROUPS

__all__ = ["Importer"]


class Importer:
    """Turns a graph into a network.

    name:   of the network.
    source: the framework that the graph comes from, "NIR" or "forward".
    """

    def __init__(
        self,
        nodes: dict[str, Node],
        edges: list[tuple[str, str]],
        semantics: Semantics,
        steps: int,
        bits: int,
        name: str,
        source: str = "NIR",
    ) -> None:
        if not 2 <= bits <= 16:
            raise InputError(f"weight bits must be in 2..16, not {bits}")
        self.steps, self.bits, self.name, self.source = steps, bits, name, source
        self.settled = Settled(nodes, semantics, "file" if source == "NIR" else "module")
        self.nodes, self.graph = nodes, Graph(nodes, edges)
        self.twin = Twin(self.graph, self.settled)
        self.neurons, self.answer = self._neurons()
        self.routes: dict[str, list[Route]] = {}
        for n in self.neurons:  # in order: a shape follows from what leads to it
            self.routes[n] = self.graph.routes(n)
            self.graph.settle_shape(n, [route.map for route in self.routes[n]])

    def floats(self, inputs: dict[str, torch.Tensor]) -> Floats:
        """What the graph does in float64 on spikes ``[sample, step, ...]`` by Input node."""
        return Floats(inputs, self.twin.run(inputs))

    def build(self, floats: Floats, groups: int | None = None) -> Imported:
        """The network; its membranes have room for those of ``floats``.

        groups: classes of the output, if that is not one a neuron (pysim/network/readout.py).
        """
        names = self._names([*self.graph.entries, *self.neurons, EVERY_STEP])
        answer = self.answer
        converted = {n: self._convert(names[n], n, floats.twin.reach(n)) for n in self.neurons}
        _with_every_step(converted, names, self.bits)
        populations = _started([c.population for c in converted.values()], converted, names)
        network = Network(
            name=identifier(self.name),
            inputs=tuple(
                Input(name=names[n], size=int(np.prod(self.graph.shapes[n])))
                for n in self.graph.entries
            ),
            populations=populations,
            steps=self.steps,
            membrane_bits=MEMBRANE_BITS,
            current_bits=CURRENT_BITS if any(p.has_current for p in populations) else 0,
            adaptation_bits=ADAPTATION_BITS if any(p.has_adaptation for p in populations) else 0,
            output=names[answer],
            edges=tuple(
                Edge(
                    source=names[edge.source],
                    target=names[n],
                    delay=edge.delay,
                    weights=edge.weights,
                    conv=edge.conv,
                )
                for n, made in converted.items()
                for edge in made.edges
            ),
            readout="spikes" if converted[answer].population.fire.all() else "membrane",
            metadata={
                "source": self.source,
                "dt": self.settled.dt,
                "compare": _common(self.settled.compare),
                "reset": _common(self.settled.reset),
                "nodes": {name: n for n, name in names.items()},
                "shapes": {
                    name: list(self.graph.shapes[n])
                    for n, name in names.items()
                    if n in self.graph.shapes
                },
                "scales": {names[n]: made.scale for n, made in converted.items()},
                **({} if groups is None else {GROUPS: groups}),
            },
        )
        drift = drift_of(network, floats)
        return Imported(
            network, self._assumptions(converted), axons=1152, drift=drift, floats=self.twin
        )

    def _neurons(self) -> tuple[list[str], str]:
        """The nodes that become populations, in order, and the one whose answer is read.

        Where the Output node does not follow one node of neurons, a population without memory sums
        what leads to it.
        """
        kinds, output = (*SPIKING, *READOUT), self.graph.output
        neurons = [n for n in self.graph.order() if self.nodes[n].kind in kinds]
        sources = self.graph.sources(output)
        if len(sources) == 1 and self.nodes[sources[0]].kind in kinds:
            return neurons, sources[0]
        return [*neurons, output], output

    def _names(self, nodes: list[str]) -> dict[str, str]:
        """For each node a name that a network allows, all different."""
        names = {n: identifier(n) for n in nodes}
        if len(set(names.values())) < len(names):
            names = {n: f"n{i}_{name}"[:60] for i, (n, name) in enumerate(names.items())}
        return names

    def _convert(self, name: str, key: str, reach: Reach) -> Converted:
        """The node ``key``, whose states get as far as ``reach``, as population ``name``."""
        node, routes, shape = self.nodes[key], self.routes[key], self.graph.shapes[key]
        compare, reset = self.settled.compare.get(key), self.settled.reset.get(key)
        size, arriving = int(np.prod(shape)), self.graph.bias(key)
        neurons = real_neurons(node, size, self.settled.dt, reset, arriving)
        return convert(
            name, node, shape, neurons, routes, self.bits, compare, reset, reach, self.steps
        )

    def _assumptions(self, converted: dict[str, Converted]) -> list[Assumption]:
        assumed = [*self.settled.assumed, *(made.assumed for made in converted.values())]
        assumed += [
            Assumption("order of a step", "leak and input, compare, reset", "Euler's method"),
            Assumption(
                "spikes between nodes", "arrive in the same step", "NIR has no delay of its own"
            ),
            Assumption("steps of a sample", str(self.steps), "--steps: NIR does not store them"),
        ]
        if self.graph.late:
            edges = ", ".join(f"{s}->{t}" for s, t in sorted(self.graph.late))
            why = "carry the spikes of the step before"
            assumed.append(Assumption("edges that close a cycle", edges, why))
        return assumed


def _with_every_step(converted: dict[str, Converted], names: dict[str, str], bits: int) -> None:
    """Enter the population whose neurons spike in every step, if a node is fed by it."""
    fed = [
        (n, i, edge)
        for n, made in converted.items()
        for i, edge in enumerate(made.edges)
        if edge.source == EVERY_STEP
    ]
    if not fed:
        del names[EVERY_STEP]
        return
    lines = max(len(edge.weights) for _, _, edge in fed)
    for n, i, edge in fed:
        rest = lines - len(edge.weights)
        weights = np.pad(edge.weights, ((0, rest), (0, 0)))
        converted[n].edges[i] = edge._replace(weights=weights)
    always = Population.make(
        names[EVERY_STEP],
        lines,
        weight_bits=bits,
        k0=False,
        v_th=-(1 << (MEMBRANE_BITS - 1)),
        v_sub=0,
        reset=Reset.NONE,
    )
    why = Assumption(
        "constants that lead to currents",
        f"weights of population {names[EVERY_STEP]!r}, which spikes in every step",
        "a bias drives the membrane, not the current",
    )
    converted[EVERY_STEP] = Converted(always, [], 1.0, why)


def _started(
    populations: list[Population], converted: dict[str, Converted], names: dict[str, str]
) -> tuple[Population, ...]:
    """The populations with their start ticks."""
    delays = [
        (names[edge.source], names[n], edge.delay)
        for n, made in converted.items()
        for edge in made.edges
    ]
    starts = start_ticks([p.name for p in populations], delays)
    for source, target, delay in delays:
        wait = 1 - delay - starts.get(target, 0) + starts.get(source, 0)
        if source in starts and wait > 0:
            raise InputError(
                f"loop from {source!r} back to {target!r} must take {delay + wait} steps or more, "
                f"not {delay}: on the chip spikes take a tick from each population to the next, so "
                "let those that come back wait longer"
            )
    return tuple(replace(p, start=starts[p.name]) for p in populations)


def _common(values: dict[str, str]) -> Any:
    """The value that all nodes have, else the values by node."""
    return next(iter(values.values()), None) if len({*values.values()}) < 2 else values
