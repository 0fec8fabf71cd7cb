"""Proofs about the RTL: Yosys turns a bench into an and-inverter graph, and ABC decides it.

Both come with pyosys. :func:`prove` covers every cycle, :func:`bounded` the first ones. A proof
that does not end in time is no proof.
"""

import re
import resource
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from spikeloop.cosim.audit.bench import Bench
from spikeloop.cosim.audit.yosys import yosys
from spikeloop.hdl.verilog import primitives
from spikeloop.pysim.common.errors import InputError

__all__ = ["Result", "aiger", "always_0", "bounded", "prove"]

REFUTED = r"Output (\d+) of miter .*was asserted in frame (\d+)"

# A register that passes its input on at once.
TRANSPARENT = """(* techmap_celltype = "$dff" *)
module transparent #(parameter WIDTH = 1, parameter CLK_POLARITY = 1)
    (input CLK, input [WIDTH-1:0] D, output [WIDTH-1:0] Q);
    assign Q = D;
endmodule
"""


@dataclass(frozen=True)
class Result:
    """What became of a bench.

    verdict: "proved", "bounded" (no check fails in the first ``cycles``), "refuted" or "timeout".
    cycles: the bound, or the cycle in which a check fails, the reset being cycle 0; else None.
    check: the check that fails, if the engine names it.
    engine: what decided it.
    seconds: processor time it took.
    """

    verdict: str
    engine: str
    seconds: float
    cycles: int | None = None
    check: str | None = None

    def __str__(self) -> str:
        return self.verdict if self.cycles is None else f"{self.verdict}({self.cycles})"


def prove(bench: Bench, *, limit: float = 60) -> Result:
    """Whether every check of ``bench`` holds in every cycle, for all inputs.

    limit: processor seconds of the engine. InputError if pyosys is missing.
    """
    begun = _processor_seconds()
    with tempfile.TemporaryDirectory(prefix="spikeloop-proof-") as name:
        _graph(bench, Path(name))
        proved, engine, log = always_0(Path(name), limit=limit)
    seconds = _processor_seconds() - begun
    if refuted := _refuted(log, bench, engine, seconds):
        return refuted
    return Result("proved" if proved else "timeout", engine, seconds)


def always_0(folder: Path, *, limit: float) -> tuple[bool, str, str]:
    """Whether every output of ``folder/bench.aig`` is 0 in every cycle, for all inputs.

    limit: processor seconds of the engine; an answer that does not come in time is False. Returns
    also the engine that decided it, and what ABC said.
    """
    combinational = _registers(folder / "bench.aig") == 0
    if combinational:  # bmc3 wants a register, of which there is none
        engine, script = "CaDiCaL", "strash; write_aiger left.aig; addflop; bmc3 -c -F 1"
    else:
        engine, script = "pdr", "strash; orpos; scorr; write_aiger left.aig; dc2; pdr"
    log, nothing_left = _abc(folder, script, limit)
    if nothing_left and not re.search(REFUTED, log):  # of which ABC says nothing
        engine = "strash" if combinational else "scorr"
    whole = _unasserted(log, 1) if combinational else "Property proved" in log
    return nothing_left or whole, engine, log


def bounded(bench: Bench, cycles: int, *, limit: float = 60) -> Result:
    """Whether every check of ``bench`` holds in the first ``cycles`` cycles, the reset among them.

    limit: processor seconds of the engine. InputError if pyosys is missing.
    """
    script = f"strash; scorr; write_aiger left.aig; bmc3 -F {cycles}"
    begun = _processor_seconds()
    with tempfile.TemporaryDirectory(prefix="spikeloop-proof-") as name:
        _graph(bench, Path(name))
        log, nothing_left = _abc(Path(name), script, limit)
    seconds = _processor_seconds() - begun
    if refuted := _refuted(log, bench, "bmc3", seconds):
        return refuted
    whole = nothing_left or _unasserted(log, cycles)
    return Result("bounded" if whole else "timeout", "bmc3", seconds, cycles)


def _refuted(log: str, bench: Bench, engine: str, seconds: float) -> Result | None:
    found = re.search(REFUTED, log)
    if not found:
        return None
    check = None if engine == "pdr" else list(bench.checks)[int(found[1])]
    return Result("refuted", engine, seconds, int(found[2]), check)


def _unasserted(log: str, frames: int) -> bool:
    """Whether bmc3 says that it went through so many cycles. It calls their end a limit."""
    return f"No output asserted in {frames} frames" in log


def _abc(folder: Path, script: str, limit: float) -> tuple[str, bool]:
    """What ABC says to the script, and whether every output of ``left.aig`` is 0.

    folder: holds ``bench.aig``; the script may write ``left.aig`` there.
    What it says is of no use if it does not end in time: then the verdict is "timeout".
    """
    package = find_spec("pyosys")
    if package is None or package.origin is None:
        raise InputError("pyosys is missing: pip install pyosys")
    engine = Path(package.origin).parent / "yosys-abc"
    command = f"ulimit -t {limit:.0f}; exec '{engine}' -c 'read_aiger bench.aig; {script}'"
    done = subprocess.run(
        ["/bin/sh", "-c", command], check=False, cwd=folder, capture_output=True, text=True
    )
    log, left = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout), folder / "left.aig"
    return log, left.exists() and _always_0(left)


def _processor_seconds() -> float:
    """Of the processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def aiger(folder: Path) -> str:
    """Yosys commands that write a design without memories as ``folder/bench.aig``."""
    return f"""dffunmap
        techmap
        opt_clean
        dffunmap
        aigmap
        opt_clean
        write_aiger -zinit {folder}/bench.aig"""


def _graph(bench: Bench, folder: Path) -> None:
    """Write the bench as ``bench.aig`` into ``folder``."""
    (folder / "bench.il").write_text(bench.text())
    (folder / "primitives.v").write_text(primitives())
    (folder / "transparent.v").write_text(TRANSPARENT)
    registers = f"techmap -map {folder}/transparent.v" if bench.combinational else "async2sync"
    done, log = yosys(f"""read_rtlil {folder}/bench.il
        read_verilog -sv -D SYNTHESIS -defer {folder}/primitives.v
        {chr(10).join(f"read_verilog -sv -defer {source}" for source in bench.sources)}
        hierarchy -check -top top
        proc
        flatten
        opt_clean
        memory_dff
        memory_collect
        memory_map
        setundef -undriven -anyseq
        opt -nodffe -nosdff
        {registers}
        {aiger(folder)}
        """)
    if not done:
        raise RuntimeError(f"no proof: {log[-2000:]}")
    registers_left = _registers(folder / "bench.aig")
    if bench.combinational and registers_left:
        raise RuntimeError(f"no proof: {registers_left} registers in a combinational bench")


def _registers(graph: Path) -> int:
    return int(graph.read_bytes().split(None, 4)[3])


def _always_0(graph: Path) -> bool:
    """Whether all outputs of a binary AIGER file are the constant 0."""
    header, *lines = graph.read_bytes().split(b"\n")
    latches, outputs = map(int, header.split()[3:5])
    return all(line.split()[0] == b"0" for line in lines[latches : latches + outputs])
