"""The verdict of a comparison: differences, silent populations, counters, accuracy.

The verdict is made of the chunks of a run alone (cosim/compare/chunk.py):

    equal      nothing differs, every population that may spike does, and no event was dropped
    unproven   nothing differs, but a population was silent, or events were dropped
    different  something differs
"""

from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from spikeloop.cosim.compare.chunk import Chunk
from spikeloop.cosim.compare.diff import busy
from spikeloop.cosim.compare.pair import Difference, Holders, Pair
from spikeloop.pysim.network.graph import Network

__all__ = ["CHIPS", "Result"]

CHIPS = ("verilator", "icarus", "board", "replay")
"""Backends that measure cycles; pysim predicts them."""


@dataclass
class Result:
    """The verdict on a run of two or more backends, with what they counted.

    accuracy: share of samples read out as their label, by backend; None without labels
    counters: int64 ``[sample, tick]`` by backend and name; cycles are without stalls
    silent:   populations that may fire and never did; they spoil the verdict unless allow_silent
    seconds:  wall time; busy: time of each backend, summed over all workers
    natures:  "board", "virtual board" or "replay", by backend that is one
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
    allow_silent: bool = False

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
        """The earliest difference of all pairs, by sample, then tick."""
        firsts = [pair.first for pair in self.pairs if pair.first]
        return min(firsts, key=lambda first: (first.sample, first.tick), default=None)

    def total(self, counter: str, backend: str) -> int | None:
        """Sum of a counter over all samples and ticks; None if the backend does not have it."""
        values = self.counters[backend].get(counter)
        return None if values is None else int(values.sum())

    @property
    def cycles_predicted(self) -> int | None:
        """Cycles that pysim predicts; None if it did not run."""
        return self.total("cycles", "pysim") if "pysim" in self.backends else None

    @property
    def cycles_measured(self) -> int | None:
        """Cycles that the first chip among the backends counted, without its stalls."""
        chips = [name for name in self.backends if name.partition(":")[0] in CHIPS]
        return self.total("cycles", chips[0]) if chips else None

    @property
    def sops(self) -> int | None:
        """Synaptic operations: those that a chip counted, else those that pysim did."""
        names = sorted(self.backends, key=lambda name: name.partition(":")[0] not in CHIPS)
        known = [name for name in names if "sops" in self.counters[name]]
        return self.total("sops", known[0]) if known else None

    @property
    def dropped(self) -> int:
        """Events that did not fit into a queue, over all backends."""
        return sum(self.total("dropped", name) or 0 for name in self.backends)

    def score(self, *names: str) -> float | None:
        """Accuracy of the first backend that has one of these names; None if none ran."""
        named = [backend for backend in self.backends if backend.partition(":")[0] in names]
        return self.accuracy[named[0]] if named else None

    def failures(self) -> list[str]:
        """One sentence for each reason why the run fails; empty if all is equal and alive."""
        reasons = [f"{pair}: first at {pair.first}" for pair in self.pairs if pair.different]
        reasons += [
            f"population {name!r} must spike at least once in the run, not stay silent: "
            "equal silence proves nothing"
            for name in ([] if self.allow_silent else self.silent)
        ]
        if self.dropped:
            reasons.append(f"dropped events must be 0, not {self.dropped}")
        return reasons

    @property
    def equal(self) -> bool:
        """Whether there is no failure."""
        return not self.failures()

    @property
    def verdict(self) -> str:
        """ "equal", "different" or, for a failure without a difference, "unproven"."""
        if self.different:
            return "different"
        return "equal" if self.equal else "unproven"

    @classmethod
    def of(
        cls,
        network: Network,
        names: Sequence[str],
        chunks: Sequence[Chunk],
        *,
        holders: Holders = MappingProxyType({}),
        alive: Container[str] | None = None,
        allow_silent: bool = False,
        seconds: float = 0.0,
    ) -> "Result":
        """The verdict on the samples of ``chunks``: one or more, in order.

        names:   backends, the reference first; holders: core of each neuron
        alive:   populations that must spike; None: all that may
        allow_silent: those that do not are told, and spoil nothing
        seconds: wall time
        """
        pairs = [
            Pair(pair.reference, pair.backend, membranes_compared=pair.membranes_compared)
            for pair in chunks[0].pairs
        ]
        for pair, *parts in zip(pairs, *(chunk.pairs for chunk in chunks), strict=True):
            for part in parts:
                pair.add(part)
            pair.at(holders)
        counted, accuracy = {}, {}
        for i, name in enumerate(names):
            counters = {
                c: np.concatenate([chunk.counters[i][c] for chunk in chunks])
                for c in chunks[0].counters[i]
            }
            if "cycles" in counters:
                counters["cycles"] = busy(counters)
            counted[name] = counters
            accuracy[name] = _share([(chunk.answers[i], chunk.labels) for chunk in chunks])
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
            network=network,
            backends=list(names),
            samples=chunks[-1].stop,
            pairs=pairs,
            accuracy=accuracy,
            counters=counted,
            silent=silent,
            seconds=seconds,
            busy=times,
            natures=natures,
            allow_silent=allow_silent,
        )

    def to_dict(self) -> dict[str, Any]:
        """The facts and the times, as JSON."""
        return self.facts() | {
            "seconds": round(self.seconds, 3),
            "busy_seconds": {k: round(v, 3) for k, v in self.busy.items()},
        }

    def facts(self) -> dict[str, Any]:
        """All but the times, as JSON: the same for every run.

        ``neuron_ticks`` is per pair; ``different`` counts neuron-ticks and counter values over all
        pairs.
        """
        return {
            "equal": self.equal,
            "verdict": self.verdict,
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


def _share(chunks: Sequence[tuple[np.ndarray | None, np.ndarray | None]]) -> float | None:
    """Share of the samples whose answer is their label; None if a chunk lacks one of the two."""
    right = samples = 0
    for answers, labels in chunks:
        if answers is None or labels is None:
            return None
        right += int((answers == labels).sum())
        samples += len(labels)
    return right / samples
