"""The one way a comparison is made: open, compare, first difference, evidence, summary, page.

``spikeloop sim``, ``compare`` and ``zoo``, and :func:`verify` of scripts, all go through here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.backends import check_names, open_backend
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.cosim.compare.result import Result
from spikeloop.cosim.flow.evidence import Evidence, keep_evidence
from spikeloop.cosim.runs.folder import KEPT, Run
from spikeloop.cosim.runs.lock import held
from spikeloop.cosim.runs.page import write as write_page
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Bundle
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.readout import Readout
from spikeloop.pysim.traces.expected import Expected
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["BACKENDS", "Comparison", "Filing", "Interrupted", "Verdict", "verify"]

BACKENDS = ("golden", "pysim", "verilator")


def verify(
    network: Network,
    bundle: Bundle,
    stimulus: Stimulus,
    names: Sequence[str] = BACKENDS,
    *,
    expected: Expected | None = None,
    membranes: bool = True,
    readout: Readout | None = None,
    allow_silent: bool = False,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Result:
    """Run ``stimulus`` through the named backends and compare each with the first.

    Compares every spike, every counter and, with ``membranes``, every membrane; ``expected``
    spikes with those of every backend. ``result.equal`` is the verdict, ``result.failures()`` says
    why not. ``readout`` says how answers are read; None: as the network says. With
    ``allow_silent``, a population that never spikes is no failure. ``progress(n)`` is called when n
    more samples are done. InputError for a bundle or a stimulus of another network, for labels that
    are no class of the network, and for a backend that cannot run here.
    """
    comparison = Comparison(
        network,
        bundle,
        stimulus,
        names,
        expected,
        membranes,
        readout=readout,
        allow_silent=allow_silent,
    )
    return compare(
        comparison.case, comparison.names, comparison.open, workers=workers, progress=progress
    )


@dataclass(frozen=True, kw_only=True)
class Filing:
    """Where a comparison is filed.

    folder: of the run (cosim/runs/folder.py)
    keep:   samples whose traces the page draws; None: the first KEPT
    resume: go on with the run in ``folder``
    image, network: where the bundle and the network lie, for the command that shows a difference
            again; None: they are written into ``folder`` if something differs
    page:   write the page of the run
    """

    folder: Path
    keep: Sequence[int] | None = None
    resume: bool = False
    image: Path | None = None
    network: Path | None = None
    page: bool = False


@dataclass(frozen=True)
class Verdict:
    """A comparison that was filed. ``summary`` is the content of summary.json."""

    result: Result
    evidence: Evidence | None
    summary: dict[str, Any]
    run: Run


class Interrupted(KeyboardInterrupt):
    """Ctrl-C after at least one chunk; ``verdict`` is that on the samples done, already filed."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__()
        self.verdict = verdict


@dataclass(frozen=True, eq=False)
class Comparison:
    """A stimulus of a network, and the backends to run it.

    bundle:    the network as an image, program or mesh
    names:     two backends or more, the reference first
    expected:  output spikes that every backend must give, if they are known
    membranes: whether membranes are compared too
    record:    file that takes down what is said with the board, for backend replay:FILE
    readout:   how the answers are read; None: as the network says
    allow_silent: a population that never spikes does not spoil the verdict
    """

    network: Network
    bundle: Bundle
    stimulus: Stimulus
    names: Sequence[str] = BACKENDS
    expected: Expected | None = None
    membranes: bool = True
    record: Path | None = None
    readout: Readout | None = None
    allow_silent: bool = False

    def __post_init__(self) -> None:
        check_names(self.names)
        if self.record and not any(map(_on_board, self.names)):
            raise InputError(
                "backends of a session to record must hold board:PORT, "
                f"not only {', '.join(self.names)}"
            )

    @cached_property
    def case(self) -> Case:
        return Case(
            self.network,
            self.stimulus,
            self.expected,
            self.membranes,
            self.bundle.holders(),
            self.readout,
            self.allow_silent,
        )

    def open(self, name: str, **options: Any) -> Backend:
        """Open a backend; options go to it."""
        return open_backend(name, self.network, self.bundle, **options)

    def file(
        self,
        filing: Filing,
        *,
        scheduler: str | None = None,
        tell: Callable[[str], None] = lambda text: None,
        started: Callable[[int], None] = lambda samples: None,
        progress: Callable[[int], None] | None = None,
        about: Callable[[Result], dict[str, Any]] = lambda result: {},
    ) -> Verdict:
        """Compare, look for the cause of the first difference, and leave all of it in a folder.

        scheduler: address of a dask cluster that does the work; ``filing`` then needs ``image``
        tell:      is told in words what is being done
        started:   gets the number of samples when the comparison begins
        progress:  ``progress(n)`` is called when n more samples are done
        about:     what else the summary says

        Ctrl-C raises :class:`Interrupted` if at least one chunk was done.
        """
        replayed = any(name.startswith("replay:") for name in self.names)
        if filing.resume and (self.record or replayed):
            raise InputError(
                "run to go on with must not record or replay a session, which is whole or nothing: "
                "leave out --resume"
            )
        with held(filing.folder):
            run = self._run(filing)
            started(self.stimulus.samples)
            try:
                result = compare(
                    self.case,
                    self.names,
                    self._recorded(),
                    farm=self._farm(scheduler, filing.image) if scheduler else None,
                    log=run,
                    progress=progress,
                )
            except KeyboardInterrupt:
                if not run.chunks:
                    raise
                result = Result.of(
                    self.network, self.names, run.chunks, holders=self.case.holders, alive=()
                )
                summary = run.finish(result, **about(result), evidence=None)
                raise Interrupted(Verdict(result, None, summary, run)) from None
            evidence = None
            if result.first and result.first.reference != "expected":
                tell("first difference: looking for a minimal stimulus ...")
                evidence = self._evidence(result, filing)
            summary = run.finish(
                result, **about(result), evidence=str(evidence) if evidence else None
            )
            if filing.page:
                write_page(run, summary)
            return Verdict(result, evidence, summary, run)

    def _run(self, filing: Filing) -> Run:
        keep = range(min(KEPT, self.stimulus.samples)) if filing.keep is None else filing.keep
        return Run.open(
            filing.folder, self.case, self.bundle, self.names, keep=keep, resume=filing.resume
        )

    def _recorded(self) -> Callable[[str], Backend]:
        """Opens backends; the first board is recorded."""
        records = iter([self.record] if self.record else [])

        def opener(name: str) -> Backend:
            record = next(records, None) if _on_board(name) else None
            return self.open(name, **({"record": record} if record else {}))

        return opener

    def _farm(self, scheduler: str, image: Path | None) -> Any:
        from spikeloop.cosim.compare.farm import Farm

        assert image
        return Farm(scheduler, self.network, image, self.names)

    def _evidence(self, result: Result, filing: Filing) -> Evidence:
        assert result.first
        folder = filing.folder
        image = filing.image or self.bundle.save(folder / "image")
        network = filing.network or self.network.save(folder / "network.safetensors")
        return keep_evidence(
            self.case, result.first, self.open, folder, image=image, network=network
        )


def _on_board(name: str) -> bool:
    return name.startswith("board:")
