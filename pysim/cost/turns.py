"""Time multiplexing: the parts of a network take turns on a few cores, each with two image banks (ping-pong), as a model in cycles.

While a core runs the image in one bank, the load port fills the other with the image that the core runs next, 32 bits a cycle. Order:
batches of B samples; within a batch part after part, each running its B samples on one load. Every run goes to the core on which it can
begin first, and

    load   begins when the port is free and the bank's last run has ended, and takes a cycle a word; none if the image is still there
    run    begins when the load has ended, the core is free and, for this batch, all parts that it listens to have run

The spikes between parts lie in the host's memory; bringing events into the ring is not counted. On one core this is what the RTL does
(cosim.verilator.parts.PingPong), where nothing is loaded during a CLEAR and while the host switches to the other bank: with the cycles that a tick
takes at the pins (:func:`at_pins`) and these :func:`pauses`, its clock counts schedule(...).total + pauses(...), exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

import numpy as np

from spikeloop.pysim.bundle.program import Program
from spikeloop.pysim.chip.params import SCAN_BITS
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.loading import load_words

__all__ = ["BANKS", "Job", "Schedule", "Turn", "at_pins", "jobs", "order", "pauses", "schedule"]

BANKS = 2
# What the registers at the pins of the chip (hdl/chip.py) add, in cycles: to a tick, and to a CLEAR with its command.
TICK, CLEAR = 4, 6


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """One part: ``load`` words of its image, ``run`` cycles int64 ``[sample]``, ``sources`` the jobs it listens to, by number."""

    name: str
    load: int
    run: np.ndarray
    sources: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Job ``part`` runs batch ``batch`` on bank ``bank`` of core ``core`` in cycles ``begin`` to ``end`` - 1; its image was loaded in
    ``load`` (None: it was still there)."""

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
        """Load cycles during which the same core ran: on one core, total = running + loading - hidden."""
        runs: dict[int, list[Turn]] = {}
        hidden = 0
        for turn in (
            self.turns
        ):  # those of a core in the order of its runs; a load meets only the two before it
            before = runs.setdefault(turn.core, [])
            if turn.load:
                hidden += sum(
                    max(0, min(turn.load[1], run.end) - max(turn.load[0], run.begin))
                    for run in before[-BANKS:]
                )
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
            "   batch   part  core  bank       load begins..ends        run begins..ends        name"
        ]
        for t in self.turns:
            load = f"{t.load[0]:>12,}..{t.load[1]:<12,}" if t.load else f"{'there':>20}{'':6}"
            lines.append(
                f"{t.batch:>8,}{t.part:>7,}{t.core:>6}{t.bank:>6}  {load}{t.begin:>12,}..{t.end:<12,}  {self.jobs[t.part].name}"
            )
        return "\n".join(lines) + "\n"


def order(jobs: Sequence[Job]) -> list[int]:
    """Jobs such that each comes after its sources, otherwise as given; InputError if they listen to each other in a circle."""
    for job in jobs:
        if beyond := [s for s in job.sources if not 0 <= s < len(jobs)]:
            raise InputError(
                f"sources of part {job.name!r} must be in 0..{len(jobs) - 1} (the parts there are), not {beyond[0]}"
            )
    waits = [set(job.sources) for job in jobs]
    listeners: list[list[int]] = [[] for _ in jobs]
    for i, job in enumerate(jobs):
        for source in job.sources:
            listeners[source].append(i)
    found: list[int] = []
    ready = [i for i, sources in enumerate(waits) if not sources]  # ascending: a heap
    while ready:
        i = heappop(ready)
        found.append(i)
        for listener in listeners[i]:
            waits[listener].discard(i)
            if not waits[listener]:
                heappush(ready, listener)
    if len(found) < len(jobs):
        circle = ", ".join(repr(jobs[i].name) for i, sources in enumerate(waits) if sources)
        raise InputError(
            f"parts that take turns must not listen to each other in a circle, as {circle} do: keep them on one core together"
        )
    return found


def schedule(jobs: Sequence[Job], *, cores: int = 1, batch: int = 1, ports: int = 1) -> Schedule:
    """Give every job its turns. ``batch`` samples run on one load; ``ports``: load ports, of which core c uses c mod ports (the
    mesh of hdl/mesh.py has one for all cores)."""
    if not jobs:
        raise InputError("schedule must have at least one part, not 0")
    for what, value in (("cores", cores), ("batch", batch), ("load ports", ports)):
        if value < 1:
            raise InputError(f"{what} of a schedule must be at least 1, not {value}")
    samples = len(jobs[0].run)
    if not samples or any(len(job.run) != samples for job in jobs):
        raise InputError(
            f"runs of a schedule must be of the same samples, at least 1, not of {', '.join(str(len(j.run)) for j in jobs)}"
        )
    turns: list[Turn] = []
    sequence = order(jobs)
    port_free, core_free = [0] * ports, [0] * cores
    held: list[list[int | None]] = [[None] * BANKS for _ in range(cores)]
    bank_free = [[0] * BANKS for _ in range(cores)]  # when its last run ended
    for number in range(-(-samples // batch)):
        ended = [0] * len(jobs)
        for part in sequence:
            job = jobs[part]
            sources = max((ended[s] for s in job.sources), default=0)
            best: tuple[int, int, int, int | None] | None = (
                None  # run begins, core, bank, load begins
            )
            for core in range(cores):
                load = None
                if part in held[core]:
                    bank = held[core].index(part)
                    begin = max(core_free[core], sources)
                else:
                    bank = min(range(BANKS), key=bank_free[core].__getitem__)
                    load = max(port_free[core % ports], bank_free[core][bank])
                    begin = max(load + job.load, core_free[core], sources)
                if best is None or begin < best[0]:
                    best = begin, core, bank, load
            assert best is not None
            begin, core, bank, load = best
            end = begin + int(job.run[number * batch : (number + 1) * batch].sum())
            if load is not None:
                port_free[core % ports] = load + job.load
            held[core][bank], bank_free[core][bank], core_free[core], ended[part] = (
                part,
                end,
                end,
                end,
            )
            turns.append(
                Turn(
                    part=part,
                    batch=number,
                    core=core,
                    bank=bank,
                    begin=begin,
                    end=end,
                    load=None if load is None else (load, load + job.load),
                )
            )
    return Schedule(tuple(jobs), cores, ports, batch, samples, tuple(turns))


# -- from a program ------------------------------------------------------------------------------------------


def jobs(bundle: Program | Image, cycles: np.ndarray) -> list[Job]:
    """The parts of a program (or the one of an image) as jobs; ``cycles`` int64 ``[part, sample]`` (pysim.cost.work.Work, dense or not)."""
    if bundle.kind == "image":
        return [Job(name=bundle.name, load=load_words(bundle), run=cycles[0])]
    holder, found = bundle.holders(), []
    for i, part in enumerate(bundle.parts):
        sources = [
            np.unique(holder[name][lines]) for name, lines in part.lines.items() if name in holder
        ]
        found.append(
            Job(
                name=f"{'+'.join(part.neurons)} part {i}",
                load=load_words(part.image),
                run=cycles[i],
                sources=frozenset(np.concatenate([np.zeros(0, np.int64), *sources]).tolist()),
            )
        )
    return found


def at_pins(bundle: Program | Image, cycles: np.ndarray) -> np.ndarray:
    """From the cycles of the cores' counters, int64 ``[part, sample]``, to those from asking for each tick until the pins say that it is
    over."""
    return cycles + np.array([TICK * image.ticks for image in _images(bundle)])[:, None]


def pauses(bundle: Program | Image, plan: Schedule) -> int:
    """Cycles that all CLEARs and switches of banks take: in each turn every register of ``Image.settings`` and ``bank`` are written, and
    before each sample CLEAR walks the ring and the words."""
    images, found = _images(bundle), 0
    for turn in plan.turns:
        image, d = images[turn.part], images[turn.part].chip.derived
        samples = min(plan.batch, plan.samples - turn.batch * plan.batch)
        chunks = -(-image.chip.axons * image.placement.extension // SCAN_BITS)
        found += len(image.settings) + 1 + samples * (CLEAR + d.slots * chunks + 2 * d.words)
    return found


def _images(bundle: Program | Image) -> list[Image]:
    return list(bundle.images.values())
