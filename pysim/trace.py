"""Stimulus and trace: what goes into a run and what comes out, on every backend, and their ``.npz`` files.

Spikes are packed little-endian along the last axis: bit i of byte j is line or neuron 8 j + i.
"""

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from pysim.errors import InputError
from pysim.memory_map import COUNTERS
from pysim.network import Input, write_atomic

__all__ = ["Stimulus", "Trace", "pack", "save_arrays", "unpack"]


def pack(spikes: np.ndarray) -> np.ndarray:
    """Binary ``[..., n]`` to packed uint8 ``[..., ceil(n / 8)]``."""
    return np.packbits(np.asarray(spikes, dtype=np.uint8), axis=-1, bitorder="little")


def unpack(packed: np.ndarray, size: int) -> np.ndarray:
    """Inverse of :func:`pack`: uint8 0/1 ``[..., size]``."""
    return np.unpackbits(packed, axis=-1, count=size, bitorder="little")


class HasInputs(Protocol):
    """What a stimulus is made for: a network, or an image of one."""

    @property
    def inputs(self) -> tuple[Input, ...]: ...

    @property
    def steps(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Stimulus:
    """Logical input spikes. ``spikes[name]``: packed uint8 ``[sample, step, ceil(size / 8)]``; ``labels`` int64 ``[sample]`` or None."""

    spikes: dict[str, np.ndarray]
    labels: np.ndarray | None = None

    @property
    def samples(self) -> int:
        return next(iter(self.spikes.values())).shape[0]

    @classmethod
    def pack(cls, spikes: dict[str, np.ndarray], labels: np.ndarray | None = None) -> "Stimulus":
        """From binary arrays ``[sample, step, size]``; InputError for anything but 0 and 1."""
        for name, array in spikes.items():
            if array.ndim != 3:
                raise InputError(f"stimulus of input {name!r} must be [sample, step, line], not of shape {array.shape}")
            if array.size and not np.isin(array, (0, 1)).all():
                raise InputError(f"stimulus of input {name!r} must be binary, not {array[~np.isin(array, (0, 1))].flat[0]}")
        return cls({name: pack(array) for name, array in spikes.items()}, labels)

    def dense(self, network: HasInputs) -> dict[str, np.ndarray]:
        """uint8 0/1 ``[sample, step, size]`` per input."""
        return {node.name: unpack(self.spikes[node.name], node.size) for node in network.inputs}

    def take(self, samples: slice | np.ndarray) -> "Stimulus":
        return Stimulus({k: v[samples] for k, v in self.spikes.items()}, None if self.labels is None else self.labels[samples])

    def check(self, network: HasInputs) -> None:
        """Raise InputError unless every input of the network has its array of the right shape and padding."""
        names = [node.name for node in network.inputs]
        if sorted(self.spikes) != sorted(names):
            raise InputError(f"stimulus must hold exactly the inputs {', '.join(names)}, not {', '.join(self.spikes)}")
        for node in network.inputs:
            array = self.spikes[node.name]
            if array.dtype != np.uint8 or array.ndim != 3:
                raise InputError(f"stimulus of input {node.name!r} must be packed uint8 [sample, step, byte], "
                                 f"not {array.dtype} of shape {array.shape}")
            want = (self.samples, network.steps, -(-node.size // 8))
            if array.shape != want:
                raise InputError(f"stimulus of input {node.name!r} must be of shape {want} ({node.size} lines packed), not {array.shape}")
            spare = -node.size % 8
            if spare and array.size and (array[..., -1] >> (8 - spare)).any():
                raise InputError(f"padding bits of input {node.name!r} must be 0, not set")
        if self.labels is not None and self.labels.shape != (self.samples,):
            raise InputError(f"labels of the stimulus must be of shape {(self.samples,)}, not {self.labels.shape}")

    def save(self, path: str | Path) -> Path:
        arrays = {f"spikes/{k}": v for k, v in self.spikes.items()}
        if self.labels is not None:
            arrays["labels"] = self.labels
        return save_arrays(path, arrays)

    @classmethod
    def load(cls, path: str | Path) -> "Stimulus":
        arrays = _load(path, "stimulus")
        spikes = {k.removeprefix("spikes/"): v for k, v in arrays.items() if k.startswith("spikes/")}
        if not spikes or set(arrays) - {"labels"} - {f"spikes/{k}" for k in spikes}:
            raise InputError(f"stimulus file {str(path)!r} must hold arrays spikes/<input> (and labels), not {', '.join(arrays) or 'none'}")
        return cls(spikes, arrays.get("labels"))


@dataclass(frozen=True, eq=False)
class Trace:
    """What a run did, in steps of each population.

    spikes[name]:     packed uint8 ``[sample, step, ceil(size / 8)]``
    membranes[name]:  int32 ``[sample, step, size]``, or no entry where membranes were not recorded
    counters[name]:   int64 ``[sample, tick]``, what each tick added (names of memory_map.COUNTERS); golden knows only
                      ``saturations`` and ``spikes_out``
    """

    spikes: dict[str, np.ndarray]
    membranes: dict[str, np.ndarray] = field(default_factory=dict)
    counters: dict[str, np.ndarray] = field(default_factory=dict)

    def save(self, path: str | Path) -> Path:
        return save_arrays(path, {f"{kind}/{k}": v for kind in ("spikes", "membranes", "counters") for k, v in getattr(self, kind).items()})

    @classmethod
    def load(cls, path: str | Path) -> "Trace":
        arrays = _load(path, "trace")
        parts: dict[str, dict[str, np.ndarray]] = {"spikes": {}, "membranes": {}, "counters": {}}
        for key, value in arrays.items():
            kind, _, name = key.partition("/")
            if kind not in parts or (kind == "counters" and name not in COUNTERS):
                raise InputError(f"trace file {str(path)!r} must hold spikes/, membranes/ and counters/, not {key!r}")
            parts[kind][name] = value
        return cls(**parts)

    @classmethod
    def concatenate(cls, traces: list["Trace"]) -> "Trace":
        """Join along the sample axis."""
        first = traces[0]
        return cls(*({k: np.concatenate([getattr(t, part)[k] for t in traces]) for k in getattr(first, part)}
                     for part in ("spikes", "membranes", "counters")))


def save_arrays(path: str | Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write an ``.npz`` file without pickles, whole or not at all."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return write_atomic(path, buffer.getvalue())


def _load(path: str | Path, what: str) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except OSError as error:
        if isinstance(error, FileNotFoundError) or error.errno:
            raise InputError(f"{what} file must be readable, not {str(path)!r} ({error.strerror})") from None
        raise InputError(f"{what} file {str(path)!r} must be an .npz archive without pickles, not this one") from None
    except (ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile):
        raise InputError(f"{what} file {str(path)!r} must be an .npz archive without pickles, not this one") from None
