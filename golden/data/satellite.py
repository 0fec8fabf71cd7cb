"""Satellite (Statlog): patches of a Landsat image, from the file of the R package mlbench.

6,435 patches of 3 x 3 pixels with four bands; the class is the ground of the middle one, of six
kinds. The first 4,435 patches train, the other 2,000 test, as in Statlog. Patches are in no order,
but they overlap, so that a net sees some test pixels in training. Each band is normalised by the
mean and the deviation of the training patches.

The file, Satellite.rda, lies in Debian's package r-cran-mlbench. The package rdata reads it without
R.
"""

import importlib.util
import lzma
from pathlib import Path

import numpy as np

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.data.patches import rounded
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.reading import read_file

__all__ = ["BANDS", "CLASSES", "PATCH", "SATELLITE", "load_satellite"]

SATELLITE = Path("/usr/lib/R/site-library/mlbench/data/Satellite.rda")
ADVICE = "take Satellite.rda out of Debian's package r-cran-mlbench"
PATCH, BANDS, CLASSES = 3, 4, 6
ROWS, TRAIN = 6435, 4435
MOST = 1 << 23  # bytes of the file, and of what is packed in it
HEADERS = (b"RDX2\nX\n", b"RDX3\nX\n")


def load_satellite(path: Path = SATELLITE) -> Dataset:
    """Patches int8 ``[n, 3 * 3 * 4]`` (row, column, band): 4,435 to train and 2,000 to test.

    InputError if rdata or the file is missing, or if the file is not this data set.
    """
    if importlib.util.find_spec("rdata") is None:
        raise InputError(
            "package rdata, which reads Satellite, is missing: pip install -e '.[satellite]' in a "
            "checkout"
        )
    what = f"Satellite {str(path)!r}"
    packed = read_file(path, "Satellite", ADVICE, most=MOST)
    try:
        values, labels = _table(packed)
    except Exception as error:  # whatever lzma and rdata raise for another or a damaged file
        raise InputError(
            f"{what} must be the file of mlbench, not damaged or another one "
            f"({type(error).__name__}): {ADVICE}"
        ) from None
    whole = (values >= 0) & (values <= 255) & (values == np.rint(values))
    if values.shape != (ROWS, PATCH**2 * BANDS) or set(labels) != set(range(CLASSES)):
        raise InputError(f"{what} must have {ROWS} rows of {CLASSES} classes: {ADVICE}")
    pixels = values.reshape(ROWS, PATCH**2, BANDS)
    seen = pixels[:TRAIN].reshape(-1, BANDS)
    if not whole.all() or not seen.std(0).all():
        raise InputError(f"{what} must have pixels in 0..255 in {BANDS} bands: {ADVICE}")
    patches = rounded((pixels - seen.mean(0)) / seen.std(0)).reshape(ROWS, -1)
    return Dataset(
        source="satellite",
        train_images=patches[:TRAIN],
        train_labels=labels[:TRAIN],
        test_images=patches[TRAIN:],
        test_labels=labels[TRAIN:],
    )


def _table(packed: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Values and classes in a file's bytes; any exception for other bytes."""
    import rdata

    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ)
    data = unpacker.decompress(packed, MOST)
    if not unpacker.eof or unpacker.unused_data or not data.startswith(HEADERS):
        raise ValueError("no R data packed by xz")  # rdata would unpack what is packed twice
    parsed = rdata.parser.parse_data(data, expand_altrep=False)
    table = rdata.conversion.convert(parsed, default_encoding="ascii")["Satellite"]
    names = [f"x.{i}" for i in range(1, PATCH**2 * BANDS + 1)]
    return table[names].to_numpy(np.float64), table["classes"].cat.codes.to_numpy(np.int64)
