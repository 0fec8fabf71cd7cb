"""Line, toggle and functional coverage of the macros of oscillators, alone and in a chip.

    python -m tests.campaigns.coverage onn-relaxation onn-phase

The nets of tests/campaigns/macros/onn.py run on an instrumented macro, and are compared with pysim
in every step. Then those of sources.py run on an instrumented chip, of which the driver counts.
The corners are those of tests/make/onn/bins.py.
"""

import re
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from spikeloop.cosim.macros.onn import ONN, OnnModel
from spikeloop.cosim.verilator import build
from spikeloop.cosim.verilator.build import Options
from spikeloop.cosim.verilator.chip import ChipModel
from spikeloop.pysim.onn.memories import DELAY_BITS, global_bits, memories, state_chunks
from spikeloop.pysim.onn.params import OnnParams
from spikeloop.pysim.oscillators.settings import RATE_BITS
from tests.campaigns import coverage
from tests.campaigns.coverage import Exclusion, Point
from tests.campaigns.macros.onn import first_difference
from tests.campaigns.macros.sources import PLAIN, differences
from tests.make.onn.bins import BINS

__all__ = ["MACROS", "cover"]

MACROS = {
    # memories whose rows are powers of two, so that every bit of an address can move
    "onn-relaxation": OnnParams(oscillators=16, lanes=4, coupling_bits=8, v_frac=20, x_frac=14),
    "onn-phase": OnnParams(cell="phase", oscillators=16, lanes=4, coupling_bits=5),
}
NETS, NETWORKS, LOADS = 560, 60, 20
COUNTED_BITS = 16


def cover(name: str) -> int:
    """Prints the coverage of a macro. 1: below a target; 2: the RTL differs from pysim."""
    params, corners = MACROS[name], Counter[str]()
    with tempfile.TemporaryDirectory(prefix="spikeloop-coverage-") as folder:
        data = Path(folder) / "coverage.dat"
        macro = OnnModel(params, optimise=False, coverage=True)
        seeds = [[0, 300, n] for n in range(NETS)]
        found = load_port(macro, np.random.default_rng(1))
        found = found or first_difference(params, seeds, model=macro, corners=corners)
        macro.coverage(data)
        macro.close()
        points = list(coverage.points(data, ONN.verilog(params)))
        chip = PLAIN.replace(onn=params)
        model = ChipModel(chip, Options(coverage=True, optimise=False, direct=False))
        different = [found] if found else list(differences(model, chip, NETWORKS))
        model.coverage(data)
        model.close()
        points += [
            point
            for point in coverage.points(data, build.verilog_of(chip))
            if point.where == "core.front"
        ]
    if coverage.failed(different):
        return 2
    below = coverage.report(f"macro {params} and its driver", points, exclusions(params))
    met = Counter({key.partition(": ")[2]: count for key, count in corners.items()})
    below += coverage.bins(met, BINS[params.cell])
    print(f"below target: {', '.join(below)}" if below else "all targets met")
    return int(bool(below))


def load_port(macro: OnnModel, rng: np.random.Generator) -> str | None:
    """Random words into every memory and out again: what differs in the bits that it has."""
    p = macro.params
    bits = {"coupling": [p.coupling_bits], "sums": [RATE_BITS], "delays": [DELAY_BITS]}
    kept = {name: np.array([(1 << b) - 1 for b in widths]) for name, widths in bits.items()}
    kept["globals"] = np.array([[(1 << b) - 1] for b in global_bits().values()])
    kept["state"] = np.array(
        [sum((1 << width) - 1 << at for _, at, width in chunk) for chunk in state_chunks(p)]
    )
    for _ in range(LOADS):
        words = {
            m.name: rng.integers(0, 1 << 32, (m.rows, m.chunks), np.uint32) for m in memories(p)
        }
        for number, array in enumerate(words.values()):
            row, index = np.indices(array.shape).reshape(2, -1)
            at = np.full(row.size, number)
            macro.write_chunks(np.stack([at, row, index, array.ravel()], -1))
        for name, array in words.items():
            if name in kept and not np.array_equal(macro.read(name), array & kept[name]):
                return f"memory {name} does not read back as it was written"
    return None


def exclusions(params: OnnParams) -> list[Exclusion]:
    """What cannot be reached in the macro ``params``."""
    return [
        *coverage.always(),
        Exclusion(
            "whole-word writes and reads of 0: every memory is written by chunks, and read",
            lambda p: (
                bool(p.memory)
                and (
                    p.name in ("wen", "waddr", "wdata", "rzero")
                    or (p.name == "elsif" and "if (wen)" in p.text)
                    or (p.name == "cond_then" and "rzero" in p.text)
                )
            ),
        ),
        Exclusion(
            f"bits {COUNTED_BITS} to 63 of the counters, and of what adds to them: the nets run "
            f"some 2^{COUNTED_BITS} cycles",
            lambda p: p.kind == "toggle" and p.bit >= COUNTED_BITS and _counts(p),
        ),
        Exclusion(
            "gaps between the fields in a word of state: constants",
            lambda p: p.where == "onn.cell" and p.name.startswith("$signal$"),
        ),
        *([_OTHER_CELL] if params.cell == "phase" else []),
    ]


COUNTERS = ("count_", "before_", "clips", "crossings")
ABSENT = (
    *("clips", "crossings", "count_clips", "count_crossings", "before_clips", "before_crossings"),
    *("digit", "selfing", "rounding", "flagging", "round_enable", "flags_enable", "coupled"),
)


def _counts(p: Point) -> bool:
    """A counter, or an unnamed net of its width; nothing else in the macro is as wide."""
    return p.name.startswith(COUNTERS) or bool(re.search(r"\[6[34]:0\] \\\$", p.text))


_OTHER_CELL = Exclusion(
    "signals of the relaxation cell alone, which the phase cell ties: rates, rounding, thresholds",
    lambda p: p.kind == "toggle" and re.sub(r"[$]\d+$", "", p.name) in ABSENT,
)
