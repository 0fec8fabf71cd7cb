"""The window of a PIM layer: which pixel meets which kernel row at which output position.

    u[c, y] = sum over c', i of weights[c, c', i] * x[c', y * stride + i - padding]

Here y and i are places of any number of dimensions. No unfolded image and no list of patches is
ever made: pixels are addressed one by one, in streaming order. There is no arithmetic on data here.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from spikeloop.pysim.common.errors import InputError

__all__ = ["PimWindow"]


@dataclass(frozen=True, kw_only=True)
class PimWindow:
    """Which pixel meets which kernel row at which output position, in streaming order.

    All writings of the macro share this order.

    source:   channels, then the sizes of the map: 0, 2 or 3 dimensions (linear, Conv2d, Conv3d)
    kernel:   its size in each dimension
    stride:   steps between positions in each dimension
    padding:  border of 0 in each dimension

    Positions are the places of the outputs in C order. Kernel row k is (channel, *cell) in C order,
    as torch stores weights. For each position in order, and for each kernel row in order, pixel
    ``address(position)[k]`` is streamed: its number in C order. Padding is -1 and streams a 0.
    """

    source: tuple[int, ...]
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()

    @classmethod
    def make(
        cls,
        source: tuple[int, ...],
        kernel: tuple[int, ...] = (),
        *,
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
    ) -> "PimWindow":
        """The window; a single number stands for all dimensions."""
        each = {
            name: (value,) * len(kernel) if isinstance(value, int) else tuple(value)
            for name, value in (("stride", stride), ("padding", padding))
        }
        return cls(source=tuple(source), kernel=tuple(kernel), **each)

    def __post_init__(self) -> None:
        if len(self.source) != len(self.kernel) + 1 or len(self.source) > 4:
            raise InputError(
                f"source of a PIM layer must be channels and {len(self.kernel)} sizes of the map, "
                f"not {self.source!r}"
            )
        for name, least in (("source", 1), ("kernel", 1), ("stride", 1), ("padding", 0)):
            value = getattr(self, name)
            whole = all(isinstance(n, int | np.integer) and n is not True for n in value)
            fits = name == "source" or len(value) == len(self.kernel)
            if not whole or not fits or any(n < least for n in value):
                raise InputError(
                    f"{name} of a PIM layer must be {len(self.kernel)} whole numbers of at least "
                    f"{least}, not {value!r}"
                )
        if min(self.target, default=1) < 1:
            raise InputError(
                f"kernel of a PIM layer must fit into the padded map {self.source[1:]}, "
                f"not be {self.kernel}"
            )

    @property
    def target(self) -> tuple[int, ...]:
        """Sizes of the output map, () for a linear layer."""
        return tuple(
            (n + 2 * p - k) // s + 1
            for n, k, s, p in zip(
                self.source[1:], self.kernel, self.stride, self.padding, strict=True
            )
        )

    @property
    def positions(self) -> int:
        return prod(self.target)

    @property
    def rows(self) -> int:
        """Kernel rows: products per output."""
        return self.source[0] * prod(self.kernel)

    def address(self, positions: np.ndarray | int) -> np.ndarray:
        """The pixel of every kernel row at some positions: int64 ``[..., rows]``, -1 for padding.

        positions: int, or int64 ``[m]``.
        """
        place = np.array(np.unravel_index(np.asarray(positions), self.target or (1,)))[
            : len(self.kernel), ..., None
        ]
        channel, *cell = np.array(
            np.unravel_index(np.arange(self.rows), (self.source[0], *self.kernel))
        )
        flat, inside = np.broadcast_to(channel, (*np.shape(positions), self.rows)), True
        dimensions = zip(place, cell, self.source[1:], self.stride, self.padding, strict=True)
        for at, c, n, s, p in dimensions:
            along = at * s + c - p
            flat, inside = flat * n + along, inside & (along >= 0) & (along < n)
        return np.where(inside, flat, -1)
