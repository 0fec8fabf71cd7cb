"""Two runs side by side: what the page says is what the two folders hold."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeloop.cosim.cli import main
from spikeloop.cosim.runs.beside import FILE, page_data
from spikeloop.cosim.runs.folder import Run
from tests.cosim.conftest import Small
from tests.cosim.runs.test_accessible import broken
from tests.cosim.runs.test_page import browser, page, runs

__all__ = ["browser", "page", "runs"]  # fixtures


def status(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments])
    return int(end.value.code or 0)


def test_figures_layers_and_answers(runs: dict[str, Path], small: Small) -> None:
    sides = [Run.load(runs[name]) for name in ("equal", "different")]
    data = page_data(*sides)
    figures = {name: rest for name, *rest in data["figures"]}
    assert figures["differences"] == ["0", str(sides[1][1]["different"]), "-"]
    one, other = (summary["cycles_predicted"] for _, summary in sides)
    assert one != other  # the wrong pysim spikes less
    assert figures["cycles predicted"] == [f"{one:,}", f"{other:,}", f"x {other / one:.3f}"]
    assert figures["accuracy, integer"][2] == "+0.00 points"
    for layer in data["layers"]:  # the first backend's, which is golden in both
        one, other = layer["runs"]
        assert one == other and one["spikes"] > 0
    labels = np.asarray(small.stimulus.labels)
    said = np.concatenate([chunk.answers[0] for chunk in sides[0][0].chunks])
    kinds = {kind["name"]: kind for kind in data["answers"]["kinds"]}
    assert sum(kind["samples"] for kind in kinds.values()) == len(labels)
    assert kinds["both right"]["samples"] == int((said == labels).sum())
    assert [n for n, *_ in kinds["both wrong, alike"]["named"]] == np.flatnonzero(
        said != labels
    ).tolist()
    assert {name for name, *_ in data["settings"]} <= {"date"}


def test_answers_of_other_labels_are_not_compared(runs: dict[str, Path]) -> None:
    first, (other, summary) = (Run.load(runs["equal"]) for _ in range(2))
    assert page_data(first, (other, summary))["answers"] is not None
    other.head["stimulus"] = "0" * 64
    other.chunks[:] = [replace(chunk, labels=chunk.labels[::-1]) for chunk in other.chunks]
    data = page_data(first, (other, summary))
    assert data["answers"] is None
    assert data["settings"] == [("stimulus, SHA-256", first[0].head["stimulus"], "0" * 64)]


def test_the_page(page: Any, runs: dict[str, Path], tmp_path: Path) -> None:
    assert status("report", runs["equal"], runs["different"], "--json") == 0
    file = runs["equal"] / FILE
    for colours in ("light", "dark"):
        page.goto(file.as_uri())
        page.select_option("#theme-choice", colours)
        assert not broken(page)
    assert "accuracy, integer" in page.inner_text("#figures")
    assert page.evaluate("Object.keys(charts)") == [
        f"steps-{layer['name']}" for layer in page_data(*map(Run.load, runs.values()))["layers"]
    ]


def test_bad_input(runs: dict[str, Path], tmp_path: Path, capsys: Any) -> None:
    assert status("report", runs["equal"], tmp_path) == 2
    assert "must be a folder that spikeloop compare or sim wrote" in capsys.readouterr().err
    edited = tmp_path / "edited"
    edited.mkdir()
    for name in ("journal.jsonl", "summary.json"):
        (edited / name).write_bytes((runs["equal"] / name).read_bytes())
    summary = json.loads((edited / "summary.json").read_text())
    summary["accuracy"] = 3
    (edited / "summary.json").write_text(json.dumps(summary))
    assert status("report", runs["equal"], edited, "-o", tmp_path / "page.html") == 2
    assert "must be as spikeloop wrote them" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()
