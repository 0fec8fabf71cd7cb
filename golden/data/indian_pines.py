"""Indian Pines: the hyperspectral image that ships with tensorly.

AVIRIS, 145 x 145 pixels, 200 bands, 16 classes. Every labelled pixel becomes a patch of 5 x 5
pixels around it, with all bands. Outside the image there are zeros, the mean. As in ACE-SNN (Datta
et al. 2022, sections 6.1, 6.2) each band is normalised to mean 0 and variance 1, and 40 % of the
samples, drawn at random, train.

The normalised values are then rounded to 8 bits in steps of 1/32, so that the net sees multi-bit
pixels. The patches of neighbours overlap: as in the paper, a random split lets the net see test
pixels in training.
"""

import importlib.util
from pathlib import Path

import numpy as np

from spikeloop.golden.data.datasets import Dataset
from spikeloop.pysim.common.errors import InputError

__all__ = ["BANDS", "PATCH", "UNIT", "load_indian_pines", "turned"]

PATCH, BANDS, CLASSES = 5, 200, 16
UNIT = 32.0  # pixel value of one standard deviation; int8 thus reaches to almost 4 of them
TRAIN_SHARE = 0.4


def load_indian_pines(seed: int = 0) -> Dataset:
    """Patches int8 ``[n, 5 * 5 * 200]`` (row, column, band): 4,099 to train and 6,150 to test.

    seed: chooses the split.
    InputError if tensorly or its files are missing or damaged.
    """
    spec = importlib.util.find_spec("tensorly")  # read directly: importing it imports scipy
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "package tensorly, which carries Indian Pines, is missing: "
            "pip install -e '.[indian-pines]' in a checkout"
        )
    folder = Path(spec.submodule_search_locations[0], "datasets", "data")
    try:
        cube, truth = (np.load(folder / f"Indian_pines_{part}.npy") for part in ("corrected", "gt"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"Indian Pines must be readable in {str(folder)!r}, not missing or damaged ({error}): "
            "install tensorly again"
        ) from None
    flat = cube.reshape(-1, BANDS).astype(np.float64)
    normal = ((flat - flat.mean(0)) / flat.std(0)).reshape(cube.shape)
    pixels = np.clip(np.rint(normal * UNIT), -128, 127).astype(np.int8)
    reach = PATCH // 2
    padded = np.pad(pixels, ((reach, reach), (reach, reach), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (PATCH, PATCH), (0, 1))
    windows = windows.transpose(0, 1, 3, 4, 2)
    labelled = np.argwhere(truth > 0)
    order = np.random.default_rng(seed).permutation(len(labelled))
    where = tuple(labelled[order].T)
    patches = windows[where].reshape(len(order), -1)
    labels = truth[where].astype(np.int64) - 1
    cut = int(TRAIN_SHARE * len(order))
    return Dataset(
        source=f"indian-pines-seed{seed}",
        train_images=patches[:cut],
        train_labels=labels[:cut],
        test_images=patches[cut:],
        test_labels=labels[cut:],
    )


def turned(patches: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each patch ``[n, 5 * 5 * bands]`` in one of the 8 symmetries of the square, drawn at random.

    No side of a field is up.
    """
    maps, drawn = patches.reshape(len(patches), PATCH, PATCH, -1), rng.integers(0, 8, len(patches))
    result = maps.copy()
    for symmetry in range(8):
        part = maps[drawn == symmetry]
        part = part[:, :: -1 if symmetry & 1 else 1, :: -1 if symmetry & 2 else 1]
        result[drawn == symmetry] = part.swapaxes(1, 2) if symmetry & 4 else part
    return result.reshape(patches.shape)
