"""Coloured digits: MNIST as images of 24 x 24 pixels in red, green and blue.

The VGG-Net of Zou et al. 2021 is for colour images of that size, of which no package ships any.
These are made from MNIST, pixel by pixel, g its grey value, cut to the middle 24 x 24:

    out[c, y, x] = g ink[c] + (1 - g) page[c, y, x] + grain[c, y, x]

The page's colour runs from one of two dark random colours to the other, in a random direction. The
ink is a random colour that is brighter than both by DISTANCE, channels on average. Grain is normal,
of standard deviation GRAIN. All draws come from the image's own bytes, so an image
always looks the same, whatever stands beside it.
"""

import zlib
from dataclasses import replace

import numpy as np

from spikeloop.golden.data.datasets import Dataset
from spikeloop.pysim.common.errors import InputError

__all__ = ["SHAPE", "coloured", "coloured_data"]

SHAPE = (3, 24, 24)
SIDE, EDGE = 28, 2  # of an image of MNIST; what is cut off on each side
DISTANCE, GRAIN = 0.3, 0.08


def coloured(images: np.ndarray) -> np.ndarray:
    """Images uint8 ``[n, 784]`` in colour, uint8 ``[n, 1728]``: channel, row, column.

    InputError for images of another size.
    """
    if images.ndim != 2 or images.shape[1] != SIDE**2 or images.dtype != np.uint8:
        raise InputError(
            f"images to colour must be uint8 of shape (n, {SIDE**2}), not {images.dtype} of shape "
            f"{images.shape}"
        )
    result = np.empty((len(images), *SHAPE), np.uint8)
    for image, out in zip(images, result, strict=True):
        rng = np.random.default_rng(zlib.crc32(image.tobytes()))
        grey = image.reshape(SIDE, SIDE)[EDGE:-EDGE, EDGE:-EDGE] / 255
        ends, angle = rng.random((2, 3)) / 2, rng.random() * 2 * np.pi
        ink = rng.random(3)
        while ink.mean() < ends.mean(1).max() + DISTANCE:
            ink = rng.random(3)
        y, x = np.mgrid[-1 : 1 : SHAPE[1] * 1j, -1 : 1 : SHAPE[2] * 1j]
        along = (y * np.sin(angle) + x * np.cos(angle)) / (2 * np.sqrt(2)) + 0.5
        page = ends[0][:, None, None] * along + ends[1][:, None, None] * (1 - along)
        mixed = grey * ink[:, None, None] + (1 - grey) * page
        mixed += rng.normal(0, GRAIN, SHAPE)
        out[:] = np.clip(mixed * 255, 0, 255).round()
    return result.reshape(len(images), -1)


def coloured_data(data: Dataset) -> Dataset:
    """``data`` in colour. Its source says so, as a net of these images fits no others."""
    return replace(
        data,
        source=f"{data.source}-coloured",
        train_images=coloured(data.train_images),
        test_images=coloured(data.test_images),
    )
