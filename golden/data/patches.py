"""Patches of multispectral images: their pixels as 8 bits, and their symmetries.

Normalised values are rounded to 8 bits in steps of 1/32, so that a net sees multi-bit pixels. The
paper of ACE-SNN (Datta et al. 2022) prints neither bits nor steps.
"""

import numpy as np

__all__ = ["UNIT", "mirrored", "rounded"]

UNIT = 32.0  # pixel value of one standard deviation; int8 thus reaches to almost 4 of them


def rounded(normal: np.ndarray) -> np.ndarray:
    """int8 of values of mean 0 and variance 1."""
    return np.clip(np.rint(normal * UNIT), -128, 127).astype(np.int8)


def mirrored(patches: np.ndarray, rng: np.random.Generator, side: int) -> np.ndarray:
    """Each patch ``[n, side * side * bands]`` in one of the 8 symmetries of the square, at random.

    No side of a field is up.
    """
    maps, drawn = patches.reshape(len(patches), side, side, -1), rng.integers(0, 8, len(patches))
    result = maps.copy()
    for symmetry in range(8):
        part = maps[drawn == symmetry]
        part = part[:, :: -1 if symmetry & 1 else 1, :: -1 if symmetry & 2 else 1]
        result[drawn == symmetry] = part.swapaxes(1, 2) if symmetry & 4 else part
    return result.reshape(patches.shape)
