"""The PIM macro and the layer in it: description, tables, checks. docs/pim.md is normative.

A *macro* is ``banks`` x ``rows`` x ``columns`` of one-bit cells. ``active_rows`` word lines are
raised at once: a *row group*. What one conversion reads is a *unit*. In layout "merged" it is a
word of ``weight_bits`` neighbouring columns whose strengths are merged in analogue; in layout
"sliced" it is one column. ``share`` neighbouring units share one converter, which takes them in
turn: converter u // share converts unit u of a bank in round u % share. All banks and converters
work in lock-step.

A *layer* (:class:`PimLayer`) is what is loaded: weights, tables, settings, and the *window* through
which it reads its image. With capacity = banks * words, channel c is word (c % capacity) % words of
bank (c % capacity) // words in pass c // capacity. With groups = ceil(kernel rows / active_rows),
its weight of kernel row k lies in row pass * groups * active_rows + k of the bank. There is no
arithmetic on data here.
"""

from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np

from spikeloop.pysim.common.checks import check_int, from_exactly
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.window import PimWindow

__all__ = [
    "COUNTERS",
    "LAYOUTS",
    "PHASES",
    "SEGMENTS",
    "UNIT_GAIN",
    "PimLayer",
    "PimParams",
    "PimWindow",
]

LAYOUTS = ("merged", "sliced")
COUNTERS = ("n_read", "n_blp", "n_adc", "n_cycles", "n_sat", "n_clip")
PHASES = {"read": 2, "blp": 2, "adc": 3}
"""Cycles of 2 ns: ACE-SNN Table 4, T_read = T_BLP = 4 ns, T_adc = 6 ns."""
UNIT_GAIN = 4096  # gains are Q1.12
MAX_GAIN = 8191
OFFSETS = (-512, 511)  # in 1/16 LSB
MAX_SHIFT, MAX_SIGMA = 16, 255
SEGMENTS, WHOLE = 8, 256  # of the bit line; a segment that keeps everything


@dataclass(frozen=True, kw_only=True)
class PimParams:
    """Geometry and widths of a macro.

    banks:         1..16
    columns:       16..1024 per bank
    rows:          8..1024
    weight_bits:   2..8
    pixel_bits:    1..8; pixels are unsigned
    pulse_bits:    bits of a pixel per pulse; divides pixel_bits, and is pixel_bits if merged
    active_rows:   rows raised at once; divides rows
    layout:        "merged" or "sliced"
    share:         units per converter, 1..64; divides the units of a bank
    adc_bits:      3..20
    current_bits:  8..32
    ir_drop:       whether the 8 segments of the bit line are built
    """

    banks: int = 4
    columns: int = 256
    rows: int = 128
    weight_bits: int = 6
    pixel_bits: int = 8
    pulse_bits: int = 8
    active_rows: int = 32
    layout: str = "merged"
    share: int = 7
    adc_bits: int = 8
    current_bits: int = 24
    ir_drop: bool = False

    def __post_init__(self) -> None:
        for name, low, high in (
            ("banks", 1, 16),
            ("columns", 16, 1024),
            ("rows", 8, 1024),
            ("weight_bits", 2, 8),
            ("pixel_bits", 1, 8),
            ("pulse_bits", 1, 8),
            ("active_rows", 1, self.rows),
            ("share", 1, 64),
            ("adc_bits", 3, 20),
            ("current_bits", 8, 32),
        ):
            check_int(f"PIM parameter {name}", getattr(self, name), low, high)
        if self.layout not in LAYOUTS:
            raise InputError(
                f"PIM parameter layout must be {' or '.join(LAYOUTS)}, not {self.layout!r}"
            )
        if not isinstance(self.ir_drop, bool):
            raise InputError(f"PIM parameter ir_drop must be true or false, not {self.ir_drop!r}")
        for name, whole, what in (
            ("pulse_bits", self.pixel_bits, "pixel bits"),
            ("active_rows", self.rows, "rows"),
            ("share", self.units, f"{'words' if self.merged else 'weight columns'} of a bank"),
        ):
            if whole % getattr(self, name):
                raise InputError(
                    f"PIM parameter {name} must divide the {whole} {what}, "
                    f"not {getattr(self, name)}"
                )
        if self.merged and self.pulse_bits != self.pixel_bits:
            raise InputError(
                f"PIM parameter pulse_bits must be the {self.pixel_bits} pixel bits in the merged "
                f"layout, not {self.pulse_bits}"
            )

    @property
    def merged(self) -> bool:
        return self.layout == "merged"

    @property
    def words(self) -> int:
        """Weights in a row of one bank (columns that are left over hold nothing)."""
        return self.columns // self.weight_bits

    @property
    def capacity(self) -> int:
        """Channels of one pass."""
        return self.banks * self.words

    @property
    def splits(self) -> int:
        """Units of one word."""
        return 1 if self.merged else self.weight_bits

    @property
    def unit_bits(self) -> int:
        """Columns of one unit."""
        return self.weight_bits // self.splits

    @property
    def units(self) -> int:
        """Units of one bank."""
        return self.words * self.splits

    @property
    def converters(self) -> int:
        """ADCs of one bank."""
        return self.units // self.share

    @property
    def groups(self) -> int:
        """Row groups that the macro stores."""
        return self.rows // self.active_rows

    @property
    def pulses(self) -> int:
        """Pulses per pixel, least significant bits first."""
        return self.pixel_bits // self.pulse_bits

    @property
    def value_max(self) -> int:
        """Largest |v| that a bit line can carry."""
        return self.active_rows * ((1 << self.pulse_bits) - 1) * (1 << (self.unit_bits - 1))

    @property
    def value_bits(self) -> int:
        """Bits of v, signed."""
        return self.value_max.bit_length() + 1

    @property
    def code_range(self) -> tuple[int, int]:
        """Least and greatest code: two's complement (merged) or unsigned (sliced) of adc_bits."""
        return (
            (-(1 << (self.adc_bits - 1)), (1 << (self.adc_bits - 1)) - 1)
            if self.merged
            else (0, (1 << self.adc_bits) - 1)
        )

    @property
    def sum_bits(self) -> int:
        """Bits of the exact sum of a unit's codes over row groups and pulses, signed."""
        return (((1 << self.pixel_bits) - 1) * self.groups << self.adc_bits).bit_length() + 1

    @property
    def evaluation_cycles(self) -> int:
        """Cycles of one evaluation: read, bit lines, ``share`` rounds of conversion."""
        return PHASES["read"] + PHASES["blp"] + self.share * PHASES["adc"]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "PimParams":
        return from_exactly(cls, values, "PIM parameters")


@dataclass(frozen=True, kw_only=True, eq=False)
class PimLayer:
    """A layer as loaded into a macro. Build it with :meth:`make`, which broadcasts and checks.

    weights:  int64 ``[channels, kernel rows]``
    bias:     int64 ``[channels]``, added to the sum of codes

    Tables of the silicon:

    gain:     int64 ``[banks, units]``, 0..8191 in 1/4096
    offset:   int64 ``[banks, units]``, -512..511 in 1/16 LSB
    stuck0:   bool ``[banks, rows, columns]``: cells that hold 0
    stuck1:   bool ``[banks, rows, columns]``: cells that hold 1
    keep:     int64 ``[groups, 8]``, 0..256 in 1/256: what is left of each segment of a row group
              (with ir_drop)

    Settings:

    shift:    0..16; one LSB is 2^shift
    limit:    0..value_max, the discharge clip
    sigma:    0..255; the noise is about 0.009 sigma LSB
    seed:     0..2^64 - 1, of the generators
    """

    params: PimParams
    window: PimWindow
    weights: np.ndarray
    bias: np.ndarray
    gain: np.ndarray
    offset: np.ndarray
    stuck0: np.ndarray
    stuck1: np.ndarray
    keep: np.ndarray
    shift: int
    limit: int
    sigma: int
    seed: int

    @classmethod
    def make(
        cls,
        params: PimParams,
        window: PimWindow,
        weights: np.ndarray,
        *,
        shift: int = 0,
        limit: int | None = None,
        sigma: int = 0,
        seed: int = 0,
        **tables: Any,
    ) -> "PimLayer":
        """A layer whose tables are ideal where they are not given.

        Ideal is gain 1, offset 0, no stuck cell, no drop. weights: int ``[channels, ...]``.
        """
        p, weights = params, np.asarray(weights)
        rows = weights.reshape(len(weights), -1)
        full = _full_tables(p, len(rows), tables)
        half = 1 << (p.weight_bits - 1)
        if rows.shape[1] != window.rows:
            raise InputError(
                f"weights of a PIM layer must have {window.rows} kernel rows, as the window has, "
                f"not {rows.shape[1]}"
            )
        _within(rows, -half, half - 1, f"weights of a PIM layer of {p.weight_bits} bits")
        limit = p.value_max if limit is None else limit
        for name, number, high in (
            ("shift", shift, MAX_SHIFT),
            ("limit", limit, p.value_max),
            ("sigma", sigma, MAX_SIGMA),
            ("seed", seed, (1 << 64) - 1),
        ):
            check_int(f"{name} of a PIM layer", number, 0, high)
        if not p.ir_drop and (full["keep"] != WHOLE).any():
            raise InputError(
                "keep of a PIM layer must be 256 everywhere in a macro without ir_drop, not less"
            )
        layer = cls(
            params=params,
            window=window,
            weights=rows.astype(np.int64),
            shift=shift,
            limit=limit,
            sigma=sigma,
            seed=seed,
            **full,
        )
        need = layer.passes * layer.groups * p.active_rows
        if need > p.rows:
            raise InputError(
                f"rows of a PIM layer must be at most {p.rows}, not {need}: {layer.passes} passes "
                f"of {layer.groups} groups of {p.active_rows} rows ({rows.shape[1]} kernel rows, "
                f"{layer.channels} channels); take more rows or banks"
            )
        return layer

    @property
    def channels(self) -> int:
        return len(self.weights)

    @property
    def groups(self) -> int:
        """Row groups of one output."""
        return -(-self.window.rows // self.params.active_rows)

    @property
    def passes(self) -> int:
        return -(-self.channels // self.params.capacity)

    def words_of(self, pass_: int) -> int:
        """Words that pass ``pass_`` uses, the first of all banks."""
        return min(self.params.capacity, self.channels - pass_ * self.params.capacity)

    @property
    def conversions(self) -> int:
        """Conversions for one image."""
        return (
            self.window.positions
            * self.groups
            * self.params.pulses
            * self.channels
            * self.params.splits
        )

    def counters(self, images: int = 1) -> dict[str, int]:
        """The counters that do not depend on data, in closed form (docs/pim.md).

        n_read: evaluations of a bank. n_blp: products of a pixel pulse and a weight. n_adc:
        conversions. n_cycles: cycles at work.
        """
        p, times = self.params, images * self.window.positions
        banks = sum(-(-self.words_of(n) // p.words) for n in range(self.passes))
        return {
            "n_read": times * self.groups * p.pulses * banks,
            "n_blp": times * p.pulses * self.window.rows * self.channels,
            "n_adc": images * self.conversions,
            "n_cycles": times * self.passes * (self.groups * p.pulses * p.evaluation_cycles + 1),
        }

    def check_images(self, images: np.ndarray) -> np.ndarray:
        """Images as int64 ``[sample, pixels]``.

        InputError for a wrong shape or a pixel out of range.
        """
        images = np.asarray(images)
        if images.ndim < 2 or images.shape[1:] not in (
            self.window.source,
            (prod(self.window.source),),
        ):
            raise InputError(
                "images of a PIM layer must be of shape "
                f"(samples, {', '.join(map(str, self.window.source))}), not {images.shape}"
            )
        return (
            _within(
                images,
                0,
                (1 << self.params.pixel_bits) - 1,
                f"pixels of a PIM layer of {self.params.pixel_bits} bits",
            )
            .reshape(len(images), -1)
            .astype(np.int64)
        )


def _full_tables(p: PimParams, channels: int, given: dict[str, Any]) -> dict[str, np.ndarray]:
    """Bias and tables in their full shapes, ideal where not given; InputError for what is wrong."""
    half = 1 << (p.current_bits - 1)
    units, cells = (p.banks, p.units), (p.banks, p.rows, p.columns)
    known = {  # shape, least, greatest, ideal
        "bias": ((channels,), -half, half - 1, 0),
        "gain": (units, 0, MAX_GAIN, UNIT_GAIN),
        "offset": (units, *OFFSETS, 0),
        "stuck0": (cells, 0, 1, 0),
        "stuck1": (cells, 0, 1, 0),
        "keep": ((p.groups, SEGMENTS), 0, WHOLE, WHOLE),
    }
    if unknown := sorted(set(given) - set(known)):
        raise InputError(
            f"table of a PIM layer must be one of {', '.join(known)}, not {unknown[0]!r}"
        )
    full = {}
    for name, (shape, low, high, ideal) in known.items():
        value = np.asarray(given.get(name, ideal))
        try:
            wide = np.broadcast_to(value, shape)
        except ValueError:
            raise InputError(
                f"{name} of a PIM layer must be of shape {shape}, not {value.shape}"
            ) from None
        kind = np.bool_ if name.startswith("stuck") else np.int64
        full[name] = _within(wide, low, high, f"{name} of a PIM layer").astype(kind)
    return full


def _within(values: np.ndarray, low: int, high: int, what: str) -> np.ndarray:
    if values.dtype != np.bool_ and not np.issubdtype(values.dtype, np.integer):
        raise InputError(f"{what} must be integers, not {values.dtype}")
    wrong = values[(values < low) | (values > high)] if values.size else values
    if wrong.size:
        raise InputError(f"{what} must be in {low}..{high}, not {wrong[0]}")
    return values
