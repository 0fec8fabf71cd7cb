"""pysim/traces: packing, checks, and files without pickles."""

import io
import os
import pickle
import time
import tracemalloc
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.traces import npz
from spikeloop.pysim.traces.expected import MEMBERS as expected_members
from spikeloop.pysim.traces.expected import Expected
from spikeloop.pysim.traces.stimulus import MEMBERS as stimulus_members
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import MEMBERS as trace_members
from spikeloop.pysim.traces.trace import Trace
from tests.make.small import network

KINDS = (Stimulus, Trace, Expected)
BYTES = {"spikes/x": np.zeros((1, 1, 1), np.uint8)}


def example(labels: bool = True) -> Stimulus:
    spikes = np.random.default_rng(0).integers(0, 2, (5, 4, 3), dtype=np.uint8)
    return Stimulus.pack({"x": spikes}, np.arange(5) if labels else None)


@pytest.mark.parametrize("labels", [True, False])
def test_stimulus_file(tmp_path: Path, labels: bool) -> None:
    stimulus = example(labels)
    again = Stimulus.load(stimulus.save(tmp_path / "s.npz"))
    again.check(network())
    np.testing.assert_array_equal(again.spikes["x"], stimulus.spikes["x"])
    assert (again.labels is None) == (not labels)
    assert again.take(slice(1, 3)).samples == 2


def test_trace_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    trace = Trace(
        {"a": rng.integers(0, 255, (2, 3, 1), np.uint8)},
        {"a": rng.integers(-9, 9, (2, 3, 5), np.int32)},
        {"cycles": rng.integers(0, 99, (2, 3))},
    )
    again = Trace.load(trace.save(tmp_path / "t.npz"))
    for part in ("spikes", "membranes", "counters"):
        for name, value in getattr(trace, part).items():
            np.testing.assert_array_equal(getattr(again, part)[name], value)
            assert getattr(again, part)[name].dtype == value.dtype
    twice = Trace.concatenate([trace, again])
    assert twice.membranes["a"].shape == (4, 3, 5)


@pytest.mark.parametrize("value", [2, -1, 0.5, float("nan")])
def test_not_binary(value: float) -> None:
    with pytest.raises(InputError, match="stimulus of input 'x' must be binary, not"):
        Stimulus.pack({"x": np.array([[[0, 1, value]]])})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Stimulus.pack({"x": np.zeros((4, 3))}),
            r"must be \[sample, step, line\], not of shape \(4, 3\)",
        ),
        (lambda: Stimulus({}, count=1).check(network()), "must hold exactly the inputs x"),
        (
            lambda: Stimulus({**example().spikes, "z": example().spikes["x"]}).check(network()),
            "must hold exactly the inputs x, not x, z",
        ),
        (
            lambda: Stimulus({"x": np.zeros((2, 3, 1), np.uint8)}).check(network()),
            r"must be of shape \(2, 4, 1\)",
        ),
        (
            lambda: Stimulus({"x": np.zeros((2, 4, 2), np.uint8)}).check(network()),
            r"must be of shape \(2, 4, 1\)",
        ),
        (
            lambda: Stimulus({"x": np.full((2, 4, 1), 255, np.uint8)}).check(network()),
            "padding bits of input 'x' must be 0",
        ),
        (
            lambda: Stimulus(example().spikes, np.arange(4)).check(network()),
            r"labels of the stimulus must be of shape \(5,\), not \(4,\)",
        ),
    ],
)
def test_wrong_shapes(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_hostile_files(tmp_path: Path) -> None:
    good = example().save(tmp_path / "good.npz").read_bytes()
    path = tmp_path / "bad.npz"
    for data in (
        b"",
        b"hello",
        pickle.dumps({"spikes/x": 1}),
        good[: len(good) // 2],
        good[:-1],
        b"\x89HDF\r\n\x1a\n" + bytes(99),
    ):
        path.write_bytes(data)
        for kind in KINDS:
            with pytest.raises(InputError, match=r"is damaged or no \.npz archive: write it again"):
                kind.load(path)
    np.savez(path, **{"spikes/x": np.array([{"a": 1}], dtype=object)})
    for kind in KINDS:
        with pytest.raises(InputError, match="'spikes/x' .* must be uint8, not object"):
            kind.load(path)
    np.savez(path, **{"spikes/x": np.zeros((1, 1, 1), np.int8)})
    for kind in KINDS:
        with pytest.raises(InputError, match="'spikes/x' .* must be uint8, not int8"):
            kind.load(path)
    np.savez(path, other=np.zeros(1))
    for kind in KINDS:
        with pytest.raises(InputError, match=r"must hold arrays spikes/NAME, .*, not 'other'"):
            kind.load(path)
    np.savez(path, **{"counters/luck": np.zeros(1)})
    with pytest.raises(InputError, match="not 'counters/luck'"):
        Trace.load(path)
    np.savez(path)
    with pytest.raises(InputError, match="must hold arrays spikes/NAME or pixels/NAME, not none"):
        Stimulus.load(path)
    with pytest.raises(InputError, match="must hold arrays spikes/NAME .*, not no spikes"):
        Expected.load(path)
    for kind, what in zip(KINDS, ("stimulus", "trace", "expected"), strict=True):
        with pytest.raises(InputError, match=f"{what} file .* is missing: "):
            kind.load(tmp_path / "none.npz")


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputError, match="must be a regular file, not a folder, pipe or dev"):
            Stimulus.load(path)
    with pytest.raises(InputError, match="must be readable, not .* \\(Is a directory\\)"):
        Stimulus.load(tmp_path)


def test_what_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sizes in the directory are summed; an entry that lies about its own is cut off there."""
    assert npz.MAX_BYTES == 1 << 30
    monkeypatch.setattr(npz, "MAX_BYTES", 1 << 26)  # smaller, so that the test is quick
    path, size = tmp_path / "bomb.npz", 1 << 27
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("spikes/x.npy", bytes(size))
    assert path.stat().st_size < 1 << 18
    tracemalloc.start()
    with pytest.raises(InputError, match="must unpack to at most 67,108,864 bytes, not 134,217,7"):
        Stimulus.load(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1 << 20
    lie = size.to_bytes(4, "little"), (1 << 10).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(*lie))
    with pytest.raises(InputError, match="is damaged"):
        Stimulus.load(path)


def test_a_header_that_claims_much_takes_no_memory(tmp_path: Path) -> None:
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (999999999999, 999999999999), }\n"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "s.npz", "w") as archive:
        archive.writestr("spikes/x.npy", member)
    with pytest.raises(InputError, match="is damaged"):
        Stimulus.load(tmp_path / "s.npz")


def test_a_header_of_many_digits_takes_no_time(tmp_path: Path) -> None:
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (" + b"1" * 60_000 + b"; }\n"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "s.npz", "w") as archive:
        archive.writestr("spikes/x.npy", member)
    began = time.perf_counter()
    with pytest.raises(InputError, match="is damaged"):
        Stimulus.load(tmp_path / "s.npz")
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("packing", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compressions_are_refused(tmp_path: Path, packing: int) -> None:
    with zipfile.ZipFile(tmp_path / "s.npz", "w", packing) as archive:
        archive.writestr("spikes/x.npy", bytes(999))
    with pytest.raises(InputError, match="is damaged"):
        Stimulus.load(tmp_path / "s.npz")


def test_members_stand_once_each(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(npz.encode(BYTES))) as archive:
        member = archive.read("spikes/x.npy")
    with zipfile.ZipFile(tmp_path / "s.npz", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            archive.writestr("spikes/x.npy", member)
    with pytest.raises(InputError, match="array 'spikes/x' .* must be there once, not twice"):
        Stimulus.load(tmp_path / "s.npz")


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_a_flipped_bit_is_refused_or_changes_nothing(kind: int) -> None:
    """Every single bit of a small stimulus, trace and file of expected spikes."""
    rng = np.random.default_rng(kind)
    spikes = {"spikes/x": rng.integers(0, 256, (2, 3, 1), np.uint8)}
    members, more = [
        (stimulus_members, {"labels": np.arange(2)}),
        (trace_members, {"counters/cycles": rng.integers(0, 99, (2, 3))}),
        (expected_members, {"first": np.int64(1)}),
    ][kind]
    arrays = spikes | more
    data, refused = npz.encode(arrays), 0
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            again = npz.decode(bytes(flipped), "file 'x'", members)
        except InputError:
            refused += 1
            continue
        assert list(again) == list(arrays), bit
        for name, array in arrays.items():
            assert again[name].dtype == array.dtype, bit
            np.testing.assert_array_equal(again[name], array, err_msg=str(bit))
    assert refused > 2 * len(data)


@given(st.data())
def test_arrays_come_back_as_they_were(data: st.DataObject) -> None:
    members = {"spikes/": np.uint8, "membranes/": np.int32, "counters/": np.int64}
    arrays = {}
    for folder, dtype in members.items():
        shape = tuple(data.draw(st.lists(st.integers(0, 4), max_size=3)))
        array = np.arange(np.prod(shape, dtype=int)).astype(dtype).reshape(shape)
        arrays[f"{folder}a"] = array.T if data.draw(st.booleans()) else array
    again = npz.decode(npz.encode(arrays), "file", members)
    assert list(again) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)
        assert again[name].dtype == array.dtype and again[name].flags.writeable


def test_more_than_the_reader_takes_is_not_written(tmp_path: Path) -> None:
    much = np.broadcast_to(np.uint8(0), (npz.MAX_BYTES + 1, 1, 1))
    with pytest.raises(InputError, match=r"must take at most 1,073,741,824 bytes, not 1,073,741,8"):
        Stimulus({"x": much}).save(tmp_path / "s.npz")
    assert not (tmp_path / "s.npz").exists()


def test_a_stimulus_without_inputs_knows_its_samples(tmp_path: Path) -> None:
    stimulus = Stimulus.pack({}, count=7)
    assert stimulus.samples == 7
    assert stimulus.take(slice(2, 5)).samples == 3
    assert stimulus.take(np.array([4, 1, 1, 5])).samples == 4
    again = Stimulus.load(stimulus.save(tmp_path / "s.npz"))
    assert (again.samples, again.spikes, again.labels) == (7, {}, None)
    with pytest.raises(InputError, match="count of a stimulus without inputs is missing"):
        _ = Stimulus({}).samples
    with pytest.raises(InputError, match="count of the stimulus must be that of its arrays, 5"):
        Stimulus(example().spikes, count=4).check(network())
    for wrong in ({"samples": np.int64(-1)}, {"samples": np.int64(5), **BYTES}):
        npz.save(tmp_path / "s.npz", wrong)
        with pytest.raises(InputError, match="samples of stimulus file .* must be one number"):
            Stimulus.load(tmp_path / "s.npz")


def test_labels_are_whole_numbers(tmp_path: Path) -> None:
    stimulus = Stimulus(example().spikes, np.full(5, 1.7))
    for use in (lambda: stimulus.check(network()), lambda: stimulus.save(tmp_path / "s.npz")):
        with pytest.raises(InputError, match="labels of the stimulus must be integers, not float"):
            use()
    small = Stimulus(example().spikes, np.arange(5, dtype=np.uint8))
    assert Stimulus.load(small.save(tmp_path / "s.npz")).labels.dtype == np.int64
