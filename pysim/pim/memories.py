"""What the memories of a PIM macro hold for a layer: one table of memories, shared by the RTL's ports and whoever fills them.

Per bank b ``weights<b>``, ``stuck0_<b>``, ``stuck1_<b>``: a word is a row group, unit after unit, in a unit row after row, so that what
one converter reads is one piece of the word. ``tables``: a word is a round, converter after converter gain (13 bits) and offset (10).
``bias``: a word is a pass. ``keep``: a word is a row group, segment after segment 9 bits. ``seeds``: one word, 32 bits per converter.
"""

from dataclasses import dataclass

import numpy as np

from spikeloop.pysim.pim.layer import SEGMENTS, PimLayer, PimParams

__all__ = [
    "GAIN_BITS",
    "KEEP_BITS",
    "OFFSET_BITS",
    "SEED_BITS",
    "PimMemory",
    "adc_seeds",
    "contents",
    "memories",
    "stream_word",
]

GAIN_BITS, OFFSET_BITS, KEEP_BITS, SEED_BITS = 13, 10, 9, 32
CHUNK_BITS = 32
GOLDEN_RATIO = 0x9E3779B97F4A7C15


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
    return [
        *(
            PimMemory(f"{kind}{bank}", p.groups, cells)
            for kind in ("weights", "stuck0_", "stuck1_")
            for bank in range(p.banks)
        ),
        PimMemory("tables", p.share, converters * (GAIN_BITS + OFFSET_BITS)),
        PimMemory("bias", p.groups, p.capacity * p.current_bits),
        PimMemory("seeds", 1, converters * SEED_BITS),
        *([PimMemory("keep", p.groups, SEGMENTS * KEEP_BITS)] if p.ir_drop else []),
    ]


def contents(layer: PimLayer) -> dict[str, np.ndarray]:
    """Of each memory its words as chunks: uint32 ``[rows, chunks]``."""
    p = layer.params
    cells = np.zeros((p.banks, p.rows, p.words, p.weight_bits), np.int64)
    bias = np.zeros(p.groups * p.capacity, np.int64)
    for pass_ in range(layer.passes):
        channels, first = (
            slice(pass_ * p.capacity, (pass_ + 1) * p.capacity),
            pass_ * layer.groups * p.active_rows,
        )
        weights = np.zeros((p.capacity, layer.window.rows), np.int64)
        weights[: layer.words_of(pass_)] = layer.weights[channels]
        bits = weights[:, :, None] >> np.arange(p.weight_bits) & 1
        cells[:, first : first + layer.window.rows] = bits.reshape(
            p.banks, p.words, -1, p.weight_bits
        ).transpose(0, 2, 1, 3)
        bias[pass_ * p.capacity : pass_ * p.capacity + layer.words_of(pass_)] = layer.bias[channels]
    stuck = [mask[:, :, : p.words * p.weight_bits] for mask in (layer.stuck0, layer.stuck1)]
    found: dict[str, np.ndarray] = {}
    for kind, values in (("weights", cells), ("stuck0_", stuck[0]), ("stuck1_", stuck[1])):
        # [banks, groups, active rows, units, unit bits] -> units before rows
        ordered = values.reshape(p.banks, p.groups, p.active_rows, p.units, p.unit_bits).transpose(
            0, 1, 3, 2, 4
        )
        found |= {
            f"{kind}{bank}": _chunks(ordered[bank].reshape(p.groups, -1, 1), 1)
            for bank in range(p.banks)
        }
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
    packed = np.packbits(
        np.pad(digits, ((0, 0), (0, -digits.shape[1] % CHUNK_BITS))), axis=1, bitorder="little"
    )
    return packed.view("<u4").astype(np.uint32)


def _mix(z: int) -> int:
    """The output function of splitmix64 (Steele, Lea, Flood 2014)."""
    z &= (1 << 64) - 1
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
    z = (z ^ z >> 27) * 0x94D049BB133111EB & (1 << 64) - 1
    return z ^ z >> 31


def adc_seeds(params: PimParams, seed: int) -> np.ndarray:
    """First word of each converter's generator, uint32 ``[banks * converters]``: low half of splitmix64 output bank * 2^16 + converter."""
    order = [bank << 16 | adc for bank in range(params.banks) for adc in range(params.converters)]
    return np.array([_mix(seed + GOLDEN_RATIO * (1 + n)) & 0xFFFFFFFF for n in order], np.uint32)


def stream_word(stream: int) -> int:
    """What number ``stream`` (of an image, say) is XORed onto every seed with; stream 0 leaves the seeds as they are."""
    return _mix(GOLDEN_RATIO * stream) & 0xFFFFFFFF if stream else 0
