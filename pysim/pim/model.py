"""The PIM macro as the chip does it: cells, row groups, pulses, rounds (docs/pim.md).

Bit-exact with hdl/pim/macro.py and golden/reference/pim.py. Weights become cells, and some cells
stick. Rows are raised, and their pixels are streamed row by row into all units at once. The
generator of every converter takes one step per conversion, in the order position, pass, row group,
pulse, round.
"""

from dataclasses import dataclass, field
from itertools import product

import numpy as np

from spikeloop.pysim.common.bits import strengths
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.layer import COUNTERS, SEGMENTS, PimLayer
from spikeloop.pysim.pim.memories import adc_seeds, stream_word

__all__ = ["PimTrace", "run"]


@dataclass(frozen=True, eq=False)
class PimTrace:
    """What a layer did.

    currents:  int64 ``[sample, channel, position]``, in units of 2^shift
    codes:     int32 ``[sample, position, group, pulse, channel, split]``, every conversion; empty
               if not recorded
    counters:  over all samples: n_read, n_blp, n_adc, n_cycles, n_sat (currents clipped to their
               width), n_clip (conversions in which the discharge clip or the code's range acted)
    clips:     n_sat and n_clip of each sample, int64 ``[sample]``
    """

    currents: np.ndarray
    codes: np.ndarray
    counters: dict[str, int]
    clips: dict[str, np.ndarray] = field(default_factory=dict)


def run(
    layer: PimLayer, images: np.ndarray, streams: np.ndarray | None = None, *, codes: bool = True
) -> PimTrace:
    """Run images, each from a restart of the generators.

    images:   int ``[sample, *source]`` or ``[sample, pixels]``
    streams:  the stream number of each image; None: 0
    codes:    record every conversion

    InputError for images of another shape or pixels out of range.
    """
    p, window = layer.params, layer.window
    x = layer.check_images(images)
    streams = np.zeros(len(x), np.int64) if streams is None else np.asarray(streams)
    if streams.shape != (len(x),):
        raise InputError(
            f"streams of a PIM run must be one number per image, {len(x)}, "
            f"not of shape {streams.shape}"
        )
    cells = _cells(layer)
    addresses = window.address(np.arange(window.positions))
    noise = _noise(layer, streams)
    low, high = p.code_range
    count = dict.fromkeys(COUNTERS, 0)
    clips = {name: np.zeros(len(x), np.int64) for name in ("n_sat", "n_clip")}
    currents = np.zeros((len(x), layer.channels, window.positions), np.int64)
    shape = (len(x), window.positions, layer.groups, p.pulses, layer.channels, p.splits)
    kept = np.zeros(shape if codes else 0, np.int32)
    for pass_ in range(layer.passes):
        words = layer.words_of(pass_)
        channels = slice(pass_ * p.capacity, pass_ * p.capacity + words)
        total = np.zeros((len(x), window.positions, words * p.splits), np.int64)
        gain, offset = (table.reshape(-1)[: total.shape[2]] for table in (layer.gain, layer.offset))
        for group, pulse in product(range(layer.groups), range(p.pulses)):
            units = _units(layer, cells, pass_ * layer.groups + group)[:, : total.shape[2]]
            value, used = _bit_lines(layer, x, addresses, units, pass_, group, pulse)
            held = np.clip(value, -layer.limit, layer.limit)
            n = noise[pass_, group, pulse].reshape(len(x), window.positions, -1)
            n = n[:, :, : total.shape[2]]
            half = 1 << (layer.shift + 11)
            raw = held * gain + ((offset + n) << (layer.shift + 8)) + half >> (layer.shift + 12)
            code = np.clip(raw, low, high)
            total += code << pulse * p.pulse_bits
            if codes:
                kept[:, :, group, pulse, channels] = code.reshape(*code.shape[:2], words, p.splits)
            clips["n_clip"] += ((held != value) | (code != raw)).sum((1, 2))
            count["n_adc"] += code.size
            count["n_read"] += len(x) * window.positions * -(-words // p.words)
            count["n_blp"] += len(x) * window.positions * words * used
            count["n_cycles"] += len(x) * window.positions * p.evaluation_cycles
        by_column = total.reshape(*total.shape[:2], words, p.splits)
        result = by_column @ strengths(p.splits, signed=not p.merged) + layer.bias[channels]
        limit = 1 << p.current_bits - 1
        clipped = np.clip(result, -limit, limit - 1)
        currents[:, channels] = clipped.transpose(0, 2, 1)
        clips["n_sat"] += (clipped != result).sum((1, 2))
        count["n_cycles"] += len(x) * window.positions  # the sums leave
    count |= {name: int(n.sum()) for name, n in clips.items()}
    return PimTrace(currents, kept, count, clips)


def _cells(layer: PimLayer) -> np.ndarray:
    """What the cells hold, stuck ones included: uint8 ``[banks, rows, columns]``."""
    p = layer.params
    cells = np.zeros((p.banks, p.rows, p.columns), np.uint8)
    for channel, weights in enumerate(layer.weights):
        pass_, place = divmod(channel, p.capacity)
        bank, word = divmod(place, p.words)
        first = pass_ * layer.groups * p.active_rows
        for bit in range(p.weight_bits):
            cells[bank, first : first + weights.size, word * p.weight_bits + bit] = (
                weights >> bit & 1
            )
    return cells & ~layer.stuck0 | layer.stuck1


def _units(layer: PimLayer, cells: np.ndarray, group: int) -> np.ndarray:
    """Values of all units in one stored row group: int64 ``[active_rows, banks * units]``."""
    p = layer.params
    rows = slice(group * p.active_rows, (group + 1) * p.active_rows)
    bits = cells[:, rows, : p.words * p.weight_bits].astype(np.int64)
    bits = bits.reshape(p.banks, p.active_rows, p.units, p.unit_bits)
    values = bits @ strengths(p.unit_bits, signed=p.merged)
    return values.transpose(1, 0, 2).reshape(p.active_rows, -1)


def _bit_lines(
    layer: PimLayer,
    x: np.ndarray,
    addresses: np.ndarray,
    units: np.ndarray,
    pass_: int,
    group: int,
    pulse: int,
) -> tuple[np.ndarray, int]:
    """v before the clip, int64 ``[sample, position, unit]``, row after row; and the rows in use."""
    p = layer.params
    parts = SEGMENTS if p.ir_drop else 1
    segments = np.zeros((parts, len(x), len(addresses), units.shape[1]), np.int64)
    first = group * p.active_rows
    used = min(p.active_rows, layer.window.rows - first)
    for row in range(used):
        at = addresses[:, first + row]
        pixel = np.where(at < 0, 0, x[:, at]) >> pulse * p.pulse_bits & (1 << p.pulse_bits) - 1
        segments[row * parts // p.active_rows] += pixel[:, :, None] * units[row]
    if p.ir_drop:
        keep = layer.keep[pass_ * layer.groups + group]
        segments = segments * keep[:, None, None, None] >> 8
    return segments.sum(0), used


def _noise(layer: PimLayer, streams: np.ndarray) -> dict[tuple[int, int, int], np.ndarray]:
    """n of every conversion by (pass, group, pulse), 0 for idle converters.

    Each is int64 ``[sample, position, converter, round]``.
    """
    p = layer.params
    state = (
        adc_seeds(p, layer.seed)
        ^ np.array([stream_word(int(s)) for s in streams], np.uint32)[:, None]
    )
    state[state == 0] = 1
    shape = (len(streams), layer.window.positions, p.banks * p.converters, p.share)
    noise = {
        key: np.zeros(shape, np.int64)
        for key in product(range(layer.passes), range(layer.groups), range(p.pulses))
    }
    if not layer.sigma:
        return noise
    unit = np.arange(p.banks * p.units).reshape(-1, p.share)
    for position in range(layer.window.positions):
        for key, values in noise.items():
            for turn in range(p.share):
                busy = unit[:, turn] < layer.words_of(key[0]) * p.splits
                s = state[:, busy]
                s ^= s << np.uint32(13)
                s ^= s >> np.uint32(17)
                s ^= s << np.uint32(5)
                state[:, busy] = s
                bytes_ = s.astype("<u4")[..., None].view(np.uint8).astype(np.int64)
                values[:, position, busy, turn] = (bytes_.sum(-1) - 510) * layer.sigma >> 10
    return noise
