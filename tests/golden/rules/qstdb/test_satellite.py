"""Satellite: its file against what was written, its nets, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from spikeloop.golden.data.patches import UNIT
from spikeloop.golden.data.satellite import SATELLITE, load_satellite
from spikeloop.golden.rules.qstdb.satellite import small_cnn3d
from spikeloop.pysim.common.errors import InputError

rdata = pytest.importorskip("rdata", reason="rdata is missing: pip install -e '.[satellite]'")
KINDS = ["a", "b", "c", "d", "e", "f"]


def written(path: Path, values: np.ndarray, labels: np.ndarray) -> Path:
    """A file as mlbench's: a data frame of x.1, x.2, ... and a factor of classes, packed by xz."""
    import pandas as pd

    table = pd.DataFrame(values.astype(float), columns=[f"x.{i}" for i in range(1, 37)])
    table["classes"] = pd.Categorical.from_codes(labels, KINDS[: labels.max() + 1])
    rdata.write_rda(path, {"Satellite": table}, compression="xz")
    return path


def test_patches_are_the_files(tmp_path: Path, rng: np.random.Generator) -> None:
    values, labels = rng.integers(20, 160, (6435, 36)), rng.integers(0, 6, 6435)
    data = load_satellite(written(tmp_path / "Satellite.rda", values, labels))
    assert (len(data.train_labels), len(data.test_labels)) == (4435, 2000)
    np.testing.assert_array_equal(np.concatenate([data.train_labels, data.test_labels]), labels)
    for band in range(4):
        seen = values[:4435, band::4]  # a pixel's four bands come together
        wanted = np.rint((values[:, band::4] - seen.mean()) / seen.std() * UNIT)
        found = np.concatenate([data.train_images, data.test_images])[:, band::4]
        np.testing.assert_array_equal(found, wanted.clip(-128, 127))


@pytest.mark.skipif(not SATELLITE.exists(), reason=f"{SATELLITE} (r-cran-mlbench) is missing")
def test_the_file_of_mlbench() -> None:
    data = load_satellite()
    assert np.bincount(data.test_labels).tolist() == [461, 224, 397, 211, 237, 470]


def test_layers() -> None:
    assert [layer.target for layer in small_cnn3d()] == [
        (20, 2, 2, 4),
        (84, 1, 1, 4),
        (84, 1, 1, 4),
        (6,),
    ]


@pytest.mark.parametrize("damage", ["cut", "text", "rows", "classes", "no file"])
def test_other_files_are_refused(damage: str, tmp_path: Path, rng: np.random.Generator) -> None:
    rows, classes = 100 if damage == "rows" else 6435, 5 if damage == "classes" else 6
    path, labels = tmp_path / "Satellite.rda", rng.integers(0, classes, rows)
    if damage != "no file":
        written(path, rng.integers(20, 160, (rows, 36)), labels)
    if damage in ("cut", "text"):
        path.write_bytes(path.read_bytes()[:2000] if damage == "cut" else b"x.1 x.2")
    with pytest.raises(InputError, match=r"Satellite .*mlbench"):
        load_satellite(path)
