"""A sample of ``make fuzz`` in a process of its own; a planted fault and a write are found."""

import importlib.util
import os
import subprocess
import sys

from tests.conftest import ROOT

PLANTED = """
import sys
from spikeloop.pysim.common import reading
from spikeloop.pysim.traces import npz
real = npz.decode
def decode(data, what, members):
    if len(data) % 7 == 0:
        open({path!r}, "w")
    if len(data) % 7 == 1:
        raise KeyError("planted")
    return real(data, what, members)
npz.decode = decode
from tests.campaigns.fuzz.__main__ import main
sys.exit(main(["60", "0", "stimulus"]))
"""


def fuzz(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_sample_of_mutated_inputs() -> None:
    done = fuzz("-m", "tests.campaigns.fuzz", "600", "5")
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    (last,) = [line for line in done.stdout.splitlines() if line.startswith("all")]
    _, inputs, refused, accepted, *others = last.replace(",", "").split()
    readers = 30 if importlib.util.find_spec("rdata") else 29
    assert int(inputs) == int(refused) + int(accepted) == -(-600 // readers) * readers
    assert int(accepted) > 40 and others[:3] == ["0", "0", "0"]


def test_an_exception_and_a_write_outside_are_found(tmp_path: object) -> None:
    path = f"{tmp_path}/outside"
    done = fuzz("-c", PLANTED.format(path=path))
    assert done.returncode == 1, done.stdout + done.stderr[-2000:]
    assert "KeyError('planted')" in done.stdout
    assert f"open outside the campaign's folder: {path}" in done.stdout
    assert not os.path.exists(path)
