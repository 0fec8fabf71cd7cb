"""A chip to its Verilog."""

from pathlib import Path
from typing import Any

from spikeloop.hdl.verilog import generate
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.files import writable, write_atomic

__all__ = ["make", "write_verilog"]


def make(*, output: Path, chip: dict[str, Any]) -> list[str]:
    """Write the Verilog of ``chip`` (as of Chip.to_dict) into folder ``output``; names of files."""
    return [path.name for path in write_verilog(Chip.from_dict(chip), output)]


def write_verilog(chip: Chip, folder: Path, *, sources: bool = False) -> list[Path]:
    """The Verilog of a chip: all files that a simulator or a synthesiser needs.

    sources: keep the lines of Python that signals are from (:func:`spikeloop.hdl.verilog.convert`).
    """
    writable(folder)
    return [write_atomic(folder / "spikeloop.v", generate(chip, sources=sources).encode())]
