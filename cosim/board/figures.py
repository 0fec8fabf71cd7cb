"""What the chip of each board takes of its device, kept in figures.json.

``python -m spikeloop.cosim.board.figures SUMMARY...`` takes the rows from the summary.json of
``spikeloop board build``. Logic is what the device counts: LUTs of 4 inputs (of 6 on Xilinx's).
Without place and route the figures are Yosys' estimate, and there is no fmax.
"""

import json
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spikeloop.cosim.board.fpga import target_of
from spikeloop.pysim.chip.params import Chip, preset
from spikeloop.pysim.common.files import write_atomic

__all__ = ["Place", "Row", "kept", "on_board", "row_of"]

FILE = Path(__file__).with_name("figures.json")
COUNTS = {
    "ecp5": ("TRELLIS_COMB", "DP16KD"),
    "ice40": ("ICESTORM_LC", "ICESTORM_RAM"),
    "gowin": ("LUT4", "BSRAM"),
}
"""What nextpnr calls logic and block RAMs."""
ARTIX = {"logic": 20_800, "block_rams": 50}  # of an XC7A35T; block RAMs of 36 kbit


@dataclass(frozen=True, kw_only=True)
class Row:
    """The figures of a board's chip.

    fingerprint: of the chip.
    how: "placed and routed" or "estimated by Yosys".
    logic, block_rams: used, and how many there are.
    fmax_mhz: None of an estimate.
    """

    fingerprint: int
    how: str
    logic: list[int]
    flip_flops: int
    block_rams: list[float]
    fmax_mhz: float | None


@dataclass(frozen=True, kw_only=True)
class Place:
    """A board by name: its chip, its clock in Hz, and the figures of this chip."""

    name: str
    chip: Chip
    clock: int
    row: Row

    def to_dict(self) -> dict[str, Any]:
        """JSON form, without the chip."""
        return {"name": self.name, "clock_hz": self.clock, **asdict(self.row)}

    def text(self) -> dict[str, str]:
        """Lines for people."""
        row = self.row
        fmax = f"{row.fmax_mhz:g} MHz" if row.fmax_mhz else "not known without place and route"
        return {
            "board": f"{self.name}, {row.how}",
            "  logic": f"{row.logic[0]:,} of {row.logic[1]:,}",
            "  flip-flops": f"{row.flip_flops:,}",
            "  block RAMs": f"{row.block_rams[0]:g} of {row.block_rams[1]:,}",
            "  fmax": f"{fmax} (needed: {self.clock / 1e6:g} MHz)",
        }


def kept() -> dict[str, Row]:
    """The rows by board."""
    rows = json.loads(FILE.read_text())
    return {name: Row(**row) for name, row in rows.items()}


def on_board(name: str) -> Place:
    """The place of this board. InputError for an unknown board."""
    target = target_of(name)
    chip = preset(target.chip or name)
    return Place(name=name, chip=chip, clock=target.clock, row=kept()[name])


def row_of(summary: dict[str, Any]) -> Row:
    """The row of a build's summary."""
    cells, family = summary["cells"], target_of(summary["target"]).family
    if family in COUNTS:
        logic, rams = (summary["used"][name] for name in COUNTS[family])
    else:
        luts = sum(n for name, n in cells.items() if name.startswith("LUT"))
        luts += 4 * sum(
            n for name, n in cells.items() if name.startswith("RAM") and name[-1] == "M"
        )
        halves = 2 * cells.get("RAMB36E1", 0) + cells.get("RAMB18E1", 0)
        logic, rams = [luts, ARTIX["logic"]], [halves / 2, ARTIX["block_rams"]]
    return Row(
        fingerprint=summary["fingerprint"],
        how="placed and routed" if family in COUNTS else "estimated by Yosys",
        logic=logic,
        flip_flops=sum(n for name, n in cells.items() if re.search("FF|^FD", name)),
        block_rams=rams,
        fmax_mhz=summary.get("fmax_mhz"),
    )


def main(paths: list[str]) -> None:
    """Put the rows of summaries into the file."""
    rows = {name: asdict(row) for name, row in kept().items()}
    for path in paths:
        summary = json.loads(Path(path).read_text())
        rows[summary["target"]] = asdict(row_of(summary))
    write_atomic(FILE, (json.dumps(rows, indent=1) + "\n").encode())


if __name__ == "__main__":
    main(sys.argv[1:])
