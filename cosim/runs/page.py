"""The report of a run: one HTML page with everything inside, no network needed (``spikeloop report RUN/``, and the end of ``sim``).

Written from the run's folder alone (cosim/runs/folder.py). The page holds one JSON document (:func:`page_data`); templates/report.js draws it.
Arrays in it are base64 of little-endian bytes: packed spikes, int32 membranes. Of a sample, the first backend is there whole and the
others as the list of what differs. What would make the page larger than MOST_BYTES is left out, and the page says so.
"""

import base64
import json
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from spikeloop.cosim.compare.chunk import Chunk, Kept, unpack_arrays
from spikeloop.cosim.compare.diff import busy
from spikeloop.cosim.compare.result import CHIPS
from spikeloop.cosim.runs.folder import PARAMETERS, REPORT, Run
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.common.files import write_atomic

__all__ = ["page_data", "write"]

MOST_BYTES = 4_500_000  # of a page
POINTS = 600  # of cycles against events, per backend
DIFFERENCES = 500  # drawn, of a population of a sample


def write(run: Run, summary: dict[str, Any], path: Path | None = None) -> Path:
    """Write the page of ``run``, into its folder or to ``path``."""
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
    data = json.dumps(page_data(run, summary), separators=(",", ":")).replace("<", "\\u003c")
    page = environment.get_template("report.html").render(s=summary, head=run.head, data=data)
    return write_atomic(path or run.folder / REPORT, page.encode())


def page_data(run: Run, summary: dict[str, Any]) -> dict[str, Any]:
    """What the page draws: layers and their activity, samples, cores, cycles, answers."""
    head, chunks = run.head, run.chunks
    populations = {name: size for name, size, _ in head["network"]["populations"]}
    parameters = unpack_arrays(head["arrays"], PARAMETERS)
    samples, left_out = _samples(run, populations)
    return {
        "network": head["network"],
        "backends": head["backends"],
        "cores": head["cores"],
        "figures": head["figures"],
        "each": "part" if _parts(head) else "core",
        "mesh": [head["chip"]["mesh_width"], head["chip"]["mesh_height"]],
        "samples": samples,
        "left_out": left_out,
        "activity": [
            _activity(name, size, chunks, summary["samples"], head["network"]["steps"])
            for name, size in populations.items()
        ],
        "v_th": {name: _base64(parameters[f"v_th/{name}"], "<i4") for name in populations},
        "fire": {name: _base64(parameters[f"fire/{name}"], "u1") for name in populations},
        "cycles": _cycles(head["backends"], chunks),
        "answers": _answers(head["backends"], chunks),
    }


def _parts(head: dict[str, Any]) -> bool:
    """Whether the cores are parts of a program, which take turns on one."""
    return len(head["cores"]) > 1 and head["chip"]["mesh_width"] * head["chip"]["mesh_height"] == 1


def _activity(
    name: str, size: int, chunks: list[Chunk], samples: int, steps: int
) -> dict[str, Any]:
    """Of a population: spikes, neurons that never and that always spiked, spikes a sample at each step, neurons by rate in 20 bins."""
    neurons = np.sum([chunk.neurons[name] for chunk in chunks], axis=0)
    at_step = np.sum([chunk.steps[name] for chunk in chunks], axis=0) / samples
    rates = neurons / (samples * steps)
    return {
        "name": name,
        "size": size,
        "spikes": int(neurons.sum()),
        "silent": int((neurons == 0).sum()),
        "always": int((neurons == samples * steps).sum()),
        "steps": [round(float(x), 3) for x in at_step],
        "rates": np.histogram(rates, bins=20, range=(0, max(float(rates.max()), 1e-9)))[0].tolist(),
        "fastest": float(rates.max()),
    }


def _samples(run: Run, populations: dict[str, int]) -> tuple[list[dict[str, Any]], list[int]]:
    """The samples to draw (those asked for, and the first that differs), and those for whose traces there was no room."""
    found, left_out, room, wrong = [], [], MOST_BYTES, False
    for chunk in run.chunks:
        for n, kept in sorted(chunk.kept.items()):
            first = any(pair.first and pair.first.sample == n for pair in chunk.pairs) and not wrong
            if n not in run.head["keep"] and not first:
                continue
            wrong |= first
            sample = _sample(n, chunk, kept, populations, run.head["backends"])
            room -= sum(
                len(text)
                for kind in ("inputs", "spikes", "membranes")
                for text in sample[kind].values()
            )
            if room < MOST_BYTES // 10:
                left_out.append(n)
            else:
                found.append(sample)
    return found, left_out


def _sample(
    n: int, chunk: Chunk, kept: Kept, populations: dict[str, int], backends: list[str]
) -> dict[str, Any]:
    """``different[backend][population]``: rows of step, neuron, spike, membrane (None if not recorded) where it departs from the first."""
    different: dict[str, dict[str, list[list[int | None]]]] = {}
    for name, spikes, membranes in list(zip(backends, kept.spikes, kept.membranes, strict=True))[
        1:
    ]:
        for population, size in populations.items():
            ours, theirs = (unpack(some[population], size) for some in (kept.spikes[0], spikes))
            wrong, v = ours != theirs, membranes.get(population)
            if v is not None:
                wrong = wrong | (v != kept.membranes[0][population])
            rows = [
                [
                    int(step),
                    int(neuron),
                    int(theirs[step, neuron]),
                    None if v is None else int(v[step, neuron]),
                ]
                for step, neuron in np.argwhere(wrong)[:DIFFERENCES]
            ]
            if rows:
                different.setdefault(name, {})[population] = rows
    at = n - chunk.start
    return {
        "n": n,
        "label": None if chunk.labels is None else int(chunk.labels[at]),
        "answers": [None if a is None else int(a[at]) for a in chunk.answers],
        "different": different,
        "inputs": {name: _base64(a, "u1") for name, a in kept.inputs.items()},
        "spikes": {name: _base64(a, "u1") for name, a in kept.spikes[0].items()},
        "membranes": {name: _base64(a, "<i4") for name, a in kept.membranes[0].items()},
    }


def _cycles(backends: list[str], chunks: list[Chunk]) -> list[dict[str, Any]]:
    """Cycles of a tick (without stalls) against the events it scanned, of every backend that knows them."""
    found = []
    for i, name in enumerate(backends):
        if not {"cycles", "spikes_in"} <= chunks[0].counters[i].keys():
            continue
        points = np.unique(
            np.concatenate(
                [
                    np.stack(
                        [chunk.counters[i]["spikes_in"].ravel(), busy(chunk.counters[i]).ravel()],
                        axis=1,
                    )
                    for chunk in chunks
                ]
            ),
            axis=0,
        )
        points = points[np.linspace(0, len(points) - 1, min(POINTS, len(points))).astype(int)]
        found.append(
            {"name": name, "measured": name.partition(":")[0] in CHIPS, "points": points.tolist()}
        )
    return found


def _answers(backends: list[str], chunks: list[Chunk]) -> dict[str, Any] | None:
    """Labels and answers of all samples, as the chip gave them, else as the first backend that did; None without labels."""
    order = sorted(range(len(backends)), key=lambda i: backends[i].partition(":")[0] not in CHIPS)
    who = next((i for i in order if all(chunk.answers[i] is not None for chunk in chunks)), None)
    labels = [chunk.labels for chunk in chunks if chunk.labels is not None]
    if who is None or len(labels) < len(chunks):
        return None
    given = [answers for chunk in chunks if (answers := chunk.answers[who]) is not None]
    return {
        "backend": backends[who],
        "labels": np.concatenate(labels).tolist(),
        "answers": np.concatenate(given).tolist(),
    }


def _base64(array: np.ndarray, dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype).tobytes()).decode()
