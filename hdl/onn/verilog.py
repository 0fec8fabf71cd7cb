"""Verilog of the macro of oscillators alone, as hdl/verilog.py writes it for chips.

It stands apart, so that a change here leaves the builds of chips as they are.
"""

from spikeloop.hdl.onn.macro import OnnMacro
from spikeloop.hdl.verilog import convert, primitives
from spikeloop.pysim.onn.params import OnnParams

__all__ = ["TOP", "generate"]

TOP = "onn"
"""Name of the top module."""


def generate(p: OnnParams) -> str:
    """The Verilog of a macro; the same parameters always give the same text."""
    return "\n".join((convert(OnnMacro(p), TOP), primitives()))
