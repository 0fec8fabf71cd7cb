"""Compare backends: every spike, every membrane, every counter; the first difference by name.

The first backend is the reference. Each other one is compared with it; a counter, with the first
backend that has it. Samples go through in chunks, so that memory does not grow with their number.
Chunks run side by side, one crew of backends per worker, and are handed out in order. The verdict
is made of the chunks alone (cosim/compare/result.py), wherever they come from.
"""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.compare.chunk import Chunk, Job
from spikeloop.cosim.compare.crew import Crew, Opener, Threads, Workforce, in_order
from spikeloop.cosim.compare.pair import Holders
from spikeloop.cosim.compare.result import Result
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.readout import Readout
from spikeloop.pysim.traces.expected import Expected
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["SINGLE", "Case", "Log", "check_several", "compare"]

SINGLE = ("board", "replay")
"""Backends that exist once: they are opened once."""

MODELS = ("golden", "pysim")
"""Backends that keep nothing of a run: the workers share one, which they may run at once."""

SLOW = ("icarus",)
"""Slow backends (seconds per sample) get small chunks, so that a broken-off run loses little."""

CHUNK_BYTES = 32 << 20
CHUNK_SAMPLES, CHUNK_SLOW = 250, 8


@dataclass(frozen=True, eq=False)
class Case:
    """What is compared.

    expected:  output spikes that every backend must give, if they are known
    membranes: whether membranes are compared too
    holders:   core of each neuron, for the report of a difference
    readout:   how the answers are read; None: as the network says
    allow_silent: a population that never spikes does not spoil the verdict
    """

    network: Network
    stimulus: Stimulus
    expected: Expected | None = None
    membranes: bool = True
    holders: Holders = field(default_factory=dict)
    readout: Readout | None = None
    allow_silent: bool = False

    @property
    def reader(self) -> Readout:
        """How the answers are read."""
        return self.readout or Readout.of(self.network)

    def check(self) -> None:
        """InputError unless stimulus, labels and expected spikes belong to the network."""
        self.stimulus.check(self.network)
        self.reader.check_labels(self.stimulus.labels)
        if not self.stimulus.samples:
            raise InputError("samples to compare must be at least 1, not 0")
        if self.expected:
            self.expected.check(self.network, self.stimulus.samples)


class Log:
    """The chunks of a comparison, in order from sample 0.

    keep:   samples whose traces are kept in their chunk
    chunks: those of an earlier run of the same case; they are not run again
    """

    def __init__(self, keep: Iterable[int] = (), chunks: Iterable[Chunk] = ()) -> None:
        self.keep, self.chunks = frozenset(keep), list(chunks)

    def add(self, chunk: Chunk) -> None:
        """Take a new chunk."""
        self.chunks.append(chunk)


def check_several(names: Sequence[str]) -> None:
    """InputError unless ``names`` are two different backends at least."""
    if len(names) < 2:
        raise InputError(
            f"backends to compare must be at least 2, not {len(names)} "
            f"({', '.join(names) or 'none'})"
        )
    if len(set(names)) < len(names):
        raise InputError(f"backends to compare must be different ones, not {', '.join(names)}")


def compare(
    case: Case,
    names: Sequence[str],
    opener: Opener,
    *,
    workers: int | None = None,
    chunk: int | None = None,
    farm: Workforce | None = None,
    log: Log | None = None,
    progress: Callable[[int], None] | None = None,
) -> Result:
    """Run the stimulus through the named backends and compare each with the first.

    opener:   ``opener(name)`` opens a backend; called once per worker, for a model once
    workers:  threads; None: one for each processor
    chunk:    samples at a time; None: chosen by the size of the network
    farm:     does the work in place of threads; ``opener`` and ``workers`` are then not used
    log:      has the chunks of an earlier run and takes the new ones
    progress: ``progress(n)`` is called when n more samples are done

    Raises InputError for fewer than two backends, no sample, or a stimulus of another network.
    """
    names, log = list(names), log or Log()
    check_several(names)
    case.check()
    started = time.perf_counter()
    kinds = {name.partition(":")[0] for name in names}
    if farm:
        workers = farm.workers
    elif kinds & set(SINGLE):
        workers = 1
    else:
        workers = workers or len(os.sched_getaffinity(0))
    parts = _parts(case, log, chunk or _chunk(case, kinds, len(names), workers))
    if progress and log.chunks:
        progress(log.chunks[-1].stop)

    stimulus, expected = case.stimulus, case.expected
    reader = case.reader
    jobs = (
        Job(
            part,
            stimulus.take(part),
            expected and expected.take(part),
            case.membranes,
            log.keep,
            reader,
        )
        for part in parts
    )
    shared = _sharing(opener)
    force = farm or Threads(min(workers, len(parts)), lambda: Crew(case.network, names, shared))
    whole = False
    try:
        for done in in_order(force, jobs):
            log.add(done)
            if progress:
                progress(done.stop - done.start)
        whole = True
    finally:
        force.close(cancel=not whole)
    # expected spikes prove something by themselves: then only their populations must spike
    return Result.of(
        case.network,
        names,
        log.chunks,
        holders=case.holders,
        alive=expected.spikes if expected else None,
        allow_silent=case.allow_silent,
        seconds=time.perf_counter() - started,
    )


def _sharing(opener: Opener) -> Opener:
    """``opener``, which opens each model once. It is called from one thread."""
    opened: dict[str, Backend] = {}

    def open_once(name: str) -> Backend:
        if name not in MODELS:
            return opener(name)
        if name not in opened:
            opened[name] = opener(name)
        return opened[name]

    return open_once


def _chunk(case: Case, kinds: set[str], backends: int, workers: int) -> int:
    """Samples of a chunk: few enough for the memory, and for every worker to have some."""
    neurons = sum(population.size for population in case.network.populations)
    sample_bytes = neurons * case.network.steps * 4 * backends
    most = CHUNK_SLOW if kinds & set(SLOW) else CHUNK_SAMPLES
    return max(1, min(most, CHUNK_BYTES // sample_bytes, -(-case.stimulus.samples // workers)))


def _parts(case: Case, log: Log, chunk: int) -> list[slice]:
    """The samples that are still to do, ``chunk`` at a time."""
    first, samples = log.chunks[-1].stop if log.chunks else 0, case.stimulus.samples
    return [slice(at, min(at + chunk, samples)) for at in range(first, samples, chunk)]
