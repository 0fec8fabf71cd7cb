"""Real boards: the same RTL through Yosys, nextpnr and the packer to a bitstream.

Pins are those that amaranth-boards knows: its default clock, the UART at the USB serial chip, the
first led. The chip of a target is the largest that was placed and routed (docs/board.md). An FPGA
build uses enables instead of clock gates, and integer lanes. Reset is the power-up state, since a
session begins with a greeting anyway. The led is lit while nothing is under way (on a Tang Primer,
whose leds are lit by 0, while something is).

Of a family without free place and route only Yosys' estimate is made.

:func:`netlist_board` simulates the netlist after synthesis with the vendor's cells.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
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
    """How a family of devices is synthesised, placed, routed and packed.

    synth: command of Yosys.
    place, pack: commands, run in the folder of netlist.json and pins. None: there are none.
    pin, clock: lines of the constraints, with {port}, {site} and {mhz}.
    file: the bitstream.
    """

    synth: str
    place: str | None = None
    pack: str = ""
    pin: str = ""
    clock: str = ""
    file: str = "board.bit"


FAMILIES = {
    "ecp5": Family(
        synth="synth_ecp5",
        place="nextpnr-ecp5 --lpf pins --textcfg board.txt",
        pack="ecppack --compress board.txt board.bit",
        pin='LOCATE COMP "{port}" SITE "{site}";\nIOBUF PORT "{port}" IO_TYPE=LVCMOS33;\n',
        clock='FREQUENCY PORT "clk" {mhz:g} MHZ;\n',
    ),
    "ice40": Family(
        synth="synth_ice40",
        place="nextpnr-ice40 --pcf pins --asc board.txt",
        pack="icepack board.txt board.bit",
        pin="set_io {port} {site}\n",
    ),
    "gowin": Family(
        synth="synth_gowin",
        place="nextpnr-himbaechel-gowin --vopt cst=pins --write board.json",
        pack="gowin_pack -d GW2A-18C --sspi_as_gpio --mspi_as_gpio --ready_as_gpio "
        "--done_as_gpio -o board.fs board.json",
        pin='IO_LOC "{port}" {site};\nIO_PORT "{port}" IO_TYPE=LVCMOS33;\n',
        file="board.fs",
    ),
    "xilinx": Family(synth="synth_xilinx"),
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A board.

    platform: its module and class in amaranth-boards.
    clock: in Hz, that of the platform.
    device: nextpnr's options.
    program: command that loads a bitstream.
    chip: the chip it is built for; None: the preset of the target's name.
    """

    family: str
    platform: str
    clock: int
    device: str = ""
    program: str = ""
    chip: str | None = None
    baud: int = 1_000_000

    @property
    def divisor(self) -> int:
        return round(self.clock / self.baud)

    def board(self) -> Any:
        """The platform of amaranth-boards. InputError if this package is missing."""
        module, _, name = self.platform.partition(":")
        try:
            return getattr(import_module(f"amaranth_boards.{module}"), name)()
        except ModuleNotFoundError:
            extra = "pip install -e '.[fpga]' in a checkout"
            raise InputError(f"amaranth-boards is missing: {extra}") from None

    def pins(self) -> dict[str, str]:
        """Site by port: clk, rx, tx, led."""
        board = self.board()
        resources = {key: resource.ios for key, resource in board.resources.items()}
        uart = {part.name: part.ios[0].names[0] for part in _parts(resources["uart", 0])}
        return {
            "clk": resources[board.default_clk, 0][0].names[0],
            "rx": uart["rx"],
            "tx": uart["tx"],
            "led": resources["led", 0][0].names[0],
        }


def _parts(ios: list[Any]) -> list[Any]:
    """The subsignals of a resource, without its attributes."""
    return [part for part in ios if hasattr(part, "ios")]


TARGETS = {
    "ulx3s-85f": Target(
        family="ecp5",
        platform="ulx3s:ULX3S_85F_Platform",
        device="--85k --package CABGA381",
        clock=PRESET_TABLE["ulx3s-85f"].clock,
        program="openFPGALoader --board ulx3s",
    ),
    "hx8k": Target(
        family="ice40",
        platform="ice40_hx8k_b_evn:ICE40HX8KBEVNPlatform",
        device="--hx8k --package ct256",
        clock=PRESET_TABLE["hx8k"].clock,
        program="iceprog",
    ),
    "tang-primer-20k": Target(
        family="gowin",
        platform="tang_primer_20k:TangPrimer20kDockPlatform",
        device="--device GW2A-LV18PG256C8/I7 --vopt family=GW2A-18C",
        clock=27_000_000,
        program="openFPGALoader --board tangprimer20k",
        chip="hx8k",
    ),
    "arty-a7-35": Target(
        family="xilinx", platform="arty_a7:ArtyA7_35Platform", clock=100_000_000, chip="hx8k"
    ),
}
"""every board by name"""


def target_of(name: str) -> Target:
    """The board of this name; InputError lists the names."""
    if name not in TARGETS:
        raise InputError(f"target must be one of {', '.join(TARGETS)}, not {name!r}")
    return TARGETS[name]


def synthesise(
    verilog: str, top: str, family: str, folder: Path, *more: str, timeout: float = 3600
) -> dict[str, int]:
    """Synthesise Verilog to ``folder``/netlist.json; returns the number of cells by type.

    family: of FAMILIES.
    more: further Yosys commands.
    """
    (folder / "design.v").write_text(verilog)
    script = (
        f"read_verilog -DSYNTHESIS {folder}/design.v",
        f"{FAMILIES[family].synth} -top {top}",
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

    chip: None takes the target's own.
    Of a family without place and route the result has no bitstream and no clock.
    InputError if a tool is missing, the chip does not fit, or it has gates or bit planes.
    """
    target = target_of(name)
    chip = chip or preset(target.chip or name)
    if chip.clock_gates or chip.sliced:
        raise InputError(
            "chip for an FPGA must have clock_gates=false and sliced=false, "
            f"not gates or bit planes: add them to the preset (as --chip {name} has them)"
        )
    family = FAMILIES[target.family]
    pins = [family.pin.format(port=port, site=site) for port, site in target.pins().items()]
    place, pack = (_command(line) if line else [] for line in (family.place, family.pack))
    folder.mkdir(parents=True, exist_ok=True)
    with stage("generate Verilog of the board"):
        verilog = generate_board(chip, divisor=target.divisor) + WRAPPER
    cells = synthesise(verilog, "top", target.family, folder)
    mhz = target.clock / 1e6
    summary = {
        "target": name,
        "chip": chip.to_dict(),
        "fingerprint": chip.fingerprint(),
        "clock_mhz": mhz,
        "baud": target.baud,
        "cells": cells,
    }
    if not place:
        return _written(folder, summary)
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
    file = folder / family.file
    report = json.loads((folder / "report.json").read_text())
    fmax = min(clock["achieved"] for clock in report["fmax"].values())
    summary |= {
        "bitstream": str(file),
        "bytes": file.stat().st_size,
        "fmax_mhz": round(fmax, 2),
        "used": {
            what: [n["used"], n["available"]]
            for what, n in report["utilization"].items()
            if n["used"]
        },
    }
    _written(folder, summary)
    if fmax < mhz:
        raise InputError(
            f"chip must reach the {mhz:g} MHz of {name}, not {fmax:.1f}: "
            "take fewer lanes or membrane bits"
        )
    return summary


def _written(folder: Path, summary: dict[str, Any]) -> dict[str, Any]:
    write_atomic(folder / "summary.json", (json.dumps(summary, indent=1) + "\n").encode())
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
