"""Geometry of a convolution edge: which line meets which neuron through which weight.

    S[c', y', x'] = sum over c, i, j of
                    weights[c', c - first(c'), i, j]
                    * x[c, y' * stride + i - padding, x' * stride + j - padding]

Maps are (channels, height, width), flat in that order: neuron or line (c, y, x) has the index
(c * height + y) * width + x. Outside the source map there are no lines. With ``groups``, output
channel c' sees only the channels of its group; first(c') is the first of them. A depthwise
convolution (OR and average pooling) has as many groups as channels. Nothing here multiplies.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeloop.pysim.common.errors import InputError

__all__ = ["Conv", "strided"]

MAX_SIZE = 1 << 16
"""of a side, a kernel, a stride, a padding, and of the channels of a map"""


@dataclass(frozen=True, kw_only=True)
class Conv:
    """The geometry of a convolution.

    source, target: maps (channels, height, width), each size 1..65536.
    kernel, stride: (vertical, horizontal), each 1..65536.
    padding: (vertical, horizontal), each 0..65536.
    groups: divides the channels of source and target.
    """

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
        """InputError unless all sizes are in range and agree; ``where`` names the edge."""
        for key, length, least in (
            ("source", 3, 1),
            ("target", 3, 1),
            ("kernel", 2, 1),
            ("stride", 2, 1),
            ("padding", 2, 0),
        ):
            value = getattr(self, key)
            if len(value) != length or not all(_is_size(n, least) for n in value):
                raise InputError(
                    f"{key} of the convolution of {where} must be {length} sizes of "
                    f"{least}..{MAX_SIZE}, not {value!r}"
                )
        inputs, outputs = self.source[0], self.target[0]
        if not _is_size(self.groups, 1) or inputs % self.groups or outputs % self.groups:
            raise InputError(
                f"groups of the convolution of {where} must divide {inputs} and {outputs} "
                f"channels, not {self.groups!r}"
            )
        for axis, name in enumerate(("height", "width")):
            self._check_side(axis, f"target {name} of the convolution of {where}")

    def _check_side(self, axis: int, what: str) -> None:
        """InputError unless height or width of the target follows from the source's."""
        size, kernel, stride = self.source[1 + axis], self.kernel[axis], self.stride[axis]
        padding, target = self.padding[axis], self.target[1 + axis]
        room = size + 2 * padding - kernel
        fitting = room // stride + 1 if room >= 0 else 0
        if target != fitting:
            raise InputError(
                f"{what} must be {fitting} (from {size}, kernel {kernel}, stride {stride}, "
                f"padding {padding}), not {target}"
            )

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Conv":
        """Inverse of :meth:`to_dict`; :meth:`check` says whether the sizes are sound."""
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
        """Weight of each of ``lines`` onto each of ``neurons``, 0 where they do not meet.

        ``lines`` int64 ``[m]`` and ``neurons`` int64 ``[n]`` name each at most once. Returns int32
        ``[m, n]``. Neurons of one place see the same lines: their weights are copied at once.
        """
        block = np.zeros((lines.size, neurons.size), np.int32)
        row_of = np.full((self.groups, self.source[0] // self.groups, *self.source[1:]), -1)
        row_of.reshape(-1)[lines] = np.arange(lines.size)
        places, place_of = np.unique(self._outputs(neurons), return_inverse=True)
        by_place = np.argsort(place_of, kind="stable")
        columns = np.split(by_place, np.cumsum(np.bincount(place_of)))[:-1]
        channel = neurons // (self.target[1] * self.target[2])
        (height, width), shape = self.kernel, (self.groups, *self.target[1:])
        for group, v, u, here in zip(*np.unravel_index(places, shape), columns, strict=True):
            # y, x: of the kernel's first cell; i, j: of its first cell inside the map
            y, x = v * self.stride[0] - self.padding[0], u * self.stride[1] - self.padding[1]
            i, j = max(0, -y), max(0, -x)
            rows = row_of[group, :, y + i : max(0, y + height), x + j : max(0, x + width)]
            bottom, right = i + rows.shape[1], j + rows.shape[2]
            values = weights[strided(channel[here]), :, i:bottom, j:right]
            values = values.reshape(here.size, -1)
            rows = rows.reshape(-1)
            if rows.size and rows.min() < 0:
                rows, values = rows[rows >= 0], values[:, rows >= 0]
            at, to = strided(rows), strided(here)
            if isinstance(at, slice) or isinstance(to, slice):
                block[at, to] = values.T
            else:
                block[np.ix_(at, to)] = values.T
        return block

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
        """Row and column of the source that kernel cell (i, j) meets for outputs (y, x).

        The third array, bool, says where they lie inside the source map.
        """
        row = y * self.stride[0] + i - self.padding[0]
        column = x * self.stride[1] + j - self.padding[1]
        inside = (row >= 0) & (row < self.source[1]) & (column >= 0) & (column < self.source[2])
        return row, column, inside

    def _outputs(self, neurons: np.ndarray) -> np.ndarray:
        """Group and place of each neuron as one number, (group * height + y) * width + x."""
        area = self.target[1] * self.target[2]
        channel, place = np.divmod(neurons, area)
        return channel // (self.target[0] // self.groups) * area + place


def _is_size(n: Any, least: int) -> bool:
    return isinstance(n, int) and not isinstance(n, bool) and least <= n <= MAX_SIZE


def strided(index: np.ndarray) -> slice | np.ndarray:
    """``index`` as a slice if it ascends evenly; numpy then copies rows instead of elements."""
    if index.size < 2 or index[1] <= index[0]:
        return index
    step = int(index[1] - index[0])
    last = int(index[0]) + step * (index.size - 1)
    return slice(int(index[0]), last + 1, step) if (np.diff(index) == step).all() else index
