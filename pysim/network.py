"""The integer network: what golden hands over and pysim maps. Description, file and checks; no arithmetic.

A network is a graph of inputs, populations of neurons and weighted edges, all integers, as the arithmetic
contract (docs/arithmetic.md) reads them. Its file is safetensors: the arrays as tensors, the graph as
versioned JSON in the header under the key ``spikeloop``. Never pickle.

The descriptions of a convolution (pysim/convolution.py) and of a PIM layer (pysim/pim_params.py, pysim/pim_source.py) are given out here
too: this module is all that golden sees of pysim.

Words: ``pages`` P_g is the first axis of every paged array; ``size`` N the last.
"""

import hashlib
import json
import math
import os
import struct
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pysim.convolution import Conv
from pysim.errors import InputError
from pysim.fields import check_int
from pysim.names import public
from pysim.pim_params import MAX_SHIFT as PIM_MAX_SHIFT
from pysim.pim_params import SEGMENTS as PIM_SEGMENTS
from pysim.pim_params import WHOLE as PIM_WHOLE
from pysim.pim_params import PimLayer, PimParams, PimWindow
from pysim.pim_source import PimHead, PimSource

__all__ = [
    "Conv", "Edge", "Input", "LeakRounding", "LowBound", "Network", "Population", "Reset", "WeightFormat",
    "start_ticks", "MAX_DELAY", "MAX_PAGES", "MAX_REFRACTORY", "MAX_START", "MAX_WEIGHT_BITS", "LEAK_TERMS",
    "PimHead", "PimLayer", "PimParams", "PimSource", "PimWindow", "PIM_MAX_SHIFT", "PIM_SEGMENTS", "PIM_WHOLE", "check_int", "public",
]

VERSION = 1
LEAK_TERMS = 3
MAX_PAGES = 64
MAX_DELAY = 16
MAX_START = 255
MAX_REFRACTORY = 63
MAX_WEIGHT_BITS = 16
MAX_HEADER = 16 << 20


class Reset(IntEnum):
    """What a spike does to the membrane."""

    HARD = 0  # v' = v_reset
    SOFT = 1  # v' = sat(u - v_sub)
    NONE = 2  # v' = u


class LeakRounding(IntEnum):
    """How shr(v, m) rounds."""

    FLOOR = 0  # arithmetic right shift
    TOWARD_ZERO = 1  # sign(v) * (|v| >> m)
    AT_LEAST_ONE = 2  # sign(v) * max(|v| >> m, 1), 0 for v = 0


class LowBound(IntEnum):
    """What happens to a neuron that did not spike and lies below v_low."""

    NONE = 0
    CLIP = 1  # v' = v_low
    RESET = 2  # v' = v_low_reset
    ADD = 3  # v' = sat(u + v_low_add)


class WeightFormat(IntEnum):
    """Which integers the columns of one weight express."""

    SIGNED = 0  # two's complement of weight_bits
    BINARY = 1  # {0, 1}, one column
    TERNARY = 2  # {-1, 0, 1}, two columns of strength -1 and +1


_FORMATS = {form.name.lower(): form for form in WeightFormat}


@dataclass(frozen=True, kw_only=True)
class Input:
    """Logical input lines: ``size`` binary lines named ``name``."""

    name: str
    size: int


_PAGED = {"bias": np.int64, "v_th": np.int64, "v_sub": np.int64, "k0": np.bool_}
_TERMS = {"leak_sign": np.int8, "leak_shift": np.uint8}
_PLAIN = {
    "rounding": np.uint8, "rectify": np.bool_, "fire": np.bool_, "reset": np.uint8, "v_reset": np.int64, "low": np.uint8,
    "v_low": np.int64, "v_low_reset": np.int64, "v_low_add": np.int64, "refractory": np.uint8, "hold": np.bool_, "v_init": np.int64,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """Neurons that share a start tick and a weight format; every other parameter is per neuron.

    Paged arrays are ``[pages, size]`` (page min(k, pages-1) acts at step k): ``bias``, ``v_th``, ``v_sub``
    int64 in the membrane range, ``k0`` bool. Leak terms are ``[pages, 3, size]``: ``leak_sign`` int8 in
    {-1, 0, +1} (0 = term off), ``leak_shift`` uint8 in 0..membrane_bits. Plain arrays are ``[size]``:
    ``rounding`` (LeakRounding), ``rectify``, ``fire`` (False = read-out: never spikes), ``reset`` (Reset),
    ``v_reset``, ``low`` (LowBound), ``v_low``, ``v_low_reset``, ``v_low_add``, ``refractory`` 0..63 steps,
    ``hold`` (held at v_reset while refractory), ``v_init``. ``start`` is the pipeline depth d in ticks.
    Scalars and shorter arrays broadcast in :meth:`make`.
    """

    name: str
    size: int
    start: int = 0
    weight_bits: int = 8
    weight_format: WeightFormat = WeightFormat.SIGNED
    bias: np.ndarray
    v_th: np.ndarray
    v_sub: np.ndarray
    k0: np.ndarray
    leak_sign: np.ndarray
    leak_shift: np.ndarray
    rounding: np.ndarray
    rectify: np.ndarray
    fire: np.ndarray
    reset: np.ndarray
    v_reset: np.ndarray
    low: np.ndarray
    v_low: np.ndarray
    v_low_reset: np.ndarray
    v_low_add: np.ndarray
    refractory: np.ndarray
    hold: np.ndarray
    v_init: np.ndarray

    @property
    def pages(self) -> int:
        return self.bias.shape[0]

    @classmethod
    def make(cls, name: str, size: int, *, pages: int = 1, start: int = 0, weight_bits: int = 8,
             weight_format: WeightFormat = WeightFormat.SIGNED, **arrays: Any) -> "Population":
        """Build a population from scalars or arrays; what is not given is neutral.

        Defaults: bias 0, v_th 1, v_sub = v_th, no leak (k0 = 1), floor, fire, hard reset to 0, unbounded, no
        refractory, v_init 0. Arrays broadcast to their full shape.
        """
        given: dict[str, Any] = {
            "bias": 0, "v_th": 1, "v_sub": arrays.get("v_th", 1), "k0": True, "leak_sign": 0, "leak_shift": 0, "rounding": 0,
            "rectify": False, "fire": True, "reset": Reset.HARD, "v_reset": 0, "low": LowBound.NONE, "v_low": 0, "v_low_reset": 0,
            "v_low_add": 0, "refractory": 0, "hold": False, "v_init": 0}
        unknown = sorted(set(arrays) - set(given))
        if unknown:
            raise InputError(f"parameter of population {name!r} must be one of {', '.join(given)}, not {unknown[0]!r}")
        given.update(arrays)
        shapes = dict.fromkeys(_PAGED, (pages, size)) | dict.fromkeys(_TERMS, (pages, LEAK_TERMS, size)) | dict.fromkeys(_PLAIN, (size,))
        full = {}
        for key, dtype in (_PAGED | _TERMS | _PLAIN).items():
            value = np.asarray(given[key])
            try:
                wide = np.broadcast_to(value, shapes[key])
            except ValueError:
                raise InputError(f"{key} of population {name!r} must be of shape {shapes[key]}, not {value.shape}") from None
            full[key] = _cast(wide, dtype, f"{key} of population {name!r}")
        return cls(name=name, size=size, start=start, weight_bits=weight_bits, weight_format=WeightFormat(weight_format), **full)


    def take(self, neurons: np.ndarray) -> "Population":
        """A population of those ``neurons`` only, int64 ``[m]``: all parameters lie along the last axis."""
        return replace(self, size=neurons.size, **{key: getattr(self, key)[..., neurons] for key in _PAGED | _TERMS | _PLAIN})


@dataclass(frozen=True, kw_only=True, eq=False)
class Edge:
    """Synapses from ``source`` (an input or a population) onto population ``target``.

    ``weights`` int32 ``[source size, target size]`` within the target's weight format or, with the geometry ``conv``,
    ``[output channels, input channels of a group, kernel height, kernel width]``; ``delay`` is the logical delay in steps:
    0 = same step (feed-forward), >= 1 for recurrent and lateral edges.
    """

    source: str
    target: str
    weights: np.ndarray
    delay: int = 0
    conv: Conv | None = None

    def lines(self, neurons: np.ndarray) -> np.ndarray:
        """Lines of the source that can reach any of the target's ``neurons``, ascending: int64 ``[m]``."""
        return self.conv.lines(neurons) if self.conv else np.arange(self.weights.shape[0])

    def block(self, lines: np.ndarray, neurons: np.ndarray) -> np.ndarray:
        """Weights of ``lines`` onto ``neurons``: int32 ``[m, n]``."""
        return self.conv.block(self.weights, lines, neurons) if self.conv else self.weights[np.ix_(lines, neurons)]

    def fanout(self) -> np.ndarray:
        """Non-zero synapses of each line of the source: int64 ``[source size]``."""
        return self.conv.fanout(self.weights) if self.conv else np.count_nonzero(self.weights, axis=1)


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
        raise InputError(f"population must be one of {', '.join(p.name for p in self.populations)}, not {name!r}")

    def size_of(self, name: str) -> int:
        nodes: tuple[Input | Population, ...] = (*self.inputs, *self.populations)
        for node in nodes:
            if node.name == name:
                return node.size
        raise InputError(f"edge source must be an input or a population of the network, not {name!r}")

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
        pending = {p.name: {e.source for e in self.edges if e.target == p.name and e.delay == 0 and not self.is_input(e.source)}
                   for p in self.populations}
        done: list[str] = []
        while pending:
            ready = [name for name, needs in pending.items() if needs <= set(done)]
            if not ready:
                raise InputError(f"edges of delay 0 must not form a cycle; populations {', '.join(sorted(pending))} do: "
                                 "give one edge of the cycle delay 1")
            for name in ready:
                del pending[name]
            done += ready
        return [self.population(name) for name in done]

    # -- checking ----------------------------------------------------------------------------------------

    def validate(self) -> None:
        """Raise InputError unless every value lies in the range the contract gives it."""
        bits = self.membrane_bits
        _within("membrane_bits", bits, 8, 32)
        _within("steps", self.steps, 1, 1 << 16)
        if self.readout not in ("spikes", "membrane"):
            raise InputError(f"readout must be 'spikes' or 'membrane', not {self.readout!r}")
        if not self.populations:
            raise InputError("network must have at least one population, not 0")
        names = [n.name for n in self.inputs] + [p.name for p in self.populations] + ([self.pim.name] if self.pim else [])
        for name in names:
            if not (isinstance(name, str) and name.isidentifier() and name.isascii() and len(name) <= 64):
                raise InputError(f"name of an input or population must be an identifier of at most 64 ASCII letters, not {name!r}")
            if names.count(name) > 1:
                raise InputError(f"name of an input or population must be unique, not {name!r} twice")
        for node in self.inputs:
            _within(f"size of input {node.name!r}", node.size, 1, 1 << 24)
        for population in self.populations:
            _check_population(population, bits)
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
                raise InputError(f"maps of the convolution of {where} must have {shape[0]} lines and {shape[1]} neurons, "
                                 f"not {maps[0]} and {maps[1]}")
            shape = edge.conv.weights_shape
        if edge.weights.shape != shape:
            raise InputError(f"weights of {where} must be of shape {shape}, not {edge.weights.shape}")
        if edge.weights.dtype != np.int32:
            raise InputError(f"weights of {where} must be int32, not {edge.weights.dtype}")
        low, high = weight_range(target.weight_format, target.weight_bits)
        if edge.weights.size and (edge.weights.min() < low or edge.weights.max() > high):
            bad = edge.weights.min() if edge.weights.min() < low else edge.weights.max()
            raise InputError(f"weights of {where} must be in {low}..{high} ({target.weight_bits} bits, "
                             f"{target.weight_format.name.lower()}), not {bad}")
        _within(f"delay of {where}", edge.delay, 0, MAX_DELAY)
        if not self.is_input(edge.source):
            _within(f"physical delay of {where} (delay + start of target - start of source)", self.physical_delay(edge), 1, MAX_DELAY)

    # -- file --------------------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """The file's content; the same network always gives the same bytes."""
        tensors: dict[str, np.ndarray] = {}
        header: dict[str, Any] = {
            "version": VERSION, "name": self.name, "steps": self.steps, "membrane_bits": self.membrane_bits, "output": self.output,
            "readout": self.readout, "metadata": self.metadata, "inputs": [{"name": n.name, "size": n.size} for n in self.inputs],
            "populations": [], "edges": []}
        for p in self.populations:
            header["populations"].append({"name": p.name, "size": p.size, "start": p.start, "weight_bits": p.weight_bits,
                                          "weight_format": p.weight_format.name.lower()})
            for key in _PAGED | _TERMS | _PLAIN:
                tensors[f"{p.name}.{key}"] = np.ascontiguousarray(getattr(p, key))
        for i, e in enumerate(self.edges):
            conv = {"conv": e.conv.to_dict()} if e.conv else {}
            header["edges"].append({"source": e.source, "target": e.target, "delay": e.delay, **conv})
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
            raise InputError(f"network file must be readable, not {str(path)!r} ({error.strerror})") from None
        return cls.from_bytes(data, str(path))

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "network") -> "Network":
        what = f"network file {where!r}"
        try:
            (length,) = struct.unpack("<Q", data[:8])
            if length > MAX_HEADER:
                raise ValueError
            head = json.loads(data[8:8 + length])
            text = head["__metadata__"]["spikeloop"]
            header = json.loads(text)
            tensors = load(data)
        except (ValueError, KeyError, TypeError, struct.error, SafetensorError, RecursionError):
            raise InputError(f"{what} must be a safetensors file written by spikeloop, not this one "
                             "(truncated, damaged or another format)") from None
        if not isinstance(header, dict) or header.get("version") != VERSION:
            got = header.get("version") if isinstance(header, dict) else header
            raise InputError(f"{what} must be of version {VERSION}, not {got!r}: write it again with this spikeloop")
        try:
            populations = []
            for p in header["populations"]:
                arrays = {key: tensors.pop(f"{p['name']}.{key}") for key in _PAGED | _TERMS | _PLAIN}
                for key, dtype in (_PAGED | _TERMS | _PLAIN).items():
                    if arrays[key].dtype != dtype:
                        raise InputError(f"{key} of population {p['name']!r} in {what} must be {np.dtype(dtype)}, not {arrays[key].dtype}")
                    if dtype is np.bool_ and (arrays[key].view(np.uint8) > 1).any():
                        raise InputError(f"{key} of population {p['name']!r} in {what} must be 0 or 1, "
                                         f"not {arrays[key].view(np.uint8).max()}")
                populations.append(Population(name=p["name"], size=p["size"], start=p["start"], weight_bits=p["weight_bits"],
                                              weight_format=_FORMATS[p["weight_format"]], **arrays))
            edges = [Edge(source=e["source"], target=e["target"], delay=e["delay"], weights=tensors.pop(f"edge{i}.weights"),
                          conv=Conv.from_dict(e["conv"]) if "conv" in e else None)
                     for i, e in enumerate(header["edges"])]
            pim = PimSource.from_file(PimHead.from_dict(header["pim"], what), tensors, what) if "pim" in header else None
            if tensors:
                raise InputError(f"tensors of {what} must all belong to its graph, not {sorted(tensors)[0]!r}")
            return cls(name=header["name"], inputs=tuple(Input(name=n["name"], size=n["size"]) for n in header["inputs"]),
                       populations=tuple(populations), edges=tuple(edges), steps=header["steps"], output=header["output"],
                       membrane_bits=header["membrane_bits"], readout=header["readout"], pim=pim, metadata=header["metadata"])
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"graph of {what} must be complete, not without {error}") from None

    def with_metadata(self, **entries: Any) -> "Network":
        return replace(self, metadata={**self.metadata, **entries})


def weight_range(form: WeightFormat, bits: int) -> tuple[int, int]:
    """Smallest and largest weight that ``bits`` columns express."""
    match form:
        case WeightFormat.SIGNED:
            return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        case WeightFormat.BINARY:
            return 0, 1
        case WeightFormat.TERNARY:
            return -1, 1


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
        raise InputError("edges of delay 0 must not form a cycle: give one edge of the cycle delay 1")
    return depth


def write_atomic(path: str | Path, data: bytes) -> Path:
    """Write ``data`` to ``path`` under a temporary name, then rename: never a half-written file."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise InputError(f"output file must be writable, not {str(path)!r} ({error.strerror})") from None
    return path


def _within(what: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise InputError(f"{what} must be in {low}..{high}, not {value!r}")


def _cast(value: np.ndarray, dtype: Any, what: str) -> np.ndarray:
    if value.dtype.kind not in "biu":
        raise InputError(f"{what} must be integers, not {value.dtype}")
    cast = value.astype(dtype)
    if not np.array_equal(cast, value):
        bad = value[cast != value].flat[0]
        raise InputError(f"{what} must fit {np.dtype(dtype)}, not {bad}")
    return cast


def _check_population(p: Population, bits: int) -> None:
    where = f"population {p.name!r}"
    _within(f"size of {where}", p.size, 1, 1 << 20)
    _within(f"start of {where}", p.start, 0, MAX_START)
    _within(f"weight_bits of {where}", p.weight_bits, 1, MAX_WEIGHT_BITS)
    if p.weight_format is WeightFormat.BINARY and p.weight_bits != 1:
        raise InputError(f"weight_bits of {where} must be 1 for binary weights, not {p.weight_bits}")
    if p.weight_format is WeightFormat.TERNARY and p.weight_bits != 2:
        raise InputError(f"weight_bits of {where} must be 2 for ternary weights, not {p.weight_bits}")
    pages = p.bias.shape[0] if p.bias.ndim == 2 else 0
    _within(f"pages of {where}", pages, 1, MAX_PAGES)
    shapes = dict.fromkeys(_PAGED, (pages, p.size)) | dict.fromkeys(_TERMS, (pages, LEAK_TERMS, p.size)) | dict.fromkeys(_PLAIN, (p.size,))
    for key, shape in shapes.items():
        value = getattr(p, key)
        if value.shape != shape:
            raise InputError(f"{key} of {where} must be of shape {shape}, not {value.shape}")
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    ranges = dict.fromkeys(("bias", "v_th", "v_sub", "v_reset", "v_low", "v_low_reset", "v_low_add", "v_init"), (low, high))
    ranges |= {"leak_sign": (-1, 1), "leak_shift": (0, bits), "rounding": (0, 2), "reset": (0, 2), "low": (0, 3),
               "refractory": (0, MAX_REFRACTORY)}
    for key, (least, most) in ranges.items():
        value = getattr(p, key)
        if value.min() < least or value.max() > most:
            bad = value.min() if value.min() < least else value.max()
            raise InputError(f"{key} of {where} must be in {least}..{most}, not {bad}")
