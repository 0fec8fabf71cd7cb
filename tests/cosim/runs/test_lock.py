"""Two runs into one folder: the second is refused, and a dead one holds nothing."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from spikeloop.cosim.runs.lock import held
from spikeloop.pysim.common.errors import InputError
from tests.conftest import ROOT

HOLDS = """
import sys, time
from pathlib import Path
from spikeloop.cosim.runs.lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    command = [sys.executable, "-c", HOLDS, str(folder)]
    first = subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        assert first.stdout and first.stdout.readline() == b"held\n"
        with (
            pytest.raises(InputError, match=r"folder of the run must be free, not '.*/new/run'"),
            held(folder),
        ):
            pass
    finally:
        first.kill()
        first.communicate()
    with held(folder):
        assert list(folder.iterdir()) == []


def test_a_thread_may_hold_it_twice_and_another_may_not(tmp_path: Path) -> None:
    refused = []

    def other() -> None:
        try:
            with held(tmp_path):
                pass
        except InputError as error:
            refused.append(str(error))

    with held(tmp_path), held(tmp_path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(refused) == 1
    with held(tmp_path):
        pass


def test_a_folder_in_which_nothing_was_written_goes(tmp_path: Path) -> None:
    with held(tmp_path / "a" / "b"):
        pass
    assert not (tmp_path / "a").exists()
    with held(tmp_path / "a" / "b"):
        (tmp_path / "a" / "file").write_text("x")
    assert not (tmp_path / "a" / "b").exists() and (tmp_path / "a" / "file").exists()


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match="folder of the run must be writable"), held(folder):
            pass
