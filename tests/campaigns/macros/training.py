"""Dendritic neurons of the default size learn: golden, pysim and RTL, every value of every step.

    python -m tests.campaigns.macros.training                        segments of a training
    python -m tests.campaigns.macros.training FOLDER [ENGINE ...]    the whole of it; goes on there

Two mixtures of our own sounds, 3,000 passes. Segments are two passes each, from states that pysim
came to before; the probes follow, frozen. The whole training prints the SHA-256 of the last W and
G, which docs/dendritic.md has; it goes on behind the last 50 passes that its folder keeps. ENGINE:
beside pysim; golden and verilator unless given. Exit status 1: a value differs.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np

from spikeloop.cosim.dendrites.engines import open_engine
from spikeloop.cosim.dendrites.study import STEPS, Plan, Run, Task, prepare
from spikeloop.cosim.macros.engines import check_engines
from spikeloop.pysim.dendrites.sounds import sounds
from spikeloop.pysim.dendrites.state import DendriticState
from spikeloop.pysim.dendrites.trace import differences

__all__ = ["main"]

PLAN = Plan(2)
ENGINES = ("pysim", "verilator", "golden")
SEGMENTS = (0, 1, 30, 300, 1000, 2999)  # passes before a segment
LENGTH = 2  # passes of a segment


def digest(array: np.ndarray) -> str:
    """SHA-256 of weights or inhibition, as little-endian int32, row i first."""
    return hashlib.sha256(array.astype("<i4").tobytes()).hexdigest()


def segments() -> int:
    task = prepare(sounds(), PLAN)
    walk = Run(task, [open_engine(name, task.net, task.stimuli) for name in ENGINES], every=True)
    pysim, state, done = walk.engines[0], task.state, 0
    for passes in SEGMENTS:
        for number in range(done * PLAN.mixtures, passes * PLAN.mixtures):
            threshold = task.stimuli[number % PLAN.mixtures]
            state = pysim.run(task.net, threshold, state, STEPS, learn=True, record=False).state
        done = passes
        _segment(walk, task, state, passes)
    probes = range(PLAN.mixtures, len(task.stimuli))
    _shows(walk, task, state, [(stimulus, False) for stimulus in probes])
    for pair, count in walk.compared.items():
        print(f"{pair}: {count:,} values compared, {walk.different[pair]:,} different")
    print(f"{walk.counters['steps']:,} steps, {walk.counters['cycles']:,} cycles as predicted")
    return int(walk.first is not None)


def _segment(walk: Run, task: Task, state: DendriticState, passes: int) -> None:
    shows = [(stimulus, True) for stimulus in range(PLAN.mixtures)] * LENGTH
    last = _shows(walk, task, state, shows)
    moved = int((last.inhibition != state.inhibition).sum())
    print(f"pass {passes}: {len(shows) * STEPS:,} steps, {moved} of G moved", flush=True)


def _shows(
    walk: Run, task: Task, state: DendriticState, shows: list[tuple[int, bool]]
) -> DendriticState:
    """All engines show the same; each goes on from the state of the first."""
    for stimulus, learn in shows:
        first, *others = (
            engine.run(task.net, task.stimuli[stimulus], state, STEPS, learn=learn)
            for engine in walk.engines
        )
        for engine, other in zip(walk.engines[1:], others, strict=True):
            found = differences(first, other, ("pysim", engine.name))
            walk.compared[f"pysim = {engine.name}"] += found.compared
            walk.different[f"pysim = {engine.name}"] += found.different
            if found.first:
                print(found.first)
                walk.first = found.first
        walk.counters.update({"steps": STEPS, "cycles": first.cycles or 0})
        state = first.state
    return state


def whole(folder: Path, names: list[str]) -> int:
    task = prepare(sounds(), PLAN)
    engines = check_engines(["pysim", *(names or ENGINES)])
    walk = Run(task, [open_engine(name, task.net, task.stimuli) for name in engines], every=True)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "training.safetensors"
    state = walk.train(kept=kept, resume=kept.exists())
    for pair, count in walk.compared.items():
        print(f"{pair}: {count:,} values compared, {walk.different[pair]:,} different")
    print(", ".join(f"{name} {count:,}" for name, count in walk.counters.items()))
    print(f"W {digest(state.weights)}\nG {digest(state.inhibition)}")
    if walk.first:
        print(walk.first)
    return int(walk.first is not None)


def main(arguments: list[str]) -> int:
    return whole(Path(arguments[0]), arguments[1:]) if arguments else segments()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
