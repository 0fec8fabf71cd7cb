"""A net of oscillators as a safetensors file: couplings as a tensor, the rest in the header.

The file holds a digest (pysim/common/tensors.py).
"""

import numpy as np

from spikeloop.pysim.common import tensors as safetensors
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.oscillators.net import OnnNet

__all__ = ["decode", "encode"]

VERSION = 1
KIND = "oscillators"
KEY = "spikeloop"


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
    return safetensors.encode(header, tensors, KEY, "the net of oscillators")


def decode(data: bytes, where: str) -> OnnNet:
    """The net of a file's content; InputError for anything else than a sound one.

    where: the name of the file in messages.
    """
    what = f"file of oscillators {where!r}"
    header, tensors = safetensors.decode_kind(data, KEY, what, KIND, "a net of oscillators")
    if header.get("version") != VERSION:
        raise InputError(f"{what} must be of version {VERSION}, not {header.get('version')!r}")
    try:
        parts = [header[name] for name in ("cell", "formats", "settings", "metadata")]
        cell, formats, settings, metadata = parts
        return OnnNet.make(cell, tensors["couplings"], formats, settings, metadata)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"header of {what} must be complete, not without {error}") from None
