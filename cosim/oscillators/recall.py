"""Fuzzy patterns recalled by a net, sample by sample, on one engine or on several side by side.

Each sample is a row of a journal. A run that was killed goes on behind the last whole one.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.macros.engines import Engine, check_engines
from spikeloop.cosim.oscillators.engines import open_engine
from spikeloop.cosim.provenance import code
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.journal import Rows
from spikeloop.pysim.oscillators.digits import fuzzy
from spikeloop.pysim.oscillators.file import encode
from spikeloop.pysim.oscillators.hebb import inputs
from spikeloop.pysim.oscillators.net import OnnNet, OnnState
from spikeloop.pysim.oscillators.trace import differences

__all__ = ["BLOCK", "Plan", "Recalls", "recall"]

BLOCK = 4096  # steps that are held at once when every step is compared


@dataclass(frozen=True)
class Plan:
    """What is recalled.

    patterns: int64 ``[pattern, pixel]``, -1 and +1
    counts:   fuzzy pixels
    samples:  of each count, pattern after pattern
    seed:     sample i of count k is the draw i of a generator of seed 1000 + k + 100000 seed
    every:    compare every value of every step, not the last state alone
    """

    patterns: np.ndarray
    counts: tuple[int, ...]
    samples: int
    seed: int = 0
    every: bool = False

    def inputs(self, count: int) -> list[tuple[int, np.ndarray]]:
        """Pattern and pixels of each sample."""
        rng = np.random.default_rng(1000 + count + 100_000 * self.seed)
        many = len(self.patterns)
        return [(i % many, fuzzy(self.patterns[i % many], count, rng)) for i in range(self.samples)]


@dataclass
class Recalls:
    """What became of the samples.

    rows:      one for each sample: count, sample, pattern, reached (the pattern it came to, or
               None), right, steady, steps, cycles, period
    compared, different: values, by pair of engines
    first:     the first difference as a sentence, or None
    seconds:   by engine
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)
    different: Counter[str] = field(default_factory=Counter)
    first: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def rates(self) -> dict[int, float]:
        """Share of samples recalled, by fuzzy pixels."""
        total, right = Counter[int](), Counter[int]()
        for row in self.rows:
            total[row["count"]] += 1
            right[row["count"]] += row["right"]
        return {count: right[count] / n for count, n in sorted(total.items())}

    def attractors(self, count: int, patterns: int) -> np.ndarray:
        """Where inputs with ``count`` fuzzy pixels end: shares ``[pattern, reached]``.

        The last column is of those that come to none of the patterns.
        """
        ends = np.zeros((patterns, patterns + 1))
        for row in self.rows:
            if row["count"] == count:
                reached = patterns if row["reached"] is None else row["reached"]
                ends[row["pattern"], reached] += 1
        return ends / np.maximum(ends.sum(1, keepdims=True), 1)

    def document(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        patterns = 1 + max(
            (max(row["pattern"], row["reached"] or 0) for row in self.rows), default=-1
        )
        steps = [row["steps"] for row in self.rows] or [0]
        return {
            "samples": len(self.rows),
            "recall": self.rates(),
            "unsteady": sum(not row["steady"] for row in self.rows),
            "attractors": {
                count: self.attractors(count, patterns).tolist() for count in self.rates()
            },
            "median_steps": float(np.median(steps)),
            "most_steps": max(steps),
            "cycles": sum(row["cycles"] or 0 for row in self.rows),
            "compared": self.compared,
            "different": self.different,
            "first": self.first,
            "seconds": self.seconds,
        }


def recall(
    net: OnnNet,
    plan: Plan,
    names: Sequence[str],
    *,
    kept: Path | None = None,
    resume: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Recalls:
    """Recall all samples of a plan on all engines; ends at the first difference from the first.

    kept: the journal; resume: go on behind what it has.
    progress: called with the number of samples done since.
    InputError for an unknown engine, a journal of another run, and a net that does not oscillate.
    """
    names = check_engines(names)
    journal = Rows(kept, _study(net, plan, names), resume=resume) if kept else None
    result = Recalls(rows=journal.rows if journal else [])
    for row in result.rows:
        result.compared.update(row["compared"])
    if progress and result.rows:
        progress(len(result.rows))
    done = {(row["count"], row["sample"]) for row in result.rows}
    todo = [
        (count, sample, *given)
        for count in plan.counts
        for sample, given in enumerate(plan.inputs(count))
        if (count, sample) not in done
    ]
    if not todo:
        return result
    engines = [open_engine(name, net) for name in names]
    try:
        for count, sample, pattern, pixels in todo:
            before = Counter(result.compared), Counter(result.different)
            row = _sample(net, plan, engines, inputs(net, pixels), result)
            if result.first:
                result.first = f"{count} fuzzy pixels, sample {sample}, {result.first}"
                break
            shown = np.array(row.pop("pixels"))
            same = (plan.patterns == shown).all(1) | (plan.patterns == -shown).all(1)
            reached = int(np.flatnonzero(same)[0]) if same.any() else None
            row |= {"count": count, "sample": sample, "pattern": pattern, "reached": reached}
            row["right"] = bool(same[pattern])
            row["compared"] = dict(result.compared - before[0])
            result.rows.append(row)
            if journal:
                journal.add(f"{count} fuzzy, sample {sample}", row)
            if progress:
                progress(1)
    finally:
        for engine in engines:
            engine.close()
    return result


def _sample(
    net: OnnNet, plan: Plan, engines: list[Engine], start: np.ndarray, result: Recalls
) -> dict[str, Any]:
    """One sample on all engines, whole or block by block."""
    state: OnnState | None = None
    first = engines[0].name
    steps = cycles = crossings = 0
    while True:
        traces = []
        for engine in engines:
            began = time.monotonic()
            more = {"steps": BLOCK if plan.every else None, "state": state, "record": plan.every}
            traces.append(engine.run(net, start, **more))
            spent = time.monotonic() - began
            result.seconds[engine.name] = result.seconds.get(engine.name, 0.0) + spent
        for engine, trace in zip(engines[1:], traces[1:], strict=True):
            found = differences(net, traces[0], trace, (first, engine.name))
            pair = f"{first} = {engine.name}"
            result.compared[pair] += found.compared
            result.different[pair] += found.different
            result.first = result.first or found.first
        last = traces[0]
        steps, crossings = steps + last.steps, crossings + last.crossings
        cycles += next((t.cycles for t in traces if t.cycles is not None), 0)
        if last.ended or result.first:
            break
        state = last.state
    if net.cell == "relaxation" and not last.state.whole[2]:
        raise InputError(
            f"couplings must leave the oscillators a period: in {steps:,} steps the reference "
            f"crossed its threshold 0 times, and all oscillators {crossings:,} times"
        )
    return {
        "pixels": last.pixels().tolist(),
        "steady": int(last.state.whole[3]) >= max(1, net["settle"]),
        "steps": steps,
        "cycles": cycles,
        "period": int(last.state.whole[1]),
    }


def _study(net: OnnNet, plan: Plan, names: list[str]) -> tuple[object, ...]:
    """What the samples depend on."""
    return (
        hashlib.sha256(encode(net)).hexdigest(),
        plan.patterns.tolist(),
        (plan.counts, plan.samples, plan.seed, plan.every),
        names,
        code(__name__),
    )
