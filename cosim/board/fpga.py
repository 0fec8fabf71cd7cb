"""Real boards: the same RTL through Yosys, nextpnr and the packer to a bitstream.

    target      device, board                                  clock, baud    pins: clk, rx, tx, led
    ulx3s-85f   Lattice ECP5 LFE5U-85F                         25 MHz, 1 MBd  G2, M1, L4, B2
    hx8k        Lattice iCE40 HX8K, breakout iCE40HX8K-B-EVN   12 MHz, 1 MBd  J3, B10, B12, B5

rx and tx lie at the USB serial chip. Pins are those of the boards' own constraint files (ULX3S v3).
The chip of a target is the preset of its name, the largest that was placed and routed
(docs/board.md). An FPGA build uses enables instead of clock gates, and integer lanes. Reset is the
power-up state, since a session begins with a greeting anyway. The led is lit while nothing is under
way.

:func:`netlist_board` simulates the netlist after synthesis with the vendor's cells.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from spikeloop.cosim.audit.yosys import yosys
from spikeloop.cosim.board.virtual import compile_board
from spikeloop.cosim.provenance import code
from spikeloop.cosim.verilator.build import hdl_key, recipe
from spikeloop.cosim.verilator.cache import cached, stage
from spikeloop.hdl.names import BOARD_TOP
from spikeloop.hdl.verilog import generate_board
from spikeloop.pysim.chip.params import PRESET_TABLE, Chip, preset
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic

__all__ = ["TARGETS", "Target", "build", "netlist_board", "synthesise", "target_of"]

WRAPPER = """
module top(input clk, input rx, output tx, output led);
    board board (.clk(clk), .rst(1'b0), .rx(rx), .tx(tx), .quiet(led));
endmodule
"""


@dataclass(frozen=True, kw_only=True)
class Family:
    """How a family of devices is placed, routed and packed.

    place, pack: commands, run in the folder of netlist.json and pins.
    pin, clock: lines of the constraints, with {port}, {site} and {mhz}.
    """

    place: str
    pack: str
    pin: str
    clock: str = ""


FAMILIES = {
    "ecp5": Family(
        place="nextpnr-ecp5 --lpf pins --textcfg board.txt",
        pack="ecppack --compress board.txt board.bit",
        pin='LOCATE COMP "{port}" SITE "{site}";\nIOBUF PORT "{port}" IO_TYPE=LVCMOS33;\n',
        clock='FREQUENCY PORT "clk" {mhz:g} MHZ;\n',
    ),
    "ice40": Family(
        place="nextpnr-ice40 --pcf pins --asc board.txt",
        pack="icepack board.txt board.bit",
        pin="set_io {port} {site}\n",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A board.

    device: nextpnr's options.
    clock: in Hz.
    pins: site by port.
    program: command that loads a bitstream.
    """

    family: str
    device: str
    clock: int
    pins: dict[str, str]
    program: str
    baud: int = 1_000_000

    @property
    def divisor(self) -> int:
        return round(self.clock / self.baud)


TARGETS = {
    "ulx3s-85f": Target(
        family="ecp5",
        device="--85k --package CABGA381",
        clock=PRESET_TABLE["ulx3s-85f"].clock,
        program="openFPGALoader --board ulx3s",
        pins={"clk": "G2", "rx": "M1", "tx": "L4", "led": "B2"},
    ),
    "hx8k": Target(
        family="ice40",
        device="--hx8k --package ct256",
        clock=PRESET_TABLE["hx8k"].clock,
        program="iceprog",
        pins={"clk": "J3", "rx": "B10", "tx": "B12", "led": "B5"},
    ),
}


def target_of(name: str) -> Target:
    """The board of this name; InputError lists the names."""
    if name not in TARGETS:
        raise InputError(f"target must be one of {', '.join(TARGETS)}, not {name!r}")
    return TARGETS[name]


def synthesise(
    verilog: str, top: str, family: str, folder: Path, *more: str, timeout: float = 3600
) -> dict[str, int]:
    """Synthesise Verilog to ``folder``/netlist.json; returns the number of cells by type.

    more: further Yosys commands.
    """
    (folder / "design.v").write_text(verilog)
    script = (
        f"read_verilog -DSYNTHESIS {folder}/design.v",
        f"synth_{family} -top {top}",
        "delete */t:$scopeinfo",
        f"write_json {folder}/netlist.json",
        f"tee -q -o {folder}/cells.json stat -json",
        *more,
        "",
    )
    with stage(f"synthesise {top} for {family}"):
        done, log = yosys("\n".join(script), timeout)
    (folder / "yosys.log").write_text(log)
    if not done:
        raise RuntimeError(f"Yosys failed:\n{log[-3000:]}")
    return json.loads((folder / "cells.json").read_text())["design"]["num_cells_by_type"]


def build(name: str, chip: Chip | None, folder: Path) -> dict[str, Any]:
    """Build a bitstream in ``folder``; what it takes of the device and how fast it may be clocked.

    chip: None takes the preset of the target's name.
    InputError if a tool is missing, the chip does not fit, or it has gates or bit planes.
    """
    target, chip = target_of(name), chip or preset(name)
    if chip.clock_gates or chip.sliced:
        raise InputError(
            "chip for an FPGA must have clock_gates=false and sliced=false, "
            f"not gates or bit planes: add them to the preset (as --chip {name} has them)"
        )
    family = FAMILIES[target.family]
    place, pack = _command(family.place), _command(family.pack)
    folder.mkdir(parents=True, exist_ok=True)
    with stage("generate Verilog of the board"):
        verilog = generate_board(chip, divisor=target.divisor) + WRAPPER
    cells = synthesise(verilog, "top", target.family, folder)
    pins = [family.pin.format(port=port, site=site) for port, site in target.pins.items()]
    mhz = target.clock / 1e6
    (folder / "pins").write_text("".join(pins) + family.clock.format(mhz=mhz))
    wanted = ["--json", "netlist.json", "--freq", str(mhz), "--report", "report.json", "--quiet"]
    with stage(f"place and route {sum(cells.values()):,} cells"):
        done = _run(folder, *place, *target.device.split(), *wanted)
    log = done.stdout + done.stderr
    (folder / "nextpnr.log").write_text(log)
    if done.returncode:
        if "nable to place" in log or "nable to find" in log:
            raise InputError(
                f"chip must fit {name}, not be larger ({sum(cells.values()):,} cells): "
                "take fewer columns, lanes or axons"
            )
        raise RuntimeError(f"{place[0]} failed:\n{log[-3000:]}")
    with stage("pack the bitstream"):
        _run(folder, *pack).check_returncode()
    file = folder / "board.bit"
    report = json.loads((folder / "report.json").read_text())
    fmax = min(clock["achieved"] for clock in report["fmax"].values())
    summary = {
        "target": name,
        "chip": chip.to_dict(),
        "fingerprint": chip.fingerprint(),
        "bitstream": str(file),
        "bytes": file.stat().st_size,
        "fmax_mhz": round(fmax, 2),
        "clock_mhz": target.clock / 1e6,
        "baud": target.baud,
        "cells": cells,
        "used": {
            what: [n["used"], n["available"]]
            for what, n in report["utilization"].items()
            if n["used"]
        },
    }
    write_atomic(folder / "summary.json", (json.dumps(summary, indent=1) + "\n").encode())
    if fmax < target.clock / 1e6:
        raise InputError(
            f"chip must reach the {mhz:g} MHz of {name}, not {fmax:.1f}: "
            "take fewer lanes or membrane bits"
        )
    return summary


def netlist_board(chip: Chip) -> Path:
    """The library of a board whose RTL is the netlist after synthesis for iCE40; cached.

    LUTs, flip-flops, carries and block RAMs are the vendor's cell models. Bytes lie on streams. The
    library is for cosim.board.virtual.BoardModel.
    """
    found = find_spec("pyosys")  # not imported: its library in this process breaks matplotlib's
    if not found or not found.submodule_search_locations:
        raise InputError("pyosys is missing: pip install -e '.[fpga]' in a checkout")
    share = Path(found.submodule_search_locations[0]) / "share"
    cells = (share / "ice40" / "cells_sim.v").read_text()
    harness = Path(__file__).with_name("board.cpp").read_text()

    def make(folder: Path) -> None:
        with stage("generate Verilog of the board"):
            verilog = generate_board(chip, virtual=True)
        write = f"write_verilog -noattr {folder}/netlist.v"
        synthesise(verilog, BOARD_TOP, "ice40", folder, write)
        (folder / "cells.v").write_text("`define NO_ICE40_DEFAULT_ASSIGNMENTS\n" + cells)
        sources = [folder / "cells.v", folder / "netlist.v"]
        compile_board(folder, sources, harness, None, optimise=False)

    key = hdl_key(repr((chip, cells, harness, recipe(), code(__name__))))[:24]
    return cached(f"netlist-{key}", make) / "board.so"


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a tool in the folder, files by plain names: the wheels' tools see no other files."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def _command(line: str) -> list[str]:
    """A command whose program is the system's, or that of the wheel beside the interpreter."""
    name, *arguments = line.split()
    path = os.pathsep.join((os.environ.get("PATH", ""), str(Path(sys.executable).parent)))
    for program in (shutil.which(name, path=path), shutil.which(f"yowasp-{name}", path=path)):
        if program:
            return [program, *arguments]
    raise InputError(f"{name} is missing: pip install -e '.[fpga]' in a checkout")
