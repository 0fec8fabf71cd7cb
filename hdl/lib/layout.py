"""Records of pysim/chip/records.py, and accesses of a load port, as Amaranth layouts."""

from collections.abc import Sequence

from amaranth.lib import data

from spikeloop.pysim.chip.records import Field
from spikeloop.pysim.common.memory import CHUNK_BITS, LoadMemory

__all__ = ["access_layout", "layout"]


def layout(record: list[Field]) -> data.StructLayout:
    """The Amaranth layout of a plain record."""
    return data.StructLayout({f.name: f.bits for f in record})


def access_layout(
    table: Sequence[LoadMemory], *, reads: bool, index_bits: int = 1
) -> data.StructLayout:
    """An access of the host to a macro, through its load port.

    en:     do it in this cycle.
    write:  write ``data``; else read. Only if the port ``reads``.
    memory: number of the memory in ``table``.
    row:    word of the memory.
    index:  chunk of the word, of ``index_bits`` at least.
    data:   the chunk.
    """
    return data.StructLayout(
        {
            "en": 1,
            **({"write": 1} if reads else {}),
            "memory": (len(table) - 1).bit_length(),
            "row": max(1, *((memory.rows - 1).bit_length() for memory in table)),
            "index": max(index_bits, *((memory.chunks - 1).bit_length() for memory in table)),
            "data": CHUNK_BITS,
        }
    )
