"""A comparison as ``spikeloop compare`` asks for it: by files."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikeloop.cosim.backends import check_names
from spikeloop.cosim.compare.result import Result
from spikeloop.cosim.flow.export import beside
from spikeloop.cosim.flow.verify import Comparison, Filing, Interrupted, Verdict
from spikeloop.cosim.runs.folder import JOURNAL, SUMMARY
from spikeloop.cosim.runs.junit import write as write_junit
from spikeloop.pysim.bundle.open import load_bundle
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.journal import Journal
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.readout import Readout
from spikeloop.pysim.traces.expected import Expected
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["Request"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of ``spikeloop compare``; further fields: :class:`Comparison`, :class:`Filing`.

    image:     folder of the bundle
    stimulus, network: files; None: those in the image folder or beside it
    expected:  file of expected spikes
    samples:   only the first so many; None: all
    keep:      samples that the page draws, such as [0, 17]; None: the first four
    folder:    of the run
    scheduler: address of a dask cluster that does the work
    junit:     file for the verdict as JUnit XML (cosim/runs/junit.py)
    kind, groups: how the answers are read (pysim/network/readout.py); None: as the network says
    """

    image: Path
    backends: list[str]
    folder: Path
    stimulus: Path | None = None
    network: Path | None = None
    expected: Path | None = None
    samples: int | None = None
    membranes: bool = True
    record: Path | None = None
    keep: list[int] | None = None
    resume: bool = False
    scheduler: str | None = None
    kind: str | None = None
    groups: int | None = None
    allow_silent: bool = False
    junit: Path | None = None

    def run(
        self,
        *,
        tell: Callable[[str], None],
        started: Callable[[int], None],
        progress: Callable[[int], None],
    ) -> Verdict:
        """Load, compare and file. ``started`` gets the number of samples, ``progress`` those done.

        InputError if a file is missing, damaged or of another network.
        """
        check_names(self.backends)
        bundle, files = load_bundle(self.image), self._files()
        network, stimulus = Network.load(files["network"]), Stimulus.load(files["stimulus"])
        stimulus.check(network)
        expected = Expected.load(self.expected) if self.expected else None
        stimulus = stimulus.first(self.samples)
        if expected and self.samples is not None:
            expected = expected.take(slice(self.samples))
        for sample in self.keep or ():
            if sample >= stimulus.samples:
                raise InputError(
                    f"samples to keep must be in 0..{stimulus.samples - 1}, not {sample}"
                )
        readout = Readout.of(network, self.kind, self.groups)
        if self.kind and readout.by_membrane and not self.membranes:
            raise InputError(
                f"read-out {self.kind} must have the membranes, not --no-membranes: leave it out"
            )
        comparison = Comparison(
            network,
            bundle,
            stimulus,
            self.backends,
            expected,
            self.membranes,
            self.record,
            readout,
            self.allow_silent,
        )
        filing = Filing(
            folder=self.folder,
            keep=self.keep,
            resume=self.resume,
            image=self.image,
            network=files["network"],
        )
        done = comparison.file(
            filing,
            scheduler=self.scheduler,
            tell=tell,
            started=self._began(tell, started),
            progress=progress,
            about=lambda result: (
                {name: str(file) for name, file in files.items()}
                | self._floats(network, stimulus, readout, result, tell)
            ),
        )
        if self.junit:
            write_junit(self.junit, done.summary, network.name)
        return done

    def _began(
        self, tell: Callable[[str], None], started: Callable[[int], None]
    ) -> Callable[[int], None]:
        """``started`` that says so if there is no run to go on with."""
        anew = self.resume and Journal.read(self.folder / JOURNAL) is None

        def begin(samples: int) -> None:
            if anew:
                tell(f"no run to go on with in {str(self.folder)!r}: it begins at sample 0")
            started(samples)

        return begin

    def _floats(
        self,
        network: Network,
        stimulus: Stimulus,
        readout: Readout,
        result: Result,
        tell: Callable[[str], None],
    ) -> dict[str, Any]:
        """The float model beside the integers, for a network that was imported with one."""
        from spikeloop.golden.interchange import floats  # torch: only where there is a float model

        file = self.image / floats.FILE
        twin = floats.load(file, network) if file.is_file() else None
        if twin is None:
            return {}
        tell("float model: the same stimulus in float64 ...")
        stimulus = stimulus.first(result.samples)  # fewer, where the comparison was broken off
        column = floats.column(twin, network, stimulus.dense(network), stimulus.labels, readout)
        accuracy = result.to_dict()["accuracy"] | {"float": column.accuracy}
        return {"floats": column.to_dict(), "accuracy": accuracy}

    def interrupted(self, stop: Interrupted) -> str:
        """How far a run came that was broken off, and the command that goes on with it."""
        summary = stop.verdict.summary
        return (
            f"interrupted after {summary['samples']:,} of {summary['samples_of']:,} samples, "
            f"{summary['different']:,} different so far ({self.folder / SUMMARY}); "
            f"go on: {self._again()}"
        )

    def _again(self) -> str:
        files = self._files()
        options: dict[str, Any] = {
            "--network": files["network"],
            "--stimulus": files["stimulus"],
            "--backends": ",".join(self.backends),
            "--samples": self.samples,
            "--expected": self.expected,
            "--keep": ",".join(map(str, self.keep or ())) or None,
            "--scheduler": self.scheduler,
            "--readout": self.kind,
            "--groups": self.groups,
            "--junit": self.junit,
            "-o": self.folder,
        }
        command = ["spikeloop", "compare", str(self.image)]
        for option, value in options.items():
            command += [] if value is None else [option, str(value)]
        command += [] if self.membranes else ["--no-membranes"]
        command += ["--allow-silent"] if self.allow_silent else []
        return shlex.join([*command, "--resume"])

    def _files(self) -> dict[str, Path]:
        return {
            "image": self.image,
            "network": self.network
            or beside(self.image, "network.safetensors", "name it with --network"),
            "stimulus": self.stimulus
            or beside(self.image, "stimulus.npz", "name it with --stimulus"),
        }
