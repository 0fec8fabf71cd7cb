"""What the memories of a PIM macro hold for a layer: one table of memories, shared by the RTL's ports and whoever fills them.

Per bank b ``weights<b>``, ``stuck0_<b>``, ``stuck1_<b>``: a word is a row group, unit after unit, in a unit row after row, so that what
one converter reads is one piece of the word. ``tables``: a word is a round, converter after converter gain (13 bits) and offset (10).
``bias``: a word is a pass. ``keep``: a word is a row group, segment after segment 9 bits. ``seeds``: one word, 32 bits per converter.
"""

from dataclasses import dataclass

import numpy as np

from pysim.pim_params import SEGMENTS, PimLayer, PimParams, adc_seeds

__all__ = ["GAIN_BITS", "KEEP_BITS", "OFFSET_BITS", "SEED_BITS", "PimMemory", "contents", "memories"]

GAIN_BITS, OFFSET_BITS, KEEP_BITS, SEED_BITS = 13, 10, 9, 32
CHUNK_BITS = 32


@dataclass(frozen=True)
class PimMemory:
    """A memory of ``rows`` words of ``width`` bits; it is written in chunks of 32 bits."""

    name: str
    rows: int
    width: int

    @property
    def chunks(self) -> int:
        return -(-self.width // CHUNK_BITS)


def memories(p: PimParams) -> list[PimMemory]:
    """All memories of a macro, in the order in which the load port numbers them."""
    cells, converters = p.units * p.unit_bits * p.active_rows, p.banks * p.converters
    return [*(PimMemory(f"{kind}{bank}", p.groups, cells) for kind in ("weights", "stuck0_", "stuck1_") for bank in range(p.banks)),
            PimMemory("tables", p.share, converters * (GAIN_BITS + OFFSET_BITS)), PimMemory("bias", p.groups, p.capacity * p.current_bits),
            PimMemory("seeds", 1, converters * SEED_BITS), *([PimMemory("keep", p.groups, SEGMENTS * KEEP_BITS)] if p.ir_drop else [])]


def contents(layer: PimLayer) -> dict[str, np.ndarray]:
    """Of each memory its words as chunks: uint32 ``[rows, chunks]``."""
    p = layer.params
    cells = np.zeros((p.banks, p.rows, p.words, p.weight_bits), np.int64)
    bias = np.zeros(p.groups * p.capacity, np.int64)
    for pass_ in range(layer.passes):
        channels, first = slice(pass_ * p.capacity, (pass_ + 1) * p.capacity), pass_ * layer.groups * p.active_rows
        weights = np.zeros((p.capacity, layer.window.rows), np.int64)
        weights[:layer.words_of(pass_)] = layer.weights[channels]
        bits = weights[:, :, None] >> np.arange(p.weight_bits) & 1
        cells[:, first:first + layer.window.rows] = bits.reshape(p.banks, p.words, -1, p.weight_bits).transpose(0, 2, 1, 3)
        bias[pass_ * p.capacity:pass_ * p.capacity + layer.words_of(pass_)] = layer.bias[channels]
    stuck = [mask[:, :, :p.words * p.weight_bits] for mask in (layer.stuck0, layer.stuck1)]
    found: dict[str, np.ndarray] = {}
    for kind, values in (("weights", cells), ("stuck0_", stuck[0]), ("stuck1_", stuck[1])):
        # [banks, groups, active rows, units, unit bits] -> units before rows
        ordered = values.reshape(p.banks, p.groups, p.active_rows, p.units, p.unit_bits).transpose(0, 1, 3, 2, 4)
        found |= {f"{kind}{bank}": _chunks(ordered[bank].reshape(p.groups, -1, 1), 1) for bank in range(p.banks)}
    gain, offset = (table.reshape(-1, p.share).T for table in (layer.gain, layer.offset))
    table = gain | (offset & (1 << OFFSET_BITS) - 1) << GAIN_BITS
    found["tables"] = _chunks(table, GAIN_BITS + OFFSET_BITS)
    found["bias"] = _chunks(bias.reshape(p.groups, -1), p.current_bits)
    found["seeds"] = _chunks(adc_seeds(p, layer.seed).astype(np.int64)[None], SEED_BITS)
    if p.ir_drop:
        found["keep"] = _chunks(layer.keep, KEEP_BITS)
    return found


def _chunks(fields: np.ndarray, bits: int) -> np.ndarray:
    """Fields int64 ``[rows, ...]`` of ``bits`` bits each, least significant first, as 32-bit chunks: uint32 ``[rows, chunks]``."""
    flat = fields.reshape(len(fields), -1).astype(np.int64)
    digits = (flat[:, :, None] >> np.arange(bits) & 1).reshape(len(flat), -1).astype(np.uint8)
    packed = np.packbits(np.pad(digits, ((0, 0), (0, -digits.shape[1] % CHUNK_BITS))), axis=1, bitorder="little")
    return packed.view("<u4").astype(np.uint32)
