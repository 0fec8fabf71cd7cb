"""Audit of the generated Verilog: is the RTL what the parameters say?

    ports        the top's ports are those of ChipTop's signature, with direction and width
    memories     one per memory of the map (and the core's list of events), with its rows and width
    registers    state bits that follow from the parameters, with their widths
    multiply     none in the design, but for constant powers of two (shifts) and the constant chunk
                 width by which the memory primitive (ram.v) indexes
    loops        no combinational loop, no undriven or doubly driven net

Two tools that know nothing of how the RTL was made look at it. pyverilog reads the text (ports,
registers, instances, operators). Yosys elaborates it (memories, cells, loops). Where both see a
thing, both must agree with the parameters.

    python -m spikeloop.cosim.audit.verilog --chip tiny

The exit status is 0 without findings, 1 with findings, 2 for bad input.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from amaranth.hdl import Fragment, Value
from amaranth.lib import wiring
from rich.console import Console
from rich.table import Table

from spikeloop.cosim.audit.text import Registers, memories_of, multiplies, parse, ports_of
from spikeloop.cosim.audit.yosys import elaborate
from spikeloop.hdl.chip import ChipTop
from spikeloop.hdl.neuron.step import slice_of, stages
from spikeloop.hdl.verilog import generate
from spikeloop.pysim.chip.memory_map import COUNTERS, MemoryMap
from spikeloop.pysim.chip.params import BUS_BITS, PRESETS, SCAN_BITS, Chip, preset
from spikeloop.pysim.common.errors import InputError

__all__ = ["Check", "audit"]

TEXT, NETLIST = "pyverilog", "yosys"


@dataclass(frozen=True)
class Check:
    """One line of the audit.

    what: the property.
    tool: who looked.
    items: how many things were looked at.
    findings: what is wrong.
    """

    what: str
    tool: str
    items: int
    findings: tuple[str, ...]


def audit(chip: Chip, verilog: str | None = None) -> list[Check]:
    """All checks on ``verilog`` (default: what hdl generates for the chip).

    Without findings the RTL is what the parameters say. InputError if a tool is missing.
    """
    verilog = verilog or generate(chip)
    tree, netlist = parse(verilog), elaborate(verilog)
    ports, memories = _declared_ports(chip), _declared_memories(chip)
    shapes = {name: (rows, width) for name, (rows, width, _) in memories.items()}
    registers = Registers(tree)
    bits = registers.of_module
    memories_seen = memories_of(tree)
    flip_flops = netlist.register_bits(bits)
    return [
        Check("ports", TEXT, len(ports), _differences("port", ports, ports_of(tree))),
        Check("ports", NETLIST, len(ports), _differences("port", ports, netlist.ports())),
        Check(
            "memories: name, rows, width",
            TEXT,
            len(memories),
            _differences("memory", memories, memories_seen),
        ),
        Check(
            "memories: rows, width",
            NETLIST,
            len(memories),
            _differences("memory", shapes, netlist.memories()),
        ),
        Check(
            "registers: widths from the parameters",
            TEXT,
            len(registers.bits),
            registers.against(_declared_registers(chip)),
        ),
        Check(
            "register bits of each module",
            f"{TEXT} and {NETLIST}",
            sum(bits.values()),
            _differences("registers of module", bits, flip_flops),
        ),
        Check("no multiply, divide or modulo", TEXT, len(tree), multiplies(tree)),
        Check(
            "no multiply, divide or modulo",
            NETLIST,
            len(netlist.top["cells"]),
            netlist.multiplies(),
        ),
        Check(
            "no combinational loop, one driver for each net",
            NETLIST,
            len(netlist.top["netnames"]),
            netlist.problems,
        ),
    ]


def _differences(what: str, expected: dict[Any, Any], got: dict[Any, Any]) -> tuple[str, ...]:
    return tuple(
        f"{what} {name} must be {expected.get(name, 'absent')}, not {got.get(name, 'absent')}"
        for name in sorted(expected.keys() | got.keys())
        if expected.get(name) != got.get(name)
    )


# -- what the parameters say -------------------------------------------------------------------


def _declared_ports(chip: Chip) -> dict[str, tuple[str, int]]:
    """Direction and width of the top's ports."""
    top = ChipTop(chip)
    Fragment.get(top, None)  # Amaranth warns of components that nobody elaborates
    ports = {}
    for path, member, value in top.signature.flatten(top):
        direction = "input" if member.flow is wiring.In else "output"
        ports["__".join(map(str, path))] = (direction, len(Value.cast(value)))
    return ports


def _declared_memories(chip: Chip) -> dict[str, tuple[int, int, int]]:
    """Rows, width and bits of a chunk. The events of a tick are the core's own list, in no map."""
    memories = {
        memory.name: (memory.rows, memory.width, SCAN_BITS if memory.name == "spikes" else BUS_BITS)
        for memory in MemoryMap(chip).memories.values()
    }
    events = (chip.derived.axon_lines, 1 + chip.derived.axon_bits, BUS_BITS)
    return {**memories, "events": events}


def _second_registers(
    chip: Chip, modules: dict[str, str], lanes: int
) -> dict[tuple[str, str], int]:
    """Those of the stages that a chip may lack."""
    registers = {}
    if chip.current_bits:
        registers[modules["current"], "sum_register"] = lanes * chip.derived.sum_bits
    if chip.adaptation_bits:
        module, planes = modules["adaptation"], lanes * chip.adaptation_bits
        registers |= {(module, "kept"): planes, (module, "raises"): planes}
        registers[module, "clipped"] = lanes
    return registers


def _sum_registers(chip: Chip) -> dict[tuple[str, str], int]:
    """Those of accumulators and join: one for all planes if these fill words of 32, else many."""
    d = chip.derived
    registers: dict[tuple[str, str], int] = {}
    for module, name, bits in (
        ("accumulators", "count", d.accumulator_bits),
        ("join", "now", d.accumulator_bits),
        ("join", "before", d.accumulator_bits),
        ("join", "digit", d.sum_bits),
        ("join", "total", d.sum_bits),
    ):
        names = [f"{name}_{b}" for b in range(bits)] if chip.lanes % 32 else [name]
        registers |= {(f"core.{module}", n): chip.lanes * bits // len(names) for n in names}
    return registers


def _declared_registers(chip: Chip) -> dict[tuple[str, str], int]:
    """Width by (module, name) of the registers whose width a parameter decides.

    No other register is wider than 64 bits.
    """
    d, lanes = chip.derived, chip.lanes
    part = slice_of(chip)  # of a wide core's neuron step, one module for all instances of a stage
    modules = {
        stage.name: stage.module if part else f"core.step.{stage.name}_stage"
        for stage in stages(chip)
    }
    step_lanes = part.lanes if part else lanes
    counters = {
        ("core" if name == "cycles" else "core.counters", f"count_{name}"): 64 for name in COUNTERS
    }
    return {
        **counters,
        **_sum_registers(chip),
        ("core.join", "offset"): d.sum_bits,
        (modules["leak"], "sum_register"): step_lanes * d.acting_bits,
        (modules["fire"], "total_register"): step_lanes * d.total_bits,
        **_second_registers(chip, modules, step_lanes),
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


# -- command ------------------------------------------------------------------------------------


def main(
    chip: Annotated[
        str, typer.Option("--chip", metavar="PRESET", help=f"Chip preset: {', '.join(PRESETS)}.")
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
        reason = f"Verilog file must be readable, not {str(verilog)!r} ({error.strerror})"
        typer.echo(f"spikeloop: {reason}", err=True)
        raise typer.Exit(2) from None
    except InputError as error:
        typer.echo(f"spikeloop: {error}", err=True)
        raise typer.Exit(2) from None
    table = Table("check", "tool", "items", "findings", title=f"RTL audit of chip {chip}")
    for check in checks:
        count = str(len(check.findings)) if check.findings else "none"
        table.add_row(check.what, check.tool, f"{check.items:,}", count)
    console = Console()
    console.print(table)
    findings = [f"{check.tool}: {finding}" for check in checks for finding in check.findings]
    for finding in findings:
        console.print(finding, markup=False, highlight=False)
    raise typer.Exit(1 if findings else 0)


if __name__ == "__main__":
    typer.run(main)
