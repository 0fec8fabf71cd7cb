"""A comparison on a cluster gives the bytes of one process, also if a worker is killed."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeloop.cosim.cli import main
from spikeloop.cosim.runs.folder import JOURNAL, SUMMARY
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.conftest import ROOT
from tests.cosim.cli.test_app import compare_arguments
from tests.cosim.conftest import Small

distributed = pytest.importorskip(
    "distributed", reason="package distributed is not installed: pip install -e '.[farm]'"
)

dask = pytest.importorskip("dask", reason="comes with distributed")

pytestmark = pytest.mark.slow
SAMPLES = 4_000


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two processes of one thread."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as made:
            yield made


@pytest.fixture(scope="module")
def work(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small net's files with many samples; in ``here`` the summary of a run in this process."""
    folder = tmp_path_factory.mktemp("farm")
    shutil.copytree(small.folder, folder, dirs_exist_ok=True)
    rng = np.random.default_rng(4)
    Stimulus.pack(
        {"pixels": (rng.random((SAMPLES, 5, 12)) < 0.4).astype(np.uint8)},
        rng.integers(0, 3, SAMPLES),
    ).save(folder / "stimulus.npz")
    assert run(folder) == 0
    (folder / "run").rename(folder / "here")
    return folder


def run(folder: Path, *more: object) -> int:
    shutil.rmtree(folder / "run", ignore_errors=True)
    with pytest.raises(SystemExit) as end:
        main(compare_arguments(folder, "golden,pysim", *more, run=folder / "run"))
    return int(str(end.value))


@pytest.mark.filterwarnings("error:Sending large graph")
def test_the_bytes_of_one_process(cluster: Any, work: Path) -> None:
    """Nor does dask say that an image is large, as that of a program of many parts is."""
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1kB"}):
        assert run(work, "--scheduler", cluster.scheduler_address) == 0
    assert (work / "run" / SUMMARY).read_bytes() == (work / "here" / SUMMARY).read_bytes()


def test_a_lost_worker_costs_its_jobs_a_second_try(
    cluster: Any, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spikeloop.cosim.runs.folder import Run

    before, killed = Run.add, []

    def add(self: Run, chunk: Any) -> None:
        before(self, chunk)
        if not killed:  # in the middle: the first chunk is there, others are under way
            killed.append(next(iter(cluster.workers.values())).pid)
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(Run, "add", add)
    assert run(work, "--scheduler", cluster.scheduler_address) == 0
    assert killed and (work / "run" / JOURNAL).read_bytes().count(b"\n") > 3
    assert (work / "run" / SUMMARY).read_bytes() == (work / "here" / SUMMARY).read_bytes()


KILLER = """
import os, signal, sys
from spikeloop.cosim.cli import main
from spikeloop.cosim.runs.folder import Run

before = Run.add

def add(self, chunk):
    before(self, chunk)
    try:
        os.kill(int(sys.argv[1]), signal.SIGKILL)
    except ProcessLookupError:
        pass

Run.add = add
main(sys.argv[2:])
"""
"""A comparison that kills a process after its first chunk."""


def test_a_lost_scheduler_is_said_in_one_sentence(work: Path) -> None:
    """No traceback of dask comes with it, and the run goes on without a cluster."""
    port, variables = free_port(), {**os.environ, "PYTHONPATH": str(ROOT)}
    address, program = f"tcp://127.0.0.1:{port}", [sys.executable, "-m", "dask"]
    local = ["--host", "127.0.0.1", "--no-dashboard"]
    shutil.rmtree(work / "run", ignore_errors=True)
    cluster = [
        subprocess.Popen(
            [*program, *arguments, *local],
            env=variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for arguments in (
            ["scheduler", "--port", str(port)],
            ["worker", address, "--nthreads", "1", "--no-nanny"],
        )
    ]
    arguments = compare_arguments(work, "golden,pysim", run=work / "run")
    try:
        with distributed.Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=60)
        killer = [sys.executable, "-c", KILLER, str(cluster[0].pid)]
        done = subprocess.run(
            [*killer, *arguments, "--scheduler", address],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        for process in cluster:
            process.kill()
            process.wait()
    lost = "spikeloop: the dask scheduler was lost: start the cluster again and go on by --resume"
    assert done.returncode == 3 and done.stderr.strip() == lost
    before = (work / "run" / JOURNAL).read_bytes()
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--resume"])
    assert str(end.value) == "0" and (work / "run" / JOURNAL).read_bytes().startswith(before)
    assert (work / "run" / SUMMARY).read_bytes() == (work / "here" / SUMMARY).read_bytes()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_refused(
    cluster: Any, work: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spikeloop.cosim.compare.farm.SECONDS", 1)
    address = cluster.scheduler_address
    for arguments, words in (
        (("--scheduler", "tcp://127.0.0.1:9"), "dask scheduler must answer at 'tcp://127.0.0.1:9'"),
        (("--scheduler", "nonsense://x"), "must be such as tcp://HOST:8786, not 'nonsense://x'"),
        (
            ("--scheduler", address, "--backends", "golden,board:/dev/null"),
            "must be simulators or models, not",
        ),
    ):
        capfd.readouterr()
        assert run(work, *arguments) == 2
        err = capfd.readouterr().err.strip().splitlines()
        assert words in err[-1] and not (work / "run").exists()
    monkeypatch.setattr("spikeloop.cosim.compare.farm._code", lambda: "other")
    capfd.readouterr()
    assert run(work, "--scheduler", address) == 2
    assert "must have the sources of this one" in capfd.readouterr().err
    assert json.loads((work / "here" / SUMMARY).read_text())["equal"]
