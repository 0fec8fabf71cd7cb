"""The verdict of a comparison: what differs, what stayed silent, what was counted, how many samples were read out as their label.

It is made of the chunks that a run left (cosim/compare/chunk.py), whoever ran them; equal is a run without a difference, a silent population that
may spike, or a dropped event.
"""

from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from spikeloop.cosim.compare.chunk import Chunk
from spikeloop.cosim.compare.diff import Difference, Holders, Pair, busy
from spikeloop.pysim.network.graph import Network

__all__ = ["CHIPS", "Result"]

CHIPS = ("verilator", "icarus", "board", "replay")
"""backends that measure cycles; pysim predicts them"""


@dataclass
class Result:
    """The verdict on a run of two or more backends, with what they counted.

    ``counters[backend][name]`` int64 ``[sample, tick]``; ``accuracy[backend]`` a fraction, None without labels;
    ``silent`` names the populations that may fire and never did; ``seconds`` is wall time, ``busy`` the sum per backend
    over all workers; ``natures`` says what a board is: "board", "virtual board" or "replay".
    """

    network: Network
    backends: list[str]
    samples: int
    pairs: list[Pair]
    accuracy: dict[str, float | None]
    counters: dict[str, dict[str, np.ndarray]]
    silent: list[str]
    seconds: float
    busy: dict[str, float]
    natures: dict[str, str] = field(default_factory=dict)

    @property
    def ticks(self) -> int:
        """Ticks run by each backend."""
        return self.samples * self.network.ticks

    @property
    def neuron_ticks(self) -> int:
        """Neuron-ticks compared in each pair: samples x steps x logical neurons."""
        return self.pairs[0].neuron_ticks

    @property
    def different(self) -> int:
        """Neuron-ticks and counter values that differ, over all pairs."""
        return sum(pair.different for pair in self.pairs)

    @property
    def first(self) -> Difference | None:
        return min(
            (p.first for p in self.pairs if p.first), key=lambda d: (d.sample, d.tick), default=None
        )

    def total(self, counter: str, backend: str) -> int | None:
        values = self.counters[backend].get(counter)
        return None if values is None else int(values.sum())

    @property
    def cycles_predicted(self) -> int | None:
        return self.total("cycles", "pysim") if "pysim" in self.backends else None

    @property
    def cycles_measured(self) -> int | None:
        """Cycles that the first chip among the backends counted, without its stalls."""
        return next(
            (
                self.total("cycles", name)
                for name in self.backends
                if name.partition(":")[0] in CHIPS
            ),
            None,
        )

    @property
    def sops(self) -> int | None:
        """Synaptic operations, as a chip counted them, else as pysim did."""
        names = sorted(self.backends, key=lambda name: name.partition(":")[0] not in CHIPS)
        return next(
            (self.total("sops", name) for name in names if "sops" in self.counters[name]), None
        )

    @property
    def dropped(self) -> int:
        return sum(self.total("dropped", name) or 0 for name in self.backends)

    def score(self, *names: str) -> float | None:
        """Accuracy of the first of the backends so named that ran."""
        return next(
            (
                self.accuracy[backend]
                for backend in self.backends
                if backend.partition(":")[0] in names
            ),
            None,
        )

    def failures(self) -> list[str]:
        """One sentence for each reason why the run fails; empty if all is equal and alive."""
        reasons = [f"{pair}: first at {pair.first}" for pair in self.pairs if pair.different]
        reasons += [
            f"population {name!r} must spike at least once in the run, not stay silent: equal silence proves nothing"
            for name in self.silent
        ]
        if self.dropped:
            reasons.append(f"dropped events must be 0, not {self.dropped}")
        return reasons

    @property
    def equal(self) -> bool:
        return not self.failures()

    @classmethod
    def of(
        cls,
        network: Network,
        names: Sequence[str],
        chunks: Sequence[Chunk],
        *,
        holders: Holders = MappingProxyType({}),
        alive: Container[str] | None = None,
        seconds: float = 0.0,
    ) -> "Result":
        """The verdict on the samples of ``chunks``, one at least, in order. ``alive``: populations that must spike; None: all that may."""
        pairs = [
            Pair(pair.reference, pair.backend, membranes_compared=pair.membranes_compared)
            for pair in chunks[0].pairs
        ]
        for pair, *parts in zip(pairs, *(chunk.pairs for chunk in chunks), strict=True):
            for part in parts:
                pair.add(part)
            pair.first = pair.first and pair.first.at(holders)
        joined, right = {}, {}
        for i, name in enumerate(names):
            counters = {
                c: np.concatenate([chunk.counters[i][c] for chunk in chunks])
                for c in chunks[0].counters[i]
            }
            joined[name] = counters | ({"cycles": busy(counters)} if "cycles" in counters else {})
            right[name] = _share(
                [chunk.answers[i] for chunk in chunks], [chunk.labels for chunk in chunks]
            )
        silent = [
            p.name
            for p in network.populations
            if p.fire.any()
            and (alive is None or p.name in alive)
            and not any(chunk.neurons[p.name].any() for chunk in chunks)
        ]
        natures = {name: nature for chunk in chunks for name, nature in chunk.natures.items()}
        times = {name: sum(chunk.seconds[name] for chunk in chunks) for name in names}
        return cls(
            network,
            list(names),
            chunks[-1].stop,
            pairs,
            right,
            joined,
            silent,
            seconds,
            times,
            natures,
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the facts, and how long it took."""
        return self.facts() | {
            "seconds": round(self.seconds, 3),
            "busy_seconds": {k: round(v, 3) for k, v in self.busy.items()},
        }

    def facts(self) -> dict[str, Any]:
        """For JSON, all but times: the same of every run. ``neuron_ticks`` is per pair; ``different`` counts neuron-ticks and counter
        values over all pairs."""
        return {
            "equal": self.equal,
            "samples": self.samples,
            "steps": self.network.steps,
            "ticks": self.ticks,
            "neuron_ticks": self.neuron_ticks,
            "different": self.different,
            "backends": self.backends,
            "accuracy": {
                "float": None,
                "integer": self.score("golden", "pysim"),
                "rtl": self.score(*CHIPS),
            },
            "accuracy_of": self.accuracy,
            "cycles_predicted": self.cycles_predicted,
            "cycles_measured": self.cycles_measured,
            "sops": self.sops,
            "natures": self.natures,
            "silent": self.silent,
            "dropped": self.dropped,
            "failures": self.failures(),
            "counters": {
                name: {c: int(v.sum()) for c, v in known.items()}
                for name, known in self.counters.items()
            },
            "pairs": [asdict(pair) | {"different": pair.different} for pair in self.pairs],
        }


def _share(answers: list[np.ndarray | None], labels: list[np.ndarray | None]) -> float | None:
    """Share of the samples that were read out as their label."""
    known = [
        (answer == label).sum()
        for answer, label in zip(answers, labels, strict=True)
        if answer is not None and label is not None
    ]
    return (
        float(sum(known) / sum(len(label) for label in labels if label is not None))
        if len(known) == len(answers)
        else None
    )
