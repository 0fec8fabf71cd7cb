"""Events and spike times as a stimulus.

    events (t, x, y, p)     a structured array, or one with four columns; one sample a file
    HDF5 of spike times     ``spikes/times`` (seconds), ``spikes/units``, ``labels`` (SHD, SSC)

Step k of a sample holds what happens in k bin .. (k + 1) bin after its first event, or after time 0
of spike times. Several events of one line in one step are one spike; their number is told.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.golden.interchange.hdf5 import check_readable
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.reading import MAX_BYTES, check_file

__all__ = ["Binned", "bin_events", "read_spike_times"]

MAX_SAMPLES = 1_000_000
MAX_EVENTS = 1 << 28  # of all samples
MAX_OF_SAMPLE = 1 << 22  # some 200 MB while it is read
"""Spikes of all samples together."""
AXES = ("t", "x", "y", "p")
NUMBERS = "biuf"  # kinds of numpy types


@dataclass(frozen=True, eq=False)
class Binned:
    """``spikes`` uint8 [sample, step, line]; ``labels`` as the file has them, or None; ``merged``
    events that fell on a spike already there, ``late`` ones behind the last step."""

    spikes: np.ndarray
    labels: np.ndarray | None
    merged: int
    late: int


def bin_events(
    events: np.ndarray, width: float, steps: int, shape: tuple[int, ...]
) -> tuple[np.ndarray, int, int]:
    """One sample: spikes uint8 [step, line], the merged and the late events.

    events: structured with the fields t, x, y, p, or [event, 4] in that order; a structured array
            without y is of sounds: x is the line, and p says nothing.
    width:  of a step, in the unit of t.
    shape:  (polarities, height, width) of the input; line (p, y, x).
    """
    t, x, y, p = _columns(events)
    polarities, height, wide = shape if len(shape) == 3 else (1, 1, int(np.prod(shape)))
    px, py, pp = _places("x", x, wide), _places("y", y, height), _places("p", p, polarities)
    line = (pp * height + py) * wide + px
    first = float(t.min()) if t.size else 0.0
    return _binned(t, first, width, line, steps, polarities * height * wide)


def read_spike_times(
    path: Path, width: float, steps: int, size: int, samples: int | None
) -> Binned:
    """Spikes of an HDF5 file of spike times and units, and its labels. ``width`` in seconds."""
    try:
        import h5py
    except ImportError:
        raise InputError("package h5py is missing: install h5py to read spike times") from None
    check_file(path, "file of spike times", "name one that is there")

    def look() -> None:
        with h5py.File(path, "r") as file:
            for name in ("spikes/times", "spikes/units", "labels"):
                for _ in _inside(file, name) if name in file else ():
                    pass  # a sample whose length is damaged takes gigabytes

    check_readable(look, path.stat().st_size, f"file of spike times {str(path)!r}")
    try:
        with h5py.File(path, "r") as file:
            times, units = _inside(file, "spikes/times"), _inside(file, "spikes/units")
            if len(times) != len(units) or len(times) > MAX_SAMPLES:
                raise InputError(
                    f"samples of {str(path)!r} must be as many times as units, at most "
                    f"{MAX_SAMPLES:,}, not {len(times)} and {len(units)}"
                )
            count = len(times) if samples is None else min(samples, len(times))
            if count * steps * size > MAX_BYTES:
                raise InputError(
                    f"spikes of {count:,} samples must take at most {MAX_BYTES:,} bytes, not "
                    f"{count * steps * size:,}: take fewer samples"
                )
            labels = None
            if "labels" in file and (marks := _inside(file, "labels")).ndim == 1:
                labels = np.asarray(marks[:count])
            rows, events = [], 0
            for i in range(count):
                rows.append(_sample(times[i], units[i], width, steps, size, i))
                events += units[i].size
                if events > MAX_EVENTS:
                    raise InputError(
                        f"file {str(path)!r} must hold at most {MAX_EVENTS:,} spikes, not more: "
                        "take fewer samples"
                    )
    except InputError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError):
        raise InputError(
            f"file {str(path)!r} is damaged or holds no spikes/times and spikes/units: name an "
            "HDF5 file of spike times"
        ) from None
    if not rows:
        raise InputError(f"file {str(path)!r} must hold samples, not none")
    spikes = np.stack([row[0] for row in rows])
    return Binned(spikes, labels, sum(r[1] for r in rows), sum(r[2] for r in rows))


def _inside(file: Any, name: str) -> Any:
    """A data set that lies in the file, one entry a sample, each of at most MAX_OF_SAMPLE values.

    ValueError for another.
    """
    found = file[name]
    if not hasattr(found, "shape"):  # a group, or a type with a name
        raise ValueError(name)
    one = int(np.prod(found.shape[1:], dtype=object))
    if found.is_virtual or found.external or one > MAX_OF_SAMPLE or found.file != file:
        raise ValueError(name)
    return found


def _sample(
    times: Any, units: Any, width: float, steps: int, size: int, number: int
) -> tuple[np.ndarray, int, int]:
    t, line = np.asarray(times, np.float64).ravel(), np.asarray(units).ravel()
    if t.shape != line.shape:
        raise InputError(
            f"times and units of sample {number} must be equally many, not {t.size} and {line.size}"
        )
    if t.size and not (np.isfinite(t).all() and t.min() >= 0):
        raise InputError(f"times of sample {number} must be finite and not negative")
    if line.size and not (line.dtype.kind in "ui" and line.min() >= 0 and line.max() < size):
        raise InputError(
            f"units of sample {number} must be whole numbers in 0..{size - 1}, not "
            f"{line.min()}..{line.max()}"
        )
    return _binned(t, 0.0, width, line.astype(np.int64), steps, size)


def _binned(
    t: np.ndarray, first: float, width: float, line: np.ndarray, steps: int, size: int
) -> tuple[np.ndarray, int, int]:
    with np.errstate(over="ignore"):  # infinitely late is behind the last step too
        step = np.minimum(np.floor((t - first) / width), steps).astype(np.int64)
    inside = step < steps
    spikes = np.zeros((steps, size), np.uint8)
    spikes[step[inside], line[inside]] = 1
    return spikes, int(inside.sum()) - int(spikes.sum()), int((~inside).sum())


def _columns(events: np.ndarray) -> tuple[np.ndarray, ...]:
    """t, x, y and p, finite float64 [event] each."""
    if set(events.dtype.names or ()) == {"t", "x", "p"}:
        nothing = np.zeros(events.shape, np.uint8)
        columns = [events["t"], events["x"], nothing, nothing]
    elif events.dtype.names:
        if any(name not in events.dtype.names for name in AXES):
            raise InputError(f"events must have the fields t, x, y, p, not {events.dtype.names}")
        columns = [events[name] for name in AXES]
    elif events.ndim == 2 and events.shape[1] == 4 and events.dtype.kind in NUMBERS:
        columns = list(events.T)
    else:
        raise InputError(
            "events must have the fields t, x, y, p or four columns of numbers, not the shape "
            f"{events.shape} of {events.dtype}"
        )
    return tuple(_column(name, column) for name, column in zip(AXES, columns, strict=True))


def _column(name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in NUMBERS or values.ndim != 1:
        raise InputError(
            f"{name} of the events must be one number an event, not {values.dtype} of shape "
            f"{values.shape}"
        )
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"{name} of the events must be finite, not NaN or infinite")
    return values


def _places(name: str, values: np.ndarray, count: int) -> np.ndarray:
    """The values as whole numbers 0..count - 1."""
    broken = values[values != np.rint(values)]
    if broken.size:
        raise InputError(f"{name} of the events must be whole numbers, not {broken[0]:g}")
    if values.size and (values.min() < 0 or values.max() >= count):
        raise InputError(
            f"{name} of the events must be in 0..{count - 1}, not {values.min():.15g}.."
            f"{values.max():.15g}"
        )
    return values.astype(np.int64)
