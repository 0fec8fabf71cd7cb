"""A lesson on several engines, presentation by presentation, each compared with the first.

Chunks of presentations bound the memory. Behind each chunk the state is kept in a file, written
whole, from which a killed comparison goes on. All values of the trace are compared
(docs/plasticity.md, "A lesson"), and the cycles wherever two engines have them.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim import checkpoint
from spikeloop.cosim.lessons.engines import LANES, check_engines, open_engine
from spikeloop.cosim.provenance import code
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.lessons.file import encode
from spikeloop.pysim.lessons.lesson import Lesson, LessonState
from spikeloop.pysim.lessons.trace import differences
from spikeloop.pysim.traces.npz import Members

__all__ = ["CHUNK_TICKS", "Comparison", "compare_lesson"]

CHUNK_TICKS = 4000
CYCLES = ("cycles", "rest_cycles", "normalise_cycles")
FILE = ("kept lesson", "run without --resume")
MEMBERS: Members = {
    "weights": np.uint16,
    "theta": np.int64,
    "dirty": np.bool_,
    "spikes": np.int64,
    "crc": np.int64,
}


@dataclass(eq=False)
class Comparison:
    """What became of a lesson.

    compared, different: by pair "golden = pysim", values of each kind
    first:    the first difference as a sentence, or None
    spikes:   int64 ``[presentation, neuron]``, counted by the first engine
    crc:      int64 ``[presentation]``
    cycles:   by engine, all cycles that it predicts or counts
    seconds:  by engine
    state:    the last state of the first engine
    """

    compared: dict[str, Counter[str]]
    different: dict[str, Counter[str]]
    state: LessonState
    first: str | None = None
    spikes: list[list[int]] = field(default_factory=list)
    crc: list[int] = field(default_factory=list)
    cycles: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        return self.first is None

    def document(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "compared": self.compared,
            "different": self.different,
            "cycles": self.cycles,
            "seconds": self.seconds,
            "presentations": len(self.crc),
            "last_crc": self.crc[-1],
        }

    def rows(self) -> dict[str, str]:
        """One line for each pair, with denominators."""
        return {f"{pair}?": self._row(pair) for pair in self.compared}

    def _row(self, pair: str) -> str:
        n, wrong = self.compared[pair], sum(self.different[pair].values())
        neurons = sum(n[name] for name in ("s", "v", "ge", "gi", "theta", "c", "y"))
        text = (
            f"{n['s']:,} neuron-ticks ({neurons:,} values), {n['arrivals']:,} pre traces, "
            f"{n['updates']:,} weight updates, {n['crc']:,} checksums"
        )
        if n["cycles"]:
            text += f", cycles of {n['cycles']:,} ticks"
        return f"{text} compared, {wrong:,} different"


def compare_lesson(
    lesson: Lesson,
    engines: Sequence[str],
    *,
    lanes: int = LANES,
    kept: Path | None = None,
    resume: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Comparison:
    """Run a lesson on all engines and compare each with the first; ends at the first difference.

    kept: file of what is done; resume: go on from it.
    progress: called with the number of presentations done since.
    InputError for less than two engines, an unknown one, and a file of another comparison.
    """
    names = check_engines(engines)
    pairs = [f"{names[0]} = {name}" for name in names[1:]]
    result = Comparison({p: Counter() for p in pairs}, {p: Counter() for p in pairs}, lesson.state)
    key = _key(lesson, names, lanes)
    at = _open(kept, key, lesson, result) if kept and resume else 0
    if progress and at:
        progress(at)
    opened = [open_engine(name, lesson, lanes) for name in names]
    try:
        while at < lesson.presentations and result.equal:
            last = _chunk(lesson, at)
            traces, state = [], result.state
            for engine in opened:
                start = time.monotonic()
                trace = engine.run(at, last, state)
                spent = result.seconds.get(engine.name, 0.0) + time.monotonic() - start
                result.seconds[engine.name] = spent
                if len(trace.cycles):
                    total = sum(int(getattr(trace, name).sum()) for name in CYCLES)
                    result.cycles[engine.name] += total
                traces.append(trace)
            for pair, name, trace in zip(pairs, names[1:], traces[1:], strict=True):
                found = differences(traces[0], trace, lesson.ticks, (names[0], name))
                result.compared[pair].update(found.compared)
                result.different[pair].update(found.different)
                result.first = result.first or found.first
            _cycles_equal(result, traces, names, lesson)
            bounds = lesson.first[at : last + 1] - lesson.first[at]
            result.spikes += np.add.reduceat(traces[0].s, bounds[:-1]).tolist()
            result.crc += traces[0].crc.tolist()
            result.state = traces[0].state
            if progress:
                progress(last - at)
            at = last
            if kept and result.equal:
                _keep(kept, key, result)
    finally:
        for engine in opened:
            engine.close()
    return result


def _cycles_equal(result: Comparison, traces: list, names: list[str], lesson: Lesson) -> None:
    """Cycles of the engines that have a clock, where the first engine has none."""
    timed = [(name, t) for name, t in zip(names, traces, strict=True) if len(t.cycles)]
    if len(timed) < 2 or len(traces[0].cycles):
        return
    (one, want), *others = timed
    for name, trace in others:
        found = differences(want, trace, lesson.ticks, (one, name))
        pair = f"{one} = {name}"
        result.compared.setdefault(pair, Counter()).update(found.compared)
        result.different.setdefault(pair, Counter()).update(found.different)
        result.first = result.first or found.first


def _chunk(lesson: Lesson, first: int) -> int:
    """The presentation behind the last of a chunk."""
    ends = lesson.first[first + 1 :] - lesson.first[first]
    return first + max(1, int(np.searchsorted(ends, CHUNK_TICKS, "right")))


def _key(lesson: Lesson, names: list[str], lanes: int) -> str:
    what = (hashlib.sha256(encode(lesson)).hexdigest(), names, lanes, code(__name__))
    return hashlib.sha256(repr(what).encode()).hexdigest()


def _keep(path: Path, key: str, result: Comparison) -> None:
    counts = {
        name: getattr(result, name) for name in ("compared", "different", "cycles", "seconds")
    }
    arrays = {name: getattr(result.state, name) for name in ("weights", "theta", "dirty")}
    arrays |= {"spikes": np.array(result.spikes), "crc": np.array(result.crc)}
    checkpoint.save(
        path,
        {"key": key, "ticks": result.state.ticks, **counts},
        {name: arrays[name].astype(dtype) for name, dtype in MEMBERS.items()},
    )


def _open(path: Path, key: str, lesson: Lesson, result: Comparison) -> int:
    """Fills ``result`` with what the file keeps; returns the presentation to go on with."""
    if not path.exists():
        return 0
    head, arrays = checkpoint.load(path, *FILE, MEMBERS)
    if head.get("key") != key:
        raise InputError(
            f"kept lesson {str(path)!r} must be of the same lesson, engines and sources, not of "
            "others: run without --resume"
        )
    try:
        state = LessonState(
            arrays["weights"], arrays["theta"], arrays["dirty"], head["ticks"]
        ).check(lesson.population)
        at, pairs = len(arrays["crc"]), set(result.compared)
        shapes = (arrays["crc"].shape, arrays["spikes"].shape)
        if shapes != ((at,), (at, lesson.population.neurons)) or at > lesson.presentations:
            raise ValueError
        for name in ("compared", "different"):
            counts = {pair: Counter(checkpoint.check_counts(n)) for pair, n in head[name].items()}
            if not pairs <= set(counts):
                raise ValueError
            setattr(result, name, counts)
            pairs = set(counts)
        result.cycles = Counter(checkpoint.check_counts(head["cycles"]))
        result.seconds = checkpoint.check_counts(head["seconds"], float)
    except (AttributeError, InputError, KeyError, TypeError, ValueError):
        raise checkpoint.damaged(path, *FILE) from None
    result.spikes, result.crc = arrays["spikes"].tolist(), arrays["crc"].tolist()
    result.state = state
    return at
