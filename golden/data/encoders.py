"""Encoders: from grey images to input spikes.

All take images uint8 ``[n, pixels]`` and return uint8 0/1 ``[n, steps, lines]``.

rate            Bernoulli coding. At every step a pixel of value x spikes with probability x / 255,
                independently. Pixel j drives input line j.
rank_order      One spike per pixel, higher values earlier (BPSR, Yan et al. 2022, section 3). The
                range ``threshold``..255 is cut into ``steps`` equal parts; the highest part spikes
                at step 0. A pixel below ``threshold`` never spikes. Pixel j drives input line j.
level_crossing  ON and OFF spikes of signals that change (BPSR's coding of ECG: two channels, four
                lines). An image is read column by column, one a step. Each row is a signal; row r
                of m drives lines r (ON) and m + r (OFF). ``threshold`` is the distance of two
                levels, which the paper does not print.
bit_planes      A constant current of the ``planes`` upper bits of the pixels. Line i pixels + j
                spikes in every step if bit i of pixel j is set; bit 0 is the lowest of them. This
                serves ECC (Wu, Yi & Huang 2022): the weights of plane i are 2^i times those of
                plane 0.
sequence        The image part after part. Its pixels are cut into ``steps`` equal parts; step k
                shows the bit planes of part k alone. As many steps as rows read row by row. As many
                as pixels are the sequential MNIST of BNTT (Kim & Panda 2021).
"""

import math
from dataclasses import dataclass

import numpy as np

from spikeloop.pysim.common.errors import InputError

__all__ = [
    "ENCODERS",
    "Encoder",
    "bit_planes",
    "grey",
    "level_crossing",
    "plane_weights",
    "rank_order",
    "rate",
]

CHUNK = 500  # images worked on at once; bounds memory and fixes the order of the random draws


def rate(images: np.ndarray, *, steps: int, seed: int) -> np.ndarray:
    """Bernoulli spikes from ``seed``; later images do not change the spikes of earlier ones."""
    rng = np.random.default_rng(seed)
    spikes = np.empty((len(images), steps, images.shape[1]), np.uint8)
    for at in range(0, len(images), CHUNK):
        part = spikes[at : at + CHUNK]
        # 0..254 < x has the probability x / 255 exactly: 0 never spikes and 255 always does
        np.less(
            rng.integers(0, 255, part.shape, np.uint8),
            images[at : at + CHUNK, None, :],
            out=part.view(np.bool_),
        )
    return spikes


def rank_order(images: np.ndarray, *, steps: int, threshold: int) -> np.ndarray:
    """One spike per pixel of at least ``threshold`` (1..255), brighter pixels earlier."""
    value = np.arange(256)
    due_step = (255 - value) * steps // (256 - threshold)
    when = np.where(value >= threshold, due_step, steps)  # step of each grey value; steps = never
    times = when.astype(np.min_scalar_type(steps))
    spikes = np.empty((len(images), steps, images.shape[1]), np.uint8)
    for at in range(0, len(images), CHUNK):
        due = times[images[at : at + CHUNK]]
        for step in range(steps):
            spikes[at : at + CHUNK, step] = due == step
    return spikes


def level_crossing(signals: np.ndarray, *, level: int) -> np.ndarray:
    """ON, then OFF spikes of signals uint8 ``[n, steps, channels]``: ``[n, steps, 2 channels]``.

    The ON lines come first. A channel remembers the level that it crossed last, a multiple of
    ``level``, at first 0. It spikes ON where the signal has reached a higher level, and OFF where
    it has fallen to a lower one. Several levels crossed in one step make one spike.
    """
    spikes = np.empty((*signals.shape[:2], 2, signals.shape[2]), np.uint8)
    last = np.zeros((len(signals), signals.shape[2]), np.int64)  # level crossed last
    for step in range(signals.shape[1]):
        above, below = signals[:, step] // level, -(-signals[:, step].astype(np.int64) // level)
        spikes[:, step, 0], spikes[:, step, 1] = above > last, below < last
        last = np.maximum(above, np.minimum(below, last))
    return spikes.reshape(*signals.shape[:2], -1)


def bit_planes(images: np.ndarray, planes: int) -> np.ndarray:
    """The ``planes`` upper bits (1..8) of each pixel, uint8 0/1 ``[n, planes, pixels]``.

    The lowest of them comes first.
    """
    return images[:, None] >> np.arange(8 - planes, 8, dtype=np.uint8)[:, None] & 1


def grey(images: np.ndarray, planes: int) -> np.ndarray:
    """The ``planes`` upper bits (1..8) of each pixel as a number in 0..1, float64."""
    return (images >> 8 - planes) / ((1 << planes) - 1)


def plane_weights(weights: np.ndarray, planes: int, axis: int) -> np.ndarray:
    """Integer weights of whole pixels as those of their bits, the lowest plane first.

    ``axis`` counts pixels or channels. A white pixel has its weight ``2 ** planes - 1`` times.
    """
    return np.concatenate([weights << i for i in range(planes)], axis)


ENCODERS = ("rank_order", "rate", "level_crossing", "bit_planes", "sequence")


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """A choice of encoder; calling it encodes.

    Every net's metadata hold the fields; ``Encoder(**fields)`` is the same encoder.

    steps:     T, steps of a sample, 1..65,536; with level_crossing the columns of the images,
               which are its side if they are square.
    threshold: lowest grey value that spikes (rank_order) or distance of two levels
               (level_crossing), 1..255.
    seed:      of the random draws (rate).
    planes:    bits of a pixel, 1..8 (bit_planes, sequence).
    """

    name: str = "rank_order"
    steps: int = 8
    threshold: int = 64
    seed: int = 0
    planes: int = 4

    def __post_init__(self) -> None:
        if self.name not in ENCODERS:
            raise InputError(f"encoder must be one of {', '.join(ENCODERS)}, not {self.name!r}")
        for key, low, high in (
            ("steps", 1, 1 << 16),
            ("threshold", 1, 255),
            ("seed", 0, (1 << 63) - 1),
            ("planes", 1, 8),
        ):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise InputError(f"{key} of the encoder must be in {low}..{high}, not {value!r}")

    @property
    def current_bits(self) -> int:
        """Bits of a pixel that is a constant current (bit_planes); 0 for other encoders."""
        return self.planes if self.name == "bit_planes" else 0

    def lines(self, pixels: int) -> int:
        """Number of input lines for images of ``pixels``; InputError if they do not fit."""
        if self.name == "bit_planes":
            return self.planes * pixels
        if self.name == "sequence":
            return self.planes * self._shown(pixels)
        if self.name != "level_crossing":
            return pixels
        if math.isqrt(pixels) ** 2 == pixels != self.steps**2:
            raise InputError(
                "steps of the encoder must be the side of the square images it reads by columns, "
                f"not {self.steps} for {pixels} pixels (square root {math.sqrt(pixels):g})"
            )
        return 2 * self._shown(pixels)

    def _shown(self, pixels: int) -> int:
        """Number of pixels that a step shows."""
        if pixels % self.steps:
            raise InputError(
                f"steps of the encoder must divide the {pixels} pixels that it reads in equal "
                f"parts, not be {self.steps}"
            )
        return pixels // self.steps

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The spikes uint8 ``[n, steps, lines]`` of images uint8 ``[n, pixels]``."""
        if images.dtype != np.uint8 or images.ndim != 2:
            raise InputError(
                f"images must be uint8 [image, pixel], not {images.dtype} of shape {images.shape}"
            )
        lines = self.lines(images.shape[1])
        if self.name == "rate":
            return rate(images, steps=self.steps, seed=self.seed)
        if self.name == "level_crossing":
            columns = images.reshape(len(images), -1, self.steps).transpose(0, 2, 1)
            return level_crossing(columns, level=self.threshold)
        if self.name == "bit_planes":
            bits = bit_planes(images, self.planes).reshape(len(images), 1, lines)
            return np.repeat(bits, self.steps, 1)
        if self.name == "sequence":
            shape = (len(images), self.planes, self.steps, lines // self.planes)
            parts = bit_planes(images, self.planes).reshape(shape).transpose(0, 2, 1, 3)
            return np.ascontiguousarray(parts).reshape(len(images), self.steps, lines)
        return rank_order(images, steps=self.steps, threshold=self.threshold)
