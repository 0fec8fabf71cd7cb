"""The folder of a run: read by ``spikeloop report``, and by ``--resume``, which goes on with it.

    journal.jsonl   what the run is of, then a line for each chunk of samples, each on disk before
                    the next
    summary.json    the verdict without times: the same bytes whether the run was broken off or not
    origin.json     what made it: date, versions, commit, command, machine (cosim/runs/origin.py)
    report.html     the page of spikeloop report

A run that is killed loses the chunks under way. One that is interrupted leaves the verdict so far,
with ``complete`` false.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.compare.chunk import Chunk, pack_arrays
from spikeloop.cosim.compare.compare import Case, Log
from spikeloop.cosim.compare.result import Result
from spikeloop.cosim.provenance import code
from spikeloop.cosim.runs.origin import origin
from spikeloop.pysim.bundle.split import NOBODY
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.common.journal import Journal
from spikeloop.pysim.common.reading import read_file
from spikeloop.pysim.cost.cycles import at_most
from spikeloop.pysim.cost.figures import figures
from spikeloop.pysim.image.image import Bundle
from spikeloop.pysim.mapping.placement import Placement
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces import npz

__all__ = ["KEPT", "Run", "cores", "sources"]

FORMAT, VERSION = "spikeloop run", 4
KEPT = 4
"""Samples kept for the report unless others are asked for."""

JOURNAL, SUMMARY, REPORT = "journal.jsonl", "summary.json", "report.html"
ORIGIN = "origin.json"
PARAMETERS: npz.Members = {"v_th/": np.int64, "fire/": np.bool_}
"""Arrays of the head of a journal, by population."""


class Run(Log):
    """The log of a comparison, on disk. ``chunks`` are in order from sample 0."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        chunks = [Chunk.from_line(line) for line in journal.lines]
        super().__init__(journal.head.get("keep", ()), chunks)
        self.folder, self.journal = folder, journal
        stops = [0, *(chunk.stop for chunk in chunks)]
        if any(chunk.start != stop for chunk, stop in zip(chunks, stops, strict=False)):
            raise InputError(
                f"samples of journal {str(journal.path)!r} must follow each other, "
                "not leave gaps: run it again"
            )

    @property
    def head(self) -> dict[str, Any]:
        """What the run is of (JSON): network, chip, stimulus, backends, ..."""
        return self.journal.head

    @classmethod
    def open(
        cls,
        folder: Path,
        case: Case,
        bundle: Bundle,
        names: Sequence[str],
        *,
        keep: Sequence[int] = (),
        resume: bool = False,
    ) -> "Run":
        """A run of ``case`` into ``folder``; nothing is written before the first chunk.

        keep:   samples whose traces are kept for the report
        resume: go on with the run in ``folder``; InputError if it is of another network, image,
                stimulus, ..., or of other sources
        """
        measures = figures(bundle)
        network, stimulus, expected = case.network, case.stimulus, case.expected
        parameters = {
            f"{kind}/{p.name}": array
            for p in network.populations
            for kind, array in (("v_th", p.v_th), ("fire", p.fire))
        }
        head = {
            "format": FORMAT,
            "version": VERSION,
            "backends": list(names),
            "samples": stimulus.samples,
            "membranes": case.membranes,
            "sources": sources(),
            "keep": list(keep),
            "sha256": network.sha256(),
            "chip": bundle.chip.to_dict(),
            "stimulus": _sha256({**stimulus.spikes, **stimulus.pixels}, stimulus.labels),
            "expected": expected and [expected.first, _sha256(expected.spikes, None)],
            "network": {
                "name": network.name,
                "steps": network.steps,
                "ticks": network.ticks,
                "output": network.output,
                "readout": case.reader.kind,
                "classes": case.reader.classes,
                "answer": str(case.reader),
                "inputs": [[node.name, node.size] for node in network.inputs],
                "populations": [[p.name, p.size, p.start] for p in network.order()],
            },
            "cores": cores(bundle, network),
            "figures": measures.to_dict() | {"text": measures.text()},
            "ticks": ticks(bundle),
            "page_shifts": {p.name: p.page_shift for p in network.populations if p.page_shift},
            "arrays": pack_arrays(parameters),
        }
        path = folder / JOURNAL
        return cls(folder, Journal.open(path, head, "run") if resume else Journal(path, head))

    @classmethod
    def load(cls, folder: Path) -> tuple["Run", dict[str, Any]]:
        """The run in ``folder`` and its summary, to be reported."""
        journal = Journal.read(folder / JOURNAL)
        if journal is None or not journal.lines:
            raise InputError(
                f"run {str(folder)!r} must be a folder that spikeloop compare or sim wrote, "
                f"with {JOURNAL}, not without"
            )
        if journal.head.get("format") != FORMAT or journal.head.get("version") != VERSION:
            raise InputError(
                f"journal of run {str(folder)!r} must be of a {FORMAT}, version {VERSION}, "
                "not of another kind: run it again"
            )
        try:
            summary = json.loads(read_file(folder / SUMMARY, "summary", "run it again"))
            if not isinstance(summary, dict) or "pairs" not in summary:
                raise ValueError
        except (ValueError, RecursionError):  # an InputError too
            raise InputError(
                f"run {str(folder)!r} must be ended, with its {SUMMARY}, not broken off: "
                "go on with it by spikeloop compare --resume"
            ) from None
        return cls(folder, journal), summary

    def add(self, chunk: Chunk) -> None:
        """Put a chunk on disk."""
        if not self.journal.lines:  # what lay here was of another run
            for name in (SUMMARY, REPORT, ORIGIN):
                (self.folder / name).unlink(missing_ok=True)
        self.journal.append(chunk.to_line())
        super().add(chunk)

    def finish(self, result: Result, **more: Any) -> dict[str, Any]:
        """Write the summary, the facts of ``result`` and of ``more``, and return it."""
        summary = result.facts() | {
            "complete": result.samples == self.head["samples"],
            "samples_of": self.head["samples"],
            "answer": self.head["network"]["answer"],
            **more,
        }
        for name, values in ((SUMMARY, summary), (ORIGIN, origin())):
            write_atomic(self.folder / name, (json.dumps(values, indent=1) + "\n").encode())
        return summary


def sources() -> str:
    """SHA-256 of the sources that chunks are computed by; a run does not go on with others."""
    return code("spikeloop.cosim.compare.crew", "spikeloop.cosim.backends")


def cores(bundle: Bundle, network: Network) -> list[dict[str, Any]]:
    """What each core holds, or each part that takes turns (JSON).

    Its number, its use, and by population [neurons, columns, axons that reach them, where these
    lie: [first axon, axons] of each group].
    """
    return [_core(n, image.placement, network) for n, image in bundle.images.items()]


def _core(n: int, place: Placement, network: Network) -> dict[str, Any]:
    holds = {
        p.name: [
            p.size,
            place.columns_of(p) * place.extension,
            p.reach,
            _axons(place, network, p.name),
        ]
        for p in place.populations
    }
    return {"core": n, **asdict(place.use), "holds": holds}


def _axons(place: Placement, network: Network, target: str) -> list[list[int]]:
    """First axon and size of each group of axons that feeds a population, in order."""
    groups = set()
    for edge in (edge for edge in network.edges if edge.target == target):
        names, delay = (edge.source, NOBODY + edge.source), edge.delay + network.start_of(target)
        lines = [i for i in place.inputs if i.name in names]
        lines = [i for i in lines if i.delay == delay] or lines
        groups |= {(i.first_axon, i.size) for i in lines}
        groups |= {
            (p.first_axon, p.size)
            for p in place.populations
            if p.name == edge.source and p.first_axon is not None and not lines
        }
    return sorted(map(list, groups))


def ticks(bundle: Bundle) -> dict[str, list[int]] | None:
    """Of each tick of one core: words that listen, and cycles in which all words are swept.

    None for several cores and for PIM macros, whose ticks are not of one kind.
    """
    images = list(bundle.images.values())
    if len(images) != 1 or bundle.pim_head or bundle.chip.derived.cores > 1:
        return None
    place = images[0].placement
    most = at_most(place, bundle.steps)
    passes = most.accumulate[0] // place.rows
    return {"passes": passes.tolist(), "sweep": (most.sweep + most.start)[0].tolist()}


def _sha256(arrays: dict[str, np.ndarray], labels: np.ndarray | None) -> str:
    named = sorted(arrays.items())
    if labels is not None:
        named.append(("labels", labels))
    digest = hashlib.sha256()
    for name, array in named:
        digest.update(repr((name, array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
