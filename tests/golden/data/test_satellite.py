"""Satellite: its file against what was written, and what is refused."""

import gzip
import importlib.util
import lzma
from pathlib import Path

import numpy as np
import pytest

from spikeloop.golden.data.patches import UNIT
from spikeloop.golden.data.satellite import SATELLITE, load_satellite
from spikeloop.pysim.common.errors import InputError
from tests.make.qstdb_nets import write_satellite

needs_rdata = pytest.mark.skipif(
    importlib.util.find_spec("rdata") is None,
    reason="rdata is not installed: pip install -e '.[satellite]'",
)


@needs_rdata
def test_patches_are_the_files(tmp_path: Path, rng: np.random.Generator) -> None:
    values, labels = rng.integers(20, 160, (6435, 36)), rng.integers(0, 6, 6435)
    data = load_satellite(write_satellite(tmp_path / "Satellite.rda", values, labels))
    assert (len(data.train_labels), len(data.test_labels)) == (4435, 2000)
    np.testing.assert_array_equal(np.concatenate([data.train_labels, data.test_labels]), labels)
    for band in range(4):
        seen = values[:4435, band::4]  # a pixel's four bands come together
        wanted = np.rint((values[:, band::4] - seen.mean()) / seen.std() * UNIT)
        found = np.concatenate([data.train_images, data.test_images])[:, band::4]
        np.testing.assert_array_equal(found, wanted.clip(-128, 127))


@needs_rdata
@pytest.mark.skipif(not SATELLITE.exists(), reason=f"{SATELLITE} (r-cran-mlbench) is missing")
def test_the_file_of_mlbench() -> None:
    data = load_satellite()
    assert np.bincount(data.test_labels).tolist() == [461, 224, 397, 211, 237, 470]


DAMAGES = {
    "cut": lambda data: data[:2000],
    "footer": lambda data: data[:-12],
    "junk": lambda data: data + b"x" * 100,
    "text": lambda data: b"x.1 x.2",
    "another packing": lambda data: gzip.compress(lzma.decompress(data)),
    "packed twice": lambda data: lzma.compress(gzip.compress(lzma.decompress(data))),
    "older format": lambda data: lzma.compress(lzma.decompress(data), lzma.FORMAT_ALONE),
    "bomb": lambda data: lzma.compress(lzma.decompress(data)[:7] + bytes(1 << 24)),
}


@needs_rdata
@pytest.mark.parametrize("damage", [*DAMAGES, "no file"])
def test_other_files_are_refused(damage: str, tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "Satellite.rda"
    if damage != "no file":
        write_satellite(path, rng.integers(20, 160, (6435, 36)), rng.integers(0, 6, 6435))
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(InputError, match=r"Satellite .*mlbench"):
        load_satellite(path)


@needs_rdata
@pytest.mark.parametrize(
    "rows, classes, value, message",
    [
        (100, 6, 20.0, "6435 rows of 6 classes"),
        (6435, 5, 20.0, "6435 rows of 6 classes"),
        (6435, 6, 1e300, "pixels in 0..255"),
        (6435, 6, 20.5, "pixels in 0..255"),
        (6435, 6, np.nan, "pixels in 0..255"),
        (6435, 6, None, "pixels in 0..255"),  # a band of one value
    ],
)
def test_other_tables_are_refused(
    rows: int,
    classes: int,
    value: float | None,
    message: str,
    tmp_path: Path,
    rng: np.random.Generator,
) -> None:
    values = rng.integers(20, 160, (rows, 36)).astype(float)
    values[0, 0] = value or 20
    if value is None:
        values[:, ::4] = 20
    path = write_satellite(tmp_path / "Satellite.rda", values, rng.integers(0, classes, rows))
    with pytest.raises(InputError, match=message):
        load_satellite(path)


def test_a_missing_reader_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="package rdata, which reads Satellite, is missing"):
        load_satellite()
