"""Verilog out: the chip as one deterministic text.

The hand-written primitives (memory, clock gate, skid buffer) are appended. Simulators take the text
as it is, in every mode from Verilog-2005 to SystemVerilog-2012.
"""

import gc
import re
from importlib.resources import files
from inspect import getfile
from pathlib import Path

import amaranth
from amaranth.back import verilog
from amaranth.lib import wiring

import spikeloop
from spikeloop.hdl.board import BoardTop
from spikeloop.hdl.chip import ChipTop
from spikeloop.hdl.core.core import Core
from spikeloop.hdl.dendritic.macro import DendriticMacro
from spikeloop.hdl.mesh import MeshTop
from spikeloop.hdl.names import (
    ADC_MODULE,
    BOARD_TOP,
    CHIP_TOP,
    CLOCK_GATE_MODULE,
    CORE_MODULE,
    DENDRITIC_TOP,
    ONN_TOP,
    PIM_TOP,
    PLASTIC_TOP,
    RAM_MODULE,
    SKID_MODULE,
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
    "linted",
    "primitives",
    "whole",
]

LONG_LINE = 4000

PRIMITIVES = {RAM_MODULE: "ram.v", CLOCK_GATE_MODULE: "clock_gate.v", SKID_MODULE: "skid.v"}

LINT = {
    "CASEINCOMPLETE": "a case stands behind the default of what it assigns",
    "CMPCONST": "a number is compared with more than it can be",
    "INITIALDLY": "the wake-up at time 0 is an event of its own (hdl/verilog.py)",
    "WIDTHEXPAND": "constants and operands stand without their leading zeros",
    "WIDTHTRUNC": "a number is asked whether it is 0; a shift is cut to what it fills",
}
"""What the Verilog writer leaves to Verilator's lint, and why none of it is a mistake."""


def primitives(text: str | None = None) -> str:
    """The Verilog of the memory, the clock gate and the skid buffer: those that ``text`` uses, or
    all."""
    return "\n".join(
        (files("spikeloop.hdl.lib") / name).read_text()
        for module, name in PRIMITIVES.items()
        if text is None or f"  {module} " in text
    )


def convert(component: wiring.Component, name: str, *, sources: bool = False) -> str:
    """Any component of ours as Verilog, without the primitives it stands on.

    sources: keep an attribute ``src`` on signals and statements: file and line of the Python that
             made them, as ``spikeloop/hdl/core/control.py:88``.
    """
    collecting = gc.isenabled()
    # An elaboration makes millions of objects and next to no garbage; to look for it takes a third
    # of the time.
    gc.disable()
    try:
        text = verilog.convert(
            component, name=name, emit_src=sources, strip_internal_attrs=not sources
        )
    finally:
        if collecting:
            gc.enable()
    if sources:
        text = re.sub(r'\(\* src = "(.*?)" \*\)', _source, text)
    return "\n".join(_wrapped(line) for line in _awake(text).splitlines())


def _source(attribute: re.Match[str]) -> str:
    """An attribute ``src``, its file named from where packages are installed; else nothing.

    So the text does not depend on the machine.
    """
    for package in (amaranth, spikeloop):  # a .venv may lie in the checkout: its packages first
        root = f"{Path(getfile(package)).parents[1]}/"
        if attribute[1].startswith(root):
            return attribute[0].replace(root, "")
    return ""


def _awake(text: str) -> str:
    """Lets every ``always @*`` run at time 0.

    For that purpose the Verilog writer puts a register into each module, which all of them read.
    It has its value from its declaration, which is an event in Verilog-2005 alone. A process whose
    inputs do not change (a state machine at rest) would keep its outputs at x elsewhere.
    """
    return re.sub(
        r"^  reg (\\\$auto\$verilog_backend\S+ ) = 0;$",
        r"  reg \1;\n  initial \1 <= 0;",
        text,
        flags=re.M,
    )


def _wrapped(line: str) -> str:
    """A line as it is, or a wide concatenation in lines that every reader takes."""
    return line if len(line) < LONG_LINE else line.replace(", ", ",\n    ")


def generate(chip: Chip, top: str = CHIP_TOP, *, sources: bool = False) -> str:
    """The Verilog of a chip; its top module is ``top``.

    The same parameters always give the same text. sources: as for :func:`convert`.
    """
    mesh = chip.derived.cores > 1
    parts = {top: MeshTop(chip), CORE_MODULE: Core(chip)} if mesh else {top: ChipTop(chip)}
    return _whole(chip, parts, sources=sources)


def generate_board(chip: Chip, *, divisor: int | None = None, virtual: bool = False) -> str:
    """The Verilog of a chip of one core behind its host link; its top module is BOARD_TOP.

    Arguments are those of hdl.board.BoardTop. Raises InputError for a chip of many cores.
    """
    if chip.derived.cores > 1:
        raise InputError(f"chip behind a host link must have one core, not {chip.derived.cores}")
    return _whole(chip, {BOARD_TOP: BoardTop(chip, divisor=divisor, virtual=virtual)})


def _whole(chip: Chip, parts: dict[str, wiring.Component], *, sources: bool = False) -> str:
    """The parts, with the neuron step of a wide core, those of a macro, and the primitives."""
    if part := slice_of(chip):
        parts |= {stage.module: stage.component(part) for stage in stages(chip)}
    if chip.pim:
        parts |= _macro_parts(chip.pim.macro)
    return whole(*(convert(part, name, sources=sources) for name, part in parts.items()))


def whole(*parts: str) -> str:
    """Modules that stand together, with their primitives, as one text that Verilator lints."""
    text = "\n".join(parts)
    return linted(f"{text}\n{primitives(text)}")


def linted(text: str) -> str:
    """The text of the Verilog writer, with what Verilator's lint need not say of it."""
    quiet = [f"// {reason}\n// verilator lint_off {code}" for code, reason in LINT.items()]
    return "\n".join(("// verilator lint_save", *quiet, text, "// verilator lint_restore\n"))


def generate_macro(p: PimParams) -> str:
    """The Verilog of a PIM macro alone; its top module is PIM_TOP."""
    parts = {PIM_TOP: PimMacro(p), **_macro_parts(p)}
    return whole(*(convert(part, name) for name, part in parts.items()))


def generate_onn(p: OnnParams) -> str:
    """The Verilog of a macro of oscillators alone; its top module is ONN_TOP."""
    return whole(convert(OnnMacro(p), ONN_TOP))


def generate_dendritic(p: DendriticParams) -> str:
    """The Verilog of a macro of dendritic neurons alone; its top module is DENDRITIC_TOP."""
    return whole(convert(DendriticMacro(p), DENDRITIC_TOP))


def generate_plastic(p: PlasticParams) -> str:
    """The Verilog of a plastic core alone; its top module is PLASTIC_TOP."""
    return whole(convert(PlasticCore(p), PLASTIC_TOP))


def _macro_parts(p: PimParams) -> dict[str, wiring.Component]:
    return {UNIT_MODULE: PimUnit(p), ADC_MODULE: PimAdc(p)}
