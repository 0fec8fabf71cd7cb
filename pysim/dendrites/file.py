"""A net of dendritic neurons with its state and stimuli as a safetensors file.

The file holds a digest (pysim/common/tensors.py).
"""

from pathlib import Path

import numpy as np

from spikeloop.pysim.common import tensors as safetensors
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.common.reading import read_file
from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.state import DendriticState

__all__ = ["decode", "encode", "load", "save"]

VERSION = 1
KIND = "dendritic neurons"
KEY = "spikeloop"
ARRAYS = ("weights", "inhibition", "currents", "psps", "units")

Content = tuple[DendriticNet, np.ndarray, DendriticState]


def save(path: str | Path, net: DendriticNet, stimuli: np.ndarray, state: DendriticState) -> Path:
    """Write the file, whole or not at all."""
    return write_atomic(path, encode(net, stimuli, state))


def load(path: str | Path) -> Content:
    """Net, stimuli int64 ``[stimulus, input]`` and state; InputError for any but a sound file."""
    data = read_file(path, f"file of {KIND}", "write it with spikeloop dendritic")
    return decode(data, str(path))


def encode(net: DendriticNet, stimuli: np.ndarray, state: DendriticState) -> bytes:
    """The file's content; the same values always give the same bytes."""
    header = {
        "kind": KIND,
        "version": VERSION,
        "settings": net.settings,
        "metadata": net.metadata,
        "rin": state.rin,
        "age": state.age,
    }
    tensors = {name: np.ascontiguousarray(getattr(state, name), np.int64) for name in ARRAYS}
    tensors |= {"stimuli": np.ascontiguousarray(stimuli, np.int64), "table": net.table}
    return safetensors.encode(header, tensors, KEY, f"the {KIND}")


def decode(data: bytes, where: str) -> Content:
    """What a file's content holds; InputError for anything else than a sound one.

    where: the name of the file in messages.
    """
    what = f"file of {KIND} {where!r}"
    header, tensors = safetensors.decode_kind(data, KEY, what, KIND, f"one of {KIND}")
    if header.get("version") != VERSION:
        raise InputError(f"{what} must be of version {VERSION}, not {header.get('version')!r}")
    try:
        net = DendriticNet.make(header["settings"], tensors["table"], header["metadata"])
        stimuli = net.check_stimuli(tensors["stimuli"])
        arrays = {name: tensors[name] for name in ARRAYS}
        state = DendriticState(**arrays, rin=header["rin"], age=header["age"]).check(net)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{what} must be complete, not without {error}") from None
    return net, stimuli, state
