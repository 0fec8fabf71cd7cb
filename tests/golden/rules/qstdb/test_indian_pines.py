"""Indian Pines and CNN-3D: the data against the files, the geometry against Table 1 of ACE-SNN, the
scores against scikit-learn."""

import importlib.util
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.data.indian_pines import UNIT, load_indian_pines, turned
from spikeloop.golden.rules.qstdb import train as qstdb_train
from spikeloop.golden.rules.qstdb.indian_pines import cnn3d, scores, study
from spikeloop.golden.rules.qstdb.train import QstdbConfig
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.window import PimWindow

needs_tensorly = pytest.mark.skipif(
    importlib.util.find_spec("tensorly") is None,
    reason="tensorly is not installed: pip install -e '.[indian-pines]'",
)

TABLE1 = (  # size of the input, filters, size of the output: (height, width, depth, channels)
    ((5, 5, 200, 1), 20, (3, 3, 198, 20)),
    ((3, 3, 198, 20), 40, (3, 3, 99, 40)),
    ((3, 3, 99, 40), 84, (1, 1, 99, 84)),
    ((1, 1, 99, 84), 84, (1, 1, 50, 84)),
    ((1, 1, 50, 84), 84, (1, 1, 50, 84)),
    ((1, 1, 50, 84), 84, (1, 1, 26, 84)),
)


def test_cnn3d_is_table_1() -> None:
    *body, last = cnn3d()
    for layer, (source, filters, target) in zip(body, TABLE1, strict=True):
        assert (*layer.window.source[1:], layer.window.source[0]) == source
        assert layer.channels == filters
        assert (*layer.target[1:], layer.target[0]) == target
    assert last.window.source == (84 * 26,) and last.target == (16,)


def test_cnn_32h_is_table_1() -> None:
    """Its geometry alone; "(59,21,128)" is a misprint of (5,21,128), as the 13,440 inputs of the
    linear layer show."""
    first = PimWindow.make((1, 3, 3, 200), (3, 3, 18), stride=(1, 1, 7))
    assert first.target == (1, 1, 27)
    second = PimWindow.make((1, 27, 90), (3, 3))
    third = PimWindow.make((64, *second.target), (3, 3))
    pooled = PimWindow.make((128, *third.target), (4, 4), stride=4)
    assert (second.target, third.target, pooled.target) == ((25, 88), (23, 86), (5, 21))
    features = 128 * pooled.positions
    assert (features, features * 512) == (13_440, 6_881_280)


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


@needs_tensorly
def test_patches() -> None:
    data = load_indian_pines(3)
    spec = importlib.util.find_spec("tensorly")
    assert spec is not None and spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0], "datasets", "data")
    cube, truth = (
        np.load(folder / "Indian_pines_corrected.npy").astype(float),
        np.load(folder / "Indian_pines_gt.npy"),
    )
    assert cube.shape == (145, 145, 200) and (len(data.train_labels), len(data.test_labels)) == (
        4_099,
        6_150,
    )
    labels = np.concatenate([data.train_labels, data.test_labels])
    assert np.array_equal(np.bincount(labels), np.bincount(truth.ravel())[1:])
    patches = np.concatenate([data.train_images, data.test_images]).reshape(-1, 5, 5, 200)
    normal = (cube - cube.mean((0, 1))) / cube.std((0, 1))
    centres = np.clip(np.round(normal[truth > 0] * UNIT), -128, 127)
    order = np.lexsort(centres.T), np.lexsort(patches[:, 2, 2].T)
    assert np.array_equal(centres[order[0]], patches[order[1], 2, 2])
    corner = next(
        patch
        for patch in patches
        if np.array_equal(patch[2, 2], np.clip(np.round(normal[0, 0] * UNIT), -128, 127))
    )
    assert (
        truth[0, 0] and not corner[:2].any() and not corner[:, :2].any()
    )  # the image's corner: zeros above and to the left
    assert np.array_equal(corner[3, 4], np.clip(np.round(normal[1, 2] * UNIT), -128, 127))
    assert np.array_equal(load_indian_pines(3).test_images, data.test_images)
    assert not np.array_equal(load_indian_pines(4).test_labels, data.test_labels)


def test_turned_patches_are_the_eight_symmetries(rng: np.random.Generator) -> None:
    patch = np.arange(5 * 5 * 3).reshape(5, 5, 3)
    made = turned(np.repeat(patch.reshape(1, -1), 400, 0), rng)
    want = {
        np.ascontiguousarray(np.rot90(p, turns)).tobytes()
        for p in (patch, patch[::-1])
        for turns in range(4)
    }
    assert {p.tobytes() for p in made} == want and len(want) == 8
    both = np.stack([patch.ravel(), -patch.ravel()])
    assert (np.sign(turned(both, rng).sum(1)) == [1, -1]).all()  # each stays in its place
    assert not np.array_equal(turned(made, rng), made)


@pytest.mark.slow
def test_the_study_makes_every_row_and_trains_nothing_twice(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    patches, labels = rng.integers(-128, 128, (4, 5 * 5 * 200)).astype(np.int8), np.arange(4)
    data = Dataset(
        source="noise",
        train_images=patches[:2],
        train_labels=labels[:2],
        test_images=patches[2:],
        test_labels=labels[2:],
    )
    config = QstdbConfig(ann_epochs=1, ann_lr=0.01, epochs=1, lr=5e-4, batch=2, shift=0)
    monkeypatch.setattr(qstdb_train, "CONVERSION_STEPS", 10)
    found = study(tmp_path, config, config, data)
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
    assert study(tmp_path, config, config, data) == found
    with pytest.raises(InputError, match="of this training"):
        study(tmp_path, replace(config, seed=1), config, data)
    for damaged in ("{", "[]"):
        (tmp_path / "results.json").write_text(damaged)
        with pytest.raises(InputError, match="damaged"):
            study(tmp_path, config, config, data)
