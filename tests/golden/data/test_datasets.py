"""The embedded images and the IDX files: what is read, how it is split, and what is refused."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from spikeloop.golden.data.datasets import check_scoring, held_out, load_mnist, read_idx
from spikeloop.pysim.common.errors import InputError

SIZES = {"train": 12, "t10k": 5}


def write_idx(path: Path, array: np.ndarray, *, packed: bool = False) -> None:
    data = (
        struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        + array.astype(np.uint8).tobytes()
    )
    path.write_bytes(gzip.compress(data) if packed else data)


@pytest.fixture(params=[False, True], ids=["plain", "gzip"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    rng = np.random.default_rng(0)
    ending = ".gz" if request.param else ""
    for part, count in SIZES.items():
        write_idx(
            tmp_path / f"{part}-images-idx3-ubyte{ending}",
            rng.integers(0, 256, (count, 4, 3)),
            packed=request.param,
        )
        write_idx(
            tmp_path / f"{part}-labels-idx1-ubyte{ending}",
            np.arange(count) % 10,
            packed=request.param,
        )
    return tmp_path


def test_embedded_split_is_stratified_and_disjoint():
    data = load_mnist()
    assert (data.train_images.shape, data.test_images.shape) == ((4000, 784), (1000, 784))
    assert data.train_images.dtype == np.uint8 and data.train_labels.dtype == np.int64
    assert (np.bincount(data.train_labels) == 400).all() and (
        np.bincount(data.test_labels) == 100
    ).all()
    assert not {x.tobytes() for x in data.train_images} & {x.tobytes() for x in data.test_images}
    assert len(set(data.test_labels[:50].tolist())) == 10  # shuffled: a prefix holds every class
    assert (data.pixels, data.classes) == (784, 10)


def test_embedded_split_follows_its_seed():
    one, same, other = load_mnist(seed=3), load_mnist(seed=3), load_mnist(seed=4)
    assert one.source == same.source and np.array_equal(one.test_images, same.test_images)
    assert one.source != other.source and not np.array_equal(one.test_images, other.test_images)


def test_held_out_images_are_the_last_of_the_training_and_not_trained_on():
    data = load_mnist()
    chosen = held_out(data, 500)
    assert np.array_equal(np.r_[chosen.train_images, chosen.test_images], data.train_images)
    assert np.array_equal(np.r_[chosen.train_labels, chosen.test_labels], data.train_labels)
    assert len(chosen.test_labels) == len(chosen.test_images) == 500
    assert chosen.source == f"{data.source}-held-out-500"
    for count in (0, 4000):
        with pytest.raises(
            InputError, match=rf"images held out of the training must be in 1\.\.3999, not {count}"
        ):
            held_out(data, count)


def test_idx_folder(folder: Path):
    data = load_mnist(folder)
    assert (data.train_images.shape, data.test_images.shape) == ((12, 12), (5, 12))
    assert data.test_labels.tolist() == [0, 1, 2, 3, 4]
    rng = np.random.default_rng(0)
    assert np.array_equal(data.train_images, rng.integers(0, 256, (12, 4, 3)).reshape(12, 12))
    assert data.source == load_mnist(folder).source


def test_source_names_the_images(folder: Path):
    before = load_mnist(folder).source
    ending = ".gz" if (folder / "t10k-images-idx3-ubyte.gz").exists() else ""
    write_idx(folder / f"t10k-images-idx3-ubyte{ending}", np.zeros((5, 4, 3)), packed=bool(ending))
    assert load_mnist(folder).source != before


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda d: d[:-1], r"must be 76 bytes long for shape \(5, 4, 3\), not 75"),
        (lambda d: d + b"x", r"must be 76 bytes long .*, not 77"),
        (lambda d: d[:10], "must be at least 16 bytes long, not 10"),
        (lambda d: b"", "must begin with 00000803 .*, not nothing"),
        (lambda d: b"\0\0\x08\x01" + d[4:], "must begin with 00000803 .*, not 00000801"),
        (lambda d: b"\x80\x04K\x01." + d, "must begin with 00000803 .*, not 80044b01"),
        (lambda d: gzip.compress(d)[:-9], "is damaged .gzip.: copy it again"),
        (lambda d: b"\x1f\x8b" + d, "is damaged .gzip.: copy it again"),
    ],
)
def test_damaged_idx_is_refused(tmp_path: Path, spoil, message: str):
    path = tmp_path / "images"
    write_idx(path, np.zeros((5, 4, 3)))
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(InputError, match=message):
        read_idx(path, 3)


def test_missing_parts_are_refused(folder: Path, tmp_path: Path):
    with pytest.raises(InputError, match="must be a folder with the four MNIST IDX files, not "):
        load_mnist(tmp_path / "nowhere")
    victim = next(folder.glob("t10k-labels*"))
    kept = victim.read_bytes()
    victim.unlink()
    with pytest.raises(
        InputError,
        match=r"must hold t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz, not neither",
    ):
        load_mnist(folder)
    victim.write_bytes(kept)
    write_idx(folder / victim.name.removesuffix(".gz"), np.arange(4))
    with pytest.raises(InputError, match="must have one label for each image, not 4 for 5"):
        load_mnist(folder)


def test_seen_images_are_never_scored(folder: Path):
    embedded, full = load_mnist(), load_mnist(folder)
    check_scoring(embedded.source, embedded)
    check_scoring(full.source, full)
    check_scoring(embedded.source, full)  # MNIST's test set is unseen by all
    for trained in (full.source, load_mnist(seed=1).source):
        with pytest.raises(InputError, match="must be trained on 'mnist-embedded-seed0', not on"):
            check_scoring(trained, embedded)


def test_full_set_holds_the_embedded_images_in_its_training_set(shared_data: Path):
    full, embedded = load_mnist(shared_data / "mnist"), load_mnist()
    assert (len(full.train_labels), len(full.test_labels), full.pixels) == (60_000, 10_000, 784)
    seen = {x.tobytes() for x in full.train_images}
    assert all(x.tobytes() in seen for x in embedded.test_images)
