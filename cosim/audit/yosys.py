"""Yosys (pyosys) in a process of its own: the elaborated netlist of a chip, and proofs by SAT."""

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Cat, Module, Signal, Value

from spikeloop.cosim.audit.text import PRIMITIVES, plain
from spikeloop.hdl.names import CHIP_TOP
from spikeloop.pysim.common.errors import InputError

__all__ = ["Netlist", "elaborate", "equivalent", "yosys"]

MULTIPLIERS = ("$mul", "$div", "$mod", "$divfloor", "$modfloor", "$pow", "$macc", "$macc_v2")
REGISTERS = ("$dff", "$dffe", "$sdff", "$sdffe", "$sdffce", "$adff", "$adffe", "$aldff", "$dffsr")

PROGRAM = """import sys
from pyosys import libyosys as ys
ys.run_pass('script ' + sys.argv[1], ys.Design())
"""


def yosys(commands: str, timeout: float = 600) -> tuple[bool, str]:
    """Run Yosys commands. Returns whether they ended without error, and the log.

    timeout: seconds; TimeoutError beyond. InputError if pyosys is missing. An error of Yosys ends
    its process, hence one of its own.
    """
    with tempfile.TemporaryDirectory(prefix="spikeloop-yosys-") as folder:
        script = Path(folder) / "script.ys"
        script.write_text(commands)
        try:
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM, str(script)],
                check=False,
                capture_output=True,
                text=True,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"Yosys did not end within {timeout:g} s") from None
    if "No module named" in done.stderr:
        raise InputError("pyosys is missing: pip install pyosys")
    return done.returncode == 0, done.stdout + done.stderr


# -- proofs ------------------------------------------------------------------------------------


def equivalent(
    m: Module,
    inputs: Sequence[Signal],
    first: Sequence[Value],
    second: Sequence[Value],
    *,
    steps: int = 1,
) -> bool:
    """Whether two lists of values of the design ``m`` are equal for all inputs, by SAT.

    steps: above 1, the values are compared in the last of that many clock cycles, the inputs free
    in each. This serves pipelines of steps - 1 registers without feedback.
    """
    differs = Signal(name="differs")
    m.d.comb += differs.eq(Cat(a != b for a, b in zip(first, second, strict=True)).any())
    with tempfile.TemporaryDirectory(prefix="spikeloop-proof-") as folder:
        file = Path(folder) / "miter.il"
        file.write_text(rtlil.convert(m, name="miter", ports=[*inputs, differs]))
        sequence = f"-seq {steps} -prove-skip {steps - 1}" if steps > 1 else ""
        _, log = yosys(f"""read_rtlil {file}
            hierarchy -top miter
            proc
            flatten
            opt -full
            sat -prove differs 0 {sequence} miter
            """)
    if "SAT proof finished - no model found: SUCCESS" in log:
        return True
    if "SAT proof finished - model found: FAIL" in log:
        return False
    raise RuntimeError(f"no proof: {log[-2000:]}")


# -- the netlist -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Netlist:
    """A chip as Yosys elaborated it.

    early: modules after ``proc``.
    top: the top, flat and optimised.
    problems: what ``check`` found in it.
    """

    early: dict[str, Any]
    top: dict[str, Any]
    problems: tuple[str, ...]

    def ports(self) -> dict[str, tuple[str, int]]:
        """Direction and width of the top's ports."""
        ports = self.top["ports"].items()
        return {name: (port["direction"], len(port["bits"])) for name, port in ports}

    def memories(self) -> dict[str, tuple[int, int]]:
        """Rows and width of every memory, under the plain name of the memory map."""
        pattern = r"^core\.(?:ring\.|list\.)?(\w+)_memory\.ram\.mem$"
        memories = {}
        for name, cell in self.top["cells"].items():
            if cell["type"].startswith("$mem"):
                short = re.sub(pattern, r"\1", name.lstrip("\\"))
                memories[short] = (_parameter(cell, "SIZE"), _parameter(cell, "WIDTH"))
        return memories

    def register_bits(self, wanted: dict[str, int]) -> dict[str, int]:
        """Flip-flop bits of each generated module that has any or is in ``wanted``."""
        totals: Counter[str] = Counter()
        for name, module in self.early.items():
            if not any(primitive in name for primitive in PRIMITIVES):
                cells = [cell for cell in module["cells"].values() if cell["type"] in REGISTERS]
                totals[plain(name)] += sum(_parameter(cell, "WIDTH") for cell in cells)
        return {name: bits for name, bits in totals.items() if bits or name in wanted}

    def multiplies(self) -> tuple[str, ...]:
        """Every cell that multiplies or divides."""
        cells = self.top["cells"].items()
        found = [(name, cell["type"]) for name, cell in cells if cell["type"] in MULTIPLIERS]
        return tuple(f"cell {name} is a {type_}" for name, type_ in found)


def elaborate(verilog: str) -> Netlist:
    """The netlist of generated Verilog. InputError if Yosys cannot read it."""
    with tempfile.TemporaryDirectory(prefix="spikeloop-audit-") as name:
        folder = Path(name)
        (folder / "chip.v").write_text(verilog)
        done, log = yosys(f"""read_verilog -DSYNTHESIS -sv {folder}/chip.v
            hierarchy -check -top {CHIP_TOP}
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
            reason = log.strip().splitlines()[-1]
            raise InputError(f"Verilog must be readable by Yosys, not what it refuses: {reason}")
        early = json.loads((folder / "early.json").read_text())["modules"]
        late = json.loads((folder / "late.json").read_text())["modules"]
    return Netlist(early, late[CHIP_TOP], _problems(log))


def _problems(log: str) -> tuple[str, ...]:
    """The warnings of the pass ``check``."""
    checked = log.rsplit("Executing CHECK pass", 1)[1].split("Executing", 1)[0]
    prefix = "Warning: "
    lines = [line for line in checked.splitlines() if line.startswith(prefix)]
    if not lines and "Found and reported 0 problems" not in checked:
        return ("check did not end",)
    return tuple(line.removeprefix(prefix) for line in lines)


def _parameter(cell: dict[str, Any], name: str) -> int:
    return int(cell["parameters"][name], 2)
