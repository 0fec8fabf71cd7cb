"""pysim/traces/npz.py: archives come back as they were, and hostile ones are refused at once."""

import io
import os
import pickle
import struct
import time
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloop.cosim.stimuli.dense import read_arrays
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.traces import npz
from spikeloop.pysim.traces.expected import MEMBERS as expected_members
from spikeloop.pysim.traces.expected import Expected
from spikeloop.pysim.traces.stimulus import MEMBERS as stimulus_members
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import MEMBERS as trace_members
from spikeloop.pysim.traces.trace import Trace
from tests.campaigns.fuzz.mutate import flipped
from tests.pysim.traces.test_trace import BYTES, example

KINDS = (Stimulus, Trace, Expected)


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
        with pytest.raises(InputError, match=r"'spikes/x' .* must be uint8, not object"):
            kind.load(path)
    np.savez(path, **{"spikes/x": np.zeros((1, 1, 1), np.int8)})
    for kind in KINDS:
        with pytest.raises(InputError, match=r"'spikes/x' .* must be uint8, not int8"):
            kind.load(path)
    np.savez(path, other=np.zeros(1))
    for kind in KINDS:
        with pytest.raises(InputError, match=r"must hold arrays spikes/NAME, .*, not 'other'"):
            kind.load(path)
    np.savez(path, **{"counters/luck": np.zeros(1)})
    with pytest.raises(InputError, match="not 'counters/luck'"):
        Trace.load(path)
    np.savez(path)
    with pytest.raises(InputError, match="must hold arrays spikes/NAME, pixels/NAME or starts"):
        Stimulus.load(path)
    with pytest.raises(InputError, match=r"must hold arrays spikes/NAME .*, not no spikes"):
        Expected.load(path)
    for kind, what in zip(KINDS, ("stimulus", "trace", "expected"), strict=True):
        with pytest.raises(InputError, match=f"{what} file .* is missing: "):
            kind.load(tmp_path / "none.npz")


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputError, match="must be a regular file, not a folder, pipe or dev"):
            Stimulus.load(path)
    with pytest.raises(InputError, match=r"must be readable, not .* \(Is a directory\)"):
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


def longer(path: Path, behind: int) -> None:
    """An archive of one stimulus with ``behind`` bytes that neither its sizes nor its CRC tell."""
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((2, 3, 4), np.uint8))
    said, buffer = buffer.getvalue(), io.BytesIO()
    packed = said + bytes(behind)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("spikes/x.npy", packed)
        size = archive.getinfo("spikes/x.npy").compress_size
    path.write_bytes(
        buffer.getvalue().replace(
            *(struct.pack("<3I", zlib.crc32(part), size, len(part)) for part in (packed, said))
        )
    )


@pytest.mark.parametrize("behind", [1, 1000, 1 << 27])
@pytest.mark.parametrize("read", [Stimulus.load, read_arrays])
def test_a_member_that_is_longer_than_it_says_is_refused(
    tmp_path: Path, behind: int, read: Callable[[Path], object]
) -> None:
    """zipfile inflates all of it, cuts it, and looks at the CRC of what is left."""
    longer(path := tmp_path / "x.npz", 0)
    read(path)
    longer(path, behind)
    tracemalloc.start()
    with pytest.raises(InputError, match="is damaged"):
        read(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1 << 21


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
    with pytest.raises(InputError, match=r"array 'spikes/x' .* must be there once, not twice"):
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
        try:
            again = npz.decode(flipped(data, bit), "file 'x'", members)
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
