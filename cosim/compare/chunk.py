"""A chunk: some samples of a comparison, all that verdict and report need of them, as one line.

In the line of the journal, arrays lie in one npz archive (zipped, no pickles, base64). The traces
of a kept sample are written whole for the first backend. For each other one it is the difference
from the first, which is nearly always 0 and takes no room.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spikeloop.cosim.compare.pair import Difference, Pair
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.readout import Readout
from spikeloop.pysim.traces import npz
from spikeloop.pysim.traces.expected import Expected
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import STATES, Trace

__all__ = ["Chunk", "Job", "Kept", "decisions", "pack_arrays", "unpack_arrays"]

Arrays = npz.Arrays

MOST, MOST_BACKENDS = 1 << 40, 1000
"""Samples and backends of a run."""

ARCHIVE = "archive in a line of the run's journal"
MEMBERS: npz.Members = {
    "answers/": np.int64,
    "counters/": np.int64,
    "neurons/": np.int64,
    "steps/": np.int64,
    "labels": np.int64,
    "inputs/": np.uint8,
    "spikes/": np.uint8,
    "expected/": np.uint8,
    **{f"{part}/": np.int32 for part in STATES},
}
KINDS = ("spikes", *STATES)
"""what is kept of a trace"""

MOST_WRONG_BYTES = 1 << 16
"""Size of a trace, not zipped, up to which the first wrong answer of a chunk is kept too."""


@dataclass(frozen=True, eq=False)
class Job:
    """A chunk to do.

    part:      its samples
    stimulus:  of these samples; expected: spikes of these samples, if known
    membranes: whether membranes are compared
    keep:      samples of the whole stimulus whose traces are kept
    readout:   how the answers are read
    """

    part: slice
    stimulus: Stimulus
    expected: Expected | None
    membranes: bool
    keep: frozenset[int]
    readout: Readout


@dataclass(frozen=True, eq=False)
class Kept:
    """One sample, to be drawn; lists go by backend, the reference first.

    inputs:    packed spikes uint8 ``[step, byte]`` by input
    expected:  the same by population that has expected spikes
    spikes:    packed spikes uint8 ``[step, byte]`` by population
    membranes, synaptic, adaptations: int32 ``[step, neuron]`` by population
    """

    inputs: Arrays
    expected: Arrays
    spikes: list[Arrays]
    membranes: list[Arrays]
    synaptic: list[Arrays]
    adaptations: list[Arrays]

    @classmethod
    def of(cls, at: int, job: Job, traces: Sequence[Trace]) -> "Kept":
        """Sample number ``at`` of the job and of its traces."""
        return cls(
            _sample(job.stimulus.spikes, at),
            _sample(job.expected.spikes, at) if job.expected else {},
            *([_sample(getattr(trace, kind), at) for trace in traces] for kind in KINDS),
        )


@dataclass(frozen=True, eq=False)
class Chunk:
    """Samples ``start`` to ``stop - 1``. Lists go by backend, the reference first.

    answers:  class of each sample, int64 ``[sample]``; None if it is not known
    counters: int64 ``[sample, tick]`` by name
    neurons:  spikes of each neuron of the reference, int64 ``[size]`` by population
    steps:    spikes of the reference at each step, int64 ``[step]`` by population
    labels:   int64 ``[sample]``
    natures:  board, virtual board or replay, by backend that is one
    seconds:  time that each backend ran
    """

    start: int
    stop: int
    pairs: list[Pair]
    answers: list[np.ndarray | None]
    counters: list[Arrays]
    neurons: Arrays
    steps: Arrays
    labels: np.ndarray | None
    kept: dict[int, Kept]
    natures: dict[str, str]
    seconds: dict[str, float]

    @classmethod
    def of(
        cls,
        network: Network,
        job: Job,
        traces: Sequence[Trace],
        pairs: list[Pair],
        natures: dict[str, str],
        seconds: dict[str, float],
    ) -> "Chunk":
        """From the traces of a job.

        Keeps the samples it names, the first that differs of each pair, and the first whose answer
        is wrong, if its trace is small.
        """
        start, stop, reference = job.part.start, job.part.stop, traces[0]
        spikes = {p.name: unpack(reference.spikes[p.name], p.size) for p in network.populations}
        answers = [decisions(job.readout, trace) for trace in traces]
        keep = {pair.first.sample for pair in pairs if pair.first} | job.keep
        keep |= {start + n for n in _wrong(answers[0], job.stimulus.labels, reference)}
        return cls(
            start=start,
            stop=stop,
            pairs=pairs,
            answers=answers,
            counters=[trace.counters for trace in traces],
            neurons={name: array.sum((0, 1), np.int64) for name, array in spikes.items()},
            steps={name: array.sum((0, 2), np.int64) for name, array in spikes.items()},
            labels=job.stimulus.labels,
            kept={n: Kept.of(n - start, job, traces) for n in range(start, stop) if n in keep},
            natures=natures,
            seconds=seconds,
        )

    # -- line of a journal ---------------------------------------------------------------------

    def to_line(self) -> dict[str, Any]:
        """The chunk as JSON."""
        arrays = {f"answers/{i}": a for i, a in enumerate(self.answers) if a is not None}
        arrays |= {
            f"counters/{i}/{name}": a
            for i, counters in enumerate(self.counters)
            for name, a in counters.items()
        }
        arrays |= {
            f"{kind}/{name}": a
            for kind in ("neurons", "steps")
            for name, a in getattr(self, kind).items()
        }
        if self.labels is not None:
            arrays["labels"] = self.labels.astype(np.int64)
        for n, kept in self.kept.items():
            arrays |= {f"inputs/{n}/{name}": a for name, a in kept.inputs.items()}
            arrays |= {f"expected/{n}/{name}": a for name, a in kept.expected.items()}
            for kind in KINDS:
                first, *others = getattr(kept, kind)
                arrays |= {f"{kind}/{n}/0/{name}": a for name, a in first.items()}
                arrays |= {
                    f"{kind}/{n}/{i}/{name}": a ^ first[name]
                    for i, other in enumerate(others, 1)
                    for name, a in other.items()
                }
        return {
            "start": self.start,
            "stop": self.stop,
            "pairs": [asdict(pair) for pair in self.pairs],
            "natures": self.natures,
            "seconds": self.seconds,
            "backends": len(self.counters),
            "kept": list(self.kept),
            "arrays": pack_arrays(arrays),
        }

    @classmethod
    def from_line(cls, line: dict[str, Any]) -> "Chunk":
        """Inverse of :meth:`to_line`. InputError for anything else."""
        try:
            for key, most in (("start", MOST), ("stop", MOST), ("backends", MOST_BACKENDS)):
                check_int(f"{key} of a line of the run's journal", line[key], 0, most)
            arrays, count = unpack_arrays(line["arrays"], MEMBERS), line["backends"]
            kept = {}
            for n in line["kept"]:
                parts = {}
                for kind in KINDS:
                    first = dict(_under(arrays, f"{kind}/{n}/0/"))
                    parts[kind] = [first] + [
                        {name: a ^ first[name] for name, a in _under(arrays, f"{kind}/{n}/{i}/")}
                        for i in range(1, count)
                    ]
                kept[n] = Kept(
                    dict(_under(arrays, f"inputs/{n}/")),
                    dict(_under(arrays, f"expected/{n}/")),
                    **parts,
                )
            pairs = [
                Pair(
                    **pair
                    | {"first": pair["first"] and Difference(**pair["first"])}
                    | {"firsts": {k: Difference(**v) for k, v in pair["firsts"].items()}}
                )
                for pair in line["pairs"]
            ]
            return cls(
                start=line["start"],
                stop=line["stop"],
                pairs=pairs,
                answers=[arrays.get(f"answers/{i}") for i in range(count)],
                counters=[dict(_under(arrays, f"counters/{i}/")) for i in range(count)],
                neurons=dict(_under(arrays, "neurons/")),
                steps=dict(_under(arrays, "steps/")),
                labels=arrays.get("labels"),
                kept=kept,
                natures=line["natures"],
                seconds=line["seconds"],
            )
        except InputError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                "line of the run's journal must be as spikeloop compare wrote it, "
                f"not without {error}"
            ) from None


def decisions(readout: Readout, trace: Trace) -> np.ndarray | None:
    """The class that each sample is read out as, int64 ``[sample]``.

    None where the membranes that the read-out needs were not recorded.
    """
    name = readout.population
    if not readout.by_membrane:
        return readout.answers(unpack(trace.spikes[name], readout.neurons))
    return readout.answers(trace.membranes[name]) if name in trace.membranes else None


def pack_arrays(arrays: npz.Arrays) -> str:
    """An archive of arrays as text of a journal's line."""
    return base64.b64encode(npz.encode(arrays)).decode()


def unpack_arrays(text: str, members: npz.Members) -> npz.Arrays:
    """Inverse of :func:`pack_arrays` for arrays ``members``. InputError for anything else."""
    try:
        data = base64.b64decode(text, validate=True)
    except (TypeError, ValueError):
        raise InputError(f"{ARCHIVE} is damaged: run the comparison again") from None
    return npz.decode(data, ARCHIVE, members)


def _wrong(answers: np.ndarray | None, labels: np.ndarray | None, reference: Trace) -> list[int]:
    """The first sample whose answer is not its label; [] if its trace is not small."""
    if answers is None or labels is None:
        return []
    traces = [array for kind in KINDS for array in getattr(reference, kind).values()]
    if sum(array.nbytes for array in traces) > MOST_WRONG_BYTES * len(labels):
        return []
    return np.flatnonzero(answers != labels)[:1].tolist()


def _sample(arrays: Arrays, at: int) -> Arrays:
    return {name: array[at] for name, array in arrays.items()}


def _under(arrays: Arrays, prefix: str) -> Iterator[tuple[str, np.ndarray]]:
    return (
        (key.removeprefix(prefix), array) for key, array in arrays.items() if key.startswith(prefix)
    )
