"""Two runs into one folder: the second is refused, and a dead one holds nothing."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spikeloop.cosim.runs.lock import held
from spikeloop.pysim.common.errors import InputError
from tests.conftest import ROOT
from tests.cosim.cli.test_app import refused

HOLDS = """
import sys, time
from pathlib import Path
from spikeloop.cosim.runs.lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


COMMANDS = (
    ("lesson", "iris"),
    ("lesson", "mnist"),
    ("lesson", "lesson.safetensors"),
    ("learn",),
    ("onn",),
    ("dendritic",),
    ("dendritic", "--figures"),
)


@contextmanager
def holder(folder: Path) -> Iterator[None]:
    """Another process holds ``folder`` until it is killed."""
    command = [sys.executable, "-c", HOLDS, str(folder)]
    first = subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        assert first.stdout and first.stdout.readline() == b"held\n"
        yield
    finally:
        first.kill()
        first.communicate()


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder into which another process writes."""
    folder = tmp_path_factory.mktemp("taken")
    with holder(folder):
        yield folder


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_learns_or_recalls_holds_its_folder(
    command: tuple[str, ...], taken: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = refused(capfd, taken, *command, "-o", taken)
    assert text.startswith(f"folder of the run must be free, not {str(taken)!r}")


def test_another_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    with (
        holder(folder),
        pytest.raises(InputError, match=r"folder of the run must be free, not '.*/new/run'"),
        held(folder),
    ):
        pass
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
