"""The training images of one update: moved at random and encoded as spikes."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.data.encoders import Encoder
from spikeloop.pysim.common.errors import InputError

__all__ = ["about", "shifted", "check_shift", "drawn"]


def about(data: Dataset) -> dict[str, Any]:
    """The entry ``dataset`` of a net's metadata: source and counts."""
    return {"source": data.source, "train": len(data.train_labels), "test": len(data.test_labels)}


def shifted(images: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Each image ``[n, pixels]`` moved at random by -most..most pixels along both axes.

    The images are square. Background moves in from the sides.
    """
    if not most:
        return images
    count, side = len(images), math.isqrt(images.shape[1])
    padded = np.pad(images.reshape(count, side, side), ((0, 0), (most, most), (most, most)))
    rows, columns = (rng.integers(0, 2 * most + 1, (count, 1)) + np.arange(side) for _ in range(2))
    return padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]].reshape(
        count, -1
    )


def check_shift(shift: int, pixels: int) -> None:
    """InputError for a shift of images that are not square."""
    if shift and math.isqrt(pixels) ** 2 != pixels:
        raise InputError(
            f"shift of the training must be 0 for images of {pixels} pixels, which are not square, "
            f"not {shift}"
        )


def drawn(encoder: Encoder, images: np.ndarray, shift: int, rng: np.random.Generator) -> np.ndarray:
    """Spikes ``[n, step, line]`` of the images of one update, each moved at random.

    Rate encoding draws anew in every update.
    """
    encoder = replace(encoder, seed=int(rng.integers(1 << 62)))
    return encoder(shifted(images, shift, rng))
