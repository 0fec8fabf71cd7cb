"""Kill -9 in the middle, go on, and compare the bytes.

    python -m tests.campaigns.kills [KILLS [WORK ...]]

A piece of work is killed at random times, and gone on with, until it ends by itself. What it leaves
must have the bytes of work that nobody broke off, and nothing half-written may be left. Work:

    compare     networks of three layers, golden against pysim, chunk by chunk
    sim         the walk from training to verdict
    zoo         a kept net on 300 test images
    pim-sweep   two devices of each gain of a small net, 200 images
    lesson      iris learnt by pysim and numpy

KILLS: of each, 30 by default. Times are left out of what is compared: the seconds in summaries, the
keys of stages, pages, and where a run comes from.
"""

import json
import os
import random
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from spikeloop.cosim.cli import main as spikeloop
from spikeloop.cosim.flow.verify import Comparison, Filing
from spikeloop.cosim.runs.folder import ORIGIN
from spikeloop.golden.data.datasets import load_mnist
from spikeloop.golden.rules.qstdb.net import Layer, QstdbNet
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.pim.window import PimWindow
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.make.qstdb_nets import MACRO
from tests.make.small import CHIP, network

__all__ = ["WORK", "kills"]

Work = Callable[[Path], None]
"""Does its work into a folder, or goes on with it."""

SAMPLES = 2000
TIMES = ("seconds", "busy_seconds", "stages", "digest")
"""Entries of summaries and journals that hold times, or are made of them."""
NOT_COMPARED = (".html", ".svg", "stages.json", ORIGIN, ".lock")


def compared(folder: Path) -> None:
    """golden and pysim on SAMPLES samples, chunk by chunk."""
    rng = np.random.default_rng(0)
    spikes = rng.integers(0, 2, (SAMPLES, 4, 3), np.uint8)
    stimulus, net = Stimulus.pack({"x": spikes}), network()
    comparison = Comparison(net, pack(net, chip=CHIP), stimulus, ("golden", "pysim"))
    comparison.file(Filing(folder=folder, resume=True))


def command(line: str) -> Work:
    """Work by the command line."""

    def work(folder: Path) -> None:
        os.chdir(folder)
        try:
            spikeloop([*shlex.split(line), "-q", "-o", "out"])
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"{line} ended with status {end.code}") from None

    return work


def swept(folder: Path) -> None:
    """A sweep over the devices of a small net with a PIM layer."""
    torch.manual_seed(0)
    first = Layer(name="a", window=PimWindow.make((1, 28, 28), (4, 4), stride=4), channels=3)
    last = Layer(name="b", window=PimWindow.make((3 * 7 * 7,)), channels=10)
    net = QstdbNet((first, last), pim=MACRO)
    net.pim.calibrate(load_mnist(None).train_images[:20].reshape(-1, 1, 28, 28))
    net.metadata = {"dataset": {"source": load_mnist(None).source}}
    net.save(folder / "net.safetensors")
    command("pim-sweep --net net.safetensors --study gain --seeds 2 --images 200 --rtl-images 1")(
        folder
    )


WORK: dict[str, Work] = {
    "compare": compared,
    "sim": command(
        "sim --config 784-16-10 --epochs 1 --samples 200 --backends golden,pysim --allow-silent"
    ),
    "zoo": command("zoo hard-concrete-1000 --samples 300 --backend pysim"),
    "pim-sweep": swept,
    "lesson": command("lesson iris --engine pysim,numpy --passes 1 --resume"),
}


def left(folder: Path) -> dict[str, bytes]:
    """What work has left, by file; summaries without times."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name.endswith(NOT_COMPARED):
            continue
        data = path.read_bytes()
        if path.suffix in (".json", ".jsonl"):
            lines = [
                json.loads(line)
                for line in ([data] if path.suffix == ".json" else data.splitlines())
            ]
            kept = [{k: v for k, v in line.items() if k not in TIMES} for line in lines]
            data = json.dumps(kept).encode()
        elif path.suffix == ".npz" and "head" in (arrays := dict(np.load(path))):
            head = json.loads(arrays.pop("head").tobytes())
            kept = [{k: v for k, v in head.items() if k not in TIMES}]
            data = json.dumps(kept).encode() + b"".join(a.tobytes() for a in arrays.values())
        files[str(path.relative_to(folder))] = data
    return files


def kills(work: Work, count: int, seed: int, folder: Path) -> tuple[int, int, int]:
    """Kills, works that ended after one or more, and how many of these had other bytes."""
    r = random.Random(seed)
    began = time.monotonic()
    whole = _new(folder / "whole")
    assert _end(_begin(work, whole)) == 0
    limit, want = time.monotonic() - began, left(whole)
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
        killed, ended = killed + broken, ended + 1
        other += left(place) != want
    return killed, ended, other


def _new(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _begin(work: Work, folder: Path) -> int:
    """A process that does the work: a fork, which has everything imported."""
    child = os.fork()
    if child == 0:
        try:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115
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
    for name, work in [(name, WORK[name]) for name in arguments[1:] or WORK]:
        with tempfile.TemporaryDirectory(prefix="spikeloop-kills-") as folder:
            killed, ended, other = kills(work, count, 0, Path(folder))
        wrong += other
        print(f"{name}: {killed} kills, {ended} works ended, {other} with other bytes", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
