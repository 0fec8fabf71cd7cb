"""Stimulus: what goes into a run, on every backend, and its ``.npz`` file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from spikeloop.pysim.common.bits import pack, unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendrites.source import DendriticHead
from spikeloop.pysim.network.elements import Input
from spikeloop.pysim.oscillators.source import OnnHead
from spikeloop.pysim.pim.source import PimHead
from spikeloop.pysim.traces import npz

__all__ = ["HasInputs", "Stimulus", "stimulated"]

MEMBERS: npz.Members = {
    "spikes/": np.uint8,
    "pixels/": np.uint8,
    "starts/": np.uint16,
    "labels": np.int64,
    "samples": np.int64,
}


class HasInputs(Protocol):
    """What a stimulus is made for: a network, or an image of one."""

    @property
    def inputs(self) -> tuple[Input, ...]: ...

    @property
    def steps(self) -> int: ...

    @property
    def pim_head(self) -> PimHead | None: ...

    @property
    def source_head(self) -> OnnHead | DendriticHead | None: ...


def stimulated(network: HasInputs) -> list[Input]:
    """The inputs whose spikes a stimulus holds: all but the one that a source feeds."""
    head = network.source_head
    return [node for node in network.inputs if head is None or node.name != head.input]


@dataclass(frozen=True, eq=False)
class Stimulus:
    """Spikes of the logical inputs, pixels of a PIM layer, and starts of a source.

    spikes:  uint8 ``[sample, step, ceil(size / 8)]`` by input, packed (pysim.common.bits)
    labels:  int64 ``[sample]``, or None
    pixels:  uint8 ``[sample, pixel]`` by layer: one image for all steps of a sample
    count:   number of samples; needed only where there is no array, since a network may have no
             inputs
    starts:  uint16 by input that a source feeds. Of oscillators ``[sample, oscillator]``: delays
             or slots. Of dendritic neurons ``[sample, 1 + input]``: a seed, then thresholds.
    """

    spikes: dict[str, np.ndarray]
    labels: np.ndarray | None = None
    pixels: dict[str, np.ndarray] = field(default_factory=dict)
    count: int | None = None
    starts: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        """Number of samples; InputError if neither an array nor ``count`` says it."""
        for array in (*self.spikes.values(), *self.pixels.values(), *self.starts.values()):
            return len(array)
        if self.count is None:
            raise InputError("count of a stimulus without inputs is missing: give its samples")
        return self.count

    @classmethod
    def pack(
        cls,
        spikes: dict[str, np.ndarray],
        labels: np.ndarray | None = None,
        pixels: dict[str, np.ndarray] | None = None,
        count: int | None = None,
        starts: dict[str, np.ndarray] | None = None,
    ) -> "Stimulus":
        """From binary arrays ``[sample, step, size]``; InputError for anything but 0 and 1.

        The rest is taken as it is.
        """
        for name, array in spikes.items():
            if array.ndim != 3:
                raise InputError(
                    f"stimulus of input {name!r} must be [sample, step, line], "
                    f"not of shape {array.shape}"
                )
            other = array[~np.isin(array, (0, 1))]
            if other.size:
                raise InputError(f"stimulus of input {name!r} must be binary, not {other[0]}")
        packed = {name: pack(array) for name, array in spikes.items()}
        return cls(packed, labels, pixels or {}, count, starts or {})

    def dense(self, network: HasInputs) -> dict[str, np.ndarray]:
        """uint8 0/1 ``[sample, step, size]`` per input whose spikes it holds."""
        nodes = stimulated(network)
        return {node.name: unpack(self.spikes[node.name], node.size) for node in nodes}

    def take(self, samples: slice | np.ndarray) -> "Stimulus":
        """The stimulus of some of the samples, in the order given."""
        return Stimulus(
            {name: array[samples] for name, array in self.spikes.items()},
            None if self.labels is None else self.labels[samples],
            {name: array[samples] for name, array in self.pixels.items()},
            len(np.arange(self.samples)[samples]),
            {name: array[samples] for name, array in self.starts.items()},
        )

    def first(self, samples: int | None) -> "Stimulus":
        """The first ``samples``; None: all. InputError if there are not as many, or for none."""
        if samples is None:
            return self
        if not 0 < samples <= self.samples:
            raise InputError(
                f"samples must be in 1..{self.samples} (the stimulus holds as many), not {samples}"
            )
        return self.take(slice(samples))

    def check(self, network: HasInputs) -> None:
        """InputError unless this is a stimulus of ``network``.

        Every input has its array, of the right shape and padding; a PIM layer has its pixels,
        and a source has its starts; labels and ``count`` agree with the arrays.
        """
        nodes, head = stimulated(network), network.source_head
        names = [node.name for node in nodes]
        layers = [network.pim_head.name] if network.pim_head else []
        if sorted(self.spikes) != sorted(names):
            raise InputError(
                f"stimulus must hold exactly the inputs {', '.join(names) or 'none'}, "
                f"not {', '.join(self.spikes) or 'none'}"
            )
        if list(self.pixels) != layers:
            raise InputError(
                f"pixels of the stimulus must be those of {', '.join(layers) or 'no PIM layer'}, "
                f"not {', '.join(self.pixels) or 'missing'}"
            )
        fed = [head.input] if head else []
        if list(self.starts) != fed:
            raise InputError(
                f"starts of the stimulus must be those of {', '.join(fed) or 'no source'}, "
                f"not {', '.join(self.starts) or 'missing'}"
            )
        for node in nodes:
            self._check_spikes(node, network.steps)
        if head:
            head.check(self.starts[head.input], self.samples)
        if network.pim_head:
            self._check_pixels(network.pim_head)
        if self.count not in (None, self.samples):
            raise InputError(
                f"count of the stimulus must be that of its arrays, {self.samples}, "
                f"not {self.count}"
            )
        if self.labels is None:
            return
        _check_labels(self.labels)
        if self.labels.shape != (self.samples,):
            raise InputError(
                f"labels of the stimulus must be of shape {(self.samples,)}, "
                f"not {self.labels.shape}"
            )

    def _check_spikes(self, node: Input, steps: int) -> None:
        array, spare = self.spikes[node.name], -node.size % 8
        if array.dtype != np.uint8 or array.ndim != 3:
            raise InputError(
                f"stimulus of input {node.name!r} must be packed uint8 [sample, step, byte], "
                f"not {array.dtype} of shape {array.shape}"
            )
        want = (self.samples, steps, -(-node.size // 8))
        if array.shape != want:
            raise InputError(
                f"stimulus of input {node.name!r} must be of shape {want} "
                f"({node.size} lines packed), not {array.shape}"
            )
        if spare and array.size and (array[..., -1] >> (8 - spare)).any():
            raise InputError(f"padding bits of input {node.name!r} must be 0, not set")

    def _check_pixels(self, head: PimHead) -> None:
        array, want = self.pixels[head.name], (self.samples, head.pixels)
        if array.dtype != np.uint8 or array.shape != want:
            raise InputError(
                f"pixels of {head.name!r} must be uint8 of shape {want}, "
                f"not {array.dtype} of {array.shape}"
            )
        if array.size and array.max() > head.pixel_max:
            raise InputError(
                f"pixels of {head.name!r} must be in 0..{head.pixel_max}, not {array.max()}"
            )

    def save(self, path: str | Path) -> Path:
        """Write the stimulus to ``path``, whole or not at all."""
        arrays = {f"spikes/{name}": array for name, array in self.spikes.items()}
        arrays |= {f"pixels/{name}": array for name, array in self.pixels.items()}
        arrays |= {f"starts/{name}": array for name, array in self.starts.items()}
        if not arrays:
            arrays["samples"] = np.int64(self.samples)
        if self.labels is not None:
            _check_labels(self.labels)
            arrays["labels"] = self.labels.astype(np.int64)
        return npz.save(path, arrays)

    @classmethod
    def load(cls, path: str | Path) -> "Stimulus":
        """Inverse of :meth:`save`; InputError for any other file."""
        arrays = npz.load(path, "stimulus", MEMBERS)
        samples, labels = arrays.pop("samples", None), arrays.pop("labels", None)
        if samples is not None and (arrays or samples.shape != () or samples < 0):
            raise InputError(
                f"samples of stimulus file {str(path)!r} must be one number, of a network without "
                f"inputs, not {', '.join(arrays) or samples.tolist()}"
            )
        if samples is None and not arrays:
            raise InputError(
                f"stimulus file {str(path)!r} must hold arrays spikes/NAME, pixels/NAME or "
                "starts/NAME, not none"
            )
        if labels is not None:
            _check_labels(labels)
        count = None if samples is None else int(samples)
        spikes, pixels, starts = (npz.under(arrays, k) for k in ("spikes/", "pixels/", "starts/"))
        return cls(spikes, labels, pixels, count, starts)


def _check_labels(labels: np.ndarray) -> None:
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"labels of the stimulus must be integers, not {labels.dtype}")
    if labels.size and labels.min() < 0:
        raise InputError(f"labels of the stimulus must be at least 0, not {labels.min()}")
