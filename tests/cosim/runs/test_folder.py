"""Runs broken off by kill -9, by Ctrl-C, at any byte of the journal, end as an unbroken one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim import backends
from spikeloop.cosim.cli import main
from spikeloop.cosim.runs.folder import JOURNAL, SUMMARY, Run
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.conftest import ROOT
from tests.cosim.cli.test_app import compare_arguments, spikeloop
from tests.cosim.conftest import Small
from tests.make.journals import read_journal, write_journal

# a job in the background ignores Ctrl-C, and so do its children unless they say otherwise
HEARING = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from spikeloop.cosim.cli import main; main()"
)
SAMPLES = 20_000  # enough that a run is still under way when its first chunks have been seen


@pytest.fixture(scope="module")
def work(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small net's files with many samples; ``whole`` is an unbroken run, renamed after it."""
    folder = tmp_path_factory.mktemp("many")
    shutil.copytree(small.folder, folder, dirs_exist_ok=True)
    rng = np.random.default_rng(3)
    print("seed 3")
    Stimulus.pack(
        {"pixels": (rng.random((SAMPLES, 5, 12)) < 0.4).astype(np.uint8)},
        rng.integers(0, 3, SAMPLES),
    ).save(folder / "stimulus.npz")
    with pytest.raises(SystemExit) as end:
        main(arguments(folder))
    assert end.value.code == 0
    (folder / "run").rename(folder / "whole")
    return folder


def arguments(folder: Path, *more: object) -> list[str]:
    return compare_arguments(folder, "golden,pysim", "--json", *more, run=folder / "run")


def broken_off(folder: Path, how: int) -> tuple[subprocess.CompletedProcess[str], int]:
    """Run in a process of its own, signalled as soon as three chunks are in the journal.

    Returns the ended process and how many lines the journal then had.
    """
    shutil.rmtree(folder / "run", ignore_errors=True)
    process = subprocess.Popen(
        [sys.executable, "-c", HEARING, *arguments(folder)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    journal = folder / "run" / JOURNAL
    while process.poll() is None and not (
        journal.exists() and journal.read_bytes().count(b"\n") > 3
    ):
        time.sleep(0.002)
    process.send_signal(how)
    out, err = process.communicate()
    return subprocess.CompletedProcess(
        [], process.returncode, out, err
    ), journal.read_bytes().count(b"\n")


@pytest.mark.slow
def test_kill_9_in_the_middle_is_resumed(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ended, lines = broken_off(work, signal.SIGKILL)
    assert ended.returncode == -signal.SIGKILL and ended.stdout == ""
    assert 4 <= lines < 1 + SAMPLES / 250  # in the middle
    assert not (work / "run" / SUMMARY).exists()
    with pytest.raises(InputError, match="must be ended"):
        Run.load(work / "run")
    status, out, _ = spikeloop(capfd, *arguments(work, "--resume"))
    assert status == 0 and json.loads(out)["samples"] == SAMPLES
    assert (work / "run" / SUMMARY).read_bytes() == (work / "whole" / SUMMARY).read_bytes()
    resumed, whole = (Run.load(work / name)[0] for name in ("run", "whole"))
    assert all(
        np.array_equal(a.counters[1]["cycles"], b.counters[1]["cycles"])
        and np.array_equal(a.neurons["output"], b.neurons["output"])
        for a, b in zip(resumed.chunks, whole.chunks, strict=True)
    )


@pytest.mark.slow
def test_ctrl_c_leaves_what_was_found_and_says_how_to_go_on(
    work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ended, _ = broken_off(work, signal.SIGINT)
    assert ended.returncode == 130 and ended.stdout == ""
    partial = json.loads((work / "run" / SUMMARY).read_text())
    assert not partial["complete"] and 0 < partial["samples"] < partial["samples_of"] == SAMPLES
    assert partial["neuron_ticks"] == partial["samples"] * 60 and partial["different"] == 0
    sentence = ended.stderr.strip().splitlines()[-1]
    assert (
        f"interrupted after {partial['samples']:,} of {SAMPLES:,} samples, 0 different so far"
        in sentence
    )
    command = sentence.partition("go on: spikeloop ")[2].split()
    assert command[-1] == "--resume"
    assert spikeloop(capfd, *command)[0] == 0
    assert (work / "run" / SUMMARY).read_bytes() == (work / "whole" / SUMMARY).read_bytes()


def test_a_run_with_differences_cut_anywhere(
    small: Small, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Difference and counts do not depend on where a run broke off; no sample runs again."""
    monkeypatch.setattr("spikeloop.cosim.compare.compare.CHUNK_SAMPLES", 1)
    ran: list[int] = []

    class Wrong(backends.Pysim):
        def __init__(self, image) -> None:
            super().__init__(image)
            self.core.neurons.p["v_th"][:, 0] += 2

        def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
            ran.append(stimulus.samples)
            return super().run(stimulus, membranes=membranes)

    monkeypatch.setattr(backends, "Pysim", Wrong)
    command = compare_arguments(small.folder, run=tmp_path / "run")
    assert spikeloop(capfd, *command)[0] == 1
    summary, journal = ((tmp_path / "run" / name).read_bytes() for name in (SUMMARY, JOURNAL))
    assert json.loads(summary)["different"] > 0 and journal.count(b"\n") == 7
    searched = len(ran) - 6  # runs of the search for a minimal stimulus
    for cut in (0, 1, 500, len(journal) // 2, len(journal) - 1, len(journal)):
        (tmp_path / "run" / JOURNAL).write_bytes(journal[:cut])
        whole = max(journal[:cut].count(b"\n") - 1, 0)
        ran.clear()
        assert spikeloop(capfd, *command, "--resume")[0] == 1
        assert len(ran) - searched == 6 - whole
        assert (tmp_path / "run" / SUMMARY).read_bytes() == summary
        assert (tmp_path / "run" / JOURNAL).read_bytes().count(b"\n") == 7
    assert spikeloop(capfd, *command, "--resume", "--samples", 5)[0] == 2
    kept = Run.load(tmp_path / "run")[0]
    assert [chunk.start for chunk in kept.chunks] == list(range(6))
    assert kept.chunks[0].kept.keys() == {0} and all(
        chunk.start in chunk.kept for chunk in kept.chunks if chunk.pairs[0].different
    )


@pytest.mark.parametrize(
    "more, words",
    [
        (("--samples", "5"), "must be of this run (samples 5"),
        (("--no-membranes",), "must be of this run (membranes False"),
        (("--backends", "pysim,golden"), "must be of this run (backends ['pysim', 'golden']"),
        (("--backends", "golden,replay:session.bin"), "must not record or replay"),
        (("--keep", "1,6"), "samples to keep must be in 0..5, not 6"),
        (("--keep", "one"), "samples to keep must be numbers such as 0,3, not 'one'"),
    ],
)
def test_only_the_same_run_is_gone_on_with(
    small: Small,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    words: str,
) -> None:
    command = compare_arguments(small.folder, run=tmp_path / "run")
    assert spikeloop(capfd, *command)[0] == 0
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()}
    status, out, err = spikeloop(capfd, *command, "--resume", *more)
    assert (status, out) == (2, "") and words in err and err.strip().count("\n") == 0
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before


def test_a_run_of_other_sources_is_not_gone_on_with(
    small: Small, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = compare_arguments(small.folder, run=tmp_path / "run")
    assert spikeloop(capfd, *command)[0] == 0
    assert spikeloop(capfd, *command, "--resume")[0] == 0
    monkeypatch.setattr("spikeloop.cosim.runs.folder.sources", lambda: "others")
    status, _, err = spikeloop(capfd, *command, "--resume")
    assert status == 2 and "must be of this run (sources 'others')" in err


def test_no_run_to_go_on_with_is_said(
    small: Small, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = compare_arguments(
        small.folder, "golden,pysim", "--resume", "--json", run=tmp_path / "run"
    )
    note = f"no run to go on with in {str(tmp_path / 'run')!r}: it begins at sample 0\n"
    status, out, err = spikeloop(capfd, *command)
    assert status == 0 and json.loads(out)["complete"] and note in err
    status, out, err = spikeloop(capfd, *command)
    assert status == 0 and json.loads(out)["complete"] and "no run" not in err


def test_damaged_journals_are_refused(
    small: Small, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = compare_arguments(small.folder, run=tmp_path / "run")
    assert spikeloop(capfd, *command)[0] == 0
    head, line, *_ = read_journal(tmp_path / "run" / JOURNAL)
    for other, words in (
        ({"start": 0}, "must be as spikeloop compare wrote it"),
        (line | {"arrays": "AAAA"}, "archive in a line of the run's journal is damaged"),
        (line | {"start": 1}, "must follow each other"),
    ):
        write_journal(tmp_path / "run" / JOURNAL, [head, other])
        status, out, err = spikeloop(capfd, *command, "--resume")
        assert (status, out) == (2, "") and words in err and err.strip().count("\n") == 0
