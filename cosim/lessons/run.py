"""The command ``spikeloop lesson``: iris by ALSA, or any lesson's file, on all engines."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.lessons.compare import Comparison, compare_lesson
from spikeloop.cosim.lessons.engines import check_engines
from spikeloop.cosim.lessons.iris import run_iris
from spikeloop.cosim.lessons.page import write
from spikeloop.cosim.runs.lock import holds_folder
from spikeloop.golden.rules.alsa.flowers import LENGTHS, PLACES, SPECIES
from spikeloop.pysim.common.files import writable
from spikeloop.pysim.lessons.lesson import Lesson

__all__ = ["REPORT", "run"]

REPORT = "report.html"


@holds_folder
def run(
    what: str,
    engines: Sequence[str],
    *,
    folder: Path,
    resume: bool = False,
    started: Callable[[int], None] | None = None,
    progress: Callable[[int], None] | None = None,
    **iris: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run ``what`` ("iris" or a file); a document, and rows of a table.

    folder: where lesson, state and results are kept; resume: go on from there.
    started: called with the number of presentations; progress: with those done since.
    iris: arguments of run_iris.
    InputError for bad input, before anything is written.
    """
    common: dict[str, Any] = {"resume": resume, "progress": progress}
    check_engines(engines)
    if what != "iris":
        lesson = Lesson.load(what)
        if started:
            started(lesson.presentations)
        kept = writable(folder) / "learning.npz"
        result = compare_lesson(lesson, engines, kept=kept, **common)
        document = {"lesson": lesson.name, "first": result.first, "learning": result.document()}
        rows = {**_head(lesson.name, lesson.presentations, result), **result.rows()}
        page = _page(folder, lesson, result, rows, result.first)
        return document, {**rows, "report": str(page)}
    run = run_iris(engines, folder=folder, started=started, **common, **iris)
    count = len(run.learning.crc)
    rows = _head("iris by ALSA", count, run.learning) | run.learning.rows()
    if run.testing:
        rows |= {
            "tested": f"{len(run.testing.crc)} flowers of 1,000 ticks, frozen",
            **{f"test, {pair}": text for pair, text in run.testing.rows().items()},
            "picture": str(folder / "iris.svg"),
            "accuracy": ", ".join(f"{name} {n:.2%}" for name, n in run.accuracy.items()),
        }
    lesson = run.trial.lesson(iris.get("weight_bits", 16))
    tiles = {"shape": (len(LENGTHS), PLACES), "titles": SPECIES}
    page = _page(folder, lesson, run.learning, rows, run.first, **tiles)
    return run.document(), {**rows, "report": str(page)}


def _page(
    folder: Path,
    lesson: Lesson,
    result: Comparison,
    rows: dict[str, str],
    first: str | None,
    **tiles: Any,
) -> Path:
    """The report, of what the first engine learnt."""
    weights, spikes = (lesson.weights, result.state.weights), np.sum(result.spikes, 0)
    return write(folder / REPORT, lesson.name, rows, *weights, spikes, first=first, **tiles)


def _head(name: str, presentations: int, result: Comparison) -> dict[str, str]:
    """What was learnt, and in how many cycles."""
    rows = {
        "lesson": f"{name}, {presentations:,} presentations",
        "spikes": f"{int(np.sum(result.spikes)):,}",
    }
    cycles = ", ".join(f"{engine} {n:,}" for engine, n in result.cycles.items())
    if cycles:
        rows["cycles"] = cycles
    rows["seconds"] = ", ".join(f"{engine} {n:.1f}" for engine, n in result.seconds.items())
    return rows
