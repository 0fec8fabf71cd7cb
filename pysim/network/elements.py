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
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.parameters import (
    ADAPTATION,
    ARRAYS,
    CURRENT,
    MAX_PAGE_SHIFT,
    MAX_PAGES,
    MAX_START,
    MAX_WEIGHT_BITS,
    PARAMETERS,
    LeakRounding,
    LowBound,
    Reset,
    StateUse,
    Widths,
    full_shape,
)

__all__ = [
    "ARRAYS",
    "Edge",
    "Input",
    "LeakRounding",
    "LowBound",
    "Population",
    "Reset",
    "StateUse",
    "WeightFormat",
    "Widths",
    "check_population",
    "weight_range",
    "within",
]


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """Neurons that share a start tick and a weight format; every other parameter is per neuron.

    name: an ASCII identifier of at most 64 letters.
    size: number of neurons, 1..2^20.
    start: the pipeline depth d, 0..255 ticks.
    weight_bits: columns of a weight, 1..16 (1 if binary, 2 if ternary).
    page_shift: log2 of the steps of a page, 0..15.

    Paged arrays ``[pages, size]``, of which page min(k >> page_shift, pages - 1) acts at step k:

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

    Of the synaptic current (``current_bits`` of the network are its width Q):

    current: uint8 ``[size]``, a StateUse; NONE everywhere is a population without one.
    current_k0, current_sign, current_shift, current_rounding: its decay, shaped as the leak.
    gain: uint8 ``[size]``, 0..15 and below Q: left shift of the sum.
    fraction: uint8 ``[size]``, 0..Q: right shift of the current.

    Of the adaptation (``adaptation_bits`` of the network are its width R):

    adaptation: uint8 ``[size]``, a StateUse; NONE everywhere is a population without one.
    adaptation_k0, adaptation_sign, adaptation_shift, adaptation_rounding: its decay.
    adaptation_step: int64 ``[size]``, 0..2^R - 1: what a spike adds.
    adaptation_scale: uint8 ``[size]``, 0..R: right shift of the adaptation.
    adaptation_reset: bool ``[size]``: a soft reset subtracts the raised part of the threshold too.

    Scalars and shorter arrays broadcast in :meth:`make`.
    """

    name: str
    size: int
    start: int = 0
    weight_bits: int = 8
    weight_format: WeightFormat = WeightFormat.SIGNED
    page_shift: int = 0
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
    current: np.ndarray
    current_k0: np.ndarray
    current_sign: np.ndarray
    current_shift: np.ndarray
    current_rounding: np.ndarray
    gain: np.ndarray
    fraction: np.ndarray
    adaptation: np.ndarray
    adaptation_k0: np.ndarray
    adaptation_sign: np.ndarray
    adaptation_shift: np.ndarray
    adaptation_rounding: np.ndarray
    adaptation_step: np.ndarray
    adaptation_scale: np.ndarray
    adaptation_reset: np.ndarray

    def __post_init__(self) -> None:
        """The parameters of a state that no neuron has are neutral, whatever was given."""
        if np.ndim(self.bias) != 2:
            return  # check_population refuses it
        for state, has in ((CURRENT, self.has_current), (ADAPTATION, self.has_adaptation)):
            for name in () if has else state:
                shape, row = full_shape(name, *self.bias.shape), PARAMETERS[name]
                object.__setattr__(self, name, np.full(shape, row.default, row.dtype))

    @property
    def has_current(self) -> bool:
        """Whether any neuron has a synaptic current."""
        return bool(self.current.any())

    @property
    def has_adaptation(self) -> bool:
        """Whether any neuron has an adaptation."""
        return bool(self.adaptation.any())

    @property
    def parameters(self) -> list[str]:
        """Names of the arrays that act: without those of a state that no neuron has."""
        absent = (set() if self.has_current else set(CURRENT)) | (
            set() if self.has_adaptation else set(ADAPTATION)
        )
        return [name for name in PARAMETERS if name not in absent]

    @property
    def pages(self) -> int:
        """Pages of the paged arrays."""
        return self.bias.shape[0]

    def __repr__(self) -> str:
        form = self.weight_format.name.lower()
        turns = f" of {1 << self.page_shift} steps" if self.page_shift else ""
        return (
            f"Population({self.name!r}, {self.size:,} neurons, start {self.start}, "
            f"{form} weights of {self.weight_bits} bits, {self.pages} pages{turns})"
        )

    @classmethod
    def make(
        cls,
        name: str,
        size: int,
        *,
        pages: int = 1,
        page_shift: int = 0,
        start: int = 0,
        weight_bits: int = 8,
        weight_format: WeightFormat = WeightFormat.SIGNED,
        **arrays: Any,
    ) -> "Population":
        """Build a population from scalars or arrays; what is not given is neutral.

        Defaults: bias 0, v_th 1, v_sub = v_th, no leak (k0 = 1), floor, fire, hard reset to 0,
        unbounded, no refractory, v_init 0, no second state. Arrays broadcast to their full shape.
        InputError for an unknown parameter, a shape that does not broadcast, or values that are not
        integers.
        """
        given: dict[str, Any] = {name: row.default for name, row in PARAMETERS.items()}
        given["v_sub"] = arrays.get("v_th", given["v_th"])
        unknown = sorted(set(arrays) - set(given))
        if unknown:
            raise InputError(
                f"parameter of population {name!r} must be one of {', '.join(given)}, "
                f"not {unknown[0]!r}"
            )
        given.update(arrays)
        full = {}
        for key, dtype in ARRAYS.items():
            value, what = np.asarray(given[key]), f"{key} of population {name!r}"
            shape = full_shape(key, pages, size)
            try:
                wide = np.broadcast_to(value, shape)
            except ValueError:
                raise InputError(f"{what} must be of shape {shape}, not {value.shape}") from None
            full[key] = _cast(wide, dtype, what)
        return cls(
            name=name,
            size=size,
            start=start,
            weight_bits=weight_bits,
            weight_format=WeightFormat(weight_format),
            page_shift=page_shift,
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


def check_population(p: Population, widths: Widths) -> None:
    """InputError unless every value of ``p`` is in range; ``widths`` are those of the network."""
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
    within(f"page_shift of {where}", p.page_shift, 0, MAX_PAGE_SHIFT)
    for state, has in (("current", p.has_current), ("adaptation", p.has_adaptation)):
        if has and not getattr(widths, state):
            raise InputError(
                f"{state}_bits of a network must be given for the {state} of {where}, not 0"
            )
    for key, row in PARAMETERS.items():
        value, shape = getattr(p, key), full_shape(key, pages, p.size)
        if value.shape != shape:
            raise InputError(f"{key} of {where} must be of shape {shape}, not {value.shape}")
        if (limits := row.range(widths)) is None:
            continue
        least, most = limits
        if value.min() < least or value.max() > most:
            bad = value.min() if value.min() < least else value.max()
            raise InputError(f"{key} of {where} must be in {least}..{most}, not {bad}")


def within(what: str, value: Any, low: int, high: int) -> None:
    """:func:`check_int`, which here takes numpy's whole numbers too."""
    check_int(what, int(value) if isinstance(value, np.integer) else value, low, high)


def _cast(value: np.ndarray, dtype: Any, what: str) -> np.ndarray:
    if value.dtype.kind not in "biu":
        raise InputError(f"{what} must be integers, not {value.dtype}")
    cast = value.astype(dtype)
    if not np.array_equal(cast, value):
        bad = value[cast != value].flat[0]
        raise InputError(f"{what} must fit {np.dtype(dtype)}, not {bad}")
    return cast
