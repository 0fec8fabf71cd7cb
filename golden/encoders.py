"""From grey images to input spikes: Bernoulli rate coding and rank-order coding.

Both take images uint8 ``[n, pixels]`` and give uint8 0/1 ``[n, steps, pixels]``: pixel j drives input line j.

rate        at every step a pixel of value x spikes with probability x / 255, independently.
rank_order  higher values earlier, one spike per pixel (BPSR, Yan et al. 2022, section 3): the range ``threshold``..255 is cut into
            ``steps`` equal parts, the highest part spikes at step 0; a pixel below ``threshold`` never spikes.
"""

from dataclasses import dataclass

import numpy as np

from pysim.network import InputError

__all__ = ["ENCODERS", "Encoder", "rank_order", "rate"]

CHUNK = 500  # images worked on at once: bounds memory; also fixes the order of the random draws


def rate(images: np.ndarray, *, steps: int, seed: int) -> np.ndarray:
    """Bernoulli spikes: one seed, one result; the first images encode alike whether or not others follow."""
    rng = np.random.default_rng(seed)
    spikes = np.empty((len(images), steps, images.shape[1]), np.uint8)
    for at in range(0, len(images), CHUNK):
        part = spikes[at:at + CHUNK]
        # 0..254 < x has the probability x / 255 exactly: 0 never spikes and 255 always does
        np.less(rng.integers(0, 255, part.shape, np.uint8), images[at:at + CHUNK, None, :], out=part.view(np.bool_))
    return spikes


def rank_order(images: np.ndarray, *, steps: int, threshold: int) -> np.ndarray:
    """One spike per pixel of at least ``threshold`` (1..255), brighter pixels earlier."""
    grey = np.arange(256)
    when = np.where(grey >= threshold, (255 - grey) * steps // (256 - threshold), steps)  # step of each grey value; steps = never
    times = when.astype(np.min_scalar_type(steps))
    spikes = np.empty((len(images), steps, images.shape[1]), np.uint8)
    for at in range(0, len(images), CHUNK):
        due = times[images[at:at + CHUNK]]
        for step in range(steps):
            spikes[at:at + CHUNK, step] = due == step
    return spikes


ENCODERS = ("rank_order", "rate")


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """A choice of encoder; calling it encodes. Every net's metadata holds its fields: ``Encoder(**fields)`` is the same one.

    steps:     T, steps of one sample, 1..65,536
    threshold: lowest grey value that spikes, 1..255 (rank_order alone reads it)
    seed:      of the random draws (rate alone reads it)
    """

    name: str = "rank_order"
    steps: int = 8
    threshold: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if self.name not in ENCODERS:
            raise InputError(f"encoder must be one of {', '.join(ENCODERS)}, not {self.name!r}")
        for key, low, high in (("steps", 1, 1 << 16), ("threshold", 1, 255), ("seed", 0, (1 << 63) - 1)):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise InputError(f"{key} of the encoder must be in {low}..{high}, not {value!r}")

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 images ``[n, pixels]`` to uint8 spikes ``[n, steps, pixels]``."""
        if images.dtype != np.uint8 or images.ndim != 2:
            raise InputError(f"images must be uint8 [image, pixel], not {images.dtype} of shape {images.shape}")
        if self.name == "rate":
            return rate(images, steps=self.steps, seed=self.seed)
        return rank_order(images, steps=self.steps, threshold=self.threshold)
