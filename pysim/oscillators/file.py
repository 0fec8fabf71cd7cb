"""A net of oscillators as a safetensors file: couplings as a tensor, the rest in the header."""

import json
import struct
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.oscillators.net import OnnNet

__all__ = ["decode", "encode"]

VERSION = 1
KIND = "oscillators"


def encode(net: OnnNet) -> bytes:
    """The file's content; the same net always gives the same bytes."""
    header = {
        "kind": KIND,
        "version": VERSION,
        "cell": net.cell,
        "formats": net.formats,
        "settings": net.settings,
        "metadata": net.metadata,
    }
    tensors = {"couplings": np.ascontiguousarray(net.couplings, np.int64)}
    return save(tensors, metadata={"spikeloop": json.dumps(header, sort_keys=True)})


def decode(data: bytes, where: str) -> OnnNet:
    """The net of a file's content; InputError for anything else than a sound one.

    where: the name of the file in messages.
    """
    what = f"file of oscillators {where!r}"
    header, tensors = _open(data, what)
    if header.get("version") != VERSION:
        raise InputError(f"{what} must be of version {VERSION}, not {header.get('version')!r}")
    try:
        parts = [header[name] for name in ("cell", "formats", "settings", "metadata")]
        cell, formats, settings, metadata = parts
        return OnnNet.make(cell, tensors["couplings"], formats, settings, metadata)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"header of {what} must be complete, not without {error}") from None


def _open(data: bytes, what: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        (length,) = struct.unpack("<Q", data[:8])
        head = json.loads(data[8 : 8 + length])
        header = json.loads(head["__metadata__"]["spikeloop"])
        tensors = load(data)
    except (ValueError, KeyError, TypeError, struct.error, SafetensorError, RecursionError):
        raise InputError(
            f"{what} must be a safetensors file written by spikeloop, not this one "
            "(truncated, damaged or another format)"
        ) from None
    kind = header.get("kind", "network") if isinstance(header, dict) else type(header).__name__
    if kind != KIND:
        raise InputError(f"{what} must be a net of oscillators, not a {kind}")
    return header, tensors
