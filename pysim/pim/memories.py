"""The memories of a PIM macro, and the seeds of its converters' noise.

The RTL's ports and whoever fills the memories share this one table; pysim.pim.contents says what
they hold.
"""

import numpy as np

from spikeloop.pysim.common.memory import LoadMemory
from spikeloop.pysim.pim.layer import SEGMENTS, PimParams

__all__ = [
    "GAIN_BITS",
    "KEEP_BITS",
    "OFFSET_BITS",
    "SEED_BITS",
    "adc_seeds",
    "memories",
    "stream_word",
]

GAIN_BITS, OFFSET_BITS, KEEP_BITS, SEED_BITS = 13, 10, 9, 32
GOLDEN_RATIO = 0x9E3779B97F4A7C15


def memories(p: PimParams) -> list[LoadMemory]:
    """All memories of a macro, in the order in which the load port numbers them."""
    cells, converters = p.units * p.unit_bits * p.active_rows, p.banks * p.converters
    table = [
        LoadMemory(f"{kind}{bank}", p.groups, cells)
        for kind in ("weights", "stuck0_", "stuck1_")
        for bank in range(p.banks)
    ]
    table += [
        LoadMemory("tables", p.share, converters * (GAIN_BITS + OFFSET_BITS)),
        LoadMemory("bias", p.groups, p.capacity * p.current_bits),
        LoadMemory("seeds", 1, converters * SEED_BITS),
    ]
    if p.ir_drop:
        table.append(LoadMemory("keep", p.groups, SEGMENTS * KEEP_BITS))
    return table


# -- seeds -------------------------------------------------------------------------------------


def adc_seeds(params: PimParams, seed: int) -> np.ndarray:
    """First word of each converter's generator: uint32 ``[banks * converters]``.

    It is the low half of output number bank * 2^16 + converter of splitmix64, started at ``seed``.
    """
    order = [bank << 16 | adc for bank in range(params.banks) for adc in range(params.converters)]
    return np.array([_mix(seed + GOLDEN_RATIO * (1 + n)) & 0xFFFFFFFF for n in order], np.uint32)


def stream_word(stream: int) -> int:
    """The 32-bit word that number ``stream`` (of an image, say) XORs onto every seed.

    0 for stream 0.
    """
    return _mix(GOLDEN_RATIO * stream) & 0xFFFFFFFF if stream else 0


def _mix(z: int) -> int:
    """The output function of splitmix64 (Steele, Lea, Flood 2014)."""
    z &= (1 << 64) - 1
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
    z = (z ^ z >> 27) * 0x94D049BB133111EB & (1 << 64) - 1
    return z ^ z >> 31
