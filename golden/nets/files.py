"""The files of float nets: safetensors with JSON in the header, never pickle."""

import json
import struct
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load as load_numpy
from safetensors.torch import load as load_torch

from spikeloop.pysim.common.checks import check_object
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.reading import gunzip, read_file
from spikeloop.pysim.common.tensors import MAX_HEADER

__all__ = ["CHECKPOINTS", "kept_files", "read_net", "read_safetensors"]

CHECKPOINTS = Path(__file__).parents[1] / "rules" / "checkpoints"
SUFFIXES = (".safetensors", ".safetensors.gz")


def kept_files(start: str = "") -> dict[str, Path]:
    """The file of every net that comes with the package, by its name, which begins with
    ``start``."""
    return {
        path.name.partition(".")[0]: path
        for path in sorted(CHECKPOINTS.glob(f"{start}*"))
        if path.name.endswith(SUFFIXES)
    }


def read_net(path: str | Path, what: str, advice: str) -> bytes:
    """The bytes of a net's file, unzipped if its name ends in .gz.

    what: the file in the sentence of an error, a kind and a name in quotes. advice: what to do if
    it is missing. InputError for a file that cannot be read.
    """
    data = read_file(path, what.partition(" '")[0], advice)
    return gunzip(data, what) if str(path).endswith(".gz") else data


def read_safetensors(
    path: str | Path, *, what: str, key: str, version: int, writer: str, framework: str
) -> tuple[dict[str, Any], dict]:
    """Header (the JSON object under ``key``) and tensors by name.

    path:      gzipped if it ends in .gz.
    what:      the file in the sentence of an error.
    version:   that the header must have.
    writer:    what writes files of this kind, for errors.
    framework: of the tensors, "np" or "pt".
    InputError for anything but a sound file of this kind, and for metadata that are no object.
    """
    data = read_net(path, what, f"{writer} writes one")
    try:
        (length,) = struct.unpack("<Q", data[:8])
        if length > MAX_HEADER:
            raise ValueError
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][key])
        tensors = (load_numpy if framework == "np" else load_torch)(data)
    except (ValueError, KeyError, TypeError, struct.error, SafetensorError, RecursionError):
        raise InputError(
            f"{what} must be a safetensors file written by {writer}, not this one "
            "(truncated, damaged or another format)"
        ) from None
    stated = header.get("version") if isinstance(header, dict) else header
    if not isinstance(header, dict) or stated != version:
        raise InputError(f"{what} must be of version {version}, not {stated!r}")
    check_object(f"metadata of {what}", header.get("metadata", {}))
    return header, tensors
