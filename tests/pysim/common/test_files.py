"""pysim/common/files.py: whole files or none, and a manifest as it was sealed or none."""

from pathlib import Path

import pytest

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import open_seal, seal, write_atomic, write_folder


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    for data in (b"first", b"2"):
        assert write_atomic(path, data).read_bytes() == data
    assert path.stat().st_mode & 0o777 == 0o644
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_an_unwritable_folder_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="output file must be writable, not"):
        write_atomic(tmp_path / "file" / "net", b"data")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="output file must be writable, not"):
        write_atomic(tmp_path / "folder", b"data")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    def fill(new: Path) -> None:
        (new / "mark").write_text("new")
        if folder.exists():
            raise OSError(28, "No space left on device")

    folder = tmp_path / "folder"
    write_folder(folder, "image", ("mark",), fill)
    (folder / "mark").write_text("old")
    with pytest.raises(InputError, match=r"image folder must be writable, not .*No space"):
        write_folder(folder, "image", ("mark",), fill)
    assert (folder / "mark").read_text() == "old" and [p.name for p in tmp_path.iterdir()] == [
        "folder"
    ]


def test_a_seal_holds_until_a_byte_changes() -> None:
    data = seal({"b": [1, 2], "a": "x"})
    assert open_seal(data, "image") == {"a": "x", "b": [1, 2]}
    for other in (data.replace(b"2", b"3", 1), data + b"\n", data.replace(b'"a"', b'"c"')):
        assert other != data
        with pytest.raises(InputError, match="manifest of image must be as spikeloop wrote it"):
            open_seal(other, "image")
