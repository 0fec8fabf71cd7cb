"""Safetensors files with a JSON header and a digest of both; never pickle.

    __metadata__ = {KEY: text}    the text is the header as JSON with sorted keys

The header's entry ``sha256`` is the digest: SHA-256 of the rest of the header and of the names,
dtypes, shapes and bytes of all tensors. A file whose digest is wrong is refused. One without
``sha256``, written by an earlier version, is read as it is.
"""

import hashlib
import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.reading import MAX_BYTES

__all__ = ["MAX_HEADER", "Tensors", "decode", "decode_kind", "encode", "pieces"]

Tensors = dict[str, np.ndarray]

MAX_HEADER = 16 << 20
"""Bytes of the longest header that is read."""
DIGEST = "sha256"
DTYPES = {
    "uint64": "U64",
    "int64": "I64",
    "float64": "F64",
    "float32": "F32",
    "uint32": "U32",
    "int32": "I32",
    "float16": "F16",
    "uint16": "U16",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
"""Names of dtypes in a file, in the order in which the library writes the tensors."""


def encode(header: dict[str, Any], tensors: Tensors, key: str, what: str) -> bytes:
    """The file's content; the same header and tensors always give the same bytes.

    InputError for tensors that take more than MAX_BYTES; ``what`` names them.
    """
    return b"".join(pieces(header, tensors, key, what))


def pieces(
    header: dict[str, Any], tensors: Tensors, key: str, what: str
) -> Iterator[bytes | memoryview]:
    """The file's content piece by piece, so that it need not lie in memory twice.

    The bytes are those of safetensors.numpy.save, which makes them all at once.
    """
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    size = sum(array.nbytes for array in tensors.values())
    if size > MAX_BYTES:
        raise InputError(f"arrays of {what} must take at most {MAX_BYTES:,} bytes, not {size:,}")
    text = json.dumps(header | {DIGEST: _digest(header, tensors)}, sort_keys=True)
    head: dict[str, Any] = {"__metadata__": {key: text}}
    order, at = list(DTYPES), 0
    names = sorted(tensors, key=lambda name: (order.index(tensors[name].dtype.name), name))
    for name in names:
        array = tensors[name]
        head[name] = {
            "dtype": DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    line = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    line += b" " * (-len(line) % 8)
    yield struct.pack("<Q", len(line)) + line
    for name in names:
        if tensors[name].size:
            yield tensors[name].astype(tensors[name].dtype.newbyteorder("<"), copy=False).data


def decode(data: bytes, key: str, what: str) -> tuple[Any, Tensors]:
    """Inverse of :func:`encode`: the header (JSON, without its digest) and the tensors.

    ``what`` names the file. InputError for anything that is no such file, or is damaged.
    """
    try:
        (length,) = struct.unpack("<Q", data[:8])
        if length > MAX_HEADER:
            raise ValueError
        head = json.loads(data[8 : 8 + length])
        header = json.loads(head["__metadata__"][key])
        tensors = load(data)
        sealed = isinstance(header, dict) and DIGEST in header
        if sealed and header.pop(DIGEST) != _digest(header, tensors):
            raise ValueError
    except (ValueError, KeyError, TypeError, struct.error, SafetensorError, RecursionError):
        raise InputError(
            f"{what} must be a safetensors file written by spikeloop, not this one "
            "(truncated, damaged or another format)"
        ) from None
    return header, tensors


def decode_kind(data: bytes, key: str, what: str, kind: str, noun: str) -> tuple[Any, Tensors]:
    """As :func:`decode`, of a file whose header is an object with the entry ``kind``.

    noun: what the file must be, in the message for another kind. A header without the entry is that
    of a network.
    """
    header, tensors = decode(data, key, what)
    found = header.get("kind", "network") if isinstance(header, dict) else type(header).__name__
    if found != kind:
        raise InputError(f"{what} must be {noun}, not a {found}")
    return header, tensors


def _digest(header: Any, tensors: Tensors) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name, array in sorted(tensors.items()):
        digest.update(repr((name, array.dtype.str, array.shape)).encode())
        digest.update(array.data if array.size else b"")
    return digest.hexdigest()
