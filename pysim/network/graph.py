"""The integer network, which golden hands over and pysim maps: the graph and its checks.

A network is a graph of inputs, populations of neurons and weighted edges, all integers, as the
arithmetic contract (docs/arithmetic.md) reads them. Nothing here computes.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.common.reading import read_file
from spikeloop.pysim.dendrites.source import DendriticHead, DendriticSource
from spikeloop.pysim.network.elements import (
    Edge,
    Input,
    Population,
    Widths,
    check_population,
    weight_range,
    within,
)
from spikeloop.pysim.network.file import decode, encode, sha256
from spikeloop.pysim.network.parameters import MAX_DELAY
from spikeloop.pysim.network.show import html, text
from spikeloop.pysim.oscillators.source import OnnHead, OnnSource
from spikeloop.pysim.pim.source import PimHead, PimSource

__all__ = ["Network", "start_ticks"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """An integer network: the only thing that passes from golden to pysim.

    inputs, populations, edges: the graph.
    steps: the steps T of one sample, 1..65536.
    output: the population that is read out.
    membrane_bits: the membrane width P, 8..32.
    current_bits: the width Q of synaptic currents, 8..32; 0 if no neuron has one.
    adaptation_bits: the width R of adaptations, 8..31; 0 if no neuron has one.
    readout: "spikes" (argmax of the spike counts) or "membrane" (argmax of the last membrane).
    pim: a PIM layer that drives a population with current, beside or instead of inputs and edges.
    onn: oscillators that make the spikes of one of the inputs (docs/onn.md).
    dendritic: dendritic neurons that do (docs/dendritic.md). At most one of the two.
    metadata: free JSON (scales, encoder, provenance) that no arithmetic reads.

    InputError when a value is out of range.
    """

    name: str
    inputs: tuple[Input, ...]
    populations: tuple[Population, ...]
    edges: tuple[Edge, ...]
    steps: int
    output: str
    membrane_bits: int = 24
    current_bits: int = 0
    adaptation_bits: int = 0
    readout: str = "spikes"
    pim: PimSource | None = None
    onn: OnnSource | None = None
    dendritic: DendriticSource | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.validate()

    # -- looking up ----------------------------------------------------------------------------

    @property
    def widths(self) -> Widths:
        """Widths of the states of the neurons."""
        return Widths(self.membrane_bits, self.current_bits, self.adaptation_bits)

    @property
    def pim_head(self) -> PimHead | None:
        """The PIM layer without its arrays, None if there is none."""
        return self.pim.head if self.pim else None

    @property
    def source(self) -> OnnSource | DendriticSource | None:
        """The net that makes the spikes of one of the inputs, None if there is none."""
        return self.onn or self.dendritic

    @property
    def source_head(self) -> OnnHead | DendriticHead | None:
        """What a host must know of it."""
        return self.source.head if self.source else None

    def population(self, name: str) -> Population:
        """The population of that name; InputError lists the names."""
        if name in self._populations:
            return self._populations[name]
        raise InputError(
            f"population must be one of {', '.join(p.name for p in self.populations)}, not {name!r}"
        )

    def size_of(self, name: str) -> int:
        """Lines of an input, or neurons of a population."""
        for nodes in (self._inputs, self._populations):
            if name in nodes:
                return nodes[name].size
        raise InputError(
            f"edge source must be an input or a population of the network, not {name!r}"
        )

    def is_input(self, name: str) -> bool:
        return name in self._inputs

    def start_of(self, name: str) -> int:
        """Start tick of a population; an input starts at 0."""
        return 0 if self.is_input(name) else self.population(name).start

    def physical_delay(self, edge: Edge) -> int:
        """Delay in ticks on the chip: logical delay + d(target) - d(source)."""
        return edge.delay + self.start_of(edge.target) - self.start_of(edge.source)

    @property
    def ticks(self) -> int:
        """Ticks of one sample: its steps plus the depth of the pipeline."""
        return self.steps + max(p.start for p in self.populations)

    def order(self) -> list[Population]:
        """Populations such that every delay-0 edge points forward."""
        forward = [(e.source, e.target) for e in self.edges if e.delay == 0]
        names = [p.name for p in self.populations]
        done = [name for rank in _ranks(names, forward) for name in rank]
        if len(done) < len(names):
            raise InputError(
                "edges of delay 0 must not form a cycle; populations "
                f"{', '.join(sorted(set(names) - set(done)))} do: give one edge of the cycle "
                "delay 1"
            )
        return [self.population(name) for name in done]

    @cached_property
    def _inputs(self) -> dict[str, Input]:
        return {node.name: node for node in self.inputs}

    @cached_property
    def _populations(self) -> dict[str, Population]:
        return {p.name: p for p in self.populations}

    # -- checking ------------------------------------------------------------------------------

    def validate(self) -> None:
        """Raise InputError unless every value lies in the range the contract gives it."""
        within("membrane_bits", self.membrane_bits, 8, 32)
        for name, most in (("current_bits", 32), ("adaptation_bits", 31)):
            if getattr(self, name) != 0:
                within(name, getattr(self, name), 8, most)
        within("steps", self.steps, 1, 1 << 16)
        if self.readout not in ("spikes", "membrane"):
            raise InputError(f"readout must be 'spikes' or 'membrane', not {self.readout!r}")
        if not self.populations:
            raise InputError("network must have at least one population, not 0")
        self._check_names()
        for node in self.inputs:
            within(f"size of input {node.name!r}", node.size, 1, 1 << 24)
        for population in self.populations:
            check_population(population, self.widths)
        self.population(self.output)
        for edge in self.edges:
            self._check_edge(edge)
        if self.pim:
            self.pim.check(self.population(self.pim.target).size)
        if self.onn and self.dendritic:
            raise InputError(
                "network must have oscillators or dendritic neurons as a source, not both"
            )
        if self.source:
            self.source.check({node.name: node.size for node in self.inputs})
        self.order()

    def _check_names(self) -> None:
        names = [n.name for n in self.inputs] + [p.name for p in self.populations]
        names += [self.pim.name] if self.pim else []
        for name in names:
            identifier = isinstance(name, str) and name.isidentifier() and name.isascii()
            if not identifier or len(name) > 64:
                raise InputError(
                    "name of an input or population must be an identifier of at most 64 ASCII "
                    f"letters, not {name!r}"
                )
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise InputError(
                f"name of an input or population must be unique, not {twice[0]!r} twice"
            )

    def _check_edge(self, edge: Edge) -> None:
        where = f"edge {edge.source}->{edge.target}"
        target = self.population(edge.target)
        shape: tuple[int, ...] = (self.size_of(edge.source), target.size)
        if edge.conv:
            edge.conv.check(where)
            lines, neurons = math.prod(edge.conv.source), math.prod(edge.conv.target)
            if (lines, neurons) != shape:
                raise InputError(
                    f"maps of the convolution of {where} must have {shape[0]} lines and "
                    f"{shape[1]} neurons, not {lines} and {neurons}"
                )
            shape = edge.conv.weights_shape
        if edge.weights.shape != shape:
            raise InputError(
                f"weights of {where} must be of shape {shape}, not {edge.weights.shape}"
            )
        if edge.weights.dtype != np.int32:
            raise InputError(f"weights of {where} must be int32, not {edge.weights.dtype}")
        low, high = weight_range(target.weight_format, target.weight_bits)
        if edge.weights.size and (edge.weights.min() < low or edge.weights.max() > high):
            bad = edge.weights.min() if edge.weights.min() < low else edge.weights.max()
            raise InputError(
                f"weights of {where} must be in {low}..{high} ({target.weight_bits} bits, "
                f"{target.weight_format.name.lower()}), not {bad}"
            )
        within(f"delay of {where}", edge.delay, 0, MAX_DELAY)
        if not self.is_input(edge.source):
            within(
                f"physical delay of {where} (delay + start of target - start of source)",
                self.physical_delay(edge),
                1,
                MAX_DELAY,
            )

    # -- file and text -------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """The file's content; the same network always gives the same bytes."""
        return encode(self)

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "network") -> "Network":
        """The network of a file's content; ``where`` names the file in messages."""
        return decode(cls, data, where)

    def sha256(self) -> str:
        """SHA-256 of the file's content, in hex: the identity of the network."""
        return sha256(self)

    def save(self, path: str | Path) -> Path:
        """Write the file whole or not at all."""
        return write_atomic(path, self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> "Network":
        """Read and check a network file; InputError for anything else than a sound one."""
        data = read_file(path, "network file", "spikeloop quantize and spikeloop import write one")
        return cls.from_bytes(data, str(path))

    def __repr__(self) -> str:
        return text(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return html(self)

    def with_metadata(self, **entries: Any) -> "Network":
        """The network with ``entries`` added to its metadata."""
        return replace(self, metadata={**self.metadata, **entries})


def start_ticks(names: Iterable[str], edges: Iterable[tuple[str, str, int]]) -> dict[str, int]:
    """Pipeline depth of each population: the longest path of delay-0 edges that end at it.

    ``names`` are the populations, ``edges`` (source, target, logical delay). A source that is no
    population is an input, which feeds depth 0. A spike reaches the next population one tick later.
    InputError if edges of delay 0 form a cycle.
    """
    names = list(names)
    ranks = _ranks(names, [(s, t) for s, t, delay in edges if delay == 0])
    found = {name: depth for depth, rank in enumerate(ranks) for name in rank}
    if len(found) < len(names):
        raise InputError(
            "edges of delay 0 must not form a cycle: give one edge of the cycle delay 1"
        )
    return {name: found[name] for name in names}


def _ranks(names: list[str], edges: list[tuple[str, str]]) -> list[list[str]]:
    """The names by the longest path of ``edges`` (source, target) that ends at each.

    Names on a cycle, or behind one, are in no rank. Other sources are ignored.
    """
    place = {name: i for i, name in enumerate(names)}
    after: dict[str, set[str]] = {name: set() for name in names}
    for source, target in edges:
        if source in place and target in place:
            after[source].add(target)
    waits = Counter(target for targets in after.values() for target in targets)
    ranks, ready = [], [name for name in names if not waits[name]]
    while ready:
        ranks.append(ready)
        freed = []
        for target in (target for name in ready for target in after[name]):
            waits[target] -= 1
            if not waits[target]:
                freed.append(target)
        ready = sorted(freed, key=place.__getitem__)
    return ranks
