"""Kill -9 in the middle, go on, and compare the bytes: ``python -m tests.campaigns.kills [KILLS]``.

A comparison of networks is killed at random times, and gone on with from its journal, until it ends
by itself. The result must have the bytes of a run that nobody broke off, and nothing half-written
may be left. KILLS: 30 by default.
"""

import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from spikeloop.cosim.flow.verify import Comparison, Filing
from spikeloop.cosim.runs.folder import SUMMARY
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.make.small import CHIP, network

__all__ = ["WORK", "kills"]

Work = Callable[[Path], None]
"""Does its work into a folder, or goes on with it; leaves ``summary.json``."""

SAMPLES = 2000


def compared(folder: Path) -> None:
    """golden and pysim on SAMPLES samples, chunk by chunk."""
    rng = np.random.default_rng(0)
    spikes = rng.integers(0, 2, (SAMPLES, 4, 3), np.uint8)
    stimulus, net = Stimulus.pack({"x": spikes}), network()
    comparison = Comparison(net, pack(net, chip=CHIP), stimulus, ("golden", "pysim"))
    comparison.file(Filing(folder=folder, resume=True))


WORK: dict[str, Work] = {"compare": compared}


def kills(work: Work, count: int, seed: int, folder: Path) -> tuple[int, int, int]:
    """Kills, works that ended after one or more, and how many of these had other bytes."""
    r = random.Random(seed)
    began = time.monotonic()
    whole = _new(folder / "whole")
    assert _end(_begin(work, whole)) == 0
    limit, want = time.monotonic() - began, (whole / SUMMARY).read_bytes()
    killed = ended = other = 0
    while killed < count:
        place, broken = _new(folder / f"work{ended}"), 0
        while True:
            child = _begin(work, place)
            if broken < 20 and not _ends_within(child, r.uniform(0, limit)):
                os.kill(child, signal.SIGKILL)
                broken += 1
            status = _end(child)
            if status == 0:
                break
            if status != -signal.SIGKILL:
                raise RuntimeError(f"work ended with {status} after {broken} kills")
        left = [path.name for path in place.iterdir() if path.name.endswith(".tmp")]
        killed, ended = killed + broken, ended + 1
        other += bool(left) or (place / SUMMARY).read_bytes() != want
    return killed, ended, other


def _new(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _begin(work: Work, folder: Path) -> int:
    """A process that does the work: a fork, which has everything imported."""
    child = os.fork()
    if child == 0:
        try:
            work(folder)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return child


def _ends_within(child: int, seconds: float) -> bool:
    """Whether the process ends by itself; it can still be waited for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return True
        time.sleep(0.005)
    return False


def _end(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(arguments: list[str]) -> int:
    count = int(arguments[0]) if arguments else 30
    wrong = 0
    for name, work in WORK.items():
        with tempfile.TemporaryDirectory(prefix="spikeloop-kills-") as folder:
            killed, ended, other = kills(work, count, 0, Path(folder))
        wrong += other
        print(f"{name}: {killed} kills, {ended} works ended, {other} with other bytes", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
