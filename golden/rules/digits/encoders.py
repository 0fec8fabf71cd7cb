"""Images as Poisson trains: pixel p spikes in a tick of 1 ms with (p / 4 + lift p / 255) / 1000.

Random numbers are keyed by seed, number of the image and attempt. So layers of reals and of
integers see the same spikes, whatever they saw before. Source: Diehl & Cook 2015 (rates, lifted by
32 Hz until the layer answers).
"""

import numpy as np

__all__ = ["poisson"]

HERTZ = 1 / 4
"""Rate of a pixel of value 1."""


def poisson(
    image: np.ndarray, ticks: int, key: tuple[int, int, int], lift: float = 0.0
) -> np.ndarray:
    """Spikes uint8 0/1 ``[tick, pixel]`` of an image uint8 ``[pixel]``.

    key: seed, number of the image, attempt. lift: what is added to the rate of pixel 255, in Hz.
    """
    rng, lit = np.random.default_rng(key), np.flatnonzero(image)
    rates = image[lit] * (HERTZ + lift / 255) / 1000
    spikes = np.zeros((ticks, len(image)), np.uint8)
    spikes[:, lit] = rng.random((ticks, len(lit)), np.float32) < rates
    return spikes
