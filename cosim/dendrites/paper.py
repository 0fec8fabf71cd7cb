"""Separation against the number of mixtures (Dellaferrera, Asabuki & Fukai 2022, figure 5A).

    spikeloop dendritic --figures [--seeds 0-4] [--mixtures 1-3,6]

Each seed draws other sounds, first weights and generators. Integers are pysim's, whose every value
the macro has; floats are golden's, for the same sounds and first weights. Each point is a row of a
journal; a run that was killed goes on behind the last whole one.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.dendrites.engines import open_engine
from spikeloop.cosim.dendrites.score import score
from spikeloop.cosim.dendrites.study import STEPS, Plan, Run, Task, prepare
from spikeloop.cosim.provenance import code
from spikeloop.golden.dendrites import floats
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.journal import Rows

__all__ = ["KINDS", "PAPER", "figures", "means"]

KINDS = ("integer", "float")
PAPER = {1: "about .5", 2: "> .9", 3: ".8-.9", 4: ".8-.9", 5: ".8-.9", 6: "> .8", 10: "drops"}
"""What figure 5A of the paper shows, by mixtures."""


def point(spectrograms: np.ndarray, plan: Plan, kind: str) -> dict[str, Any]:
    """One net of ``kind``, trained and asked: its scores, and its mean inhibition over the most."""
    task = prepare(spectrograms, plan)
    responses, inhibition = (_integer if kind == "integer" else _float)(task)
    size = plan.neurons
    mean = float(inhibition.sum()) / (size * (size - 1))
    return {**score(responses).document(), "inhibition": mean}


def _integer(task: Task) -> tuple[np.ndarray, np.ndarray]:
    run = Run(task, [open_engine("pysim", task.net, task.stimuli)])
    state = run.train()
    return run.respond(state), state.inhibition / task.net["g_max"]


def _float(task: Task) -> tuple[np.ndarray, np.ndarray]:
    plan, seed = task.plan, task.plan.seed
    first = task.state.weights / 2**30
    w, g = floats.train(task.scene.mixtures, first, passes=plan.passes, steps=STEPS, seed=seed)
    asked = {"presentations": plan.presentations, "trials": plan.trials, "steps": STEPS}
    responses = floats.respond(task.scene.probes, w, g, **asked, seed=seed + 1_000_000)
    return responses, g * plan.neurons / floats.G_MAX


def figures(
    spectrograms: np.ndarray,
    mixtures: Sequence[int],
    seeds: Sequence[int],
    *,
    folder: Path,
    resume: bool,
    started: Callable[[int], None] | None = None,
    progress: Callable[[int], None] | None = None,
    **protocol: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """All points: a document, and rows of a table. InputError without numba.

    protocol: passes, trials and neurons as of Plan.
    """
    if not floats.AVAILABLE:
        raise InputError("numba is missing: pip install 'spikeloop[fast]'")
    plans = [Plan(count, seed=seed, **protocol) for seed in seeds for count in mixtures]
    for plan in plans:
        prepare(spectrograms, plan)  # all are possible
    of = hashlib.sha256(spectrograms.tobytes()).hexdigest(), code(__name__)
    journal = Rows(folder / "figures.jsonl", of, resume=resume)
    if started:
        started(len(plans) * len(KINDS))
    rows = []
    for plan in plans:
        for kind in KINDS:
            name = json.dumps([kind, asdict(plan)])
            if name not in journal:
                row = {"plan": asdict(plan), "kind": kind, **point(spectrograms, plan, kind)}
                journal.add(name, row)
            rows.append(journal[name])
            if progress:
                progress(1)
    return {"points": rows, "paper": PAPER}, _table(rows, mixtures)


def means(rows: Sequence[dict[str, Any]], kind: str, mixtures: int) -> dict[str, list[float]]:
    """Values of all seeds, by measure."""
    mine = [r for r in rows if r["kind"] == kind and r["plan"]["mixtures"] == mixtures]
    names = ("auc", "auc_code_levels", "auc_raw", "inhibition", "variance")
    return {name: [row[name] for row in mine] for name in names}


def _table(rows: Sequence[dict[str, Any]], mixtures: Sequence[int]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for count in mixtures:
        cells = []
        for kind in KINDS:
            found = means(rows, kind, count)
            areas = found["auc"]
            cells.append(
                f"{kind} {np.mean(areas):.3f} (sd {np.std(areas):.3f}, {min(areas):.2f} to "
                f"{max(areas):.2f}; unbinned {np.mean(found['auc_raw']):.3f})"
            )
        said = PAPER.get(count, "not said")
        table[f"AUC, {count} mixture{'s' * (count > 1)}"] = f"{', '.join(cells)}; paper {said}"
    return table
