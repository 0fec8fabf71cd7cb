"""The integer network: what golden hands over and pysim maps. Description, file and checks; no arithmetic.

A network is a graph of inputs, populations of neurons and weighted edges, all integers, as the arithmetic
contract (docs/arithmetic.md) reads them. Its file is safetensors: the arrays as tensors, the graph as
versioned JSON in the header under the key ``spikeloop``. Never pickle.

What it is made of (pysim/network/elements.py), the descriptions of a convolution (pysim/network/convolution.py) and of a PIM layer (pysim/pim/layer.py,
pysim/pim/source.py) are given out here too: this module is all that golden sees of pysim.
"""

import hashlib
import json
import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.common.limits import MAX_DELAY
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import (
    ARRAYS,
    Edge,
    Input,
    Population,
    WeightFormat,
    check_population,
    weight_range,
    within,
)
from spikeloop.pysim.pim.source import PimHead, PimSource

__all__ = ["Network", "start_ticks"]

VERSION = 1
MAX_HEADER = 16 << 20


_FORMATS = {form.name.lower(): form for form in WeightFormat}


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """An integer network: the only thing that passes from golden to pysim.

    ``steps`` T is the number of steps of one sample, ``membrane_bits`` P the membrane width (8..32), ``output`` the
    population that is read out, ``readout`` "spikes" (argmax of counts) or "membrane" (argmax of the last v).
    ``pim``: a PIM layer that drives a population with current, beside or instead of inputs and edges.
    ``metadata`` is free JSON (scales, encoder, provenance) that no arithmetic reads.
    """

    name: str
    inputs: tuple[Input, ...]
    populations: tuple[Population, ...]
    edges: tuple[Edge, ...]
    steps: int
    output: str
    membrane_bits: int = 24
    readout: str = "spikes"
    pim: PimSource | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.validate()

    # -- looking up --------------------------------------------------------------------------------------

    @property
    def pim_head(self) -> PimHead | None:
        return self.pim.head if self.pim else None

    def population(self, name: str) -> Population:
        for population in self.populations:
            if population.name == name:
                return population
        raise InputError(
            f"population must be one of {', '.join(p.name for p in self.populations)}, not {name!r}"
        )

    def size_of(self, name: str) -> int:
        nodes: tuple[Input | Population, ...] = (*self.inputs, *self.populations)
        for node in nodes:
            if node.name == name:
                return node.size
        raise InputError(
            f"edge source must be an input or a population of the network, not {name!r}"
        )

    def is_input(self, name: str) -> bool:
        return any(node.name == name for node in self.inputs)

    def start_of(self, name: str) -> int:
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
        pending = {
            p.name: {
                e.source
                for e in self.edges
                if e.target == p.name and e.delay == 0 and not self.is_input(e.source)
            }
            for p in self.populations
        }
        done: list[str] = []
        while pending:
            ready = [name for name, needs in pending.items() if needs <= set(done)]
            if not ready:
                raise InputError(
                    f"edges of delay 0 must not form a cycle; populations {', '.join(sorted(pending))} do: "
                    "give one edge of the cycle delay 1"
                )
            for name in ready:
                del pending[name]
            done += ready
        return [self.population(name) for name in done]

    # -- checking ----------------------------------------------------------------------------------------

    def validate(self) -> None:
        """Raise InputError unless every value lies in the range the contract gives it."""
        bits = self.membrane_bits
        within("membrane_bits", bits, 8, 32)
        within("steps", self.steps, 1, 1 << 16)
        if self.readout not in ("spikes", "membrane"):
            raise InputError(f"readout must be 'spikes' or 'membrane', not {self.readout!r}")
        if not self.populations:
            raise InputError("network must have at least one population, not 0")
        names = (
            [n.name for n in self.inputs]
            + [p.name for p in self.populations]
            + ([self.pim.name] if self.pim else [])
        )
        for name in names:
            if not (
                isinstance(name, str) and name.isidentifier() and name.isascii() and len(name) <= 64
            ):
                raise InputError(
                    f"name of an input or population must be an identifier of at most 64 ASCII letters, not {name!r}"
                )
            if names.count(name) > 1:
                raise InputError(
                    f"name of an input or population must be unique, not {name!r} twice"
                )
        for node in self.inputs:
            within(f"size of input {node.name!r}", node.size, 1, 1 << 24)
        for population in self.populations:
            check_population(population, bits)
        self.population(self.output)
        for edge in self.edges:
            self._check_edge(edge)
        if self.pim:
            self.pim.check(self.population(self.pim.target).size)
        self.order()

    def _check_edge(self, edge: Edge) -> None:
        where = f"edge {edge.source}->{edge.target}"
        target = self.population(edge.target)
        shape: tuple[int, ...] = (self.size_of(edge.source), target.size)
        if edge.conv:
            edge.conv.check(where)
            maps = math.prod(edge.conv.source), math.prod(edge.conv.target)
            if maps != shape:
                raise InputError(
                    f"maps of the convolution of {where} must have {shape[0]} lines and {shape[1]} neurons, "
                    f"not {maps[0]} and {maps[1]}"
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

    # -- file --------------------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """The file's content; the same network always gives the same bytes."""
        tensors: dict[str, np.ndarray] = {}
        header: dict[str, Any] = {
            "version": VERSION,
            "name": self.name,
            "steps": self.steps,
            "membrane_bits": self.membrane_bits,
            "output": self.output,
            "readout": self.readout,
            "metadata": self.metadata,
            "inputs": [{"name": n.name, "size": n.size} for n in self.inputs],
            "populations": [],
            "edges": [],
        }
        for p in self.populations:
            header["populations"].append(
                {
                    "name": p.name,
                    "size": p.size,
                    "start": p.start,
                    "weight_bits": p.weight_bits,
                    "weight_format": p.weight_format.name.lower(),
                }
            )
            for key in ARRAYS:
                tensors[f"{p.name}.{key}"] = np.ascontiguousarray(getattr(p, key))
        for i, e in enumerate(self.edges):
            conv = {"conv": e.conv.to_dict()} if e.conv else {}
            header["edges"].append(
                {"source": e.source, "target": e.target, "delay": e.delay, **conv}
            )
            tensors[f"edge{i}.weights"] = np.ascontiguousarray(e.weights)
        if self.pim:
            header["pim"] = self.pim.head.to_dict()
            tensors |= self.pim.tensors()
        return save(tensors, metadata={"spikeloop": json.dumps(header, sort_keys=True)})

    def sha256(self) -> str:
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def save(self, path: str | Path) -> Path:
        """Write the file whole or not at all."""
        return write_atomic(path, self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> "Network":
        """Read and check a network file; raises InputError for anything else than a sound one."""
        path = Path(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(
                f"network file must be readable, not {str(path)!r} ({error.strerror})"
            ) from None
        return cls.from_bytes(data, str(path))

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "network") -> "Network":
        what = f"network file {where!r}"
        try:
            (length,) = struct.unpack("<Q", data[:8])
            if length > MAX_HEADER:
                raise ValueError
            head = json.loads(data[8 : 8 + length])
            text = head["__metadata__"]["spikeloop"]
            header = json.loads(text)
            tensors = load(data)
        except (ValueError, KeyError, TypeError, struct.error, SafetensorError, RecursionError):
            raise InputError(
                f"{what} must be a safetensors file written by spikeloop, not this one "
                "(truncated, damaged or another format)"
            ) from None
        if not isinstance(header, dict) or header.get("version") != VERSION:
            got = header.get("version") if isinstance(header, dict) else header
            raise InputError(
                f"{what} must be of version {VERSION}, not {got!r}: write it again with this spikeloop"
            )
        try:
            populations = []
            for p in header["populations"]:
                arrays = {key: tensors.pop(f"{p['name']}.{key}") for key in ARRAYS}
                for key, dtype in ARRAYS.items():
                    if arrays[key].dtype != dtype:
                        raise InputError(
                            f"{key} of population {p['name']!r} in {what} must be {np.dtype(dtype)}, not {arrays[key].dtype}"
                        )
                    if dtype is np.bool_ and (arrays[key].view(np.uint8) > 1).any():
                        raise InputError(
                            f"{key} of population {p['name']!r} in {what} must be 0 or 1, "
                            f"not {arrays[key].view(np.uint8).max()}"
                        )
                populations.append(
                    Population(
                        name=p["name"],
                        size=p["size"],
                        start=p["start"],
                        weight_bits=p["weight_bits"],
                        weight_format=_FORMATS[p["weight_format"]],
                        **arrays,
                    )
                )
            edges = [
                Edge(
                    source=e["source"],
                    target=e["target"],
                    delay=e["delay"],
                    weights=tensors.pop(f"edge{i}.weights"),
                    conv=Conv.from_dict(e["conv"]) if "conv" in e else None,
                )
                for i, e in enumerate(header["edges"])
            ]
            pim = (
                PimSource.from_file(PimHead.from_dict(header["pim"], what), tensors, what)
                if "pim" in header
                else None
            )
            if tensors:
                raise InputError(
                    f"tensors of {what} must all belong to its graph, not {sorted(tensors)[0]!r}"
                )
            return cls(
                name=header["name"],
                inputs=tuple(Input(name=n["name"], size=n["size"]) for n in header["inputs"]),
                populations=tuple(populations),
                edges=tuple(edges),
                steps=header["steps"],
                output=header["output"],
                membrane_bits=header["membrane_bits"],
                readout=header["readout"],
                pim=pim,
                metadata=header["metadata"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"graph of {what} must be complete, not without {error}") from None

    def with_metadata(self, **entries: Any) -> "Network":
        return replace(self, metadata={**self.metadata, **entries})


def start_ticks(names: Iterable[str], edges: Iterable[tuple[str, str, int]]) -> dict[str, int]:
    """Pipeline depth of each population: the longest path of delay-0 edges that end at it.

    ``names`` are the populations, ``edges`` (source, target, logical delay) with inputs as any other source
    name. An input feeds depth 0; a spike reaches the next population one tick later.
    """
    names = list(names)
    depth = dict.fromkeys(names, 0)
    forward = [(s, t) for s, t, delay in edges if delay == 0 and s in depth]
    for _ in range(len(names)):
        changed = False
        for source, target in forward:
            if depth[target] < depth[source] + 1:
                depth[target], changed = depth[source] + 1, True
        if not changed:
            return depth
    if forward:
        raise InputError(
            "edges of delay 0 must not form a cycle: give one edge of the cycle delay 1"
        )
    return depth
