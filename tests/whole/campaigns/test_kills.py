"""tests/campaigns/kills.py: work that is killed goes on, and what does not is found."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from spikeloop.pysim.common.files import write_atomic
from tests.campaigns.kills import kills

FILES, SECONDS = 6, 0.05


def whole(folder: Path) -> None:
    """Files that are there whole or not at all."""
    for number in range(FILES):
        path = folder / f"{number}.bin"
        if not path.exists():
            time.sleep(SECONDS)
            write_atomic(path, bytes(number + 9))


def halved(folder: Path) -> None:
    """A file that is there may lack its second half."""
    for number in range(FILES):
        path = folder / f"{number}.bin"
        if not path.exists():
            with path.open("wb", buffering=0) as file:
                file.write(bytes(number + 9))
                time.sleep(SECONDS)
                file.write(bytes(number + 9))


def drawn(folder: Path) -> None:
    """Other bytes each time."""
    whole(folder)
    write_atomic(folder / "last.bin", os.urandom(9))


@pytest.mark.parametrize(("work", "wrong"), [(whole, False), (halved, True), (drawn, True)])
def test_other_bytes_are_found(work: Callable[[Path], None], wrong: bool, tmp_path: Path) -> None:
    killed, ended, other = kills(work, 9, 0, tmp_path)
    assert killed >= 9
    assert ended > 0
    assert (other > 0) == wrong
