"""The study of ACE-SNN's Table 2: its scores against scikit-learn, its rows and its files."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.rules.qstdb import train as qstdb_train
from spikeloop.golden.rules.qstdb.satellite import small_cnn3d
from spikeloop.golden.rules.qstdb.study import scores, study
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
