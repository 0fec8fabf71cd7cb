"""What a difference leaves behind: a minimal stimulus, its waves, the command to see it again."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spikeloop.cosim.compare.compare import Case
from spikeloop.cosim.compare.crew import Opener
from spikeloop.cosim.compare.pair import Difference
from spikeloop.cosim.compare.shrink import Minimal, minimise
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.readout import Readout

__all__ = ["Evidence", "keep_evidence"]

SIMULATORS = ("verilator", "icarus")
"""Backends whose RTL can leave a window of waves."""


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
        waves: Path | str = "none (no simulator of the RTL is among the backends)"
        if self.waves:
            saved = self.waves.with_suffix(".gtkw")
            waves = f"{self.waves}" + (f" (gtkwave {saved})" if saved.is_file() else "")
        return (
            f"first difference: {self.difference}\n"
            f"minimal stimulus: {again}\n"
            f"waves: {waves}\n"
            f"again: {self.command}"
        )


def keep_evidence(
    case: Case,
    difference: Difference,
    opener: Opener,
    folder: Path,
    *,
    image: Path,
    network: Path,
    names: Sequence[str] = (),
) -> Evidence:
    """Minimise, save ``folder/difference.npz``, record waves, and say how to see it again.

    ``opener(name)`` opens a backend; the command names the paths ``image`` and ``network``. If a
    simulator of the RTL is among the backends ``names``, the ticks around the difference are kept
    as ``waves.vcd`` with its save files, though neither backend of the pair records any.
    """
    waves = None
    options: list[str] = []
    minimal: Minimal | None
    if difference.reference == "expected":
        minimal, options = _as_expected(case, difference, folder)
    else:
        with opener(difference.reference) as reference, opener(difference.backend) as backend:
            minimal = minimise(case, (reference, backend), difference)
            if minimal:
                minimal = replace(minimal, difference=minimal.difference.at(case.holders))
                for candidate in (backend, reference):
                    waves = waves or candidate.waves(minimal.stimulus, folder / "difference.fst")
    path = minimal.stimulus.save(folder / "difference.npz") if minimal else None
    if minimal and (simulator := next((name for name in names if name in SIMULATORS), None)):
        waves = _window(minimal, image, folder, simulator) or waves
    pair = (difference.reference, difference.backend)
    if difference.reference == "expected":
        pair = (difference.backend, "pysim" if difference.backend == "golden" else "golden")
    command = [
        "spikeloop",
        "compare",
        str(image),
        "--network",
        str(network),
        "--stimulus",
        str(path or "STIMULUS.npz"),
        "--backends",
        ",".join(pair),
        "-o",
        str(folder / "again"),
        *options,
        *([] if case.membranes else ["--no-membranes"]),
        *_readout(case),
    ]
    return Evidence(difference, minimal, path, waves, shlex.join(command))


def _as_expected(case: Case, difference: Difference, folder: Path) -> tuple[Minimal, list[str]]:
    """The one sample whose spikes are not as expected, and the options that compare them.

    It is not minimised: of another stimulus nobody knows what is expected.
    """
    assert case.expected
    one = slice(difference.sample, difference.sample + 1)
    stimulus, file = case.stimulus.take(one), folder / "difference-expected.npz"
    spikes = sum(int(unpack(a, 8 * a.shape[-1]).sum()) for a in stimulus.spikes.values())
    case.expected.take(one).save(file)
    alone = replace(difference, sample=0)
    minimal = Minimal(stimulus, alone, case.network.steps, spikes, history=0)
    return minimal, ["--expected", str(file)]


def _window(minimal: Minimal, image: Path, folder: Path, simulator: str) -> Path | None:
    """Waves of the ticks around a difference; None for a chip without the signals."""
    from spikeloop.cosim.waves.window import record

    at = minimal.difference
    try:
        files = record(
            image,
            minimal.stimulus,
            folder,
            core=at.core or 0,
            tick=at.tick,
            sample=at.sample,
            simulator=simulator,
        )
    except InputError:
        return None
    return Path(files["waves"])


def _readout(case: Case) -> list[str]:
    """The options of a read-out that is not the network's own; labels are checked against it."""
    if case.reader == Readout.of(case.network):
        return []
    return ["--readout", case.reader.kind, "--groups", str(case.reader.classes)]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
