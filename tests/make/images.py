"""A tiny stand-in for MNIST: four IDX files of 4 x 4 images.

The images of class 0 are bright above, those of class 1 below.
"""

import gzip
from pathlib import Path

import numpy as np

__all__ = ["write_images"]


def write_images(folder: Path, *, gzipped: bool = False) -> Path:
    """Write 400 training and 40 test images into ``folder``, the same ones every time."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 400), ("t10k", 40)):
        labels = (np.arange(count) % 2).astype(np.uint8)
        pixels = rng.integers(0, 60, (count, 4, 4))
        pixels[labels == 0, :2] += 190
        pixels[labels == 1, 2:] += 190
        for name, array in (
            (f"{part}-images-idx3-ubyte", pixels.astype(np.uint8)),
            (f"{part}-labels-idx1-ubyte", labels),
        ):
            shape = b"".join(n.to_bytes(4, "big") for n in array.shape)
            data = bytes([0, 0, 8, array.ndim]) + shape + array.tobytes()
            if gzipped:
                (folder / f"{name}.gz").write_bytes(gzip.compress(data))
            else:
                (folder / name).write_bytes(data)
    return folder
