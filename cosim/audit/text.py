"""The generated Verilog as pyverilog reads it: ports, memories, registers and operators.

A module goes by its plain name: ``\\chip.core.step$299`` is ``core.step``.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from typing import Any

from spikeloop.hdl.names import CHIP_TOP, CLOCK_GATE_MODULE, RAM_MODULE, SKID_MODULE
from spikeloop.pysim.chip.params import SCAN_BITS
from spikeloop.pysim.common.errors import InputError

__all__ = [
    "PRIMITIVES",
    "Registers",
    "memories_of",
    "multiplies",
    "normalise",
    "parse",
    "plain",
    "ports_of",
]

PRIMITIVES = (RAM_MODULE, CLOCK_GATE_MODULE, SKID_MODULE)
"""Modules written by hand. Their registers are not counted."""

BASES = {"b": 2, "o": 8, "d": 10, "h": 16}


def normalise(verilog: str) -> str:
    """A copy that pyverilog reads.

    It has no attributes, no initial values of registers (with one, every register would look
    combinational), and none of the back end's wake-up statements.
    """
    text = re.sub(r"\(\*.*?\*\)", " ", verilog, flags=re.S)
    text = re.sub(r"^(\s*reg\s+(?:\[[^\]]*\]\s*)?\S+)\s*=\s*[^;]+;", r"\1 ;", text, flags=re.M)
    awake = r"^\s*(if \(\\\$auto\$verilog_backend\S+ \) begin end|initial \\\$auto\S+ <= 0;)\n"
    return re.sub(awake, "", text, flags=re.M)


def parse(verilog: str) -> dict[str, Any]:
    """Syntax trees of the modules by plain name. InputError if pyverilog is missing."""
    try:
        from pyverilog.vparser.parser import VerilogParser
    except ModuleNotFoundError:
        raise InputError("pyverilog is missing: pip install pyverilog==1.3.0") from None
    with tempfile.TemporaryDirectory(prefix="spikeloop-pyverilog-") as folder:
        parsed = VerilogParser(outputdir=folder, debug=False).parse(normalise(verilog))
    return {plain(module.name): module for module in parsed.description.definitions}


def plain(name: str) -> str:
    """The plain name of a module."""
    return re.sub(r"\$\d+(?=\.|$)", "", name.lstrip("\\").strip()).removeprefix(f"{CHIP_TOP}.")


def ports_of(tree: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """Direction and width of the top's ports."""
    return {
        declaration.name: (_kind(declaration).lower(), _size(declaration))
        for declaration in _declarations(tree[CHIP_TOP])
        if _kind(declaration) in ("Input", "Output", "Inout")
    }


def memories_of(tree: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    """Rows, width and chunk of each memory: the parameters of the memory primitive's instances.

    Any array elsewhere counts as a memory of its own, with 0 rows.
    """
    memories = {}
    for module_name, module in tree.items():
        for node in _nodes(module):
            if _kind(node) == "Instance" and node.module == RAM_MODULE:
                values = {p.paramname: p.argname.value for p in node.parameterlist}
                rows, width, chunk = (_number(values[key]) for key in ("ROWS", "WIDTH", "CHUNK"))
                memories[values["NAME"].strip('"')] = (rows, width, chunk)
            elif _kind(node) == "Reg" and node.dimensions is not None and module_name != RAM_MODULE:
                memories[f"{module_name}.{node.name}"] = (0, _size(node), 0)
    return memories


class Registers:
    """Signals assigned at a clock edge in generated modules.

    bits: width by (module, name).
    of_module: the sum of widths by module.
    """

    def __init__(self, tree: dict[str, Any]) -> None:
        self.bits = {
            (name, register.lstrip("\\")): bits
            for name, module in tree.items()
            if name not in PRIMITIVES
            for register, bits in _registers_of(module)
        }
        totals: Counter[str] = Counter()
        for (module_name, _), bits in self.bits.items():
            totals[module_name] += bits
        self.of_module = dict(totals)

    def against(self, declared: dict[tuple[str, str], int]) -> tuple[str, ...]:
        """What differs from ``declared``: absent registers, wrong widths, wide ones beside it.

        A declared register that has another name in the RTL is known by its width.
        """
        named: dict[tuple[str, str], int] = {}
        others: Counter[tuple[str, int]] = Counter()
        for (module, name), bits in self.bits.items():
            key = module, re.sub(r"(?<=\w)\$\d+$", "", name)
            named[key] = bits
            others[module, bits] += key not in declared
        wrong = []
        for (module, name), bits in declared.items():
            if (module, name) not in named and others[module, bits]:
                others[module, bits] -= 1
            elif named.get((module, name)) != bits:
                got = named.get((module, name), "be absent")
                wrong.append(f"register {module}.{name} must have {bits} bits, not {got}")
        wide = [
            f"register of {bits} bits in {module} must be in the inventory, not beside it"
            for (module, bits), count in others.items()
            if count and bits > SCAN_BITS
        ]
        return (*wrong, *wide)


def multiplies(tree: dict[str, Any]) -> tuple[str, ...]:
    """Every ``*``, ``/``, ``%`` and ``**`` in the design.

    Two products are allowed: with a constant power of two, which is a shift, and the chunk index of
    the memory primitive.
    """
    return tuple(
        f"{_kind(node)} in module {name}, line {node.lineno} of the normalised text"
        for name, module in tree.items()
        for node in _nodes(module)
        if _kind(node) in ("Times", "Divide", "Mod", "Power") and not _is_allowed(node, name)
    )


def _is_allowed(node: Any, module: str) -> bool:
    if _kind(node) != "Times":
        return False
    sides = (node.left, node.right)
    constants = [_number(side.value) for side in sides if _kind(side) == "IntConst"]
    names = [side.name for side in sides if _kind(side) == "Identifier"]
    shift = any(constant.bit_count() == 1 for constant in constants)
    return shift or (module == RAM_MODULE and "CHUNK" in names)


# -- the syntax tree ---------------------------------------------------------------------------


def _nodes(node: Any) -> Iterator[Any]:
    """All nodes of the syntax tree."""
    stack = [node]
    while stack:
        stack.extend((node := stack.pop()).children())
        yield node


def _kind(node: Any) -> str:
    return type(node).__name__


def _declarations(module: Any) -> Iterator[Any]:
    return (
        declaration for item in module.items if _kind(item) == "Decl" for declaration in item.list
    )


def _size(declaration: Any) -> int:
    width = declaration.width
    return 1 if width is None else int(width.msb.value) - int(width.lsb.value) + 1


def _registers_of(module: Any) -> Iterator[tuple[str, int]]:
    """Name and width of each signal that the module assigns at a clock edge."""
    sizes = {d.name: _size(d) for d in _declarations(module) if hasattr(d, "width")}
    for item in module.items:
        if _kind(item) != "Always":
            continue
        if not any(event.type in ("posedge", "negedge") for event in item.sens_list.list):
            continue
        for node in _nodes(item.statement):
            if _kind(node) == "NonblockingSubstitution":
                target = next(n.name for n in _nodes(node.left) if _kind(n) == "Identifier")
                yield target, sizes[target]


def _number(text: str) -> int:
    """A Verilog literal: 12, 8'hc0, 32'sd5."""
    size, tick, rest = text.replace("_", "").partition("'")
    if not tick:
        return int(size)
    rest = rest.lstrip("sS")
    return int(rest[1:], BASES[rest[0].lower()])
