"""The elements of an integer network: inputs, populations, weighted edges, and the range of values.

The arithmetic contract (docs/arithmetic.md) says what every parameter does. ``pages`` P_g is the
first axis of every paged array, ``size`` N the last axis of every array.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np

from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.limits import (
    LEAK_TERMS,
    MAX_PAGES,
    MAX_REFRACTORY,
    MAX_START,
    MAX_WEIGHT_BITS,
)
from spikeloop.pysim.network.convolution import Conv

__all__ = [
    "ARRAYS",
    "Edge",
    "Input",
    "LeakRounding",
    "LowBound",
    "Population",
    "Reset",
    "WeightFormat",
    "check_population",
    "weight_range",
    "within",
]


class Reset(IntEnum):
    """What a spike does to the membrane."""

    HARD = 0  # v' = v_reset
    SOFT = 1  # v' = sat(u - v_sub)
    NONE = 2  # v' = u


class LeakRounding(IntEnum):
    """How shr(v, m) rounds."""

    FLOOR = 0  # arithmetic right shift
    TOWARD_ZERO = 1  # sign(v) * (|v| >> m)
    AT_LEAST_ONE = 2  # sign(v) * max(|v| >> m, 1), 0 for v = 0


class LowBound(IntEnum):
    """What happens to a neuron that did not spike and lies below v_low."""

    NONE = 0
    CLIP = 1  # v' = v_low
    RESET = 2  # v' = v_low_reset
    ADD = 3  # v' = sat(u + v_low_add)


class WeightFormat(IntEnum):
    """Which integers the columns of one weight express."""

    SIGNED = 0  # two's complement of weight_bits
    BINARY = 1  # {0, 1}, one column
    TERNARY = 2  # {-1, 0, 1}, two columns of strength -1 and +1


@dataclass(frozen=True, kw_only=True)
class Input:
    """Logical input lines: ``size`` binary lines named ``name``."""

    name: str
    size: int


_PAGED = {"bias": np.int64, "v_th": np.int64, "v_sub": np.int64, "k0": np.bool_}
_TERMS = {"leak_sign": np.int8, "leak_shift": np.uint8}
_PLAIN = {
    "rounding": np.uint8,
    "rectify": np.bool_,
    "fire": np.bool_,
    "reset": np.uint8,
    "v_reset": np.int64,
    "low": np.uint8,
    "v_low": np.int64,
    "v_low_reset": np.int64,
    "v_low_add": np.int64,
    "refractory": np.uint8,
    "hold": np.bool_,
    "v_init": np.int64,
}
ARRAYS: dict[str, Any] = {**_PAGED, **_TERMS, **_PLAIN}
"""arrays of a population: their types"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """Neurons that share a start tick and a weight format; every other parameter is per neuron.

    name: an ASCII identifier of at most 64 letters.
    size: number of neurons, 1..2^20.
    start: the pipeline depth d, 0..255 ticks.
    weight_bits: columns of a weight, 1..16 (1 if binary, 2 if ternary).

    Paged arrays ``[pages, size]``, of which page min(k, pages - 1) acts at step k:

    bias, v_th, v_sub: int64 in the membrane range.
    k0: bool, the membrane is kept.

    Leak terms ``[pages, 3, size]``:

    leak_sign: int8, -1, 0 (term off) or +1.
    leak_shift: uint8, 0..membrane_bits.

    Plain arrays ``[size]``:

    rounding: uint8, a LeakRounding.
    rectify: bool, a current below 0 becomes 0.
    fire: bool; False is a read-out, which never spikes.
    reset: uint8, a Reset.
    low: uint8, a LowBound.
    v_reset, v_low, v_low_reset, v_low_add, v_init: int64 in the membrane range.
    refractory: uint8, 0..63 steps.
    hold: bool, held at v_reset while refractory.

    Scalars and shorter arrays broadcast in :meth:`make`.
    """

    name: str
    size: int
    start: int = 0
    weight_bits: int = 8
    weight_format: WeightFormat = WeightFormat.SIGNED
    bias: np.ndarray
    v_th: np.ndarray
    v_sub: np.ndarray
    k0: np.ndarray
    leak_sign: np.ndarray
    leak_shift: np.ndarray
    rounding: np.ndarray
    rectify: np.ndarray
    fire: np.ndarray
    reset: np.ndarray
    v_reset: np.ndarray
    low: np.ndarray
    v_low: np.ndarray
    v_low_reset: np.ndarray
    v_low_add: np.ndarray
    refractory: np.ndarray
    hold: np.ndarray
    v_init: np.ndarray

    @property
    def pages(self) -> int:
        """Pages of the paged arrays."""
        return self.bias.shape[0]

    def __repr__(self) -> str:
        form = self.weight_format.name.lower()
        return (
            f"Population({self.name!r}, {self.size:,} neurons, start {self.start}, "
            f"{form} weights of {self.weight_bits} bits, {self.pages} pages)"
        )

    @classmethod
    def make(
        cls,
        name: str,
        size: int,
        *,
        pages: int = 1,
        start: int = 0,
        weight_bits: int = 8,
        weight_format: WeightFormat = WeightFormat.SIGNED,
        **arrays: Any,
    ) -> "Population":
        """Build a population from scalars or arrays; what is not given is neutral.

        Defaults: bias 0, v_th 1, v_sub = v_th, no leak (k0 = 1), floor, fire, hard reset to 0,
        unbounded, no refractory, v_init 0. Arrays broadcast to their full shape. InputError for an
        unknown parameter, a shape that does not broadcast, or values that are not integers.
        """
        given: dict[str, Any] = {
            "bias": 0,
            "v_th": 1,
            "v_sub": arrays.get("v_th", 1),
            "k0": True,
            "leak_sign": 0,
            "leak_shift": 0,
            "rounding": 0,
            "rectify": False,
            "fire": True,
            "reset": Reset.HARD,
            "v_reset": 0,
            "low": LowBound.NONE,
            "v_low": 0,
            "v_low_reset": 0,
            "v_low_add": 0,
            "refractory": 0,
            "hold": False,
            "v_init": 0,
        }
        unknown = sorted(set(arrays) - set(given))
        if unknown:
            raise InputError(
                f"parameter of population {name!r} must be one of {', '.join(given)}, "
                f"not {unknown[0]!r}"
            )
        given.update(arrays)
        shapes = _shapes(pages, size)
        full = {}
        for key, dtype in ARRAYS.items():
            value, what = np.asarray(given[key]), f"{key} of population {name!r}"
            try:
                wide = np.broadcast_to(value, shapes[key])
            except ValueError:
                raise InputError(
                    f"{what} must be of shape {shapes[key]}, not {value.shape}"
                ) from None
            full[key] = _cast(wide, dtype, what)
        return cls(
            name=name,
            size=size,
            start=start,
            weight_bits=weight_bits,
            weight_format=WeightFormat(weight_format),
            **full,
        )

    def take(self, neurons: np.ndarray) -> "Population":
        """The population that has only ``neurons``, int64 ``[m]``."""
        arrays = {key: getattr(self, key)[..., neurons] for key in ARRAYS}
        return replace(self, size=neurons.size, **arrays)


@dataclass(frozen=True, kw_only=True, eq=False)
class Edge:
    """Synapses from ``source`` (an input or a population) onto population ``target``.

    weights: int32 within the target's weight format, ``[source size, target size]``; with a
        geometry ``conv``: ``[output channels, input channels of a group, kernel height, kernel
        width]``.
    delay: the logical delay, 0..16 steps: 0 is the same step (feed-forward), recurrent and lateral
        edges have at least 1.
    """

    source: str
    target: str
    weights: np.ndarray
    delay: int = 0
    conv: Conv | None = None

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.weights.shape))
        kind = "convolution" if self.conv else "dense"
        return f"Edge({self.source} -> {self.target}, {kind}, {shape} weights, delay {self.delay})"

    @cached_property
    def one_to_one(self) -> bool:
        """Whether each neuron of a population reaches itself and no other."""
        if self.source != self.target:
            return False
        if self.conv:
            place = (self.conv.kernel, self.conv.stride, self.conv.padding)
            return place == ((1, 1), (1, 1), (0, 0)) and self.conv.groups == self.conv.source[0]
        return np.count_nonzero(self.weights) == np.count_nonzero(self.weights.diagonal())

    def lines(self, neurons: np.ndarray) -> np.ndarray:
        """Lines of the source that can reach any of ``neurons`` of the target.

        Ascending, int64 ``[m]``.
        """
        if self.conv:
            return self.conv.lines(neurons)
        return np.sort(neurons) if self.one_to_one else np.arange(self.weights.shape[0])

    def block(self, lines: np.ndarray, neurons: np.ndarray) -> np.ndarray:
        """Weights of ``lines`` onto ``neurons``: int32 ``[m, n]``."""
        if self.conv:
            return self.conv.block(self.weights, lines, neurons)
        return self.weights[np.ix_(lines, neurons)]

    def fanout(self) -> np.ndarray:
        """Non-zero synapses of each line of the source: int64 ``[source size]``."""
        if self.conv:
            return self.conv.fanout(self.weights)
        return np.count_nonzero(self.weights, axis=1)


def weight_range(form: WeightFormat, bits: int) -> tuple[int, int]:
    """Smallest and largest weight that ``bits`` columns express."""
    match form:
        case WeightFormat.SIGNED:
            return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        case WeightFormat.BINARY:
            return 0, 1
        case WeightFormat.TERNARY:
            return -1, 1


def check_population(p: Population, bits: int) -> None:
    """InputError unless every value of ``p`` is in range; ``bits`` is the membrane width."""
    where = f"population {p.name!r}"
    within(f"size of {where}", p.size, 1, 1 << 20)
    within(f"start of {where}", p.start, 0, MAX_START)
    within(f"weight_bits of {where}", p.weight_bits, 1, MAX_WEIGHT_BITS)
    if p.weight_format is WeightFormat.BINARY and p.weight_bits != 1:
        raise InputError(
            f"weight_bits of {where} must be 1 for binary weights, not {p.weight_bits}"
        )
    if p.weight_format is WeightFormat.TERNARY and p.weight_bits != 2:
        raise InputError(
            f"weight_bits of {where} must be 2 for ternary weights, not {p.weight_bits}"
        )
    pages = p.bias.shape[0] if p.bias.ndim == 2 else 0
    within(f"pages of {where}", pages, 1, MAX_PAGES)
    for key, shape in _shapes(pages, p.size).items():
        value = getattr(p, key)
        if value.shape != shape:
            raise InputError(f"{key} of {where} must be of shape {shape}, not {value.shape}")
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    ranges = dict.fromkeys(
        ("bias", "v_th", "v_sub", "v_reset", "v_low", "v_low_reset", "v_low_add", "v_init"),
        (low, high),
    )
    ranges |= {
        "leak_sign": (-1, 1),
        "leak_shift": (0, bits),
        "rounding": (0, 2),
        "reset": (0, 2),
        "low": (0, 3),
        "refractory": (0, MAX_REFRACTORY),
    }
    for key, (least, most) in ranges.items():
        value = getattr(p, key)
        if value.min() < least or value.max() > most:
            bad = value.min() if value.min() < least else value.max()
            raise InputError(f"{key} of {where} must be in {least}..{most}, not {bad}")


def within(what: str, value: Any, low: int, high: int) -> None:
    """:func:`check_int`, which here takes numpy's whole numbers too."""
    check_int(what, int(value) if isinstance(value, np.integer) else value, low, high)


def _shapes(pages: int, size: int) -> dict[str, tuple[int, ...]]:
    """Shape of each array of a population."""
    return (
        dict.fromkeys(_PAGED, (pages, size))
        | dict.fromkeys(_TERMS, (pages, LEAK_TERMS, size))
        | dict.fromkeys(_PLAIN, (size,))
    )


def _cast(value: np.ndarray, dtype: Any, what: str) -> np.ndarray:
    if value.dtype.kind not in "biu":
        raise InputError(f"{what} must be integers, not {value.dtype}")
    cast = value.astype(dtype)
    if not np.array_equal(cast, value):
        bad = value[cast != value].flat[0]
        raise InputError(f"{what} must fit {np.dtype(dtype)}, not {bad}")
    return cast
