"""One stimulus for one network, whatever the data are."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.stimuli.dense import grey_spikes, read_arrays, spikes_of
from spikeloop.cosim.stimuli.events import bin_events, read_spike_times
from spikeloop.golden.interchange.modules.grey import Grey
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.readout import Readout
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["Made", "from_files", "stimulus_of"]

HDF5 = (".h5", ".hdf5")
MOST_SAMPLES = 1 << 31


@dataclass(frozen=True, eq=False)
class Made:
    """The stimulus, and what there is to say of it: a sentence each."""

    stimulus: Stimulus
    said: list[str]


def from_files(
    network: Network,
    files: list[Path],
    *,
    width: float | None = None,
    labels: Path | None = None,
    samples: int | None = None,
) -> Made:
    """A stimulus of ``network``, which has one input, from ``files``.

    One dense array or HDF5 file of spike times, or files of events, one sample each. ``width`` of a
    step: seconds for spike times, the unit of t for events. ``labels`` a file of whole numbers.
    InputError for data that the network does not take, and for labels that are none of its classes.
    """
    _check_count(samples)
    if len(network.inputs) != 1:
        raise InputError(f"network must have one input, not {len(network.inputs)}")
    node, said = network.inputs[0], list[str]()
    given: np.ndarray | None = None
    if files[0].suffix.lower() in HDF5:
        read = read_spike_times(files[0], _width(width), network.steps, node.size, samples)
        spikes, given = read.spikes, read.labels
        said += _merged(read.merged, read.late)
        if len(files) > 1:
            raise InputError("files of spike times must be one, not several")
    else:
        arrays = [read_arrays(file) for file in files]
        data, given = arrays[0]
        if _are_events(network, [a for a, _ in arrays]):
            shape = _shape(network)
            parts = [bin_events(a, _width(width), network.steps, shape) for a, _ in arrays]
            spikes, given = np.stack([part[0] for part in parts]), None
            said += _merged(sum(p[1] for p in parts), sum(p[2] for p in parts))
        else:
            spikes = _dense(network, data)
    if labels is not None:
        given, other = read_arrays(labels)
        given = other if other is not None else given
    return Made(_packed(network, spikes, given, samples), said)


def stimulus_of(
    network: Network,
    batches: Iterable[Any],
    *,
    samples: int | None = None,
    width: float | None = None,
) -> Stimulus:
    """A stimulus of ``network`` from a torch DataLoader, or anything that yields (data, labels).

    data: tensors [sample, step, ...] of spikes, or [sample, ...] of grey values for a network that
    was imported for them; a batch may also be data alone. labels: whole numbers [sample].
    A data set of tonic yields (events, label), a sample each: structured arrays with the fields t,
    x, p and, of cameras, y. ``width`` of a step, in the unit of t, bins them.
    samples: only so many, the first ones; the data must hold them (default: all).
    InputError for data that the network does not take, and for labels that are none of its classes.
    """
    _check_count(samples)
    rows: list[np.ndarray] = []
    marks: list[np.ndarray] = []
    count = 0
    for batch in batches:
        data, mark = (
            batch if isinstance(batch, (tuple, list)) and len(batch) == 2 else (batch, None)
        )
        if isinstance(data, np.ndarray) and data.dtype.names:
            rows.append(bin_events(data, _width(width), network.steps, _shape(network))[0][None])
            mark = None if mark is None else np.reshape(mark, 1)
        else:
            rows.append(_dense(network, _numpy(data)))
        if mark is not None:
            marks.append(_labels(_numpy(mark), len(rows[-1])))
        count += len(rows[-1])
        if samples is not None and count >= samples:
            break
    spikes = np.concatenate(rows) if rows else np.empty(0)
    return _packed(network, spikes, np.concatenate(marks) if marks else None, samples)


def _check_count(samples: int | None) -> None:
    if samples is not None:
        check_int("samples", samples, 1, MOST_SAMPLES)


def _dense(network: Network, data: np.ndarray) -> np.ndarray:
    grey, size = network.metadata.get("grey"), network.inputs[0].size
    if grey is None:
        return spikes_of(data, network.steps, size)
    return grey_spikes(data, Grey(**grey), network.steps, size)


def _packed(
    network: Network, spikes: np.ndarray, labels: np.ndarray | None, samples: int | None
) -> Stimulus:
    """The first ``samples``, all by default; ``labels`` are of all, or of those that are taken."""
    if not len(spikes):
        raise InputError("data must hold samples, not none")
    stimulus = Stimulus.pack({network.inputs[0].name: spikes}).first(samples)
    if labels is not None:
        labels = _labels(labels[:samples] if labels.ndim else labels, stimulus.samples)
        stimulus = replace(stimulus, labels=labels)
    stimulus.check(network)
    Readout.of(network).check_labels(labels)
    return stimulus


def _labels(labels: np.ndarray, samples: int) -> np.ndarray:
    if labels.shape != (samples,):
        raise InputError(f"labels must be one a sample, {samples}, not of shape {labels.shape}")
    if labels.dtype.kind not in "ui" and not (
        labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.rint(labels)).all()
    ):
        raise InputError("labels must be whole numbers, not fractions or texts")
    return labels.astype(np.int64)


def _are_events(network: Network, arrays: list[np.ndarray]) -> bool:
    """Whether the files are of events, one a sample. Grey values may have four columns too."""
    fields = any(data.dtype.names for data in arrays)
    if "grey" in network.metadata:
        if fields or len(arrays) > 1:
            raise InputError(
                "data of a network that was imported for grey values must be one array of them, "
                f"not {'events' if fields else 'several files'}"
            )
        return False
    return fields or len(arrays) > 1 or (arrays[0].ndim == 2 and arrays[0].shape[1] == 4)


def _shape(network: Network) -> tuple[int, ...]:
    """The shape of the input, if the import kept it."""
    shapes = network.metadata.get("shapes", {})
    return tuple(shapes.get(network.inputs[0].name, (network.inputs[0].size,)))


def _width(width: float | None) -> float:
    if width is None:
        raise InputError("width of a step is missing: give it (--bin)")
    if not (np.isfinite(width) and width > 0):
        raise InputError(f"width of a step must be positive, not {width:g}")
    return width


def _merged(merged: int, late: int) -> list[str]:
    said = []
    if merged:
        said.append(
            f"{merged:,} events fell on a spike of their line and step, and are one with it"
        )
    if late:
        said.append(f"{late:,} events come after the last step, and are left out")
    return said


def _numpy(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    try:
        return np.asarray(value)
    except ValueError:
        raise InputError("data must be arrays of numbers, not lists of several lengths") from None
