"""Verilog of the macro of dendritic neurons alone, as hdl/verilog.py writes it for chips.

It stands apart, so that a change here leaves the builds of chips as they are.
"""

from spikeloop.hdl.dendritic.macro import DendriticMacro
from spikeloop.hdl.verilog import convert, whole
from spikeloop.pysim.dendritic.params import DendriticParams

__all__ = ["TOP", "generate"]

TOP = "dendritic"
"""Name of the top module."""


def generate(p: DendriticParams) -> str:
    """The Verilog of a macro; the same parameters always give the same text."""
    return whole(convert(DendriticMacro(p), TOP))
