"""The bench of learning: one lesson on RTL, pysim, golden and, where there is one, Brian2.

Brian2 (numpy mode, float64) runs in a Python of its own, which the caller names. It must fire every
spike that the lesson fires, and end with the same weights but for rounding, before its row counts.
"""

import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.studies.speed.rate import RULE, line, measure, measured_lesson
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.plastic import numba_engine

__all__ = ["BRIAN", "learning", "told"]

BRIAN = "Brian2 (numpy)"
PRESENTATIONS = 11  # for Brian2, of which the first is not timed
SAME = 0.001  # of weights in 0..1


def learning(
    brian: Path | None, *, rounds: int = 5, tell: Callable[[str], None] = print
) -> dict[str, Any]:
    """Rows of all ways, and the ratio of pysim to Brian2.

    brian: a Python with Brian2; None: its row says that it was skipped.
    InputError if that Python does not run it, or if it learns something else.
    """
    last: dict[str, Any] = {"way": BRIAN, "skipped": "no Python with Brian2 was given (--brian)"}
    if brian is not None:
        last = _on_brian(brian)
        tell(f"{BRIAN}: {line(last)}")
    rows, ratios = [*measure(rounds=rounds, tell=tell), last], {}
    if brian is not None:
        rate = {row["way"]: row["ticks_per_s"] for row in rows}
        ratios["pysim (numba) : Brian2 (numpy)"] = rate["pysim (numba)"] / rate[BRIAN]
    return {"rows": rows, "ratios": ratios}


def told(result: dict[str, Any]) -> dict[str, str]:
    """Rows and ratios of :func:`learning` as text, by their names."""
    rows = {
        f"learning, {row['way']}": f"skipped: {row['skipped']}" if "skipped" in row else line(row)
        for row in result["rows"]
    }
    return rows | {name: f"{ratio:,.0f} x" for name, ratio in result["ratios"].items()}


def _on_brian(python: Path) -> dict[str, Any]:
    lesson = measured_lesson(PRESENTATIONS)
    p, trace = lesson.population, numba_engine.run(lesson)
    one, unit = p["v_th"] / 3, 1 << 16  # a unit of potential, of conductance and of weight
    lines = [lesson.of(n) for n in range(PRESENTATIONS)]
    with tempfile.TemporaryDirectory(prefix="spikeloop-brian-") as name:
        given, result = Path(name) / "lesson.npz", Path(name) / "result.npz"
        arrays: dict[str, Any] = {
            "spikes": np.stack([spikes for spikes, _ in lines]),
            "teacher": np.stack([teacher for _, teacher in lines]),
            "weights": lesson.weights / unit,
            **{name: p[name] / one for name in ("v_th", "e_exc")},
            **{name: p[name] / unit for name in ("k_m", "keep_e", "w_teach")},
            **{name: getattr(RULE, name) for name in ("eta", "alpha", "beta", "tau")},
        }
        np.savez(given, **arrays)
        command = [str(python), str(Path(__file__).with_name("brian.py")), str(given), str(result)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise InputError(
                f"Python with Brian2 must be a program, not {python}: {error}"
            ) from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise InputError(f"Brian2 does not run in {python}: {last}")
        with np.load(result) as file:
            found = dict(file)
    far = float(np.abs(found["weights"] - trace.state.weights / unit).max())
    if not np.array_equal(found["counts"], trace.s.sum(0)) or far > SAME:
        raise InputError(f"weights of Brian2 must be pysim's but for rounding, not {far:.4f} away")
    seconds = statistics.median(found["seconds"].tolist())
    ticks = int(lesson.ticks[0])
    updates = int((trace.updates[:, 0] > 0).sum()) / (PRESENTATIONS - 1)
    return {
        "way": BRIAN,
        "version": str(found["version"]),
        "ticks_per_s": ticks / seconds,
        "updates_per_s": updates / seconds,
        "ticks": ticks * (PRESENTATIONS - 1),
        "seconds": found["seconds"].tolist(),
        "farthest_weight": far,
    }
