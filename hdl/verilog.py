"""Verilog out: the chip as one deterministic text.

The hand-written primitives (memory, clock gate, skid buffer) are appended.
"""

import gc
from importlib.resources import files

from amaranth.back import verilog
from amaranth.lib import wiring

from spikeloop.hdl.board import BoardTop
from spikeloop.hdl.chip import ChipTop
from spikeloop.hdl.core.core import Core
from spikeloop.hdl.dendritic.macro import DendriticMacro
from spikeloop.hdl.mesh import MeshTop
from spikeloop.hdl.names import (
    ADC_MODULE,
    BOARD_TOP,
    CHIP_TOP,
    CORE_MODULE,
    DENDRITIC_TOP,
    ONN_TOP,
    PIM_TOP,
    PLASTIC_TOP,
    UNIT_MODULE,
)
from spikeloop.hdl.neuron.step import slice_of, stages
from spikeloop.hdl.onn.macro import OnnMacro
from spikeloop.hdl.pim.adc import PimAdc
from spikeloop.hdl.pim.macro import PimMacro
from spikeloop.hdl.pim.unit import PimUnit
from spikeloop.hdl.plastic.core import PlasticCore
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendritic.params import DendriticParams
from spikeloop.pysim.onn.params import OnnParams
from spikeloop.pysim.pim.layer import PimParams
from spikeloop.pysim.plastic.params import PlasticParams

__all__ = [
    "convert",
    "generate",
    "generate_board",
    "generate_dendritic",
    "generate_macro",
    "generate_onn",
    "generate_plastic",
    "primitives",
]

LONG_LINE = 4000


def primitives() -> str:
    """The Verilog of the memory, the clock gate and the skid buffer."""
    return "\n".join(
        (files("spikeloop.hdl.lib") / name).read_text()
        for name in ("ram.v", "clock_gate.v", "skid.v")
    )


def convert(component: wiring.Component, name: str) -> str:
    """Any component of ours as Verilog, without the primitives it stands on."""
    collecting = gc.isenabled()
    # An elaboration makes millions of objects and next to no garbage; to look for it takes a third
    # of the time.
    gc.disable()
    try:
        text = verilog.convert(component, name=name, emit_src=False, strip_internal_attrs=True)
    finally:
        if collecting:
            gc.enable()
    return "\n".join(_wrapped(line) for line in text.splitlines())


def _wrapped(line: str) -> str:
    """A line as it is, or a wide concatenation in lines that every reader takes."""
    return line if len(line) < LONG_LINE else line.replace(", ", ",\n    ")


def generate(chip: Chip, top: str = CHIP_TOP) -> str:
    """The Verilog of a chip; its top module is ``top``.

    The same parameters always give the same text.
    """
    if chip.derived.cores > 1:
        return _whole(chip, convert(MeshTop(chip), top), convert(Core(chip), CORE_MODULE))
    return _whole(chip, convert(ChipTop(chip), top))


def generate_board(chip: Chip, *, divisor: int | None = None, virtual: bool = False) -> str:
    """The Verilog of a chip of one core behind its host link; its top module is BOARD_TOP.

    Arguments are those of hdl.board.BoardTop. Raises InputError for a chip of many cores.
    """
    if chip.derived.cores > 1:
        raise InputError(f"chip behind a host link must have one core, not {chip.derived.cores}")
    return _whole(chip, convert(BoardTop(chip, divisor=divisor, virtual=virtual), BOARD_TOP))


def _whole(chip: Chip, *parts: str) -> str:
    """The parts, with the neuron step of a wide core, those of a macro, and the primitives."""
    slices = []
    if part := slice_of(chip):
        slices = [convert(stage.component(part), stage.module) for stage in stages(chip)]
    macro = _macro_parts(chip.pim.macro) if chip.pim else []
    return "\n".join((*parts, *slices, *macro, primitives()))


def generate_macro(p: PimParams) -> str:
    """The Verilog of a PIM macro alone; its top module is PIM_TOP."""
    return "\n".join((convert(PimMacro(p), PIM_TOP), *_macro_parts(p), primitives()))


def generate_onn(p: OnnParams) -> str:
    """The Verilog of a macro of oscillators alone; its top module is ONN_TOP."""
    return "\n".join((convert(OnnMacro(p), ONN_TOP), primitives()))


def generate_dendritic(p: DendriticParams) -> str:
    """The Verilog of a macro of dendritic neurons alone; its top module is DENDRITIC_TOP."""
    return "\n".join((convert(DendriticMacro(p), DENDRITIC_TOP), primitives()))


def generate_plastic(p: PlasticParams) -> str:
    """The Verilog of a plastic core alone; its top module is PLASTIC_TOP."""
    return "\n".join((convert(PlasticCore(p), PLASTIC_TOP), primitives()))


def _macro_parts(p: PimParams) -> list[str]:
    return [convert(PimUnit(p), UNIT_MODULE), convert(PimAdc(p), ADC_MODULE)]
