"""The minimal stimulus of a difference, its wave file, and the command that shows it again.

From the samples of a run in which two backends differ: the one sample that differs (with those before it only where it does not
differ alone), the shortest prefix of steps, then fewer and fewer spikes, found by a bounded greedy search that leaves out
half of them, a quarter, ... and keeps what still differs. Later steps stay in the file, empty: a stimulus always has the
network's T steps.
"""

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.compare.compare import Opener
from spikeloop.cosim.compare.diff import Difference, Holders, diff
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["Minimal", "Evidence", "minimise", "keep_evidence"]

SEARCH_SECONDS = 20.0
SEARCH_RUNS = 400


@dataclass(frozen=True)
class Minimal:
    """``stimulus`` still differs at ``difference`` (numbered within it); ``steps`` of it hold its ``spikes`` input spikes.

    ``history`` is the number of samples before the differing one that it needs (state survives CLEAR: itself a finding).
    """

    stimulus: Stimulus
    difference: Difference
    steps: int
    spikes: int
    history: int


@dataclass(frozen=True)
class Evidence:
    """What a failed comparison leaves behind, or why it could not."""

    difference: Difference
    minimal: Minimal | None
    stimulus: Path | None
    waves: Path | None
    command: str

    def __str__(self) -> str:
        lines = [f"first difference: {self.difference}"]
        if self.minimal and self.stimulus:
            m = self.minimal
            parts = [
                _count(m.history + 1, "sample"),
                _count(m.steps, "step"),
                _count(m.spikes, "spike"),
            ]
            history = (
                "; it does not differ without the samples before it: state outlives CLEAR"
                if m.history
                else ""
            )
            lines.append(
                f"minimal stimulus: {self.stimulus} ({', '.join(parts)}{history}); there {m.difference}"
            )
        else:
            lines.append(
                "minimal stimulus: none (the difference did not come again in a fresh run)"
            )
        lines.append(f"waves: {self.waves or 'none (no backend of the pair records them)'}")
        lines.append(f"again: {self.command}")
        return "\n".join(lines)


def minimise(
    network: Network,
    stimulus: Stimulus,
    pair: tuple[Backend, Backend],
    difference: Difference,
    *,
    membranes: bool = True,
    seconds: float = SEARCH_SECONDS,
    runs: int = SEARCH_RUNS,
) -> Minimal | None:
    """Shrink ``stimulus`` around ``difference.sample``; None if no fresh run of the pair shows any difference.

    The search ends after ``seconds`` or ``runs`` runs of the pair, whichever comes first, with the best found so far.
    """
    names = (difference.reference, difference.backend)
    budget = _Budget(seconds, runs)

    def differs(candidate: Stimulus) -> Difference | None:
        budget.spend()
        a, b = (backend.run(candidate, membranes=membranes) for backend in pair)
        return diff(network, a, b, names, membranes=membranes).first

    at, history = difference.sample, 0
    best = stimulus.take(slice(at, at + 1))
    while (found := differs(best)) is None:  # alone first, then with 1, 3, 7, ... samples before it
        if history == at or budget.spent():
            return None
        history = min(2 * history + 1, at)
        best = stimulus.take(slice(at - history, at + 1))
    best = best.take(slice(0, found.sample + 1))

    keep = _Coordinates.of(best, network)
    low, high = (
        0,
        min(found.tick + 1, network.steps),
    )  # what arrives later cannot have been the cause
    while low <= high and not budget.spent():
        middle = (low + high) // 2
        trial = keep.chosen(keep.step < middle)
        if (now := differs(trial.stimulus(best))) is not None:
            keep, found, high = trial, now, middle - 1
        else:
            low = middle + 1
    keep, found = _fewer(keep, found, lambda c: differs(c.stimulus(best)), budget)
    last = int(keep.step.max()) + 1 if keep.step.size else 0
    return Minimal(keep.stimulus(best), found, last, keep.step.size, found.sample)


def keep_evidence(
    network: Network,
    stimulus: Stimulus,
    difference: Difference,
    opener: Opener,
    folder: Path,
    *,
    image: Path,
    network_file: Path,
    membranes: bool = True,
    holders: Holders = MappingProxyType({}),
) -> Evidence:
    """Minimise, save ``folder/difference.npz``, record waves around it, and say how to see it again."""
    minimal = path = waves = None
    with opener(difference.reference) as reference, opener(difference.backend) as backend:
        minimal = minimise(network, stimulus, (reference, backend), difference, membranes=membranes)
        if minimal:
            minimal = replace(minimal, difference=minimal.difference.at(holders))
            path = minimal.stimulus.save(folder / "difference.npz")
            for candidate in (backend, reference):
                waves = waves or candidate.waves(minimal.stimulus, folder / "difference.fst")
    command = [
        "spikeloop",
        "compare",
        str(image),
        "--network",
        str(network_file),
        "--stimulus",
        str(path or "STIMULUS.npz"),
        "--backends",
        f"{difference.reference},{difference.backend}",
        "-o",
        str(folder / "again"),
        *([] if membranes else ["--no-membranes"]),
    ]
    return Evidence(difference, minimal, path, waves, shlex.join(command))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


class _Budget:
    def __init__(self, seconds: float, runs: int) -> None:
        self.end, self.runs = time.monotonic() + seconds, runs

    def spend(self) -> None:
        self.runs -= 1

    def spent(self) -> bool:
        return self.runs <= 0 or time.monotonic() >= self.end


@dataclass(frozen=True)
class _Coordinates:
    """The set spikes of a stimulus, one entry per spike in each array: number of its input, sample, step, line."""

    names: tuple[str, ...]
    node: np.ndarray
    sample: np.ndarray
    step: np.ndarray
    line: np.ndarray

    @classmethod
    def of(cls, stimulus: Stimulus, network: Network) -> "_Coordinates":
        dense = stimulus.dense(network)
        parts = [(np.full(int(a.sum()), i), *np.nonzero(a)) for i, a in enumerate(dense.values())]
        nothing = (np.zeros(0, np.int64),) * 4  # of a network that sees pixels alone
        return cls(
            tuple(dense), *(np.concatenate(column) for column in zip(nothing, *parts, strict=True))
        )

    def chosen(self, which: np.ndarray) -> "_Coordinates":
        return _Coordinates(
            self.names, self.node[which], self.sample[which], self.step[which], self.line[which]
        )

    def stimulus(self, like: Stimulus) -> Stimulus:
        """A stimulus of the shape, labels and pixels of ``like`` with these spikes alone."""
        spikes = {name: np.zeros_like(like.spikes[name]) for name in self.names}
        for i, name in enumerate(self.names):
            mine = self.node == i
            np.bitwise_or.at(
                spikes[name],
                (self.sample[mine], self.step[mine], self.line[mine] >> 3),
                (1 << (self.line[mine] & 7)).astype(np.uint8),
            )
        return Stimulus(spikes, like.labels, like.pixels)


def _fewer(
    keep: _Coordinates,
    found: Difference,
    differs: Callable[[_Coordinates], Difference | None],
    budget: _Budget,
) -> tuple[_Coordinates, Difference]:
    """Delta debugging (Zeller 2002): leave out one of n equal parts while the rest still differs; refine n until single spikes."""
    parts = 2
    while keep.step.size and not budget.spent():
        edges = np.linspace(0, keep.step.size, min(parts, keep.step.size) + 1).astype(int)
        for low, high in zip(edges, edges[1:], strict=False):
            which = np.ones(keep.step.size, bool)
            which[low:high] = False
            trial = keep.chosen(which)
            if budget.spent():
                return keep, found
            if (now := differs(trial)) is not None:
                keep, found, parts = trial, now, max(2, parts - 1)
                break
        else:
            if parts >= keep.step.size:
                break
            parts *= 2
    return keep, found
