"""A record of pysim/chip/records.py as an Amaranth layout."""

from amaranth.lib import data

from spikeloop.pysim.chip.records import Field

__all__ = ["layout"]


def layout(record: list[Field]) -> data.StructLayout:
    """The Amaranth layout of a plain record."""
    return data.StructLayout({f.name: f.bits for f in record})
