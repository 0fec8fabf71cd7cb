"""What a run keeps to go on from: arrays and a head, in one ``.npz`` archive.

The head is a JSON object. What it must hold is for the reader to check, who builds on
:func:`damaged`.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.reading import read_file
from spikeloop.pysim.traces import npz

__all__ = ["Head", "check_counts", "damaged", "load", "save"]

Head = dict[str, Any]


def save(path: Path, head: Head, arrays: npz.Arrays) -> Path:
    """Write head and arrays, whole or not at all."""
    text = np.frombuffer(json.dumps(head).encode(), np.uint8)
    return npz.save(path, {"head": text, **arrays})


def load(path: Path, what: str, remedy: str, members: npz.Members) -> tuple[Head, npz.Arrays]:
    """Head and arrays of a file that :func:`save` wrote: all of ``members`` and no other.

    what:   kind of the file ("kept lesson"); remedy: what helps against damage.
    InputError for anything else.
    """
    data = read_file(path, what, remedy)
    try:
        arrays = npz.decode(data, what, {"head": np.uint8, **members})
        head = json.loads(arrays.pop("head").tobytes())
    except (InputError, KeyError, ValueError, RecursionError):
        raise damaged(path, what, remedy) from None
    if not isinstance(head, dict) or set(arrays) != set(members):
        raise damaged(path, what, remedy)
    return head, arrays


def damaged(path: Path, what: str, remedy: str) -> InputError:
    """What to raise if the contents are not those that were kept."""
    return InputError(f"{what} {str(path)!r} is damaged: {remedy}")


def check_counts(counts: Any, kind: type[int] | type[float] = int) -> Any:
    """The dict ``counts``; ValueError unless its values are numbers of ``kind``, none below 0."""
    values = counts.values() if isinstance(counts, dict) else [None]
    if not all(type(n) is kind and n >= kind(0) for n in values):
        raise ValueError(f"counts must be numbers of at least 0, not {counts!r}")
    return counts
