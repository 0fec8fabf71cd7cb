"""A network as a safetensors file: the arrays as tensors, the graph as JSON in the header.

The same network always gives the same bytes, with a digest of them (pysim/common/tensors.py). Never
pickle. The format is that of docs/formats.md.
"""

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from spikeloop.pysim.common import tensors as safetensors
from spikeloop.pysim.common.checks import check_array
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.tensors import Tensors
from spikeloop.pysim.dendrites.source import DendriticSource
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import Edge, Input, Population, WeightFormat
from spikeloop.pysim.network.parameters import ADAPTATION, CURRENT, PARAMETERS
from spikeloop.pysim.oscillators.source import OnnSource
from spikeloop.pysim.pim.source import PimHead, PimSource

if TYPE_CHECKING:
    from spikeloop.pysim.network.graph import Network

__all__ = ["decode", "encode", "sha256"]

VERSIONS = (1, 2)
"""2 of a network with a page shift, which readers of version 1 alone would not see"""
STATES = (CURRENT, ADAPTATION)
STATE_BITS = ("current_bits", "adaptation_bits")
"""in a header only if they are not 0"""
KEY = "spikeloop"
SOURCES: dict[str, Any] = {"onn": OnnSource, "dendritic": DendriticSource}
"""nets that make the spikes of an input; in a header only if there is one"""
WANTED = ("version", "name", "steps", "membrane_bits", "output", "readout", "metadata")
GRAPH = ("inputs", "populations", "edges")

N = TypeVar("N", bound="Network")
_FORMATS = {form.name.lower(): form for form in WeightFormat}


def encode(network: "Network") -> bytes:
    """The file's content."""
    return b"".join(_pieces(network))


def sha256(network: "Network") -> str:
    """SHA-256 of the file's content, in hex, without the content in memory."""
    digest = hashlib.sha256()
    for piece in _pieces(network):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(network: "Network") -> Iterator[bytes | memoryview]:
    tensors: Tensors = {}
    header: dict[str, Any] = {
        "version": VERSIONS[-1 if any(p.page_shift for p in network.populations) else 0],
        "name": network.name,
        "steps": network.steps,
        "membrane_bits": network.membrane_bits,
        **{key: bits for key in STATE_BITS if (bits := getattr(network, key))},
        "output": network.output,
        "readout": network.readout,
        "metadata": network.metadata,
        "inputs": [{"name": n.name, "size": n.size} for n in network.inputs],
        "populations": [],
        "edges": [],
    }
    for p in network.populations:
        header["populations"].append(
            {
                "name": p.name,
                "size": p.size,
                "start": p.start,
                "weight_bits": p.weight_bits,
                "weight_format": p.weight_format.name.lower(),
                **({"page_shift": p.page_shift} if p.page_shift else {}),
            }
        )
        for key in p.parameters:
            tensors[f"{p.name}.{key}"] = np.ascontiguousarray(getattr(p, key))
    for i, e in enumerate(network.edges):
        conv = {"conv": e.conv.to_dict()} if e.conv else {}
        header["edges"].append({"source": e.source, "target": e.target, "delay": e.delay, **conv})
        tensors[f"edge{i}.weights"] = np.ascontiguousarray(e.weights)
    if network.pim:
        header["pim"] = network.pim.head.to_dict()
        tensors |= network.pim.tensors()
    for key in SOURCES:
        if source := getattr(network, key):
            header[key] = source.to_dict()
            tensors |= source.tensors()
    return safetensors.pieces(header, tensors, KEY, f"network {network.name!r}")


def decode(kind: type[N], data: bytes, where: str) -> N:
    """The network of a file's content; InputError for anything else than a sound one.

    ``kind`` is the class to make, ``where`` the name of the file in messages.
    """
    what = f"network file {where!r}"
    header, tensors = _open(data, what)
    try:
        populations = tuple(_population(p, tensors, what) for p in header["populations"])
        edges = tuple(_edge(i, e, tensors) for i, e in enumerate(header["edges"]))
        pim = None
        if "pim" in header:
            pim = PimSource.from_file(PimHead.from_dict(header["pim"], what), tensors, what)
        sources: dict[str, Any] = {
            key: source.from_file(header[key], tensors, what)
            for key, source in SOURCES.items()
            if key in header
        }
        if tensors:
            raise InputError(
                f"tensors of {what} must all belong to its graph, not {sorted(tensors)[0]!r}"
            )
        return kind(
            name=header["name"],
            inputs=tuple(Input(name=n["name"], size=n["size"]) for n in header["inputs"]),
            populations=populations,
            edges=edges,
            steps=header["steps"],
            output=header["output"],
            membrane_bits=header["membrane_bits"],
            **{key: header[key] for key in STATE_BITS if key in header},
            readout=header["readout"],
            pim=pim,
            **sources,
            metadata=header["metadata"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"graph of {what} must be complete, not without {error}") from None


def _open(data: bytes, what: str) -> tuple[dict[str, Any], Tensors]:
    """The graph's JSON and all tensors."""
    header, tensors = safetensors.decode(data, KEY, what)
    if isinstance(header, dict) and "kind" in header:  # no chip of a network learns or oscillates
        raise InputError(f"{what} must be a network, not a {header['kind']}")
    version = header.get("version") if isinstance(header, dict) else header
    if version not in VERSIONS or not isinstance(header, dict):
        raise InputError(
            f"{what} must be of version {' or '.join(map(str, VERSIONS))}, not {version!r}: "
            "write it again with this spikeloop"
        )
    if other := sorted(set(header) - {*WANTED, *GRAPH, *STATE_BITS, "pim", *SOURCES}):
        raise InputError(
            f"graph of {what} must have the entries of docs/formats.md, not {other[0]!r}"
        )
    return header, tensors


def _population(p: dict[str, Any], tensors: Tensors, what: str) -> Population:
    """A population of the graph; its arrays are taken out of ``tensors``."""
    name = p["name"]
    arrays: dict[str, np.ndarray] = {}
    absent = {
        key
        for state in STATES
        if not any(f"{name}.{key}" in tensors for key in state)
        for key in state
    }
    for key, row in PARAMETERS.items():
        if key in absent:  # of a state that it does not have
            arrays[key] = np.zeros(0, row.dtype)
            continue
        arrays[key] = tensors.pop(f"{name}.{key}")
        check_array(f"{key} of population {name!r} in {what}", arrays[key], row.dtype)
    return Population(
        name=p["name"],
        size=p["size"],
        start=p["start"],
        weight_bits=p["weight_bits"],
        weight_format=_FORMATS[p["weight_format"]],
        page_shift=p.get("page_shift", 0),
        **arrays,
    )


def _edge(i: int, e: dict[str, Any], tensors: Tensors) -> Edge:
    """Edge ``i`` of the graph; its weights are taken out of ``tensors``."""
    return Edge(
        source=e["source"],
        target=e["target"],
        delay=e["delay"],
        weights=tensors.pop(f"edge{i}.weights"),
        conv=Conv.from_dict(e["conv"]) if "conv" in e else None,
    )
