"""The workers of a comparison: a crew is one backend of each name, and does one chunk at a time."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Protocol

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.compare.chunk import Chunk, Job
from spikeloop.cosim.compare.diff import Side, against, array_of, diff
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network

__all__ = ["Crew", "Opener", "Threads", "Workforce", "in_order"]

Opener = Callable[[str], Backend]


class Crew:
    """One backend of each name, the reference first. They share a thread."""

    def __init__(self, network: Network, names: Sequence[str], opener: Opener) -> None:
        self.network, self.backends = network, dict[str, Backend]()
        try:
            for name in names:
                self.backends[name] = opener(name)
        except BaseException:
            self.close()
            raise

    def run(self, job: Job) -> Chunk:
        """Run the samples of ``job`` on every backend and compare."""
        base = job.part.start
        sides: list[Side] = []
        spent: dict[str, float] = {}
        for name, backend in self.backends.items():
            begin = time.perf_counter()
            trace = backend.run(job.stimulus, membranes=job.membranes)
            spent[name] = time.perf_counter() - begin
            _check_shape(self.network, Side(name, trace), job.part.stop - base)
            sides.append(Side(name, trace))
        reference, *others = sides
        pairs = [
            diff(
                self.network,
                reference,
                other,
                base=base,
                membranes=job.membranes,
                between=others[:before],
            )
            for before, other in enumerate(others)
        ]
        if job.expected:
            pairs += [
                against(self.network, job.expected, side.trace, side.name, base=base)
                for side in sides
            ]
        natures = {
            name: backend.nature
            for name, backend in self.backends.items()
            if backend.nature is not None
        }
        traces = [side.trace for side in sides]
        return Chunk.of(self.network, job, traces, pairs, natures, spent)

    def close(self) -> None:
        """Close every backend. Closing twice is harmless."""
        for backend in self.backends.values():
            backend.close()


class Workforce(Protocol):
    """What does jobs: ``workers`` of them at once."""

    workers: int

    def submit(self, job: Job) -> Any:
        """A future: ``result()`` is the :class:`Chunk`."""

    def close(self, *, cancel: bool) -> None:
        """Give everything back; with ``cancel``, jobs that have not begun are dropped."""


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


def in_order(force: Workforce, jobs: Iterator[Job]) -> Iterator[Chunk]:
    """The chunks of ``jobs``, in their order.

    At most two jobs per worker are under way, so that memory stays bounded.
    """
    pending: deque[Any] = deque()
    while True:
        while len(pending) < 2 * force.workers and (job := next(jobs, None)) is not None:
            pending.append(force.submit(job))
        if not pending:
            return
        yield pending.popleft().result()


def _check_shape(network: Network, side: Side, samples: int) -> None:
    """A backend that returns less than it was asked for must not pass for an equal one."""
    for p in network.populations:
        want = (samples, network.steps, -(-p.size // 8))
        if (got := array_of(side, "spikes", p.name).shape) != want:
            raise InputError(
                f"spikes of population {p.name!r} in the trace of {side.name} must be of shape "
                f"{want}, not {got}"
            )
    ticks = (samples, network.ticks)
    for name, values in side.trace.counters.items():
        if values.shape != ticks:
            raise InputError(
                f"counter {name!r} in the trace of {side.name} must be of shape {ticks}, "
                f"not {values.shape}"
            )
