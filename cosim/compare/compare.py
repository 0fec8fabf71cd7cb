"""Compare backends: every spike, every membrane, every counter; the first difference by name.

The first backend is the reference; each other one is compared with it (a counter, with the first backend that knows it).
Samples go through in chunks, so that memory does not grow with their number; chunks run side by side, one set of backends per
worker, and are handed out in order (cosim/compare/chunk.py). The verdict is made of the chunks alone (cosim/compare/result.py), wherever they come from.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from types import MappingProxyType
from typing import Any, Protocol

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.compare.chunk import Chunk
from spikeloop.cosim.compare.diff import Holders, against, array_of, diff
from spikeloop.cosim.compare.result import Result
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.expected import Expected
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["SINGLE", "Crew", "Job", "Opener", "Workforce", "compare"]

SINGLE = ("board", "replay")
"""backends of which there is only one: they are opened once"""

SLOW = ("icarus",)
"""backends of seconds a sample: chunks are small, so that little is lost with one"""

CHUNK_BYTES = 32 << 20
CHUNK_SAMPLES, CHUNK_SLOW = 250, 8

Opener = Callable[[str], Backend]


@dataclass(frozen=True, eq=False)
class Job:
    """A chunk to do: the samples ``part``, their stimulus and expected spikes, and which of them to keep."""

    part: slice
    stimulus: Stimulus
    expected: Expected | None
    membranes: bool
    keep: frozenset[int]


class Crew:
    """One backend of each name, the reference first, that do a job after another."""

    def __init__(self, network: Network, names: Sequence[str], opener: Opener) -> None:
        self.network, self.backends = network, dict[str, Backend]()
        try:
            for name in names:
                self.backends[name] = opener(name)
        except BaseException:
            self.close()
            raise

    def run(self, job: Job) -> Chunk:
        names, base = list(self.backends), job.part.start
        traces: dict[str, Trace] = {}
        spent: dict[str, float] = {}
        for name, backend in self.backends.items():
            begin = time.perf_counter()
            traces[name] = backend.run(job.stimulus, membranes=job.membranes)
            spent[name] = time.perf_counter() - begin
        for name, trace in traces.items():
            _check_shape(self.network, trace, job.part.stop - base, name)
        pairs = [
            diff(
                self.network,
                traces[names[0]],
                traces[name],
                (names[0], name),
                base=base,
                membranes=job.membranes,
                between=list(traces.items())[1:i],
            )
            for i, name in enumerate(names)
            if i
        ]
        pairs += [
            against(self.network, job.expected, traces[name], name, base=base)
            for name in names
            if job.expected
        ]
        natures = {
            name: backend.nature
            for name, backend in self.backends.items()
            if backend.nature is not None
        }
        return Chunk.of(
            self.network, job.part, job.stimulus, traces, pairs, job.keep, natures, spent
        )

    def close(self) -> None:
        for backend in self.backends.values():
            backend.close()


class Workforce(Protocol):
    """Whoever does the jobs: ``workers`` of them at once."""

    workers: int

    def submit(self, job: Job) -> Any:
        """A future: ``result()`` is the :class:`Chunk`."""

    def close(self, *, cancel: bool) -> None:
        """Give everything back; ``cancel``: without what is not under way yet."""


class Threads:
    """Crews of this process, a thread each."""

    def __init__(self, workers: int, make: Callable[[], Crew]) -> None:
        self.workers, self._idle = workers, SimpleQueue[Crew]()
        self._pool = ThreadPoolExecutor(max(1, workers))
        self._crews: list[Crew] = []
        try:
            for _ in range(workers):
                self._crews.append(make())
                self._idle.put(self._crews[-1])
        except BaseException:
            self.close(cancel=True)
            raise

    def submit(self, job: Job) -> "Future[Chunk]":
        def work() -> Chunk:
            crew = self._idle.get()
            try:
                return crew.run(job)
            finally:
                self._idle.put(crew)

        return self._pool.submit(work)

    def close(self, *, cancel: bool) -> None:
        self._pool.shutdown(wait=True, cancel_futures=cancel)
        for crew in self._crews:
            crew.close()


def compare(
    network: Network,
    stimulus: Stimulus,
    names: Sequence[str],
    opener: Opener,
    *,
    membranes: bool = True,
    workers: int | None = None,
    chunk: int | None = None,
    progress: Callable[[int], None] | None = None,
    expected: Expected | None = None,
    holders: Holders = MappingProxyType({}),
    keep: Iterable[int] = (),
    done: Sequence[Chunk] = (),
    record: Callable[[Chunk], None] = lambda chunk: None,
    farm: Workforce | None = None,
) -> Result:
    """Run ``stimulus`` through the named backends and compare each with the first, and with ``expected`` spikes if there are any.

    ``opener(name)`` opens a backend, once per worker; ``progress(n)`` is called as n more samples are done. ``holders`` says which core a
    neuron is on, for the report of a difference.
    ``chunk`` is the number of samples at a time. ``record`` is handed each new chunk, in order; ``done`` are those of an earlier run of the
    same, which are not run again. Traces of the samples ``keep``, and of the first in a chunk that differs, are in the chunks.
    ``farm``: who does the work, in place of threads of this process (then ``opener`` and ``workers`` are not used).
    Raises InputError for fewer than two backends or no sample.
    """
    names = list(names)
    if len(names) < 2:
        raise InputError(
            f"backends to compare must be at least 2, not {len(names)} ({', '.join(names) or 'none'})"
        )
    if len(set(names)) < len(names):
        raise InputError(f"backends to compare must be different ones, not {', '.join(names)}")
    stimulus.check(network)
    if not stimulus.samples:
        raise InputError("samples to compare must be at least 1, not 0")
    if expected:
        expected.check(network, stimulus.samples)
    started = time.perf_counter()
    workers = (
        1
        if any(name.partition(":")[0] in SINGLE for name in names)
        else workers or len(os.sched_getaffinity(0))
    )
    workers = farm.workers if farm else workers
    per_sample = sum(p.size for p in network.populations) * network.steps * 4 * len(names)
    most = CHUNK_SLOW if any(name.partition(":")[0] in SLOW for name in names) else CHUNK_SAMPLES
    chunk = chunk or max(1, min(most, CHUNK_BYTES // per_sample, -(-stimulus.samples // workers)))
    chunks = list(done)
    first = chunks[-1].stop if chunks else 0
    parts = [
        slice(at, min(at + chunk, stimulus.samples)) for at in range(first, stimulus.samples, chunk)
    ]
    if progress and first:
        progress(first)

    kept = frozenset(keep)
    force = farm or Threads(min(workers, len(parts)), lambda: Crew(network, names, opener))
    jobs = (
        Job(part, stimulus.take(part), expected and expected.take(part), membranes, kept)
        for part in parts
    )
    whole = False
    try:
        for found in _in_order(force, jobs):
            record(found)
            chunks.append(found)
            if progress:
                progress(found.stop - found.start)
        whole = True
    finally:
        force.close(cancel=not whole)
    # expected spikes are a proof of their own: then only what they are of must not be silent
    return Result.of(
        network,
        names,
        chunks,
        holders=holders,
        alive=expected.spikes if expected else None,
        seconds=time.perf_counter() - started,
    )


def _in_order(force: Workforce, jobs: Iterator[Job]) -> Iterator[Chunk]:
    """What becomes of ``jobs``, in their order; at most two a worker are under way, so that memory stays bounded."""
    pending: deque[Any] = deque()
    while True:
        while len(pending) < 2 * force.workers and (job := next(jobs, None)) is not None:
            pending.append(force.submit(job))
        if not pending:
            return
        yield pending.popleft().result()


def _check_shape(network: Network, trace: Trace, samples: int, who: str) -> None:
    """A backend that returns less than it was asked for must not pass for an equal one."""
    for p in network.populations:
        want = (samples, network.steps, -(-p.size // 8))
        if (got := array_of(trace.spikes, p.name, "spikes", who)).shape != want:
            raise InputError(
                f"spikes of population {p.name!r} in the trace of {who} must be of shape {want}, not {got.shape}"
            )
    for name, values in trace.counters.items():
        if values.shape != (samples, network.ticks):
            raise InputError(
                f"counter {name!r} in the trace of {who} must be of shape {(samples, network.ticks)}, not {values.shape}"
            )
