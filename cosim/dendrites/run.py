"""The command ``spikeloop dendritic``: mixtures learnt and separated, or the paper's figure."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.dendrites.engines import open_engine
from spikeloop.cosim.dendrites.figures import draw, draw_areas
from spikeloop.cosim.dendrites.paper import figures
from spikeloop.cosim.dendrites.score import Score, score
from spikeloop.cosim.dendrites.study import MAX_PASSES, STEPS, Plan, Run, Task, prepare
from spikeloop.cosim.macros.engines import check_engines
from spikeloop.cosim.runs.lock import holds_folder
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import writable, write_atomic
from spikeloop.pysim.dendrites.settings import MAX_NEURONS
from spikeloop.pysim.dendrites.sounds import check_sounds, sounds
from spikeloop.pysim.dendrites.state import DendriticState, begin
from spikeloop.pysim.traces.npz import load_array

__all__ = ["run", "run_figures"]

Progress = Callable[[int], None] | None


@holds_folder
def run(
    what: str,
    engines: Sequence[str],
    *,
    mixtures: Sequence[str],
    every: bool,
    folder: Path,
    resume: bool,
    started: Progress = None,
    progress: Progress = None,
    **protocol: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Learn mixtures of ``what`` ("own", or a file of sounds .npy) and ask for the sounds.

    protocol: passes, trials, seed and neurons as of Plan.
    A document, and rows of a table. InputError for bad input, before anything is written.
    """
    names = check_engines(engines)
    counts = _numbers("--mixtures", mixtures)
    if len(counts) != 1:
        raise InputError(f"--mixtures must be one number, not {len(counts)}: add --figures")
    plan = Plan(counts[0], **_protocol(protocol))
    task = prepare(_sounds(what), plan)
    writable(folder)
    if started:
        started(plan.passes + plan.trials)
    opened = [open_engine(name, task.net, task.stimuli) for name in names]
    walk, result = Run(task, opened, every), None
    try:
        kept = folder / "dendritic.safetensors"
        state = walk.train(kept=kept, resume=resume, progress=progress)
        responses = None if walk.first else walk.respond(state, progress)
        if responses is not None and not walk.first:
            result = score(responses)
            picture = folder / "dendritic.svg"
            write_atomic(picture, draw(_membranes(walk, state), result))
    finally:
        for engine in opened:
            engine.close()
    document = _document(task, walk, state, result)
    rows = _rows(what, task, walk, document)
    if result:
        document["picture"] = rows["picture"] = str(picture)
    return document, rows


@holds_folder
def run_figures(
    what: str,
    *,
    mixtures: Sequence[str],
    seeds: Sequence[str],
    folder: Path,
    resume: bool,
    started: Progress = None,
    progress: Progress = None,
    **protocol: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Areas against mixtures, for all seeds: a document, rows of a table, a picture."""
    protocol = _protocol(protocol)
    protocol.pop("seed", None)
    given = _numbers("--mixtures", mixtures), _numbers("--seeds", seeds)
    document, rows = figures(
        _sounds(what),
        *given,
        folder=folder,
        resume=resume,
        started=started,
        progress=progress,
        **protocol,
    )
    picture = folder / "figures.svg"
    write_atomic(picture, draw_areas(document["points"]))
    document["picture"] = rows["picture"] = str(picture)
    return document, rows


def _protocol(given: dict[str, Any]) -> dict[str, Any]:
    for name, low, high in (
        ("passes", 0, MAX_PASSES),
        ("trials", 1, 1000),
        ("seed", 0, 10_000),
        ("neurons", 2, MAX_NEURONS),
    ):
        if name in given:
            check_int(f"--{name}", given[name], low, high)
    return dict(given)


def _sounds(what: str) -> np.ndarray:
    if what == "own":
        return sounds()
    remedy = "save an array [class, sound, band, frame]"
    return check_sounds(load_array(what, "file of sounds", remedy))


def _numbers(name: str, texts: Sequence[str]) -> list[int]:
    numbers: list[int] = []
    for text in texts:
        low, dash, high = text.partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise InputError(f"{name} must be numbers and ranges such as 1-3,6, not {text!r}")
        check_int(name, int(high or low), 0, 10_000)
        numbers += range(int(low), int(high or low) + 1) if dash else [int(low)]
    if not numbers:
        raise InputError(f"{name} must be numbers and ranges such as 1-3,6, not empty")
    return list(dict.fromkeys(numbers))


def _membranes(walk: Run, state: DendriticState) -> np.ndarray:
    """u of one trial, all probes once: float ``[probe, step, neuron]``."""
    task, found = walk.task, []
    now = begin(task.net, state.weights, state.inhibition, task.plan.seed)
    for threshold in task.stimuli[task.plan.mixtures :]:
        trace = walk.engines[0].run(task.net, threshold, now, STEPS, learn=False)
        now = trace.state
        found.append(trace.field("u") / 2**16)
    return np.stack(found)


def _document(task: Task, walk: Run, state: DendriticState, result: Score | None) -> dict[str, Any]:
    size = task.net.neurons
    most = task.net["g_max"] * size * (size - 1)
    return {
        "mixtures": task.plan.mixtures,
        "sounds": task.scene.chosen,
        "inputs": task.net.inputs,
        "neurons": size,
        **(result.document() if result else {}),
        "inhibition": float(state.inhibition.sum()) / most if most else 0.0,
        **{name: dict(getattr(walk, name)) for name in ("counters", "compared", "different")},
        "first": walk.first,
        "seconds": dict(walk.seconds),
    }


def _rows(what: str, task: Task, walk: Run, facts: dict[str, Any]) -> dict[str, Any]:
    plan, count = task.plan, walk.counters
    target, *maskers = task.scene.chosen
    many = "mixtures" if plan.mixtures > 1 else "mixture"
    rows: dict[str, Any] = {
        "net": f"{what} sounds, {task.net.inputs:,} inputs, {task.net.neurons} neurons",
        "learnt": f"{plan.mixtures} {many} of sound {target} with "
        f"{', '.join(map(str, maskers))}, {plan.passes:,} passes",
    }
    if "auc" in facts:
        right, wrong = facts["likelihoods"]
        rows["AUC"] = (
            f"{facts['auc']:.3f} at the paper's levels, {facts['auc_code_levels']:.3f} at its "
            f"code's, {facts['auc_raw']:.3f} unbinned"
        )
        rows["log-likelihood"] = f"median {right:.1f} of correct probes, {wrong:.1f} of incorrect"
        rows["inhibition"] = f"{facts['inhibition']:.2f} of its most"
    rows["shown"] = (
        f"{count['steps']:,} steps, {count['inputs']:,} input spikes, {count['spikes']:,} output "
        f"spikes, {count['clips'] + count['saturations']:,} values clipped"
    )
    if count["cycles"]:
        rows["cycles"] = f"{count['cycles']:,}, {count['cycles'] / count['steps']:,.0f} a step"
    for pair, number in walk.compared.items():
        rows[f"{pair}?"] = f"{number:,} values compared, {walk.different[pair]:,} different"
    rows["processor seconds"] = ", ".join(f"{name} {n:.1f}" for name, n in walk.seconds.items())
    return rows
