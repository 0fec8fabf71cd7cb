"""pysim/common/reading.py: regular files of bounded size; pipes, devices and links at once."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spikeloop.cosim.board.session import Replay
from spikeloop.cosim.stimuli.dense import read_arrays
from spikeloop.golden.data.datasets import read_idx
from spikeloop.golden.interchange.common import read_bounded
from spikeloop.golden.nets.layers import FloatNet
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import check_output, write_atomic
from spikeloop.pysim.common.journal import Journal
from spikeloop.pysim.common.reading import gunzip, read_file
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus

READERS: dict[str, Callable[[Path], Any]] = {
    "network": Network.load,
    "lesson": Lesson.load,
    "stimulus": Stimulus.load,
    "journal": Journal.read,
    "record": Replay,
    "data": read_arrays,
    "import": read_bounded,
    "float net": FloatNet.load,
    "idx": lambda path: read_idx(path, 3),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_pipe_a_device_and_a_folder_are_refused_at_once(
    tmp_path: Path, read: Callable[[Path], Any]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputError, match="must be a regular file, not a folder, pipe or dev"):
            read(path)
    with pytest.raises(InputError, match=r"must be readable, not .* \(Is a directory\)"):
        read(tmp_path)


def test_an_image_whose_files_are_pipes_or_links(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(InputError, match="must be a regular file"):
        Image.load(tmp_path)
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "manifest.json").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="not a symbolic link"):
        Image.load(tmp_path)


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_file(path, "file", "x", most=5) == b"12345"
    with pytest.raises(InputError, match="must be at most 4 bytes, not 5"):
        read_file(path, "file", "x", most=4)
    for missing in (tmp_path / "none", tmp_path / "a\0b"):
        with pytest.raises(InputError, match="is missing: write it"):
            read_file(missing, "file", "write it")


def test_gzip_is_unpacked_up_to_its_bound() -> None:
    data = gzip.compress(bytes(1000)) + gzip.compress(b"end")
    assert gunzip(data, "file") == bytes(1000) + b"end"
    with pytest.raises(InputError, match="contents of file must be at most 1,002 bytes, not more"):
        gunzip(data, "file", most=1002)
    for damaged in (data[:-1], data[:20], data + b"x", b"\x1f\x8b"):
        with pytest.raises(InputError, match="file is damaged"):
            gunzip(damaged, "file")


def test_output_replaces_no_link_and_no_device(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "link", tmp_path / "dangling", tmp_path / "pipe", Path("/dev/null")):
        for write in (lambda p: write_atomic(p, b"new"), lambda p: check_output(p, file=True)):
            with pytest.raises(InputError, match="must be a regular file or a new name"):
                write(path)
    assert (tmp_path / "target").read_text() == "old" and (tmp_path / "link").is_symlink()
    assert Path("/dev/null").is_char_device() and not (tmp_path / "none").exists()
