"""The PIM macro's integer arithmetic in torch: the reference for hdl/pim/macro.py and
pysim/pim/model.py. It is written from docs/pim.md alone.

Bit lines are matrix products in float64, which holds every number here exactly. The factors are
patches (strided views of the padded image) and the weights as the stuck cells leave them. Noise is
not generated step by step: the step of the generators is linear over GF(2), so they leap.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.layer import MAX_SHIFT as PIM_MAX_SHIFT
from spikeloop.pysim.pim.layer import SEGMENTS as PIM_SEGMENTS
from spikeloop.pysim.pim.layer import WHOLE as PIM_WHOLE
from spikeloop.pysim.pim.layer import PimLayer

__all__ = ["PimResult", "calibrate", "effective_weights", "patches", "run"]

CHUNK = 1 << 19  # most numbers in the patches that memory holds at once


@dataclass(frozen=True, eq=False)
class PimResult:
    """The result of :func:`run`.

    currents:  int64 ``[sample, channel, position]``, in units of 2^shift.
    codes:     int32 ``[sample, position, group, pulse, channel, split]``; empty if not recorded.
    saturated: number of currents that were clipped, int64 ``[sample]``.
    clipped:   number of conversions in which a clip acted, int64 ``[sample]``.
    """

    currents: np.ndarray
    codes: np.ndarray
    saturated: np.ndarray
    clipped: np.ndarray


@torch.inference_mode()
def run(
    layer: PimLayer, images: np.ndarray, streams: np.ndarray | None = None, *, codes: bool = True
) -> PimResult:
    """Run images through the macro.

    images:  int ``[sample, *source]``.
    streams: noise stream of each image (default 0).
    codes:   record the converters' codes.
    InputError for images or streams that do not fit.
    """
    p, x = layer.params, layer.check_images(images)
    streams = np.zeros(len(x), np.int64) if streams is None else np.asarray(streams)
    if streams.shape != (len(x),):
        raise InputError(
            f"streams of a PIM run must be one number per image, {len(x)}, not of shape "
            f"{streams.shape}"
        )
    numbers = layer.window.positions * max(layer.window.rows, layer.channels * p.splits)
    batch = max(1, CHUNK // numbers)
    parts = [
        _run(layer, x[at : at + batch], streams[at : at + batch], codes)
        for at in range(0, max(len(x), 1), batch)
    ]
    return PimResult(
        *(np.concatenate([getattr(r, f.name) for r in parts]) for f in fields(PimResult))
    )


def _run(layer: PimLayer, x: np.ndarray, streams: np.ndarray, codes: bool) -> PimResult:
    p = layer.params
    place, split = _units(layer)
    gain, offset = (
        torch.from_numpy(table.reshape(-1)[place]).double() for table in (layer.gain, layer.offset)
    )
    noise = _Noise(layer, streams)
    least, greatest = p.code_range
    lsb = 2.0**layer.shift * 4096
    total = torch.zeros(len(x), layer.window.positions, len(place), dtype=torch.float64)
    every_code, clipped = [], torch.zeros(len(x), dtype=torch.int64)
    for group, pulse, value in _bit_lines(layer, x):
        bounded = value.clamp(-layer.limit, layer.limit)
        analogue = bounded * gain + (offset + noise.at(group, pulse)) * (lsb / 16)
        wide = torch.floor(analogue / lsb + 0.5)
        code = wide.clamp(least, greatest)
        clipped += ((bounded != value) | (code != wide)).sum((1, 2))
        total += code * 2.0 ** (pulse * p.pulse_bits)
        if codes:
            every_code.append(code.int())
    weight = 2.0**split * torch.where((split == p.splits - 1) & (p.splits > 1), -1.0, 1.0)
    sums = (total * weight).unflatten(2, (layer.channels, p.splits)).sum(3).long()
    result = sums + torch.from_numpy(layer.bias)
    bound = 1 << (p.current_bits - 1)
    current = result.clamp(-bound, bound - 1)
    stored = torch.zeros(0, dtype=torch.int32)
    if every_code:
        stored = torch.stack(every_code, 2).unflatten(2, (layer.groups, p.pulses))
        stored = stored.unflatten(4, (layer.channels, p.splits))
    return PimResult(
        current.transpose(1, 2).contiguous().numpy(),
        stored.numpy(),
        (current != result).sum((1, 2)).numpy(),
        clipped.numpy(),
    )


def patches(layer: PimLayer, x: np.ndarray) -> Tensor:
    """Pixels that each output position sees, float64 ``[sample, position, kernel row]``.

    x: images int64 ``[sample, pixels]``.
    """
    w = layer.window
    maps = torch.from_numpy(x).double().view(len(x), *w.source)
    maps = pad(maps, [n for p in reversed(w.padding) for n in (p, p)])
    for axis, (kernel, stride) in enumerate(zip(w.kernel, w.stride, strict=True)):
        maps = maps.unfold(2 + axis, kernel, stride)
    dims = len(w.kernel)
    order = [0, *range(2, 2 + dims), 1, *range(2 + dims, 2 + 2 * dims)]
    return maps.permute(order).reshape(len(x), w.positions, w.rows)


def effective_weights(layer: PimLayer) -> np.ndarray:
    """Weights as the stuck cells leave them, int64 ``[channel, split, kernel row]``.

    A merged layer has their values, a sliced one their bits.
    """
    p = layer.params
    codes = layer.weights & (1 << p.weight_bits) - 1
    place = np.arange(layer.channels)
    bank, word = np.divmod(place % p.capacity, p.words)
    row = (place // p.capacity * layer.groups * p.active_rows)[:, None] + np.arange(
        layer.window.rows
    )
    for bit in range(p.weight_bits):
        column = (word * p.weight_bits + bit)[:, None]
        codes = np.where(layer.stuck0[bank[:, None], row, column], codes & ~(1 << bit), codes)
        codes = np.where(layer.stuck1[bank[:, None], row, column], codes | 1 << bit, codes)
    if p.merged:
        half = 1 << (p.weight_bits - 1)
        return ((codes ^ half) - half)[:, None]
    return codes[:, None] >> np.arange(p.weight_bits)[:, None] & 1


def _bit_lines(layer: PimLayer, x: np.ndarray) -> Iterator[tuple[int, int, Tensor]]:
    """Every (group, pulse, v), in the macro's order.

    v is the sum before the clip, float64 ``[sample, position, channel and split]``.
    """
    p, rows = layer.params, layer.window.rows
    pixels = patches(layer, x)
    weights = torch.from_numpy(effective_weights(layer)).double().flatten(0, 1)
    channel = torch.arange(layer.channels).repeat_interleave(p.splits)
    # a border of two segments lies at the first row r with r * 8 >= segment * active_rows
    borders = [-(-segment * p.active_rows // PIM_SEGMENTS) for segment in range(PIM_SEGMENTS + 1)]
    for group in range(layer.groups):
        first = group * p.active_rows
        keep = torch.from_numpy(layer.keep)[channel // p.capacity * layer.groups + group].double()
        for pulse in range(p.pulses):
            sent = pixels
            if p.pulses > 1:
                digits = torch.floor(pixels / 2.0 ** (pulse * p.pulse_bits))
                sent = digits % 2.0**p.pulse_bits
            if not p.ir_drop:
                last = min(first + p.active_rows, rows)
                yield group, pulse, sent[:, :, first:last] @ weights[:, first:last].T
                continue
            value = torch.zeros(len(x), layer.window.positions, len(weights), dtype=torch.float64)
            for segment in range(PIM_SEGMENTS):
                start, stop = (min(first + borders[segment + i], rows) for i in (0, 1))
                line = sent[:, :, start:stop] @ weights[:, start:stop].T
                value += torch.floor(line * keep[:, segment] / PIM_WHOLE)
            yield group, pulse, value


def _units(layer: PimLayer) -> tuple[np.ndarray, Tensor]:
    """For every channel and split: its unit among those of all banks, and the split."""
    p = layer.params
    split = np.tile(np.arange(p.splits), layer.channels)
    unit = np.repeat(np.arange(layer.channels) % p.capacity, p.splits)
    return unit * p.splits + split, torch.from_numpy(split)


class _Noise:
    """Noise of every conversion in 1/16 LSB.

    It depends on the number of conversions that the same converter made before.
    """

    def __init__(self, layer: PimLayer, streams: np.ndarray) -> None:
        self.layer, p = layer, layer.params
        place, _ = _units(layer)
        self.converter, turn = np.divmod(place, p.share)
        pass_ = np.arange(layer.channels).repeat(p.splits) // p.capacity
        # conversions of one evaluation
        busy = np.zeros((layer.passes, p.banks * p.converters), np.int64)
        np.add.at(busy, (pass_, self.converter), 1)
        self.each = busy[pass_, self.converter]
        evaluations = layer.groups * p.pulses
        before = (np.cumsum(busy, 0) - busy) * evaluations
        per_position = busy.sum(0) * evaluations
        self.ordinal = (
            np.arange(layer.window.positions)[:, None] * per_position[self.converter]
            + before[pass_, self.converter]
            + turn
        )
        self.numbers: Tensor | None = None
        if layer.sigma:
            bank, adc = np.divmod(np.arange(int(self.converter.max()) + 1), p.converters)
            seeds = torch.tensor([_splitmix(layer.seed, int(n)) for n in (bank << 16) + adc])
            words = torch.tensor(
                [_splitmix(0, int(s) - 1) if s else 0 for s in streams], dtype=torch.int64
            )
            first = (seeds ^ words[:, None]).clamp(min=1)
            states = _generate(first, layer.window.positions * int(per_position.max()))
            bytes_ = (states >> shift & 255 for shift in (0, 8, 16, 24))
            heights = sum(bytes_, torch.zeros(())) - 510
            self.numbers = torch.floor(heights * layer.sigma / 1024.0)

    def at(self, group: int, pulse: int) -> Tensor | float:
        """Noise of a row group and pulse, ``[sample, position, channel and split]``."""
        if self.numbers is None:
            return 0.0
        ordinal = self.ordinal + (group * self.layer.params.pulses + pulse) * self.each
        converter = np.broadcast_to(self.converter, ordinal.shape).copy()
        return self.numbers[:, torch.from_numpy(converter), torch.from_numpy(ordinal)]


def _generate(start: Tensor, count: int) -> Tensor:
    """The first ``count`` words of xorshift32 after each of ``start``: int64 ``[..., count]``.

    The generator is that of Marsaglia 2003 with shifts 13, 17, 5. Words m+1..2m are words 1..m
    advanced by m steps, and m steps are a linear map of 32 bits.
    """
    step = torch.tensor([_xorshift(1 << bit) for bit in range(32)])
    words = _advance(step, start[..., None])
    while words.shape[-1] < count:
        words = torch.cat([words, _advance(step, words)], -1)
        step = _advance(step, step)
    return words[..., :count]


def _splitmix(seed: int, number: int) -> int:
    """Low half of output ``number`` of splitmix64 (Steele, Lea, Flood 2014) from ``seed``."""
    word = (seed + (number + 1) * 0x9E3779B97F4A7C15) % 2**64
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        word = (word ^ word >> shift) * factor % 2**64
    return word % 2**32


def _xorshift(word: int) -> int:
    word ^= word << 13 & 0xFFFFFFFF
    word ^= word >> 17
    return word ^ word << 5 & 0xFFFFFFFF


def _advance(matrix: Tensor, words: Tensor) -> Tensor:
    """The linear map that takes 1, 2, 4, ... to ``matrix``, applied to all words.

    There is one table for each byte of a word.
    """
    result = torch.zeros_like(words)
    for byte in range(4):
        table = torch.zeros(1, dtype=torch.int64)
        for image in matrix[8 * byte : 8 * byte + 8]:
            table = torch.cat([table, table ^ image])
        result ^= table[words >> 8 * byte & 255]
    return result


@torch.inference_mode()
def calibrate(layer: PimLayer, images: np.ndarray, percentile: float = 100.0) -> tuple[int, int]:
    """Range shift and limit from data.

    The limit is the ``percentile`` of |v| over all bit lines. The shift is the least with which the
    limit has a code.

    images: a sample of the training set, int ``[sample, *source]``.
    InputError for an empty sample and for a percentile outside 0..100.
    """
    if not len(images):
        raise InputError("images to calibrate a PIM layer with must be at least 1, not none")
    if not 0 <= percentile <= 100:
        raise InputError(f"percentile of a PIM calibration must be in 0..100, not {percentile}")
    checked = layer.check_images(images)
    values = torch.cat([value.abs().flatten() for _, _, value in _bit_lines(layer, checked)])
    limit = max(1, int(np.quantile(values.numpy(), percentile / 100, method="higher")))
    greatest = layer.params.code_range[1]
    for shift in range(PIM_MAX_SHIFT):
        if limit + (1 << shift >> 1) >> shift <= greatest:
            return shift, limit
    return PIM_MAX_SHIFT, limit
