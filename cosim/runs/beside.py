"""Two runs side by side: one HTML page that loads nothing (``spikeloop report RUN OTHER``).

It is written from the two folders alone. It says what the runs differ in, sets their figures and
their layers beside each other, and names the samples whose answers differ. Answers are compared
only where both runs have the same labels. Change is that from the first run to the second: a ratio
of counts, a difference of percentages.
"""

from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.runs.folder import Run
from spikeloop.cosim.runs.measures import measures
from spikeloop.cosim.runs.page import activity, answers, as_written, load_origin, render
from spikeloop.pysim.common.files import check_output, write_atomic

__all__ = ["FILE", "beside", "page_data"]

FILE = "beside.html"
MOST_SAMPLES = 200
"""Samples that are named of a kind of answers."""
NONE = "-"

Ended = tuple[Run, dict[str, Any]]
Row = tuple[str, ...]
"""Name, the first run's text, the second's, and the change."""


def beside(first: Path, second: Path, path: Path | None = None) -> Path:
    """Write the page of two runs, into the folder of the first or to ``path``.

    InputError for a folder that is not of a run, and for runs that were edited.
    """
    path = path or first / FILE
    check_output(path, file=True)
    runs = Run.load(first), Run.load(second)
    with as_written(first, second):
        data = page_data(*runs)
        page = render("beside.html", data, **data, runs=[str(first), str(second)])
    return write_atomic(path, page.encode())


def page_data(a: Ended, b: Ended) -> dict[str, Any]:
    """What the page shows (JSON): ``settings``, ``figures``, ``layers``, ``answers``, ``steps``."""
    return {
        "settings": _settings(a, b),
        "figures": _figures(a, b),
        "layers": _layers(a, b),
        "answers": _answers(a, b),
        "steps": max(run.head["network"]["steps"] for run, _ in (a, b)),
        "network": {"name": "beside"},  # of the files of the charts
    }


def _settings(a: Ended, b: Ended) -> list[tuple[str, str, str]]:
    """What the runs were made from, where it differs."""
    sides = [_facts(run, summary) for run, summary in (a, b)]
    names = list({**sides[0], **sides[1]})
    rows = [(name, *(str(side.get(name, NONE)) for side in sides)) for name in names]
    return [(name, one, other) for name, one, other in rows if one != other]


def _facts(run: Run, summary: dict[str, Any]) -> dict[str, Any]:
    head, origin = run.head, load_origin(run)
    facts = {
        "network": head["network"]["name"],
        "network, SHA-256": head["sha256"],
        "stimulus, SHA-256": head["stimulus"],
        "samples": summary["samples"],
        "steps": head["network"]["steps"],
        "backends": ", ".join(head["backends"]),
        "answer": head["network"]["answer"],
        "sources, SHA-256": head["sources"],
    }
    facts |= {
        name: summary[name] for name in ("config", "bits", "encoder", "seed") if name in summary
    }
    facts |= {f"chip, {name}": value for name, value in head["chip"].items()}
    packages = origin.get("packages", {})
    facts |= {
        name: origin[name] for name in ("date", "commit", "command", "machine") if name in origin
    }
    return facts | {f"version of {name}": version for name, version in packages.items()}


def _figures(a: Ended, b: Ended) -> list[Row]:
    rows: list[Row] = []
    for key, name in (("float", "float"), ("integer", "integer"), ("rtl", "RTL")):
        one, other = (summary["accuracy"][key] for _, summary in (a, b))
        change = NONE if one is None or other is None else f"{100 * (other - one):+.2f} points"
        texts = (NONE if x is None else f"{x:.2%}" for x in (one, other))
        rows.append((f"accuracy, {name}", *texts, change))
    for key, name in (
        ("different", "differences"),
        ("neuron_ticks", "neuron-ticks compared, per pair"),
        ("cycles_predicted", "cycles predicted"),
        ("cycles_measured", "cycles measured"),
        ("sops", "synaptic operations (SOPs)"),
    ):
        rows.append(_count(name, a[1][key], b[1][key]))
    cores = (len(run.head["cores"]) for run, _ in (a, b))
    rows.append(_count("cores, or parts that take turns", *cores))
    sides = [{name: text for text, name in measures(*side)} for side in (a, b)]
    rows += [
        (name, *(side.get(name, NONE) for side in sides), "") for name in {**sides[0], **sides[1]}
    ]
    return rows


def _count(name: str, one: float | None, other: float | None) -> Row:
    texts = (NONE if x is None else f"{x:,}" for x in (one, other))
    return (name, *texts, f"x {other / one:.3f}" if one and other is not None else NONE)


def _layers(a: Ended, b: Ended) -> list[dict[str, Any]]:
    """Activity of each layer that either run has; None where a run has it not."""
    sides = [activity(*side) for side in (a, b)]
    names = list({layer["name"]: None for side in sides for layer in side})
    by_name = [{layer["name"]: layer for layer in side} for side in sides]
    return [{"name": name, "runs": [side.get(name) for side in by_name]} for name in names]


def _answers(a: Ended, b: Ended) -> dict[str, Any] | None:
    """Samples by who is right; None unless both runs have the same labels."""
    sides = [answers(run.head["backends"], run.chunks) for run, _ in (a, b)]
    one, other = sides
    if one is None or other is None or one["labels"] != other["labels"]:
        return None
    labels, first, second = map(np.array, (one["labels"], one["answers"], other["answers"]))
    right, also = first == labels, second == labels
    kinds = {
        "both right": right & also,
        "only the first right": right & ~also,
        "only the second right": ~right & also,
        "both wrong, alike": ~right & ~also & (first == second),
        "both wrong, each its own way": ~right & ~also & (first != second),
    }
    return {
        "samples": len(labels),
        "kinds": [
            {
                "name": name,
                "samples": int(of.sum()),
                "named": []
                if name == "both right"
                else [
                    [int(n), int(labels[n]), int(first[n]), int(second[n])]
                    for n in np.flatnonzero(of)[:MOST_SAMPLES]
                ],
            }
            for name, of in kinds.items()
        ],
    }
