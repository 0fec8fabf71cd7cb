"""What a comparison found in some of its samples: all that its verdict and its report are made of, and one line of its journal.

In the line, arrays lie in one npz archive (zipped, no pickles, base64); of a kept sample the traces of all backends but the first are
written as their difference from the first, which is nearly always 0 and takes no room.
"""

import base64
from collections.abc import Container, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spikeloop.cosim.compare.diff import Difference, Pair
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces import npz
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["Chunk", "Kept", "decisions", "pack_arrays", "unpack_arrays"]

Arrays = npz.Arrays

ARCHIVE = "archive in a line of the run's journal"
MEMBERS: npz.Members = {
    "answers/": np.int64,
    "counters/": np.int64,
    "neurons/": np.int64,
    "steps/": np.int64,
    "labels": np.int64,
    "inputs/": np.uint8,
    "spikes/": np.uint8,
    "membranes/": np.int32,
}


@dataclass(frozen=True, eq=False)
class Kept:
    """One sample, to be drawn: its input spikes ``[step, byte]``; of each backend spikes ``[step, byte]``, membranes ``[step, neuron]``."""

    inputs: Arrays
    spikes: list[Arrays]
    membranes: list[Arrays]


@dataclass(frozen=True, eq=False)
class Chunk:
    """Samples ``start`` to ``stop - 1``. Lists go by backend, the reference first.

    answers: class of each sample, int64 ``[sample]``, or None if not known. counters: int64 ``[sample, tick]`` by name. neurons, steps:
    spikes of the reference, of each neuron int64 ``[size]`` and at each step int64 ``[step]``, by population. labels int64 ``[sample]``.
    natures: what a board is. seconds: time each backend ran.
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
        part: slice,
        stimulus: Stimulus,
        traces: dict[str, Trace],
        pairs: list[Pair],
        keep: Container[int],
        natures: dict[str, str],
        seconds: dict[str, float],
    ) -> "Chunk":
        """From the traces of the samples ``part``, whose ``stimulus`` this is; kept are those in ``keep`` and the first that differs."""
        reference = next(iter(traces.values()))
        spikes = {p.name: unpack(reference.spikes[p.name], p.size) for p in network.populations}
        wrong = min((pair.first.sample for pair in pairs if pair.first), default=None)
        kept = {
            n: Kept(
                {name: array[n - part.start] for name, array in stimulus.spikes.items()},
                [
                    {name: array[n - part.start] for name, array in trace.spikes.items()}
                    for trace in traces.values()
                ],
                [
                    {name: array[n - part.start] for name, array in trace.membranes.items()}
                    for trace in traces.values()
                ],
            )
            for n in range(part.start, part.stop)
            if n in keep or n == wrong
        }
        return cls(
            part.start,
            part.stop,
            pairs,
            [decisions(network, trace) for trace in traces.values()],
            [trace.counters for trace in traces.values()],
            {name: array.sum(axis=(0, 1), dtype=np.int64) for name, array in spikes.items()},
            {name: array.sum(axis=(0, 2), dtype=np.int64) for name, array in spikes.items()},
            stimulus.labels,
            kept,
            natures,
            seconds,
        )

    # -- line of a journal -----------------------------------------------------------------------------------

    def to_line(self) -> dict[str, Any]:
        arrays = {f"answers/{i}": a for i, a in enumerate(self.answers) if a is not None}
        arrays |= {
            f"counters/{i}/{name}": a
            for i, some in enumerate(self.counters)
            for name, a in some.items()
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
            for kind in ("spikes", "membranes"):
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
            arrays, count = unpack_arrays(line["arrays"], MEMBERS), line["backends"]
            kept = {}
            for n in line["kept"]:
                parts = {}
                for kind in ("spikes", "membranes"):
                    first = dict(_under(arrays, f"{kind}/{n}/0/"))
                    parts[kind] = [first] + [
                        {name: a ^ first[name] for name, a in _under(arrays, f"{kind}/{n}/{i}/")}
                        for i in range(1, count)
                    ]
                kept[n] = Kept(dict(_under(arrays, f"inputs/{n}/")), **parts)
            pairs = [
                Pair(**pair | {"first": pair["first"] and Difference(**pair["first"])})
                for pair in line["pairs"]
            ]
            return cls(
                line["start"],
                line["stop"],
                pairs,
                [arrays.get(f"answers/{i}") for i in range(count)],
                [dict(_under(arrays, f"counters/{i}/")) for i in range(count)],
                dict(_under(arrays, "neurons/")),
                dict(_under(arrays, "steps/")),
                arrays.get("labels"),
                kept,
                line["natures"],
                line["seconds"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"line of the run's journal must be as spikeloop compare wrote it, not without {error}"
            ) from None


def decisions(network: Network, trace: Trace) -> np.ndarray | None:
    """The class each sample is read out as, int64 ``[sample]``: the neuron of the output population with most spikes, or the
    highest membrane after the last step; of equals the first. None where the membranes it needs were not recorded."""
    output = network.population(network.output)
    if network.readout == "spikes":
        return (
            unpack(trace.spikes[output.name], output.size)
            .sum(axis=1, dtype=np.int64)
            .argmax(axis=1)
        )
    if output.name not in trace.membranes:
        return None
    return trace.membranes[output.name][:, -1].argmax(axis=1)


def pack_arrays(arrays: npz.Arrays) -> str:
    """An archive of arrays as text of a journal's line."""
    return base64.b64encode(npz.encode(arrays)).decode()


def unpack_arrays(text: str, members: npz.Members) -> npz.Arrays:
    """Inverse of :func:`pack_arrays` for an archive of ``members``; InputError for anything else."""
    try:
        data = base64.b64decode(text, validate=True)
    except (TypeError, ValueError):
        raise InputError(f"{ARCHIVE} is damaged: run the comparison again") from None
    return npz.decode(data, ARCHIVE, members)


def _under(arrays: Arrays, prefix: str) -> Iterator[tuple[str, np.ndarray]]:
    return (
        (key.removeprefix(prefix), array) for key, array in arrays.items() if key.startswith(prefix)
    )
