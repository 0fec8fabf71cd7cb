"""Figures of a run beside its verdict: time, throughput, energy, SOPs, and what the cycles are for.

    ms a sample   = cycles / samples / clock of the preset (of parts without their loading)
    energy        = SOPs x energy per SOP (docs/cost.md): a model, nothing is measured
    SOPs a spike  = SOPs / axon events
    accumulate    = events x words that listen, summed over the ticks
    sweep         = what the words cost in each tick, and its start
    scan, emit    = the rest

The cycles are those that a chip measured, else those that pysim predicts, without stalls.
"""

from typing import Any

import numpy as np

from spikeloop.cosim.compare.result import CHIPS
from spikeloop.cosim.runs.folder import Run
from spikeloop.pysim.cost.work import ENERGY_PER_SOP

__all__ = ["cycles_for", "measures"]


def measures(run: Run, summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Value and name of each figure that the run has."""
    cycles = summary["cycles_measured"] or summary["cycles_predicted"]
    rows, samples, clock = [], summary["samples"], run.head["figures"]["clock_hz"]
    if cycles:
        seconds, at = cycles / samples / clock, f"at {clock / 1e6:g} MHz"
        rows.append((f"{seconds * 1e3:.4g} ms", f"a sample, {at}"))
        rows.append((f"{1 / seconds:,.0f}", f"samples a second, {at}"))
    if sops := summary["sops"]:
        joule = sops * ENERGY_PER_SOP / samples
        each = f"{ENERGY_PER_SOP * 1e12:g} pJ"
        rows.append((f"{joule * 1e6:.3g} uJ", f"a sample, by the model of {each} a SOP"))
        if events := _counter(summary, "spikes_in"):
            rows.append((f"{sops / events:,.1f}", "SOPs a spike that reaches an axon"))
    return rows


def cycles_for(run: Run, summary: dict[str, Any]) -> list[tuple[str, int, float]]:
    """What the cycles are for: name, cycles, share. Empty for several cores, and without cycles."""
    per_tick, backend = run.head["ticks"], _counts(summary, "cycles")
    if per_tick is None or backend is None:
        return []
    i = run.head["backends"].index(backend)
    events = np.concatenate([chunk.counters[i]["spikes_in"] for chunk in run.chunks])
    total = int(summary["counters"][backend]["cycles"])
    accumulate = int((events @ np.array(per_tick["passes"])).sum())
    sweep = len(events) * sum(per_tick["sweep"])
    parts = {
        "accumulate: a synapse row to the accumulators": accumulate,
        "sweep: fetch, leak, fire, write back of all words": sweep,
        "scan of the axons, emission of the spikes": total - accumulate - sweep,
    }
    return [(name, cycles, cycles / total) for name, cycles in parts.items()]


def _counter(summary: dict[str, Any], name: str) -> int:
    backend = _counts(summary, name)
    return 0 if backend is None else int(summary["counters"][backend][name])


def _counts(summary: dict[str, Any], name: str) -> str | None:
    """The backend whose counter counts: a chip before a model."""
    order = sorted(summary["backends"], key=lambda other: other.partition(":")[0] not in CHIPS)
    return next((other for other in order if name in summary["counters"][other]), None)
