"""The minimal stimulus of a difference: from the samples of a run in which two backends differ.

The search goes from the one sample that differs (with samples before it only where it does not
differ alone) to the shortest prefix of steps, then to fewer and fewer spikes. The last is a bounded
greedy search, which leaves out a half of the spikes, a quarter, ... and keeps what still differs.
Later steps stay in the file, empty: a stimulus always has the network's T steps.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.compare.compare import Case
from spikeloop.cosim.compare.diff import Side, diff
from spikeloop.cosim.compare.pair import Difference
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["Minimal", "minimise"]

SEARCH_SECONDS = 20.0
SEARCH_RUNS = 400


@dataclass(frozen=True)
class Minimal:
    """The smallest stimulus found that still differs.

    difference: the first one; its sample is numbered within ``stimulus``
    steps:      steps that hold its input spikes; spikes: number of these
    history:    samples before the differing one that it needs. State then survives CLEAR, which is
                itself a finding
    """

    stimulus: Stimulus
    difference: Difference
    steps: int
    spikes: int
    history: int


def minimise(
    case: Case,
    pair: tuple[Backend, Backend],
    difference: Difference,
    *,
    seconds: float = SEARCH_SECONDS,
    runs: int = SEARCH_RUNS,
) -> Minimal | None:
    """Shrink the stimulus of ``case`` around ``difference.sample``.

    ``pair`` is the reference and the backend that differs. The search ends after ``seconds`` or
    ``runs`` runs of the pair, whichever comes first, with the best found so far. None if no fresh
    run of the pair shows any difference.
    """
    network, stimulus = case.network, case.stimulus
    names = (difference.reference, difference.backend)
    budget = _Budget(seconds, runs)

    def differs(candidate: Stimulus) -> Difference | None:
        budget.spend()
        reference, other = (
            Side(name, backend.run(candidate, membranes=case.membranes))
            for name, backend in zip(names, pair, strict=True)
        )
        return diff(network, reference, other, membranes=case.membranes).first

    at, history = difference.sample, 0
    best = stimulus.take(slice(at, at + 1))
    # alone first, then with 1, 3, 7, ... samples before it
    while (first := differs(best)) is None:
        if history == at or budget.spent():
            return None
        history = min(2 * history + 1, at)
        best = stimulus.take(slice(at - history, at + 1))
    best = best.take(slice(0, first.sample + 1))

    keep = _Coordinates.of(best, network)
    # spikes that arrive after the difference cannot be its cause
    low, high = 0, min(first.tick + 1, network.steps)
    while low <= high and not budget.spent():
        middle = (low + high) // 2
        trial = keep.chosen(keep.step < middle)
        if (now := differs(trial.stimulus(best))) is not None:
            keep, first, high = trial, now, middle - 1
        else:
            low = middle + 1
    keep, first = _fewer(keep, first, lambda c: differs(c.stimulus(best)), budget)
    last = int(keep.step.max()) + 1 if keep.step.size else 0
    return Minimal(keep.stimulus(best), first, last, keep.step.size, first.sample)


class _Budget:
    """Time and runs that are left."""

    def __init__(self, seconds: float, runs: int) -> None:
        self.end, self.runs = time.monotonic() + seconds, runs

    def spend(self) -> None:
        self.runs -= 1

    def spent(self) -> bool:
        return self.runs <= 0 or time.monotonic() >= self.end


@dataclass(frozen=True)
class _Coordinates:
    """The spikes of a stimulus; each array has one entry per spike.

    node: number of its input, in the order of ``names``; sample, step, line: where it is
    """

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
            which = self.node == i
            line = self.line[which]
            place = (self.sample[which], self.step[which], line >> 3)
            np.bitwise_or.at(spikes[name], place, (1 << (line & 7)).astype(np.uint8))
        return replace(like, spikes=spikes)


def _fewer(
    keep: _Coordinates,
    first: Difference,
    differs: Callable[[_Coordinates], Difference | None],
    budget: _Budget,
) -> tuple[_Coordinates, Difference]:
    """Delta debugging (Zeller 2002).

    Leaves out one of n equal parts while the rest still differs; n grows until parts are spikes.
    """
    parts = 2
    while keep.step.size and not budget.spent():
        edges = np.linspace(0, keep.step.size, min(parts, keep.step.size) + 1).astype(int)
        for low, high in zip(edges, edges[1:], strict=False):
            which = np.ones(keep.step.size, bool)
            which[low:high] = False
            trial = keep.chosen(which)
            if budget.spent():
                return keep, first
            if (now := differs(trial)) is not None:
                keep, first, parts = trial, now, max(2, parts - 1)
                break
        else:
            if parts >= keep.step.size:
                break
            parts *= 2
    return keep, first
