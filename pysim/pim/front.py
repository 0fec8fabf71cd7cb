"""The PIM macro in front of a core: what the chip has besides the macro, what its memories hold for a network, and how long it takes.

Pixels lie in a memory as the padded map, its border 0. Kernel row k of position p is pixel
``windows[p] + taps[k]``: two small tables stand for any window. Currents come position after
position, in each channel after channel; entry number position * channels + channel of the table
``places`` says which lane of which word of the core takes it, if any does. The memory ``currents``
holds 32 bits per lane.
"""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from spikeloop.pysim.common.checks import check_int, from_exactly
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.layer import PimParams
from spikeloop.pysim.pim.source import PimHead
from spikeloop.pysim.pim.window import PimWindow

__all__ = ["PimFront", "front_cycles", "padded_rows", "tables"]


@dataclass(frozen=True, kw_only=True)
class PimFront:
    """Chip parameters: the macro, and rows of the memories of pixels (of a padded map), windows (positions) and places (currents)."""

    macro: PimParams
    pixels: int
    positions: int
    currents: int

    def __post_init__(self) -> None:
        for name in ("pixels", "positions", "currents"):
            check_int(f"chip parameter pim.{name}", getattr(self, name), 1, 1 << 20)

    @classmethod
    def of(cls, head: PimHead) -> "PimFront":
        """The least that runs a layer, in powers of two."""
        sizes = {
            "pixels": int(np.prod(padded(head.window))),
            "positions": head.window.positions,
            "currents": head.currents,
        }
        return cls(
            macro=head.params,
            **{name: 1 << (size - 1).bit_length() for name, size in sizes.items()},
        )

    def check(self, head: PimHead) -> None:
        """InputError unless this runs the layer."""
        if self.macro != head.params:
            wrong = [
                f"{key} {value}, not {getattr(self.macro, key)}"
                for key, value in head.params.to_dict().items()
                if getattr(self.macro, key) != value
            ]
            raise InputError(
                f"PIM macro of the chip must be the one layer {head.name!r} was made for ({', '.join(wrong)})"
            )
        need = PimFront.of(head)
        for name in ("pixels", "positions", "currents"):
            if getattr(self, name) < getattr(need, name):
                raise InputError(
                    f"chip parameter pim.{name} must be at least {getattr(need, name)} for layer {head.name!r}, "
                    f"not {getattr(self, name)}"
                )

    @property
    def pixel_address_bits(self) -> int:
        return max(1, (self.pixels - 1).bit_length())

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "PimFront":
        if isinstance(values, dict) and "macro" in values:
            values = {**values, "macro": PimParams.from_dict(values["macro"])}
        return from_exactly(cls, values, "chip parameter pim")


def padded(window: PimWindow) -> tuple[int, ...]:
    """Channels and sizes of the map with its border."""
    return window.source[0], *(
        n + 2 * p for n, p in zip(window.source[1:], window.padding, strict=True)
    )


def padded_rows(window: PimWindow) -> np.ndarray:
    """Row of the pixel memory of each pixel: int64 ``[pixels]``."""
    place = np.unravel_index(np.arange(np.prod(window.source)), window.source)
    border = (0, *window.padding)
    return np.ravel_multi_index(
        tuple(at + p for at, p in zip(place, border, strict=True)), padded(window)
    ).astype(np.int64)


def tables(window: PimWindow) -> tuple[np.ndarray, np.ndarray]:
    """(taps int64 ``[kernel rows]``, windows int64 ``[positions]``)."""
    size = padded(window)
    cell = np.unravel_index(np.arange(window.rows), (window.source[0], *window.kernel))
    at = np.unravel_index(np.arange(window.positions), window.target) if window.target else ()
    corner = (
        np.zeros(window.positions, np.int64),
        *(a * s for a, s in zip(at, window.stride, strict=True)),
    )
    return np.ravel_multi_index(cell, size).astype(np.int64), np.ravel_multi_index(
        corner, size
    ).astype(np.int64)


@lru_cache
def front_cycles(head: PimHead) -> int:
    """Cycles in which the PIM layer of a chip is busy with one image.

    Three stages overlap: pixels of a row group are collected, one a cycle; the macro evaluates it;
    currents are written, one a cycle.
    """
    p, rows = head.params, head.window.rows
    groups = [min(p.active_rows, rows - first) for first in range(0, rows, p.active_rows)]
    words = [
        min(p.capacity, head.channels - first) for first in range(0, head.channels, p.capacity)
    ]
    evaluate = p.pulses * p.evaluation_cycles
    collected, taken, decided, free = (
        -1,
        0,
        RESTART,
        0,
    )  # last pixel asked for; group taken; macro at choice; currents may leave
    for _ in range(head.window.positions):
        for count in words:
            for n in groups:
                collected = max(collected + n, taken)
                taken = max(decided, collected + COLLECT) + 1
                decided = taken + evaluate - 1
            decided = max(decided + 1, free)  # the sum
            free = decided + count + 1
    return free + 1


RESTART = 2  # the macro waits for pixels from the third cycle on
COLLECT = 4  # from the last pixel's address to the macro
