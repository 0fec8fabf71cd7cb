"""Dense arrays and grey values as a stimulus: ``.npy``, and ``.npz`` with any one array in it.

uint8, bool, int, float of 0 and 1   [sample, step, ...]: spikes
other numbers                        [sample, ...]: grey values, as bit planes (--grey); uint8 above
                                     1 are pixels 0..255
"""

from pathlib import Path

import numpy as np

from spikeloop.golden.interchange.modules.grey import Grey
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.reading import MAX_BYTES, read_file
from spikeloop.pysim.traces.npz import read_array, unpack

__all__ = ["grey_spikes", "read_arrays", "spikes_of"]

LABELS = ("labels", "label", "targets", "target", "y")


def read_arrays(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """The data and, if the file has them, the labels; pickled objects are never read."""
    try:
        data = read_file(path, "data file", "name a file that is there", most=MAX_BYTES)
        archive = data.startswith(b"PK")
        members = unpack(data, f"data file {str(path)!r}") if archive else [("data", data)]
        arrays = {name: read_array(member) for name, member in members}
    except InputError:
        raise
    except Exception:
        raise InputError(
            f"data file {str(path)!r} is damaged or no array of numbers: save it with numpy.save"
        ) from None
    labels = next((arrays.pop(name) for name in LABELS if name in arrays), None)
    if len(arrays) != 1:
        names = ", ".join(arrays) or "none"
        raise InputError(f"data file {str(path)!r} must hold one array of data, not {names}")
    return next(iter(arrays.values())), labels


def spikes_of(data: np.ndarray, steps: int, size: int) -> np.ndarray:
    """Spikes uint8 [sample, step, line] of an array [sample, step, ...] of 0 and 1."""
    if data.dtype.kind not in "buif":
        raise InputError(f"data must be numbers, not {data.dtype}")
    lines = int(np.prod(data.shape[2:])) if data.ndim > 2 else 0
    if data.ndim < 3 or data.shape[1] != steps or lines != size:
        raise InputError(
            f"data must be of shape [sample, {steps}, {size}] for this network, not {data.shape}"
        )
    if not np.isin(data, (0, 1)).all():
        wrong = data[~np.isin(data, (0, 1))].flat[0]
        raise InputError(
            f"spikes must be 0 or 1, not {wrong}: grey values go in as bit planes, with a net that "
            "was imported for them (import torch --grey 4); counts go in step by step, one at most"
        )
    return data.reshape(len(data), steps, size).astype(np.uint8)


def grey_spikes(data: np.ndarray, grey: Grey, steps: int, size: int) -> np.ndarray:
    """Spikes uint8 [sample, step, line] of values [sample, ...], the same planes in each step."""
    values = size // grey.bits
    if data.ndim < 2 or int(np.prod(data.shape[1:])) != values:
        raise InputError(
            f"grey values must be of shape [sample, {values}] for this network, not {data.shape}"
        )
    planes = grey.planes(grey.levels(data.reshape(len(data), values)))
    return np.repeat(planes[:, None], steps, axis=1)
