"""The report of a run: one HTML page that loads nothing (``spikeloop report RUN``, end of ``sim``).

It is written from the run's folder alone (cosim/runs/folder.py). The page holds one JSON document
(:func:`page_data`), which templates/report.js draws. What one zooms into lies in frames of uPlot
(templates/uplot, MIT). Arrays in the document are base64 of little-endian bytes: packed spikes,
int32 membranes. The traces of a sample are whole for the first backend; for each other one only
what differs is listed. Samples that would make the page larger than MOST_BYTES are left out, and
the page names them.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from spikeloop.cosim.compare.chunk import Chunk, Kept, unpack_arrays
from spikeloop.cosim.compare.diff import busy
from spikeloop.cosim.compare.result import CHIPS
from spikeloop.cosim.runs.columns import columns
from spikeloop.cosim.runs.folder import ORIGIN, PARAMETERS, REPORT, Run
from spikeloop.cosim.runs.measures import cycles_for, measures
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.common.reading import read_file
from spikeloop.pysim.traces.trace import STATES

__all__ = [
    "activity",
    "answers",
    "as_written",
    "load_origin",
    "page_data",
    "render",
    "report",
    "write",
]

MOST_BYTES = 4_500_000
"""Size of a page."""

POINTS = 600
"""Points of cycles against events, for each backend."""

MOST_WRONG = 4
"""Samples with a wrong answer that are drawn without being asked for."""

NOT_OURS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    jinja2.TemplateError,
)
"""What the drawing of an edited run may end in."""

DIFFERENCES = 500
"""Differences that are drawn of a population of a sample."""


def render(template: str, data: dict[str, Any], **more: Any) -> str:
    """A page: ``template`` with ``data`` for its scripts, and with ``more``."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("spikeloop.cosim.runs"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": lambda x: "-" if x is None else f"{x:.2%}",
        "count": lambda x: "-" if x is None else f"{x:,}",
        "number": lambda x: f"{x:,.1f}",
    }
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return environment.get_template(template).render(data=text, **more)


def write(run: Run, summary: dict[str, Any], path: Path | None = None) -> Path:
    """Write the page of ``run``, into its folder or to ``path``."""
    page = render(
        "report.html",
        page_data(run, summary),
        s=summary,
        head=run.head,
        columns=columns(run, summary),
        measures=measures(run, summary),
        cycles=cycles_for(run, summary),
        origin=load_origin(run),
    )
    return write_atomic(path or run.folder / REPORT, page.encode())


def load_origin(run: Run) -> dict[str, Any]:
    """What made the run; {} for a run that does not say so."""
    try:
        data = read_file(run.folder / ORIGIN, "origin", "run it again", most=1 << 16)
        origin = json.loads(data)
    except (InputError, ValueError):
        return {}
    return origin if isinstance(origin, dict) else {}


def report(folder: Path, path: Path | None = None) -> Path:
    """Write the page of the run in ``folder``, which may be anybody's.

    InputError if its journal or summary are not as spikeloop wrote them.
    """
    run, summary = Run.load(folder)
    with as_written(folder):
        return write(run, summary, path)


@contextmanager
def as_written(*folders: Path) -> Iterator[None]:
    """What edited runs make the drawing end in, as one InputError."""
    try:
        yield
    except NOT_OURS as error:
        names = " or ".join(repr(str(folder)) for folder in folders)
        raise InputError(
            f"journal and summary of run {names} must be as spikeloop wrote them, "
            f"not edited ({type(error).__name__}): run it again"
        ) from None


def page_data(run: Run, summary: dict[str, Any]) -> dict[str, Any]:
    """What the page draws (JSON): layers and their activity, samples, cores, cycles, answers."""
    head, chunks = run.head, run.chunks
    populations = {name: size for name, size, _ in head["network"]["populations"]}
    parameters = unpack_arrays(head["arrays"], PARAMETERS)
    samples, left_out = _samples(run, populations)
    return {
        "network": head["network"],
        "backends": head["backends"],
        "expected_first": head["expected"] and head["expected"][0],
        "firsts": [pair["first"] for pair in summary["pairs"]],
        "cores": head["cores"],
        "figures": head["figures"],
        "each": "part" if _parts(head) else "core",
        "mesh": [head["chip"]["mesh_width"], head["chip"]["mesh_height"]],
        "samples": samples,
        "left_out": left_out,
        "activity": activity(run, summary),
        "v_th": {name: _base64(parameters[f"v_th/{name}"], "<i4") for name in populations},
        "page_shifts": {name: head.get("page_shifts", {}).get(name, 0) for name in populations},
        "fire": {name: _base64(parameters[f"fire/{name}"], "u1") for name in populations},
        "cycles": _cycles(head["backends"], chunks),
        "answers": answers(head["backends"], chunks),
    }


def _parts(head: dict[str, Any]) -> bool:
    """Whether the cores are parts of a program, which take turns on one."""
    return len(head["cores"]) > 1 and head["chip"]["mesh_width"] * head["chip"]["mesh_height"] == 1


def activity(run: Run, summary: dict[str, Any]) -> list[dict[str, Any]]:
    """The activity of each population.

    Its spikes, neurons that never and that always spiked, spikes per sample at each step, and
    neurons by rate in 20 bins.
    """
    samples, steps = summary["samples"], run.head["network"]["steps"]
    layers = []
    for name, size, _ in run.head["network"]["populations"]:
        neurons = np.sum([chunk.neurons[name] for chunk in run.chunks], axis=0)
        at_step = np.sum([chunk.steps[name] for chunk in run.chunks], axis=0) / samples
        rates = neurons / (samples * steps)
        fastest = float(rates.max())
        bins, _ = np.histogram(rates, bins=20, range=(0, max(fastest, 1e-9)))
        layers.append(
            {
                "name": name,
                "size": size,
                "spikes": int(neurons.sum()),
                "silent": int((neurons == 0).sum()),
                "always": int((neurons == samples * steps).sum()),
                "steps": [round(float(x), 3) for x in at_step],
                "rates": bins.tolist(),
                "fastest": fastest,
            }
        )
    return layers


def _samples(run: Run, populations: dict[str, int]) -> tuple[list[dict[str, Any]], list[int]]:
    """The samples to draw, and the numbers of those whose traces had no room.

    Drawn are the samples of ``run.keep``, the first that differs of each pair, and the first few
    whose answer is wrong.
    """
    drawn: list[dict[str, Any]] = []
    left_out: list[int] = []
    room, wrong, differs = MOST_BYTES, MOST_WRONG, set[int]()
    for chunk in run.chunks:
        firsts = {i: pair.first.sample for i, pair in enumerate(chunk.pairs) if pair.first}
        new = {n for i, n in firsts.items() if i not in differs}
        differs |= firsts.keys()
        for n, kept in sorted(chunk.kept.items()):
            misread = wrong > 0 and _misread(chunk, n)
            if n not in run.keep and n not in new and not misread:
                continue
            wrong -= misread
            sample = _sample(n, chunk, kept, populations, run.head["backends"])
            room -= sum(
                len(text)
                for texts in (sample["inputs"], sample["spikes"], *sample["states"].values())
                for text in texts.values()
            )
            if room < MOST_BYTES // 10:
                left_out.append(n)
            else:
                drawn.append(sample)
    return drawn, left_out


def _misread(chunk: Chunk, n: int) -> bool:
    """Whether the first backend's answer is not the label."""
    answers, labels, at = chunk.answers[0], chunk.labels, n - chunk.start
    return answers is not None and labels is not None and bool(answers[at] != labels[at])


def _sample(
    n: int, chunk: Chunk, kept: Kept, populations: dict[str, int], backends: list[str]
) -> dict[str, Any]:
    """Sample ``n``: its label, answers, inputs, the first backend's traces, and what differs."""
    different = {name: _different(kept, i, populations) for i, name in enumerate(backends[1:], 1)}
    at = n - chunk.start
    return {
        "n": n,
        "label": None if chunk.labels is None else int(chunk.labels[at]),
        "answers": [None if a is None else int(a[at]) for a in chunk.answers],
        "different": {name: rows for name, rows in different.items() if rows},
        "inputs": {name: _base64(a, "u1") for name, a in kept.inputs.items()},
        "spikes": {name: _base64(a, "u1") for name, a in kept.spikes[0].items()},
        "expected": {name: _base64(a, "u1") for name, a in kept.expected.items()},
        "states": {
            part: {name: _base64(a, "<i4") for name, a in getattr(kept, part)[0].items()}
            for part in STATES
        },
    }


def _different(
    kept: Kept, backend: int, populations: dict[str, int]
) -> dict[str, list[list[int | None]]]:
    """Where a backend departs from the first: rows of step, neuron, spike, states by population.

    The states stand in the order of STATES. One that was not recorded is None.
    """
    different = {}
    for name, size in populations.items():
        first, spikes = (unpack(kept.spikes[i][name], size) for i in (0, backend))
        wrong, states = first != spikes, []
        for part in STATES:
            of_backend = getattr(kept, part)
            states.append(of_backend[backend].get(name))
            if states[-1] is not None:
                wrong = wrong | (states[-1] != of_backend[0][name])
        rows = []
        for step, neuron in np.argwhere(wrong)[:DIFFERENCES].tolist():
            values = [None if v is None else int(v[step, neuron]) for v in states]
            rows.append([step, neuron, int(spikes[step, neuron]), *values])
        if rows:
            different[name] = rows
    return different


def _cycles(backends: list[str], chunks: list[Chunk]) -> list[dict[str, Any]]:
    """Cycles of a tick, without stalls, against the events it scanned.

    One entry for each backend that counts both; at most POINTS different points of it.
    """
    rows = []
    for i, name in enumerate(backends):
        counters = [chunk.counters[i] for chunk in chunks]
        if not {"cycles", "spikes_in"} <= counters[0].keys():
            continue
        events = np.concatenate([c["spikes_in"].ravel() for c in counters])
        worked = np.concatenate([busy(c).ravel() for c in counters])
        points = np.unique(np.stack([events, worked], axis=1), axis=0)
        points = points[np.linspace(0, len(points) - 1, min(POINTS, len(points))).astype(int)]
        measured = name.partition(":")[0] in CHIPS
        rows.append({"name": name, "measured": measured, "points": points.tolist()})
    return rows


def answers(backends: list[str], chunks: list[Chunk]) -> dict[str, Any] | None:
    """Labels and answers of all samples; None without labels.

    The answers are those of a chip, else of the first backend that gave some.
    """
    order = sorted(range(len(backends)), key=lambda i: backends[i].partition(":")[0] not in CHIPS)
    who = next((i for i in order if all(chunk.answers[i] is not None for chunk in chunks)), None)
    labels = [chunk.labels for chunk in chunks if chunk.labels is not None]
    if who is None or len(labels) < len(chunks):
        return None
    given = [said for chunk in chunks if (said := chunk.answers[who]) is not None]
    return {
        "backend": backends[who],
        "labels": np.concatenate(labels).tolist(),
        "answers": np.concatenate(given).tolist(),
    }


def _base64(array: np.ndarray, dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype).tobytes()).decode()
