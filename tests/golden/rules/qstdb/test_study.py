"""The study of ACE-SNN's Table 2: its scores against scikit-learn, its rows and its files."""

import argparse
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.flow.pretrained import load
from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.reference import integer
from spikeloop.golden.rules.qstdb import train as qstdb_train
from spikeloop.golden.rules.qstdb.integer import run_integers
from spikeloop.golden.rules.qstdb.net import QstdbNet
from spikeloop.golden.rules.qstdb.satellite import small_cnn3d
from spikeloop.golden.rules.qstdb.study import scores, study, study_command
from spikeloop.golden.rules.qstdb.train import QstdbConfig
from spikeloop.pysim.common.errors import InputError


@pytest.mark.parametrize("seed", range(5))
def test_scores(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    labels, classes = rng.integers(0, 7, (2, 300))
    classes = np.where(rng.random(300) < 0.8, labels, classes)
    found = scores(classes, labels)
    assert math.isclose(found["OA"], metrics.accuracy_score(labels, classes))
    assert math.isclose(found["AA"], metrics.balanced_accuracy_score(labels, classes))
    assert math.isclose(found["kappa"], metrics.cohen_kappa_score(labels, classes))


def test_the_study_makes_every_row_and_trains_nothing_twice(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    patches, labels = rng.integers(-128, 128, (4, 3 * 3 * 4)).astype(np.int8), np.arange(4)
    data = Dataset(
        source="noise",
        train_images=patches[:2],
        train_labels=labels[:2],
        test_images=patches[2:],
        test_labels=labels[2:],
    )
    config = QstdbConfig(ann_epochs=1, ann_lr=0.01, epochs=1, lr=5e-4, batch=2, shift=0)
    monkeypatch.setattr(qstdb_train, "CONVERSION_STEPS", 10)
    found = study(tmp_path, small_cnn3d(), config, config, data)
    assert json.loads((tmp_path / "results.json").read_text()) == found
    rows = {
        f"{bits} bits, {form}"
        for bits in (6, 5, 4)
        for form in ("affine", "scale", "shift", "integer")
    }
    rows |= {"ann", "32 bits, float", "converted, 5 steps", "converted, 50 steps, every 5th patch"}
    assert rows == set(found) - {"training", "dataset", "test"} and all(
        "kappa" in found[row] for row in rows
    )
    assert not list(tmp_path.glob("*.training*"))
    monkeypatch.setattr(qstdb_train, "fit", None)
    assert study(tmp_path, small_cnn3d(), config, config, data) == found
    with pytest.raises(InputError, match="of this training"):
        study(tmp_path, small_cnn3d(), replace(config, seed=1), config, data)
    for damaged in ("{", "[]"):
        (tmp_path / "results.json").write_text(damaged)
        with pytest.raises(InputError, match="damaged"):
            study(tmp_path, small_cnn3d(), config, config, data)


def test_the_command_writes_the_net_of_6_bits_as_those_that_are_kept(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    patches, labels = rng.integers(-128, 128, (4, 3 * 3 * 4)).astype(np.int8), np.arange(4)
    patches[:, ::2] = -1 - np.abs(patches[:, ::2] // 2)  # half of them are below 0
    data = Dataset(
        source="indian-pines-seed3",
        train_images=patches,
        train_labels=labels,
        test_images=patches,
        test_labels=labels,
    )
    monkeypatch.setattr(qstdb_train, "CONVERSION_STEPS", 10)
    path = tmp_path / "net.safetensors"
    words = ["--ann-epochs", "1", "--epochs", "1", "--few-bit-epochs", "1", "--seed", "3"]
    monkeypatch.setattr(sys, "argv", ["indian_pines.py", "--out", str(path), *words])
    study_command(argparse.ArgumentParser(), small_cnn3d(), lambda given: data, 2, "indian_pines")
    results = json.loads((tmp_path / "net.safetensors.study" / "results.json").read_text())
    net = load("net", path)
    assert net.command == ["spikeloop.golden.rules.qstdb.indian_pines", *words]
    assert net.accuracy == {
        "float": results["6 bits, affine"]["OA"],
        "integer": results["6 bits, integer"]["OA"],
    }
    assert net.load_data is not None and net.load_data.args == (3,)
    # the stimulus and the network are those of the integers
    trace = integer.run(net.network, net.stimulus(data).dense(net.network))
    outputs, _ = run_integers(QstdbNet.load(path), patches)
    assert np.array_equal(trace.membranes["fc"][:, -1], outputs)
    assert np.mean(outputs.argmax(1) == labels) == net.accuracy["integer"]


def test_the_command_asks_for_a_folder_or_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["indian_pines.py"])
    with pytest.raises(SystemExit, match="2"):
        study_command(
            argparse.ArgumentParser(), small_cnn3d(), lambda given: None, 2, "indian_pines"
        )
