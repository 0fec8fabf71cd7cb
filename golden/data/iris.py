"""Iris flowers (Fisher 1936): 150 flowers, 4 lengths each, 3 species of 50. Ships with mlxtend.

mlxtend has the file of the UCI repository, in which two flowers differ from Fisher's table. They
are corrected here, as scikit-learn does.
"""

import importlib.util
import zlib
from pathlib import Path

import numpy as np

from spikeloop.pysim.common.errors import InputError

__all__ = ["FOLDS", "folds", "load_iris"]

FOLDS = 5
CORRECTED = {34: (4.9, 3.1, 1.5, 0.2), 37: (4.9, 3.6, 1.4, 0.1)}


def load_iris() -> tuple[np.ndarray, np.ndarray]:
    """Lengths in cm, float64 ``[150, 4]``, and species 0..2, int64 ``[150]``.

    InputError if mlxtend or its file is missing or damaged.
    """
    spec = importlib.util.find_spec("mlxtend")  # read directly: importing it imports pandas
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "package mlxtend, which carries the iris flowers, is missing: pip install mlxtend"
        )
    path = Path(spec.submodule_search_locations[0], "data", "data", "iris.csv.gz")
    try:
        table = np.loadtxt(path, delimiter=",")
        lengths, species = table[:, :4].copy(), table[:, 4].astype(np.int64)
    except (OSError, ValueError, IndexError, EOFError, zlib.error) as error:
        raise InputError(
            f"iris flowers must be readable, not {str(path)!r} ({error}): install mlxtend again"
        ) from None
    for row, values in CORRECTED.items():
        lengths[row] = values
    return lengths, species


def folds(species: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The group 0..4 of each flower, 10 of each species in a group: int64 ``[150]``."""
    groups = np.zeros(len(species), np.int64)
    for kind in np.unique(species):
        members = rng.permutation(np.flatnonzero(species == kind))
        groups[members] = np.arange(len(members)) * FOLDS // len(members)
    return groups
