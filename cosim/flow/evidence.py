"""What a difference leaves behind: a minimal stimulus, its waves, the command to see it again."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from spikeloop.cosim.compare.compare import Case
from spikeloop.cosim.compare.crew import Opener
from spikeloop.cosim.compare.pair import Difference
from spikeloop.cosim.compare.shrink import Minimal, minimise
from spikeloop.pysim.network.readout import Readout

__all__ = ["Evidence", "keep_evidence"]


@dataclass(frozen=True)
class Evidence:
    """The files of a difference. None where there is none: ``str()`` then says why.

    stimulus: file of ``minimal``; waves: file of its signals; command: shows the difference again
    """

    difference: Difference
    minimal: Minimal | None
    stimulus: Path | None
    waves: Path | None
    command: str

    def __str__(self) -> str:
        again = "none (the difference did not come again in a fresh run)"
        if self.minimal and self.stimulus:
            minimal = self.minimal
            size = [
                _count(minimal.history + 1, "sample"),
                _count(minimal.steps, "step"),
                _count(minimal.spikes, "spike"),
            ]
            again = f"{self.stimulus} ({', '.join(size)}"
            if minimal.history:
                again += "; it does not differ without the samples before it: state outlives CLEAR"
            again += f"); there {minimal.difference}"
        waves = self.waves or "none (no backend of the pair records them)"
        return (
            f"first difference: {self.difference}\n"
            f"minimal stimulus: {again}\n"
            f"waves: {waves}\n"
            f"again: {self.command}"
        )


def keep_evidence(
    case: Case, difference: Difference, opener: Opener, folder: Path, *, image: Path, network: Path
) -> Evidence:
    """Minimise, save ``folder/difference.npz``, record waves, and say how to see it again.

    ``opener(name)`` opens a backend; the command names the paths ``image`` and ``network``.
    """
    minimal = path = waves = None
    with opener(difference.reference) as reference, opener(difference.backend) as backend:
        minimal = minimise(case, (reference, backend), difference)
        if minimal:
            minimal = replace(minimal, difference=minimal.difference.at(case.holders))
            path = minimal.stimulus.save(folder / "difference.npz")
            for candidate in (backend, reference):
                waves = waves or candidate.waves(minimal.stimulus, folder / "difference.fst")
    command = [
        "spikeloop",
        "compare",
        str(image),
        "--network",
        str(network),
        "--stimulus",
        str(path or "STIMULUS.npz"),
        "--backends",
        f"{difference.reference},{difference.backend}",
        "-o",
        str(folder / "again"),
        *([] if case.membranes else ["--no-membranes"]),
        *_readout(case),
    ]
    return Evidence(difference, minimal, path, waves, shlex.join(command))


def _readout(case: Case) -> list[str]:
    """The options of a read-out that is not the network's own; labels are checked against it."""
    if case.reader == Readout.of(case.network):
        return []
    return ["--readout", case.reader.kind, "--groups", str(case.reader.classes)]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
