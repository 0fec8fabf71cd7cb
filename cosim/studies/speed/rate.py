"""Ticks and weight updates per second of each engine on one lesson of 784 axons and 100 neurons.

python -m spikeloop.cosim.studies.speed.rate [PRESENTATIONS]       20 unless given

The lesson is like an image of MNIST by ALSA's feature rule (Mo et al. 2022): 350 ticks, about 5
spikes in and 0.12 spikes out a tick: the teacher forces 0.043, of which most come three times.
Seconds are of the processor. All engines must end with the same weights.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from spikeloop.cosim.macros.plastic import PlasticModel
from spikeloop.golden.reference import plastic as golden
from spikeloop.golden.rules.alsa.rule import Alsa
from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.lessons.population import PlasticPopulation
from spikeloop.pysim.plastic import numba_engine, numpy_engine
from spikeloop.pysim.plastic.params import PlasticParams

__all__ = ["RULE", "line", "measure", "measured_lesson"]

AXONS, NEURONS, TICKS, LANES = 784, 100, 350, 16
RULE = Alsa(alpha=-0.3, beta=1.3, tau=20.0)
EVENTS, FORCED = 5.0, 0.043  # a tick


def measured_lesson(presentations: int) -> Lesson:
    """Poisson spikes on a seventh of the axons; the teacher alone makes neurons spike."""
    rng, one = np.random.default_rng(0), 1 << 20
    p = PlasticPopulation.make(
        AXONS,
        NEURONS,
        **RULE.settings(16),
        v_th=3 * one,
        e_exc=2 * one,
        k_m=2000,
        keep_e=30000,
        w_teach=(1 << 24) - 1,
        seed=1,
    )
    lit = AXONS // 7
    spikes = np.zeros((presentations, TICKS, AXONS), bool)
    spikes[:, :, ::7] = rng.random((presentations, TICKS, lit)) < EVENTS / lit
    teacher = rng.random((presentations, TICKS, NEURONS)) < FORCED / NEURONS
    weights = rng.integers(1 << 13, 1 << 14, (AXONS, NEURONS))
    return Lesson.make(p, weights, spikes, teacher=teacher, name="rate")


def measure(
    presentations: int = 20, rounds: int = 1, tell: Callable[[str], None] = print
) -> list[dict[str, Any]]:
    """A row for each engine: way, ticks/s, weight updates/s, ticks, cycles a tick (None: no clock).

    Engines run in turn, ``rounds`` times; a row is the median. tell: gets a line for each.
    RuntimeError if an engine ends with other weights than pysim.
    """
    model = PlasticModel(PlasticParams(axons=AXONS, neurons=NEURONS, lanes=LANES))
    ways: dict[str, Any] = {
        "RTL": (model.run, presentations, {"record": False}),
        "pysim (numba)": (numba_engine.run, presentations, {"record": False}),
        "pysim (numpy)": (numpy_engine.run, min(presentations, 4), {"record": False}),
        "golden": (golden.run, min(presentations, 2), {}),
    }
    lesson = measured_lesson(presentations)
    want = numba_engine.run(lesson)
    numba_engine.run(measured_lesson(1), record=False)  # compiled
    spent: dict[str, list[float]] = {name: [] for name in ways}
    rows = []
    for turn in range(rounds):
        for name, (run, count, options) in ways.items():
            start = time.process_time()
            trace = run(lesson, 0, count, **options)
            spent[name].append(time.process_time() - start)
            if int(trace.crc[-1]) != int(want.crc[count - 1]):
                raise RuntimeError(f"weights of {name} differ from pysim's")
            if turn < rounds - 1:
                continue
            seconds = statistics.median(spent[name])
            ticks = int(lesson.ticks[:count].sum())
            updates = int((want.updates[:, 0] < count).sum())
            row = {"way": name, "ticks_per_s": ticks / seconds, "ticks": ticks}
            row |= {"updates_per_s": updates / seconds, "seconds": spent[name]}
            row["cycles_per_tick"] = float(trace.cycles.mean()) if len(trace.cycles) else None
            rows.append(row)
            tell(f"{name}: {line(row)}")
    model.close()
    return rows


def line(row: dict[str, Any]) -> str:
    """A row as text."""
    text = f"{row['ticks_per_s']:,.0f} ticks/s, {row['updates_per_s']:,.0f} weight updates/s"
    if row.get("cycles_per_tick"):
        text += f", {row['cycles_per_tick']:,.0f} cycles a tick"
    return f"{text} ({row['ticks']:,} ticks)"


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
    print("all weights are equal")
