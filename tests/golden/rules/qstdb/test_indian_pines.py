"""Indian Pines and CNN-3D: the data against the files, the geometry against Table 1 of ACE-SNN."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from spikeloop.golden.data.indian_pines import load_indian_pines
from spikeloop.golden.data.patches import UNIT
from spikeloop.golden.rules.qstdb.indian_pines import cnn3d
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
