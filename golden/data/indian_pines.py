"""Indian Pines: the hyperspectral image that ships with tensorly.

AVIRIS, 145 x 145 pixels, 200 bands, 16 classes. Every labelled pixel becomes a patch of 5 x 5
pixels around it, with all bands. Outside the image there are zeros, the mean. As in ACE-SNN (Datta
et al. 2022, sections 6.1, 6.2) each band is normalised to mean 0 and variance 1, and 40 % of the
samples, drawn at random, train. Pixels are rounded to 8 bits (golden/data/patches.py).

The patches of neighbours overlap: as in the paper, a random split lets the net see test pixels in
training.
"""

import importlib.util
from pathlib import Path

import numpy as np

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.data.patches import rounded
from spikeloop.pysim.common.errors import InputError

__all__ = ["BANDS", "PATCH", "load_indian_pines"]

PATCH, BANDS = 5, 200
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
    pixels = rounded((flat - flat.mean(0)) / flat.std(0)).reshape(cube.shape)
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
