"""Line, toggle and functional coverage of the plastic core; its lessons are compared with pysim.

    python -m tests.campaigns.coverage plastic

Every third lesson goes in through the pins, every third stalls the spikes' receiver. One has all
65,535 ticks that a presentation may have. Every memory behind the load port is written and read.
"""

import re
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from spikeloop.cosim.macros.plastic import PLASTIC, PlasticModel
from spikeloop.pysim.lessons.lesson import MAX_TICKS, Lesson
from spikeloop.pysim.lessons.trace import differences
from spikeloop.pysim.plastic import numba_engine
from spikeloop.pysim.plastic.cycles import with_cycles
from spikeloop.pysim.plastic.memories import memories
from spikeloop.pysim.plastic.params import COUNTERS, PlasticParams
from tests.campaigns.coverage import Exclusion, always, bins, failed, points, report
from tests.campaigns.regression.lessons import first_difference
from tests.make.lessons.bins import BINS, count
from tests.make.lessons.random import random_lesson

__all__ = ["cover"]

PARAMS = PlasticParams(axons=73, neurons=7, weight_bits=16, membrane_bits=24, lanes=2)
"""Two chunks of lines, four words of which the last is not full; 73 is odd, so rows toggle."""
LESSONS = 240
COUNTED_BITS = 20  # of a 64-bit counter
LISTS = ("events", "live", "fired", "lines", "teach")
TABLES = ("weights", "post", "pre", "near", "far")


def exclusions(p: PlasticParams) -> list[Exclusion]:
    """What cannot be reached."""
    widths = {memory.name: memory.width for memory in memories(p)}
    return [
        *always(),
        Exclusion(
            f"whole-word writes of {', '.join(TABLES)}: the load port and the sweeps write chunks",
            lambda p: p.memory in TABLES and (p.name in ("wen", "waddr", "wdata")),
        ),
        Exclusion(
            f"chunk writes of {', '.join(LISTS)}, which the load port does not reach: tied to 0",
            lambda p: (
                p.memory in LISTS and (p.name in ("cen", "caddr", "cdata", "cindex", "rindex"))
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
            "bits of a memory row beyond its width: padding to whole chunks",
            lambda p: p.name in ("mem", "q", "padded") and p.bit >= widths.get(p.memory, 1 << 30),
        ),
        Exclusion(
            f"bits {COUNTED_BITS} to 63 of the counters: the campaign runs some 2^22 cycles",
            lambda p: (
                p.kind == "toggle"
                and p.bit >= COUNTED_BITS
                and re.match(rf"count_({'|'.join(COUNTERS)})\b", p.name) is not None
            ),
        ),
    ]


def longest(rng: np.random.Generator) -> Lesson:
    """One presentation of all the ticks it may have, with few spikes.

    Ten axons spike together and rarely, and the teacher calls at the ages where tables turn.
    """
    size = {name: getattr(PARAMS, name) for name in ("axons", "neurons", "weight_bits")}
    p = random_lesson(rng, size | {"membrane_bits": PARAMS.membrane_bits}).population
    p = p.changed(fire=1, w_teach=(1 << 24) - 1, ltd=1)
    spikes = rng.random((1, MAX_TICKS, p.axons)) < 0.0003
    teacher = rng.random((1, MAX_TICKS, p.neurons)) < 0.0003
    spikes[0, :, :10] = False
    spikes[0, ::1100, :10] = True
    for age in (31, 32, 1023, 1024):
        teacher[0, age::1100] = True
    weights = rng.integers(p["w_min"], p["w_max"] + 1, (p.axons, p.neurons))
    return Lesson.make(p, weights, spikes, teacher=teacher)


def ports(model: PlasticModel, rng: np.random.Generator) -> str | None:
    """Writes random rows to every memory and reads them back; the first memory that differs."""
    for number, memory in enumerate(memories(model.params)):
        if not number:  # the settings are registers that nothing reads
            continue
        row, index = np.indices((memory.rows, memory.chunks)).reshape(2, -1)
        for _ in range(4):
            data = rng.integers(0, 1 << memory.chunk, row.size)
            model.write_chunks(np.stack([np.full(row.size, number), row, index, data], -1))
            if not np.array_equal(model.read(memory.name).reshape(-1), data):
                return f"memory {memory.name} does not hold what was written"
    return None


def cover() -> int:
    """Exit status 1: below a target. 2: the RTL differs from pysim."""
    start, corners = time.monotonic(), Counter[str]()
    model = PlasticModel(PARAMS, library=PLASTIC.library(PARAMS, optimise=False, coverage=True))
    found = ports(model, np.random.default_rng(0))
    seeds = [[0, 500, n] for n in range(LESSONS)]
    found = found or first_difference(PARAMS, seeds, model=model, corners=corners)
    lesson = longest(np.random.default_rng(1))
    want = with_cycles(PARAMS, lesson, numba_engine.run(lesson))
    found = found or differences(want, model.run(lesson), lesson.ticks, ("pysim", "RTL")).first
    if failed([found] if found else []):
        return 2
    corners += count(lesson, want, PARAMS.lanes)
    with tempfile.TemporaryDirectory(prefix="spikeloop-coverage-") as folder:
        model.coverage(Path(folder) / "coverage.dat")
        hit = list(points(Path(folder) / "coverage.dat", PLASTIC.verilog(PARAMS)))
    model.close()
    below = report(str(PARAMS), hit, exclusions(PARAMS))
    below += bins(corners, BINS)
    seconds = time.monotonic() - start
    print(f"\n{LESSONS} random lessons and a longest one, {seconds:.0f} s; no difference")
    print(f"below target: {', '.join(below)}" if below else "all targets met")
    return int(bool(below))
