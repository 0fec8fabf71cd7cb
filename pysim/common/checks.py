"""Checks of plain fields: a whole number in its range, and a dict that has exactly its fields."""

from dataclasses import fields
from typing import Any

import numpy as np

from spikeloop.pysim.common.errors import InputError

__all__ = [
    "check_array",
    "check_int",
    "check_lines",
    "check_object",
    "check_starts",
    "from_exactly",
]


def check_int(what: str, value: Any, low: int, high: int) -> None:
    """InputError unless ``value`` is an int (no bool, no numpy number) in low..high.

    ``what`` names the value in the message.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"{what} must be in {low}..{high}, not {value!r}")


def check_array(what: str, array: np.ndarray, dtype: Any) -> None:
    """InputError unless an array of a file is of ``dtype``, and its truth values are 0 or 1.

    ``what`` names the array in the message.
    """
    if array.dtype != dtype:
        raise InputError(f"{what} must be {np.dtype(dtype)}, not {array.dtype}")
    if array.dtype == np.bool_ and (array.view(np.uint8) > 1).any():
        raise InputError(f"{what} must be 0 or 1, not {array.view(np.uint8).max()}")


def check_lines(what: str, name: str, size: int, sizes: dict[str, int]) -> None:
    """InputError unless input ``name`` is one of ``sizes``, lines by input, and has ``size`` lines.

    what: who makes its spikes, in messages.
    """
    if name not in sizes:
        raise InputError(
            f"input of the {what} must be one of {', '.join(sizes) or 'the network'}, not {name!r}"
        )
    if sizes[name] != size:
        raise InputError(
            f"lines of input {name!r} must be as many as its {what}, {size}, not {sizes[name]}"
        )


def check_object(what: str, value: Any) -> None:
    """InputError unless ``value`` is a dict. ``what`` names it in the message."""
    if not isinstance(value, dict):
        raise InputError(f"{what} must be an object, not {value!r:.60}")


def check_starts(
    name: str, starts: np.ndarray, shape: tuple[int, int], axes: str, high: int
) -> None:
    """InputError unless ``starts`` of input ``name`` are uint16 of ``shape``, at most ``high``.

    axes: what the axes are, in messages.
    """
    what = f"starts of {name!r}"
    if starts.dtype != np.uint16 or starts.shape != shape:
        raise InputError(
            f"{what} must be uint16 of shape {shape} ({axes}), not {starts.dtype} of {starts.shape}"
        )
    if starts.size and starts.max() > high:
        raise InputError(f"{what} must be in 0..{high}, not {starts.max()}")


def from_exactly(cls: type, values: Any, what: str) -> Any:
    """The dataclass ``cls`` made of ``values``.

    InputError unless ``values`` is a dict with all fields of ``cls`` and no other.
    """
    known = {f.name for f in fields(cls)}
    if not isinstance(values, dict) or set(values) != known:
        got = ", ".join(sorted(values)) if isinstance(values, dict) else repr(values)
        raise InputError(f"{what} must be exactly {', '.join(sorted(known))}, not {got}")
    return cls(**values)
