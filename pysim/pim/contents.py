"""What the memories of a PIM macro hold for a layer, packed and unpacked (docs/pim.md, "Memories").

The memories are those of pysim.pim.memories. Of each bank b, a word of ``weights<b>``,
``stuck0_<b>`` and ``stuck1_<b>`` is a row group: unit after unit, and in a unit row after row. So
what one converter reads is one piece of the word. A word of ``tables`` is a round: converter after
converter its gain and its offset. A word of ``bias`` is a pass. A word of ``keep`` is a row group,
segment after segment. ``seeds`` is one word.
"""

from collections.abc import Mapping

import numpy as np

from spikeloop.pysim.common.bits import integers, pack, unpack
from spikeloop.pysim.common.memory import CHUNK_BITS
from spikeloop.pysim.pim.layer import SEGMENTS, PimLayer, PimParams
from spikeloop.pysim.pim.memories import GAIN_BITS, KEEP_BITS, OFFSET_BITS, SEED_BITS, adc_seeds
from spikeloop.pysim.pim.source import PimHead

__all__ = ["contents", "layer_of"]

ENTRY_BITS = GAIN_BITS + OFFSET_BITS


def contents(layer: PimLayer) -> dict[str, np.ndarray]:
    """The words of each memory as chunks of 32 bits: uint32 ``[rows, chunks]`` by name."""
    p, used = layer.params, layer.params.words * layer.params.weight_bits
    weights = np.zeros((p.banks, p.rows, p.words, p.weight_bits), np.int64)
    weights[_places(p, layer.channels, layer.window.rows)] = (
        layer.weights[:, :, None] >> np.arange(p.weight_bits) & 1
    )
    cells = {
        "weights": weights,
        "stuck0_": layer.stuck0[:, :, :used],
        "stuck1_": layer.stuck1[:, :, :used],
    }
    words = {
        f"{kind}{bank}": _to_chunks(_by_unit(p, of_kind[bank]), 1)
        for kind, of_kind in cells.items()
        for bank in range(p.banks)
    }
    gain, offset = (table.reshape(-1, p.share).T for table in (layer.gain, layer.offset))
    words["tables"] = _to_chunks(gain | offset << GAIN_BITS, ENTRY_BITS)
    bias = np.zeros(p.groups * p.capacity, np.int64)
    bias[: layer.channels] = layer.bias
    words["bias"] = _to_chunks(bias.reshape(p.groups, -1), p.current_bits)
    words["seeds"] = _to_chunks(adc_seeds(p, layer.seed).astype(np.int64)[None], SEED_BITS)
    if p.ir_drop:
        words["keep"] = _to_chunks(layer.keep, KEEP_BITS)
    return words


def layer_of(head: PimHead, words: Mapping[str, np.ndarray]) -> PimLayer:
    """Inverse of :func:`contents`: the layer that the memories hold.

    head: says the layer's window, settings and seed.
    words: uint8 ``[rows, bytes]`` by name, little-endian.
    """
    p, used = head.params, head.params.words * head.params.weight_bits

    def cells(kind: str) -> np.ndarray:
        """uint8 ``[banks, rows, columns in use]``."""
        size = p.units * p.active_rows * p.unit_bits
        banks = [unpack(words[f"{kind}{bank}"], size) for bank in range(p.banks)]
        return np.stack([_by_row(p, bank) for bank in banks])

    stored = integers(cells("weights").reshape(p.banks, p.rows, p.words, -1), signed=True)
    stuck = {name: np.zeros((p.banks, p.rows, p.columns), bool) for name in ("stuck0", "stuck1")}
    for name, mask in stuck.items():
        mask[:, :, :used] = cells(f"{name}_")
    entries = _to_fields(words["tables"], p.banks * p.converters, ENTRY_BITS, signed=True)
    bias = _to_fields(words["bias"], p.capacity, p.current_bits, signed=True)
    keep = {"keep": _to_fields(words["keep"], SEGMENTS, KEEP_BITS)} if p.ir_drop else {}
    return PimLayer.make(
        p,
        head.window,
        stored[_places(p, head.channels, head.window.rows)],
        shift=head.shift,
        limit=head.limit,
        sigma=head.sigma,
        seed=head.seed,
        bias=bias.ravel()[: head.channels],
        gain=(entries & (1 << GAIN_BITS) - 1).T.reshape(p.banks, p.units),
        offset=(entries >> GAIN_BITS).T.reshape(p.banks, p.units),
        **keep,
        **stuck,
    )


def _places(p: PimParams, channels: int, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(bank, row, word) of every weight ``[channel, kernel row]``; the three broadcast."""
    pass_, place = np.divmod(np.arange(channels)[:, None], p.capacity)
    bank, word = np.divmod(place, p.words)
    groups = -(-rows // p.active_rows)
    return bank, pass_ * groups * p.active_rows + np.arange(rows), word


def _by_unit(p: PimParams, cells: np.ndarray) -> np.ndarray:
    """Cells ``[rows, ...]`` of a bank as its words ``[groups, bits]``: units before rows."""
    ordered = cells.reshape(p.groups, p.active_rows, p.units, p.unit_bits).transpose(0, 2, 1, 3)
    return ordered.reshape(p.groups, -1)


def _by_row(p: PimParams, bits: np.ndarray) -> np.ndarray:
    """Inverse of :func:`_by_unit`: ``[rows, columns in use]``."""
    ordered = bits.reshape(p.groups, p.units, p.active_rows, p.unit_bits).transpose(0, 2, 1, 3)
    return ordered.reshape(p.rows, -1)


def _to_chunks(fields: np.ndarray, bits: int) -> np.ndarray:
    """Integers ``[rows, fields]`` side by side, the first one lowest: uint32 ``[rows, chunks]``.

    bits: bits of a field.
    """
    planes = fields.astype(np.int64)[:, :, None] >> np.arange(bits) & 1
    flat = planes.reshape(len(fields), -1)
    packed = pack(np.pad(flat, ((0, 0), (0, -flat.shape[1] % CHUNK_BITS))))
    return packed.view("<u4").astype(np.uint32)


def _to_fields(rows: np.ndarray, count: int, bits: int, signed: bool = False) -> np.ndarray:
    """Inverse of :func:`_to_chunks`, from bytes: int64 ``[rows, count]``."""
    return integers(unpack(rows, count * bits).reshape(len(rows), count, bits), signed)
