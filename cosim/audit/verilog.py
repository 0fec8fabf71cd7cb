"""Audit of the generated Verilog: is the RTL what the parameters say, seen by two tools that know nothing of how it was made?

    ports        the top's ports are those of ChipTop's signature, with direction and width
    memories     one per memory of the map (and the core's list of events), with its rows and width
    registers    state bits that follow from the parameters, with their widths
    multiply     none in the design; a constant power of two is a shift, and allowed, as is the constant chunk width by which the memory
                 primitive (ram.v) indexes
    loops        no combinational loop, no undriven or doubly driven net

pyverilog reads the text (ports, registers, instances, operators); Yosys (pyosys, in a process of its own) elaborates it (memories, cells,
loops). Where both see a thing, both must agree with the parameters.

    python -m spikeloop.cosim.audit.verilog --chip tiny        exit status 0: no finding, 1: findings, 2: bad input
"""

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from amaranth.back import rtlil
from amaranth.hdl import Cat, Fragment, Module, Signal, Value
from amaranth.lib import wiring
from rich.console import Console
from rich.table import Table

from spikeloop.hdl.chip import ChipTop
from spikeloop.hdl.core.neuron import SLICE_MODULES, slice_of
from spikeloop.hdl.verilog import generate
from spikeloop.pysim.chip.memory_map import COUNTERS, MemoryMap
from spikeloop.pysim.chip.params import BUS_BITS, SCAN_BITS, Chip, preset
from spikeloop.pysim.common.errors import InputError

__all__ = ["Check", "audit", "equivalent", "normalise", "yosys"]

TOP = "chip"
PRIMITIVES = ("spikeloop_ram", "spikeloop_clock_gate", "spikeloop_skid")
"""modules written by hand, whose registers are theirs alone"""


@dataclass(frozen=True)
class Check:
    """One line of the audit: what was looked at, by which tool, how many items, and what was found wrong."""

    what: str
    tool: str
    items: int
    findings: tuple[str, ...]


def yosys(commands: str, timeout: float = 600) -> tuple[bool, str]:
    """Run Yosys commands in a process of its own (an error of Yosys ends its process): done without error, log."""
    script = "import sys\nfrom pyosys import libyosys as ys\nys.run_pass('script ' + sys.argv[1], ys.Design())\n"
    with tempfile.TemporaryDirectory(prefix="spikeloop-yosys-") as folder:
        (Path(folder) / "script.ys").write_text(commands)
        try:
            done = subprocess.run(
                [sys.executable, "-c", script, str(Path(folder) / "script.ys")],
                check=False,
                capture_output=True,
                text=True,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"Yosys did not end within {timeout:g} s") from None
    if "No module named" in done.stderr:
        raise InputError("pyosys must be installed (pip install pyosys), not missing")
    return done.returncode == 0, done.stdout + done.stderr


def equivalent(
    m: Module,
    inputs: Sequence[Signal],
    first: Sequence[Value],
    second: Sequence[Value],
    *,
    steps: int = 1,
) -> bool:
    """Whether the values ``first`` and ``second`` of the design ``m`` are equal for all inputs, by SAT.

    ``steps`` > 1: in the last of that many clock cycles, the inputs free in each (for pipelines without feedback of steps - 1 registers).
    """
    differs = Signal(name="differs")
    m.d.comb += differs.eq(Cat(a != b for a, b in zip(first, second, strict=True)).any())
    with tempfile.TemporaryDirectory(prefix="spikeloop-proof-") as folder:
        file = Path(folder) / "miter.il"
        file.write_text(rtlil.convert(m, name="miter", ports=[*inputs, differs]))
        sequence = f"-seq {steps} -prove-skip {steps - 1}" if steps > 1 else ""
        _, log = yosys(
            f"read_rtlil {file}\nhierarchy -top miter\nproc\nflatten\nopt -full\nsat -prove differs 0 {sequence} miter\n"
        )
    if "SAT proof finished - no model found: SUCCESS" in log:
        return True
    if "SAT proof finished - model found: FAIL" in log:
        return False
    raise RuntimeError(f"no proof: {log[-2000:]}")


def audit(chip: Chip, verilog: str | None = None) -> list[Check]:
    """All checks on ``verilog`` (default: what hdl generates for the chip); no finding anywhere: the RTL is what the parameters say."""
    verilog = verilog or generate(chip)
    tree, (early, late, problems) = _parse(verilog), _elaborate(verilog)
    ports, memories = _declared_ports(chip), _declared_memories(chip)
    registers = _Registers(tree)
    return [
        Check("ports", "pyverilog", len(ports), _differences(ports, _ports_of(tree), "port")),
        Check(
            "ports",
            "yosys",
            len(ports),
            _differences(
                ports,
                {name: (p["direction"], len(p["bits"])) for name, p in late["ports"].items()},
                "port",
            ),
        ),
        Check(
            "memories: name, rows, width",
            "pyverilog",
            len(memories),
            _differences(memories, _memories_of(tree), "memory"),
        ),
        Check(
            "memories: rows, width",
            "yosys",
            len(memories),
            _differences(
                {name: (rows, bits) for name, (rows, bits, _) in memories.items()},
                _memory_cells(late),
                "memory",
            ),
        ),
        Check(
            "registers: widths from the parameters",
            "pyverilog",
            len(registers.bits),
            registers.against(_declared_registers(chip)),
        ),
        Check(
            "register bits of each module",
            "pyverilog and yosys",
            sum(registers.of_module.values()),
            _differences(
                registers.of_module,
                _register_cells(early, registers.of_module),
                "registers of module",
            ),
        ),
        Check("no multiply, divide or modulo", "pyverilog", len(tree), _multiplies(tree)),
        Check(
            "no multiply, divide or modulo",
            "yosys",
            len(late["cells"]),
            tuple(
                f"cell {name} is a {cell['type']}"
                for name, cell in late["cells"].items()
                if cell["type"] in MULTIPLIERS
            ),
        ),
        Check(
            "no combinational loop, one driver for each net",
            "yosys",
            len(late["netnames"]),
            problems,
        ),
    ]


# -- what the parameters say -----------------------------------------------------------------------------------


def _declared_ports(chip: Chip) -> dict[str, tuple[str, int]]:
    top = ChipTop(chip)
    Fragment.get(top, None)  # Amaranth warns of components that nobody elaborates
    return {
        "__".join(map(str, path)): (
            "input" if member.flow is wiring.In else "output",
            len(Value.cast(value)),
        )
        for path, member, value in top.signature.flatten(top)
    }


def _declared_memories(chip: Chip) -> dict[str, tuple[int, int, int]]:
    """Rows, width, bits of a chunk. The events of a tick are the core's own list, in no map."""
    found = {
        m.name: (m.rows, m.width, SCAN_BITS if m.name == "spikes" else BUS_BITS)
        for m in MemoryMap(chip).memories.values()
    }
    return found | {"events": (chip.derived.axon_lines, 1 + chip.derived.axon_bits, BUS_BITS)}


def _declared_registers(chip: Chip) -> dict[tuple[str, str], int]:
    """Registers whose width a parameter decides; (module, name): bits. Wider than 64 bits, there are no others."""
    d, lanes = chip.derived, chip.lanes
    counted, total = lanes * d.accumulator_bits, lanes * d.sum_bits
    part = slice_of(chip)  # of a wide core's neuron step, one module for all instances of a stage
    leak, fire = (
        SLICE_MODULES.values() if part else ("core.step.leak_stage", "core.step.fire_stage")
    )
    step_lanes = part.lanes if part else lanes
    return {
        **{
            ("core" if name == "cycles" else "core.counters", f"count_{name}"): 64
            for name in COUNTERS
        },
        ("core.accumulators", "counts"): counted,
        ("core.join", "now"): counted,
        ("core.join", "before"): counted,
        ("core.join", "digit"): total,
        ("core.join", "sum"): total,
        ("core.join", "offset"): d.sum_bits,
        (leak, "sum_register"): step_lanes * d.sum_bits,
        (fire, "total_register"): step_lanes * d.total_bits,
        ("core.saturated", "copy"): lanes,
        ("core.list", "entries"): d.count_bits,
        ("core.list", "hits"): d.count_bits,
        ("core.list", "at"): d.count_bits,
        ("core.control", "word"): d.word_bits,
        ("core.control", "page"): d.page_bits,
        ("core.control", "alive"): d.words,
        ("core.control", "slot"): (d.slots - 1).bit_length(),
        ("core.control", "base"): MemoryMap(chip).memories["synapse"].row_bits,
        ("core.ring.scanner", "rest"): SCAN_BITS,
        ("core.spike_scanner", "rest"): SCAN_BITS,
    }


# -- the text, read by pyverilog -------------------------------------------------------------------------------


def normalise(verilog: str) -> str:
    """A copy that pyverilog reads: without attributes, initial values of registers and the back end's wake-up statements."""
    text = re.sub(r"\(\*.*?\*\)", " ", verilog, flags=re.S)
    text = re.sub(
        r"^(\s*reg\s+(?:\[[^\]]*\]\s*)?\S+)\s*=\s*[^;]+;", r"\1 ;", text, flags=re.M
    )  # with one, all would look combinational
    return re.sub(r"^\s*if \(\\\$auto\$verilog_backend\S+ \) begin end\n", "", text, flags=re.M)


def _parse(verilog: str) -> dict[str, Any]:
    """Modules by plain name: ``\\chip.core.step$299`` is core.step."""
    try:
        from pyverilog.vparser.parser import VerilogParser
    except ModuleNotFoundError:
        raise InputError(
            "pyverilog must be installed (pip install pyverilog==1.3.0), not missing"
        ) from None
    with tempfile.TemporaryDirectory(prefix="spikeloop-pyverilog-") as folder:
        modules = (
            VerilogParser(outputdir=folder, debug=False)
            .parse(normalise(verilog))
            .description.definitions
        )
    return {_plain(module.name): module for module in modules}


def _plain(name: str) -> str:
    return re.sub(r"\$\d+(?=\.|$)", "", name.lstrip("\\").strip()).removeprefix(f"{TOP}.")


def _nodes(node: Any) -> Any:
    """All nodes of the syntax tree."""
    stack = [node]
    while stack:
        stack.extend((node := stack.pop()).children())
        yield node


def _kind(node: Any) -> str:
    return type(node).__name__


def _declarations(module: Any) -> Any:
    return (d for item in module.items if _kind(item) == "Decl" for d in item.list)


def _size(declaration: Any) -> int:
    return (
        1
        if declaration.width is None
        else int(declaration.width.msb.value) - int(declaration.width.lsb.value) + 1
    )


def _ports_of(tree: dict[str, Any]) -> dict[str, tuple[str, int]]:
    return {
        d.name: (_kind(d).lower(), _size(d))
        for d in _declarations(tree[TOP])
        if _kind(d) in ("Input", "Output", "Inout")
    }


def _memories_of(tree: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    """From the parameters of each instance of the memory primitive; any array elsewhere is a memory of its own."""
    found = {}
    for module_name, module in tree.items():
        for node in _nodes(module):
            if _kind(node) == "Instance" and node.module == "spikeloop_ram":
                values = {p.paramname: p.argname.value for p in node.parameterlist}
                found[values["NAME"].strip('"')] = (
                    _number(values["ROWS"]),
                    _number(values["WIDTH"]),
                    _number(values["CHUNK"]),
                )
            elif (
                _kind(node) == "Reg"
                and node.dimensions is not None
                and module_name != "spikeloop_ram"
            ):
                found[f"{module_name}.{node.name}"] = (0, _size(node), 0)
    return found


def _number(text: str) -> int:
    """A Verilog literal: 12, 8'hc0, 32'sd5."""
    size, tick, rest = text.replace("_", "").partition("'")
    if not tick:
        return int(size)
    rest = rest.lstrip("sS")
    return int(rest[1:], {"b": 2, "o": 8, "d": 10, "h": 16}[rest[0].lower()])


class _Registers:
    """Signals assigned at a clock edge in generated modules: bits by (module, name), and their sum by module."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self.bits: dict[tuple[str, str], int] = {}
        for name, module in tree.items():
            if name in PRIMITIVES:
                continue
            sizes = {d.name: _size(d) for d in _declarations(module) if hasattr(d, "width")}
            for item in module.items:
                if _kind(item) == "Always" and any(
                    s.type in ("posedge", "negedge") for s in item.sens_list.list
                ):
                    for node in _nodes(item.statement):
                        if _kind(node) == "NonblockingSubstitution":
                            target = next(
                                n.name for n in _nodes(node.left) if _kind(n) == "Identifier"
                            )
                            self.bits[name, target.lstrip("\\")] = sizes[target]
        totals: Counter[str] = Counter()
        for (module_name, _), bits in self.bits.items():
            totals[module_name] += bits
        self.of_module = dict(totals)

    def against(self, declared: dict[tuple[str, str], int]) -> tuple[str, ...]:
        """Each declared register is there; no wide one is beside them. One that the RTL calls otherwise goes by its width."""
        plain = [
            ((module, re.sub(r"(?<=\w)\$\d+$", "", name)), bits)
            for (module, name), bits in self.bits.items()
        ]
        named, others = (
            dict(plain),
            Counter((key[0], bits) for key, bits in plain if key not in declared),
        )
        wrong = []
        for (module, name), bits in declared.items():
            if (module, name) not in named and others[module, bits]:
                others[module, bits] -= 1
            elif named.get((module, name)) != bits:
                wrong.append(
                    f"register {module}.{name} must have {bits} bits, not {named.get((module, name), 'be absent')}"
                )
        wide = [
            f"register of {bits} bits in {module} must be in the inventory, not beside it"
            for (module, bits), count in others.items()
            if count and bits > SCAN_BITS
        ]
        return (*wrong, *wide)


def _multiplies(tree: dict[str, Any]) -> tuple[str, ...]:
    """Every *, /, % and ** but a product with a constant power of two and the chunk index of the memory primitive."""
    found = []
    for name, module in tree.items():
        for node in _nodes(module):
            if _kind(node) not in ("Times", "Divide", "Mod", "Power"):
                continue
            sides = (node.left, node.right)
            power = any(
                _kind(side) == "IntConst" and _number(side.value).bit_count() == 1 for side in sides
            )
            chunk = name == "spikeloop_ram" and any(
                _kind(side) == "Identifier" and side.name == "CHUNK" for side in sides
            )
            if not (_kind(node) == "Times" and (power or chunk)):
                found.append(
                    f"{_kind(node)} in module {name}, line {node.lineno} of the normalised text"
                )
    return tuple(found)


# -- the netlist, elaborated by Yosys ----------------------------------------------------------------------------

MULTIPLIERS = ("$mul", "$div", "$mod", "$divfloor", "$modfloor", "$pow", "$macc", "$macc_v2")
REGISTERS = ("$dff", "$dffe", "$sdff", "$sdffe", "$sdffce", "$adff", "$adffe", "$aldff", "$dffsr")


def _elaborate(verilog: str) -> tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]:
    """Modules after ``proc``; the flat, optimised top; what ``check`` found."""
    with tempfile.TemporaryDirectory(prefix="spikeloop-audit-") as name:
        folder = Path(name)
        (folder / "chip.v").write_text(verilog)
        done, log = yosys(f"""read_verilog -DSYNTHESIS -sv {folder}/chip.v
            hierarchy -check -top {TOP}
            proc -norom
            write_json {folder}/early.json
            flatten
            opt
            memory -nomap
            opt_clean
            check
            write_json {folder}/late.json
            """)
        if not done:
            raise InputError(
                f"Verilog must be readable by Yosys, not so: {log.strip().splitlines()[-1]}"
            )
        early, late = (
            json.loads((folder / f"{stage}.json").read_text())["modules"]
            for stage in ("early", "late")
        )
    checked = log.rsplit("Executing CHECK pass", 1)[1].split("Executing", 1)[0]
    problems = tuple(
        line.removeprefix("Warning: ")
        for line in checked.splitlines()
        if line.startswith("Warning: ")
    )
    if not problems and "Found and reported 0 problems" not in checked:
        problems = ("check did not end",)
    return early, late[TOP], problems


def _memory_cells(top: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Rows and width of every memory, under the plain name of the map."""
    found = {}
    for name, cell in top["cells"].items():
        if cell["type"].startswith("$mem"):
            plain = re.sub(
                r"^core\.(?:ring\.|list\.)?(\w+)_memory\.ram\.mem$", r"\1", name.lstrip("\\")
            )
            found[plain] = (int(cell["parameters"]["SIZE"], 2), int(cell["parameters"]["WIDTH"], 2))
    return found


def _register_cells(modules: dict[str, Any], wanted: dict[str, int]) -> dict[str, int]:
    """Flip-flop bits of each generated module."""
    found: Counter[str] = Counter()
    for name, module in modules.items():
        if not any(primitive in name for primitive in PRIMITIVES):
            found[_plain(name)] += sum(
                int(c["parameters"]["WIDTH"], 2)
                for c in module["cells"].values()
                if c["type"] in REGISTERS
            )
    return {name: bits for name, bits in found.items() if bits or name in wanted}


def _differences(expected: dict[Any, Any], got: dict[Any, Any], what: str) -> tuple[str, ...]:
    return tuple(
        f"{what} {name} must be {expected.get(name, 'absent')}, not {got.get(name, 'absent')}"
        for name in sorted(expected.keys() | got.keys())
        if expected.get(name) != got.get(name)
    )


# -- command -------------------------------------------------------------------------------------------------------


def main(
    chip: Annotated[
        str,
        typer.Option(
            "--chip", metavar="PRESET", help="Chip preset: tiny, default, zou2021 or full."
        ),
    ] = "tiny",
    verilog: Annotated[
        Path | None,
        typer.Option(
            "--verilog",
            metavar="FILE",
            help="Verilog to audit, instead of what is generated.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Audit the generated Verilog of a chip with pyverilog and Yosys."""
    try:
        checks = audit(preset(chip), verilog.read_text() if verilog else None)
    except OSError as error:
        typer.echo(
            f"spikeloop: Verilog file must be readable, not {str(verilog)!r} ({error.strerror})",
            err=True,
        )
        raise typer.Exit(2) from None
    except InputError as error:
        typer.echo(f"spikeloop: {error}", err=True)
        raise typer.Exit(2) from None
    table = Table("check", "tool", "items", "findings", title=f"RTL audit of chip {chip}")
    for check in checks:
        table.add_row(
            check.what,
            check.tool,
            f"{check.items:,}",
            "none" if not check.findings else str(len(check.findings)),
        )
    console = Console()
    console.print(table)
    findings = [f"{check.tool}: {finding}" for check in checks for finding in check.findings]
    for finding in findings:
        console.print(finding, markup=False, highlight=False)
    raise typer.Exit(1 if findings else 0)


if __name__ == "__main__":
    typer.run(main)
