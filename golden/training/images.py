"""The training images of one update: moved or turned at random, and encoded as spikes."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.data.encoders import Encoder
from spikeloop.pysim.common.errors import InputError

__all__ = ["about", "shifted", "check_shift", "drawn", "reseeded", "warped"]


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


def warped(
    images: np.ndarray,
    rng: np.random.Generator,
    *,
    degrees: float,
    move: float,
    scale: tuple[float, float],
) -> np.ndarray:
    """Each square image ``[n, pixels]`` turned and scaled about its middle, then moved, at random.

    degrees: most that it turns, to either side.
    move:    most that it moves along either axis, as a share of its side.
    scale:   least and most.
    Values between pixels are those of bilinear interpolation, rounded.
    """
    count, side = len(images), math.isqrt(images.shape[1])
    angle = np.radians(rng.uniform(-degrees, degrees, count))
    size = rng.uniform(*scale, count)
    back = np.zeros((count, 2, 3))  # where a place of the result lies in the image; its side is 2
    back[:, 0, 0] = back[:, 1, 1] = np.cos(angle) / size
    back[:, 0, 1], back[:, 1, 0] = -np.sin(angle) / size, np.sin(angle) / size
    by = rng.uniform(-2 * move, 2 * move, (count, 2, 1))
    back[:, :, 2:] = -back[:, :, :2] @ by
    maps = torch.from_numpy(images.reshape(count, 1, side, side)).float()
    grid = F.affine_grid(torch.from_numpy(back).float(), list(maps.shape), align_corners=False)
    seen = F.grid_sample(maps, grid, align_corners=False).round()
    return seen.to(torch.uint8).numpy().reshape(count, -1)


def check_shift(shift: int, pixels: int) -> None:
    """InputError for a shift of images that are not square."""
    if shift and math.isqrt(pixels) ** 2 != pixels:
        raise InputError(
            f"shift of the training must be 0 for images of {pixels} pixels, which are not square, "
            f"not {shift}"
        )


def reseeded(encoder: Encoder, rng: np.random.Generator) -> Encoder:
    """The encoder with a seed drawn anew."""
    return replace(encoder, seed=int(rng.integers(1 << 62)))


def drawn(encoder: Encoder, images: np.ndarray, shift: int, rng: np.random.Generator) -> np.ndarray:
    """Spikes ``[n, step, line]`` of the images of one update, each moved at random.

    Rate encoding draws anew in every update.
    """
    encoder = reseeded(encoder, rng)
    return encoder(shifted(images, shift, rng))
