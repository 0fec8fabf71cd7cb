"""Stimulus and trace: what goes into a run and what comes out, on every backend, and their ``.npz`` files.

Spikes are packed little-endian along the last axis: bit i of byte j is line or neuron 8 j + i.
"""

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from spikeloop.pysim.chip.memory_map import COUNTERS, PIM_COUNTERS
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.network.elements import Input
from spikeloop.pysim.pim.source import PimHead

__all__ = ["Stimulus", "Trace", "pack", "save_arrays", "unpack"]

_TRACE_PARTS = ("spikes", "membranes", "counters", "currents")


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

    @property
    def pim_head(self) -> PimHead | None: ...


@dataclass(frozen=True, eq=False)
class Stimulus:
    """Logical input spikes, and the pixels of a PIM layer.

    ``spikes[name]``: packed uint8 ``[sample, step, ceil(size / 8)]``; ``labels`` int64 ``[sample]`` or None; ``pixels[name]``: uint8
    ``[sample, pixel]``, one image for all steps of a sample.
    """

    spikes: dict[str, np.ndarray]
    labels: np.ndarray | None = None
    pixels: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        return next(iter((*self.spikes.values(), *self.pixels.values()))).shape[0]

    @classmethod
    def pack(
        cls,
        spikes: dict[str, np.ndarray],
        labels: np.ndarray | None = None,
        pixels: dict[str, np.ndarray] | None = None,
    ) -> "Stimulus":
        """From binary arrays ``[sample, step, size]``, InputError for anything but 0 and 1, and ``pixels`` as they are."""
        for name, array in spikes.items():
            if array.ndim != 3:
                raise InputError(
                    f"stimulus of input {name!r} must be [sample, step, line], not of shape {array.shape}"
                )
            if array.size and not np.isin(array, (0, 1)).all():
                raise InputError(
                    f"stimulus of input {name!r} must be binary, not {array[~np.isin(array, (0, 1))].flat[0]}"
                )
        return cls({name: pack(array) for name, array in spikes.items()}, labels, pixels or {})

    def dense(self, network: HasInputs) -> dict[str, np.ndarray]:
        """uint8 0/1 ``[sample, step, size]`` per input."""
        return {node.name: unpack(self.spikes[node.name], node.size) for node in network.inputs}

    def take(self, samples: slice | np.ndarray) -> "Stimulus":
        return Stimulus(
            {k: v[samples] for k, v in self.spikes.items()},
            None if self.labels is None else self.labels[samples],
            {k: v[samples] for k, v in self.pixels.items()},
        )

    def check(self, network: HasInputs) -> None:
        """Raise InputError unless every input of the network has its array of the right shape and padding, and a PIM layer its pixels."""
        names, images = (
            [node.name for node in network.inputs],
            [network.pim_head.name] if network.pim_head else [],
        )
        if sorted(self.spikes) != sorted(names):
            raise InputError(
                f"stimulus must hold exactly the inputs {', '.join(names) or 'none'}, not {', '.join(self.spikes) or 'none'}"
            )
        if list(self.pixels) != images:
            raise InputError(
                f"pixels of the stimulus must be those of {', '.join(images) or 'no PIM layer'}, "
                f"not {', '.join(self.pixels) or 'missing'}"
            )
        for node in network.inputs:
            array = self.spikes[node.name]
            if array.dtype != np.uint8 or array.ndim != 3:
                raise InputError(
                    f"stimulus of input {node.name!r} must be packed uint8 [sample, step, byte], "
                    f"not {array.dtype} of shape {array.shape}"
                )
            want = (self.samples, network.steps, -(-node.size // 8))
            if array.shape != want:
                raise InputError(
                    f"stimulus of input {node.name!r} must be of shape {want} ({node.size} lines packed), not {array.shape}"
                )
            spare = -node.size % 8
            if spare and array.size and (array[..., -1] >> (8 - spare)).any():
                raise InputError(f"padding bits of input {node.name!r} must be 0, not set")
        if network.pim_head:
            array, wanted = (
                self.pixels[network.pim_head.name],
                (self.samples, network.pim_head.pixels),
            )
            if array.dtype != np.uint8 or array.shape != wanted:
                raise InputError(
                    f"pixels of {network.pim_head.name!r} must be uint8 of shape {wanted}, not {array.dtype} of {array.shape}"
                )
            if array.size and array.max() > network.pim_head.pixel_max:
                raise InputError(
                    f"pixels of {network.pim_head.name!r} must be in 0..{network.pim_head.pixel_max}, not {array.max()}"
                )
        if self.labels is not None and self.labels.shape != (self.samples,):
            raise InputError(
                f"labels of the stimulus must be of shape {(self.samples,)}, not {self.labels.shape}"
            )

    def save(self, path: str | Path) -> Path:
        arrays = {
            f"{kind}/{k}": v
            for kind in ("spikes", "pixels")
            for k, v in getattr(self, kind).items()
        }
        if self.labels is not None:
            arrays["labels"] = self.labels
        return save_arrays(path, arrays)

    @classmethod
    def load(cls, path: str | Path) -> "Stimulus":
        arrays = _load(path, "stimulus")
        labels, parts = (
            arrays.pop("labels", None),
            {kind: _named(arrays, kind) for kind in ("spikes", "pixels")},
        )
        if not arrays or sum(map(len, parts.values())) < len(arrays):
            raise InputError(
                f"stimulus file {str(path)!r} must hold arrays spikes/<input> (and pixels/<name>, labels), "
                f"not {', '.join(arrays) or 'none'}"
            )
        return cls(parts["spikes"], labels, parts["pixels"])


@dataclass(frozen=True, eq=False)
class Trace:
    """What a run did, in steps of each population.

    spikes[name]:     packed uint8 ``[sample, step, ceil(size / 8)]``
    membranes[name]:  int32 ``[sample, step, size]``, or no entry where membranes were not recorded
    counters[name]:   int64 ``[sample, tick]``, what each tick added (names of memory_map.COUNTERS and, of a network with a PIM layer,
                      PIM_COUNTERS: what the macro did right before the tick); golden knows only ``saturations``, ``spikes_out``,
                      ``n_sat`` and ``n_clip``
    currents[name]:   int32 ``[sample, frame, size]``, C of the population that a PIM layer drives: one frame for all steps (held), or
                      one for each
    """

    spikes: dict[str, np.ndarray]
    membranes: dict[str, np.ndarray] = field(default_factory=dict)
    counters: dict[str, np.ndarray] = field(default_factory=dict)
    currents: dict[str, np.ndarray] = field(default_factory=dict)

    def save(self, path: str | Path) -> Path:
        return save_arrays(
            path,
            {f"{kind}/{k}": v for kind in _TRACE_PARTS for k, v in getattr(self, kind).items()},
        )

    @classmethod
    def load(cls, path: str | Path) -> "Trace":
        arrays = _load(path, "trace")
        parts: dict[str, dict[str, np.ndarray]] = {kind: {} for kind in _TRACE_PARTS}
        for key, value in arrays.items():
            kind, _, name = key.partition("/")
            if kind not in parts or (kind == "counters" and name not in COUNTERS | PIM_COUNTERS):
                raise InputError(
                    f"trace file {str(path)!r} must hold spikes/, membranes/, counters/ and currents/, not {key!r}"
                )
            parts[kind][name] = value
        return cls(**parts)

    @classmethod
    def concatenate(cls, traces: list["Trace"]) -> "Trace":
        """Join along the sample axis."""
        first = traces[0]
        return cls(
            *(
                {
                    k: np.concatenate([getattr(t, part)[k] for t in traces])
                    for k in getattr(first, part)
                }
                for part in _TRACE_PARTS
            )
        )


def _named(arrays: dict[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """Those of ``arrays`` that lie under ``kind``/, by the name behind it."""
    return {
        key.removeprefix(f"{kind}/"): value
        for key, value in arrays.items()
        if key.startswith(f"{kind}/")
    }


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
            raise InputError(
                f"{what} file must be readable, not {str(path)!r} ({error.strerror})"
            ) from None
        raise InputError(
            f"{what} file {str(path)!r} must be an .npz archive without pickles, not this one"
        ) from None
    except (ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile):
        raise InputError(
            f"{what} file {str(path)!r} must be an .npz archive without pickles, not this one"
        ) from None
