"""Geometry of a convolution edge: which line meets which neuron through which weight. No arithmetic on weights.

    S[c', y', x'] = sum over c, i, j of weights[c', c - first(c'), i, j] * x[c, y' * stride + i - padding, x' * stride + j - padding]

Maps are (channels, height, width), flat in that order: neuron or line (c, y, x) has index (c * height + y) * width + x. Outside the
source map there are no lines. ``groups``: output channel c' sees the channels of its group only, the first of which is
first(c'); groups = channels is a depthwise convolution (OR and average pooling), stride 2 a pooling that learns.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeloop.pysim.common.errors import InputError

__all__ = ["Conv", "strided"]


@dataclass(frozen=True, kw_only=True)
class Conv:
    """``source``, ``target``: maps (channels, height, width); ``kernel``, ``stride``, ``padding``: (vertical, horizontal)."""

    source: tuple[int, int, int]
    target: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    groups: int = 1

    @property
    def weights_shape(self) -> tuple[int, int, int, int]:
        """Output channels, input channels of a group, kernel height and width."""
        return self.target[0], self.source[0] // self.groups, *self.kernel

    @classmethod
    def make(
        cls,
        source: tuple[int, int, int],
        channels: int,
        kernel: tuple[int, int],
        *,
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int] = (0, 0),
        groups: int = 1,
    ) -> "Conv":
        """The convolution whose target map follows from the others, rounded down as usual."""
        size = [
            (n + 2 * p - k) // s + 1
            for n, k, s, p in zip(source[1:], kernel, stride, padding, strict=True)
        ]
        return cls(
            source=source,
            target=(channels, size[0], size[1]),
            kernel=kernel,
            stride=stride,
            padding=padding,
            groups=groups,
        )

    def check(self, where: str) -> None:
        """InputError unless the parts agree."""
        for key, length in (
            ("source", 3),
            ("target", 3),
            ("kernel", 2),
            ("stride", 2),
            ("padding", 2),
        ):
            value, least = getattr(self, key), 0 if key == "padding" else 1
            if len(value) != length or any(
                isinstance(n, bool) or not isinstance(n, int) or not least <= n <= 1 << 16
                for n in value
            ):
                raise InputError(
                    f"{key} of the convolution of {where} must be {length} sizes of {least}..65536, not {value!r}"
                )
        if (
            isinstance(self.groups, bool)
            or not isinstance(self.groups, int)
            or self.groups < 1
            or self.source[0] % self.groups
            or self.target[0] % self.groups
        ):
            raise InputError(
                f"groups of the convolution of {where} must divide {self.source[0]} and {self.target[0]} channels, "
                f"not {self.groups!r}"
            )
        for axis, name in ((0, "height"), (1, "width")):
            room = self.source[1 + axis] + 2 * self.padding[axis] - self.kernel[axis]
            if room < 0 or room // self.stride[axis] + 1 != self.target[1 + axis]:
                raise InputError(
                    f"target {name} of the convolution of {where} must be {max(0, room // self.stride[axis] + 1)} (from "
                    f"{self.source[1 + axis]}, kernel {self.kernel[axis]}, stride {self.stride[axis]}, "
                    f"padding {self.padding[axis]}), not {self.target[1 + axis]}"
                )

    def to_dict(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Conv":
        parts: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**parts)

    def lines(self, neurons: np.ndarray) -> np.ndarray:
        """Lines that reach any of ``neurons``, ascending: int64 ``[m]``."""
        seen = np.zeros((self.groups, *self.source[1:]), np.bool_)
        group, y, x = np.unravel_index(
            np.unique(self._outputs(neurons)), (self.groups, *self.target[1:])
        )
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                row, column, inside = self._at(y, x, i, j)
                seen[group[inside], row[inside], column[inside]] = True
        return np.flatnonzero(seen.repeat(self.source[0] // self.groups, axis=0))

    def block(self, weights: np.ndarray, lines: np.ndarray, neurons: np.ndarray) -> np.ndarray:
        """Weight of each of ``lines`` onto each of ``neurons``, 0 where they do not meet: int32 ``[m, n]``.

        ``lines`` and ``neurons`` name each at most once. Neurons of one place see the same lines: their weights are copied at once.
        """
        found = np.zeros((lines.size, neurons.size), np.int32)
        row_of = np.full((self.groups, self.source[0] // self.groups, *self.source[1:]), -1)
        row_of.reshape(-1)[lines] = np.arange(lines.size)
        places, of = np.unique(self._outputs(neurons), return_inverse=True)
        columns = np.split(np.argsort(of, kind="stable"), np.cumsum(np.bincount(of)))[:-1]
        channel = neurons // (self.target[1] * self.target[2])
        for group, v, u, mine in zip(
            *np.unravel_index(places, (self.groups, *self.target[1:])), columns, strict=True
        ):
            y, x = (
                v * self.stride[0] - self.padding[0],
                u * self.stride[1] - self.padding[1],
            )  # of the kernel's first cell
            i, j = max(0, -y), max(0, -x)  # the first cell inside the map
            rows = row_of[
                group, :, y + i : max(0, y + self.kernel[0]), x + j : max(0, x + self.kernel[1])
            ]
            some = weights[
                strided(channel[mine]), :, i : i + rows.shape[1], j : j + rows.shape[2]
            ].reshape(mine.size, -1)
            rows = rows.reshape(-1)
            if rows.size and rows.min() < 0:
                rows, some = rows[rows >= 0], some[:, rows >= 0]
            at, to = strided(rows), strided(mine)
            if isinstance(at, slice) or isinstance(to, slice):
                found[at, to] = some.T
            else:
                found[np.ix_(at, to)] = some.T
        return found

    def fanout(self, weights: np.ndarray) -> np.ndarray:
        """Non-zero synapses of each line: int64 ``[source size]``."""
        count = np.zeros(self.source, np.int64)
        nonzero = (
            (weights != 0)
            .reshape(self.groups, -1, *weights.shape[1:])
            .sum(axis=1)
            .reshape(self.source[0], *self.kernel)
        )
        y, x = np.divmod(np.arange(self.target[1] * self.target[2]), self.target[2])
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                row, column, inside = self._at(y, x, i, j)
                count[:, row[inside], column[inside]] += nonzero[:, i, j, None]
        return count.reshape(-1)

    def _at(
        self, y: np.ndarray, x: np.ndarray, i: int, j: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row and column of the source that kernel cell (i, j) meets for outputs (y, x), and where they lie inside."""
        row, column = (
            y * self.stride[0] + i - self.padding[0],
            x * self.stride[1] + j - self.padding[1],
        )
        return (
            row,
            column,
            (row >= 0) & (row < self.source[1]) & (column >= 0) & (column < self.source[2]),
        )

    def _outputs(self, neurons: np.ndarray) -> np.ndarray:
        """Group and place of each neuron as one number, (group * height + y) * width + x."""
        channel, place = np.divmod(neurons, self.target[1] * self.target[2])
        return (
            channel // (self.target[0] // self.groups) * (self.target[1] * self.target[2]) + place
        )


def strided(index: np.ndarray) -> slice | np.ndarray:
    """An index as a slice, if it ascends evenly: numpy then copies rows instead of elements."""
    if index.size < 2 or index[1] <= index[0]:
        return index
    step = int(index[1] - index[0])
    last = int(index[0]) + step * (index.size - 1)
    return slice(int(index[0]), last + 1, step) if (np.diff(index) == step).all() else index
