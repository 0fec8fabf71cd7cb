"""Line and toggle coverage of the macro of dendritic neurons, on random nets of its campaign.

    python -m tests.campaigns.coverage dendritic

The RTL is compared with pysim meanwhile. The corners of docs/dendritic.md are counted by the
campaign itself (tests/campaigns/macros/dendritic.py).
"""

import tempfile
import time
from pathlib import Path

from spikeloop.cosim.macros.dendritic.model import DENDRITIC, DendriticModel
from tests.campaigns.coverage import Exclusion, always, failed, points, report
from tests.campaigns.macros.dendritic import MACROS, first_difference

__all__ = ["cover"]

NETS = 60
COUNTED_BITS = 15  # of a 64-bit counter: what these nets count without trouble
COUNTERS = ("count_", "clips", "spikes", "tail_clips")
LOADED = ("stimuli", "table")


def exclusions() -> list[Exclusion]:
    """What cannot be reached."""
    return [
        *always(),
        Exclusion(
            f"whole-word writes of {' and '.join(LOADED)}, which only the load port writes: "
            "tied to 0",
            lambda p: (
                p.memory in LOADED and (p.name in ("wen", "waddr", "wdata") or "if (wen)" in p.text)
            ),
        ),
        Exclusion(
            "reading 0 instead of a row (rzero): tied to 0",
            lambda p: (
                bool(p.memory)
                and (p.name == "rzero" or (p.name == "cond_then" and "rzero" in p.text))
            ),
        ),
        Exclusion(
            f"bits {COUNTED_BITS} to 63 of the counters: the nets run for {60 * NETS:,} steps",
            lambda p: p.kind == "toggle" and p.bit >= COUNTED_BITS and p.name.startswith(COUNTERS),
        ),
    ]


def cover() -> int:
    """Exit status 1: below a target. 2: the RTL differs from pysim."""
    start, params = time.monotonic(), MACROS["dendrites-cover"]
    model = DendriticModel(params, optimise=False, coverage=True)
    found = first_difference(params, [[9, n] for n in range(NETS)], model=model)
    if failed([found] if found else []):
        return 2
    with tempfile.TemporaryDirectory(prefix="spikeloop-coverage-") as folder:
        model.coverage(Path(folder) / "coverage.dat")
        hit = list(points(Path(folder) / "coverage.dat", DENDRITIC.verilog(params)))
    model.close()
    below = report(str(params), hit, exclusions())
    print(f"\n{NETS} random nets, {time.monotonic() - start:.0f} s; the RTL shows no difference")
    print(f"below target: {', '.join(below)}" if below else "all targets met")
    return int(bool(below))
