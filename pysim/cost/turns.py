"""Time multiplexing: the parts of a network take turns on a few cores, as a model in cycles.

Each core has two image banks (ping-pong). While a core runs the image in one bank, the load port
fills the other with the image that the core runs next, 32 bits a cycle. The order is: batches of B
samples; within a batch part after part, each running its B samples on one load. Every run goes to
the core on which it can begin first, and

    load   begins when the port is free and the last run of the bank has ended, and takes a cycle a
           word; no time if the image is still there
    run    begins when the load has ended, the core is free and, for this batch, all parts that it
           listens to have run

The spikes between parts lie in the host's memory; bringing events into the ring is not counted.

On one core this is what the RTL does (cosim.verilator.backend.PingPong). There nothing is loaded
during a CLEAR and while the host switches to the other bank. With the cycles that a tick takes at
the pins (:func:`at_pins`) and with the :func:`pauses`, the clock of the RTL counts exactly
schedule(...).total + pauses(...).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, NamedTuple

import numpy as np

from spikeloop.pysim.bundle.program import Program
from spikeloop.pysim.chip.params import SCAN_BITS
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.loading import load_words

__all__ = ["BANKS", "Job", "Schedule", "Turn", "at_pins", "jobs", "order", "pauses", "schedule"]

BANKS = 2
# Cycles that the registers at the pins of the chip (hdl/chip.py) add to a tick, and to a CLEAR with
# its command.
TICK, CLEAR = 4, 6


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """One part.

    load: words of its image.
    run: cycles of each sample, int64 ``[sample]``.
    sources: numbers of the jobs that it listens to.
    """

    name: str
    load: int
    run: np.ndarray
    sources: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Job ``part`` runs batch ``batch`` on a bank of a core in cycles ``begin`` to ``end`` - 1.

    ``load``: first cycle and end of the loading of its image, None if the image was still there.
    """

    part: int
    batch: int
    core: int
    bank: int
    load: tuple[int, int] | None
    begin: int
    end: int


@dataclass(frozen=True, eq=False)
class Schedule:
    """All turns in the order in which they were given out. Figures are in cycles."""

    jobs: tuple[Job, ...]
    cores: int
    ports: int
    batch: int
    samples: int
    turns: tuple[Turn, ...]

    @property
    def total(self) -> int:
        """From the first load to the end of the last run."""
        return max(turn.end for turn in self.turns)

    @property
    def running(self) -> int:
        """Sum of all runs."""
        return sum(turn.end - turn.begin for turn in self.turns)

    @property
    def loading(self) -> int:
        """Sum of all loads."""
        return sum(turn.load[1] - turn.load[0] for turn in self.turns if turn.load)

    @property
    def hidden(self) -> int:
        """Load cycles during which the same core ran.

        On one core, total = running + loading - hidden.
        """
        runs: dict[int, list[Turn]] = {}
        hidden = 0
        for turn in self.turns:  # those of a core are in the order of its runs
            before = runs.setdefault(turn.core, [])
            if turn.load:
                first, end = turn.load
                for run in before[-BANKS:]:  # a load meets only the two runs before it
                    hidden += max(0, min(end, run.end) - max(first, run.begin))
            before.append(turn)
        return hidden

    def summary(self) -> dict[str, Any]:
        """The figures that matter, as JSON has them."""
        return {
            "cores": self.cores,
            "ports": self.ports,
            "banks": BANKS,
            "batch": self.batch,
            "samples": self.samples,
            "parts": len(self.jobs),
            "total": self.total,
            "running": self.running,
            "loading": self.loading,
            "hidden": self.hidden,
            "cycles_per_sample": self.total / self.samples,
        }

    def to_dict(self) -> dict[str, Any]:
        """JSON form: the summary and every turn."""
        return {
            **self.summary(),
            "jobs": [
                {"name": j.name, "load": j.load, "sources": sorted(j.sources)} for j in self.jobs
            ],
            "turns": [vars(turn) for turn in self.turns],
        }

    def text(self) -> str:
        """One line per turn."""
        lines = [
            "   batch   part  core  bank       load begins..ends        run begins..ends"
            "        name"
        ]
        for t in self.turns:
            load = f"{t.load[0]:>12,}..{t.load[1]:<12,}" if t.load else f"{'there':>20}{'':6}"
            lines.append(
                f"{t.batch:>8,}{t.part:>7,}{t.core:>6}{t.bank:>6}  "
                f"{load}{t.begin:>12,}..{t.end:<12,}  {self.jobs[t.part].name}"
            )
        return "\n".join(lines) + "\n"


def order(jobs: Sequence[Job]) -> list[int]:
    """Numbers of the jobs such that each comes after its sources, otherwise as given.

    InputError if jobs listen to each other in a circle.
    """
    for job in jobs:
        if beyond := [s for s in job.sources if not 0 <= s < len(jobs)]:
            raise InputError(
                f"sources of part {job.name!r} must be in 0..{len(jobs) - 1} (the parts there "
                f"are), not {beyond[0]}"
            )
    waits = [set(job.sources) for job in jobs]
    listeners: list[list[int]] = [[] for _ in jobs]
    for i, job in enumerate(jobs):
        for source in job.sources:
            listeners[source].append(i)
    sequence: list[int] = []
    ready = [i for i, sources in enumerate(waits) if not sources]  # ascending: a heap
    while ready:
        i = heappop(ready)
        sequence.append(i)
        for listener in listeners[i]:
            waits[listener].discard(i)
            if not waits[listener]:
                heappush(ready, listener)
    if len(sequence) < len(jobs):
        circle = ", ".join(repr(jobs[i].name) for i, sources in enumerate(waits) if sources)
        raise InputError(
            f"parts that take turns must not listen to each other in a circle, as {circle} do: "
            "keep them on one core together"
        )
    return sequence


def schedule(jobs: Sequence[Job], *, cores: int = 1, batch: int = 1, ports: int = 1) -> Schedule:
    """Give every job its turns on ``cores`` cores.

    ``batch`` samples run on one load. Of the ``ports`` load ports, core c uses number c mod ports
    (the mesh of hdl/mesh.py has one for all cores). InputError for no jobs, for runs of different
    samples, for numbers below 1, and for a circle.
    """
    if not jobs:
        raise InputError("schedule must have at least one part, not 0")
    for what, value in (("cores", cores), ("batch", batch), ("load ports", ports)):
        if value < 1:
            raise InputError(f"{what} of a schedule must be at least 1, not {value}")
    samples = len(jobs[0].run)
    if not samples or any(len(job.run) != samples for job in jobs):
        raise InputError(
            "runs of a schedule must be of the same samples, at least 1, "
            f"not of {', '.join(str(len(j.run)) for j in jobs)}"
        )
    sequence, machine = order(jobs), _Machine(cores, ports)
    turns: list[Turn] = []
    for number in range(-(-samples // batch)):
        ended = [0] * len(jobs)
        for part in sequence:
            job = jobs[part]
            ready = max((ended[s] for s in job.sources), default=0)
            slot = machine.best(part, job.load, ready)
            run = int(job.run[number * batch : (number + 1) * batch].sum())
            ended[part] = slot.begin + run
            turns.append(machine.take(slot, part, number, job.load, run))
    return Schedule(tuple(jobs), cores, ports, batch, samples, tuple(turns))


class _Slot(NamedTuple):
    """Where a run can begin, and when: ``load`` is the cycle in which its loading begins."""

    begin: int
    core: int
    bank: int
    load: int | None


class _Machine:
    """What every bank holds, and when ports, cores and banks become free."""

    def __init__(self, cores: int, ports: int) -> None:
        self.cores, self.ports = cores, ports
        self.port_free, self.core_free = [0] * ports, [0] * cores
        self.bank_free = [[0] * BANKS for _ in range(cores)]
        self.images: list[list[int | None]] = [[None] * BANKS for _ in range(cores)]

    def best(self, part: int, load: int, ready: int) -> _Slot:
        """The slot in which ``part`` begins first, of equals on the first core.

        ``load``: words of its image; ``ready``: when all parts that it listens to have run.
        """
        slots = (self._slot(core, part, load, ready) for core in range(self.cores))
        return min(slots, key=lambda slot: slot.begin)

    def _slot(self, core: int, part: int, load: int, ready: int) -> _Slot:
        images, free = self.images[core], self.bank_free[core]
        if part in images:
            return _Slot(max(self.core_free[core], ready), core, images.index(part), None)
        bank = min(range(BANKS), key=free.__getitem__)
        first = max(self.port_free[core % self.ports], free[bank])
        return _Slot(max(first + load, self.core_free[core], ready), core, bank, first)

    def take(self, slot: _Slot, part: int, batch: int, load: int, run: int) -> Turn:
        """The turn of ``run`` cycles in ``slot``."""
        begin, core, bank, first = slot
        loading = None
        if first is not None:
            loading = first, first + load
            self.port_free[core % self.ports] = first + load
        self.images[core][bank] = part
        self.bank_free[core][bank] = self.core_free[core] = end = begin + run
        return Turn(
            part=part, batch=batch, core=core, bank=bank, load=loading, begin=begin, end=end
        )


# -- from a program ------------------------------------------------------------------------------


def jobs(bundle: Program | Image, cycles: np.ndarray) -> list[Job]:
    """The parts of a program as jobs, or the image as the only one.

    ``cycles``: int64 ``[part, sample]``, event-driven or dense (pysim.cost.work.Work).
    """
    if bundle.kind == "image":
        return [Job(name=bundle.name, load=load_words(bundle), run=cycles[0])]
    holders = bundle.holders()
    parts = []
    for i, part in enumerate(bundle.parts):
        sources: set[int] = set()
        for name, lines in part.lines.items():
            if name in holders:
                sources |= set(holders[name][lines].tolist())
        name = f"{'+'.join(part.neurons)} part {i}"
        load = load_words(part.image)
        parts.append(Job(name=name, load=load, run=cycles[i], sources=frozenset(sources)))
    return parts


def at_pins(bundle: Program | Image, cycles: np.ndarray) -> np.ndarray:
    """Cycles at the pins, int64 ``[part, sample]``, from those of the cores' counters.

    They run from asking for each tick until the pins say that it is over.
    """
    ticks = np.array([image.ticks for image in bundle.images.values()])
    return cycles + TICK * ticks[:, None]


def pauses(bundle: Program | Image, plan: Schedule) -> int:
    """Cycles that all CLEARs and switches of banks take.

    In each turn every register of ``Image.settings`` and ``bank`` are written. Before each sample
    CLEAR walks the ring and the words.
    """
    images, total = bundle.images, 0
    for turn in plan.turns:
        image = images[turn.part]
        d = image.chip.derived
        samples = min(plan.batch, plan.samples - turn.batch * plan.batch)
        chunks = -(-image.chip.axons * image.placement.extension // SCAN_BITS)
        total += len(image.settings) + 1 + samples * (CLEAR + d.slots * chunks + 2 * d.words)
    return total
