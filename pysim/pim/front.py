"""The PIM macro in front of a core: its chip parameters, its address tables, and its cycles.

Pixels lie in a memory as the padded map, whose border is 0. Kernel row k of position p is pixel
``windows[p] + taps[k]``: two small tables stand for any window.

Currents come position after position, and at a position channel after channel. Entry position *
channels + channel of the table ``places`` says which lane of which word of the core takes the
current, if any does. The memory ``currents`` holds 32 bits per lane.
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

__all__ = ["PIM_SETTINGS", "PimFront", "front_cycles", "padded_rows", "tables"]

RESTART = 2  # the macro waits for pixels from the third cycle on
COLLECT = 4  # cycles from the last pixel's address to the macro
PIM_SETTINGS = {
    "kernel_rows": "kernel rows",
    "channels": "channels",
    "positions": "output positions",
    "shift": "range shift",
    "limit": "discharge clip",
    "sigma": "noise",
    "stream": "word XORed onto all seeds: the stream of the noise",
}
"""Registers of the memory map, without their prefix."""


@dataclass(frozen=True, kw_only=True)
class PimFront:
    """Chip parameters of the macro and of the memories around it.

    macro:      the macro
    pixels:     rows of the memory of pixels, those of a padded map
    positions:  rows of the memory of windows
    currents:   rows of the memory of places
    """

    macro: PimParams
    pixels: int
    positions: int
    currents: int

    def __post_init__(self) -> None:
        for name in ("pixels", "positions", "currents"):
            check_int(f"chip parameter pim.{name}", getattr(self, name), 1, 1 << 20)

    @classmethod
    def of(cls, head: PimHead) -> "PimFront":
        """The smallest memories, in powers of two, that run a layer."""
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
        """InputError unless this macro and its memories run the layer."""
        if self.macro != head.params:
            wrong = [
                f"{key} {value}, not {getattr(self.macro, key)}"
                for key, value in head.params.to_dict().items()
                if getattr(self.macro, key) != value
            ]
            raise InputError(
                f"PIM macro of the chip must be the one layer {head.name!r} was made for "
                f"({', '.join(wrong)})"
            )
        need = PimFront.of(head)
        for name in ("pixels", "positions", "currents"):
            if getattr(self, name) < getattr(need, name):
                raise InputError(
                    f"chip parameter pim.{name} must be at least {getattr(need, name)} "
                    f"for layer {head.name!r}, not {getattr(self, name)}"
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
    """Channels of the map, and its sizes with the border."""
    return window.source[0], *(
        n + 2 * p for n, p in zip(window.source[1:], window.padding, strict=True)
    )


def padded_rows(window: PimWindow) -> np.ndarray:
    """The row of the pixel memory of each pixel: int64 ``[pixels]``."""
    place = np.unravel_index(np.arange(np.prod(window.source)), window.source)
    border = (0, *window.padding)
    return np.ravel_multi_index(
        tuple(at + p for at, p in zip(place, border, strict=True)), padded(window)
    ).astype(np.int64)


def tables(window: PimWindow) -> tuple[np.ndarray, np.ndarray]:
    """The address tables: taps int64 ``[kernel rows]`` and windows int64 ``[positions]``."""
    size = padded(window)
    cell = np.unravel_index(np.arange(window.rows), (window.source[0], *window.kernel))
    at = np.unravel_index(np.arange(window.positions), window.target) if window.target else ()
    corner = (
        np.zeros(window.positions, np.int64),
        *(a * s for a, s in zip(at, window.stride, strict=True)),
    )
    taps, windows = (np.ravel_multi_index(index, size) for index in (cell, corner))
    return taps.astype(np.int64), windows.astype(np.int64)


@lru_cache
def front_cycles(head: PimHead) -> int:
    """Cycles in which the PIM layer of a chip is busy with one image.

    Three stages overlap. The pixels of a row group are collected, one a cycle; the macro evaluates
    the group; currents are written, one a cycle.
    """
    p, rows = head.params, head.window.rows
    groups = [min(p.active_rows, rows - first) for first in range(0, rows, p.active_rows)]
    words = [
        min(p.capacity, head.channels - first) for first in range(0, head.channels, p.capacity)
    ]
    evaluate = p.pulses * p.evaluation_cycles
    collected = -1  # when the last pixel of a group was asked for
    taken = 0  # when the macro took a group
    decided = RESTART  # when the macro chooses what comes next
    free = 0  # when currents may leave
    for _ in range(head.window.positions):
        for count in words:
            for n in groups:
                collected = max(collected + n, taken)
                taken = max(decided, collected + COLLECT) + 1
                decided = taken + evaluate - 1
            decided = max(decided + 1, free)  # the sum
            free = decided + count + 1
    return free + 1
