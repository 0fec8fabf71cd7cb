"""Ticks and weight updates per second of each engine on one lesson of 784 axons and 100 neurons.

python -m spikeloop.cosim.lessons.rate [PRESENTATIONS]       20 unless given

The lesson is like an image of MNIST by ALSA's feature rule (Mo et al. 2022): 350 ticks, about 5
spikes in and 0.043 spikes out a tick. Seconds are of the processor. All engines must end with the
same weights.
"""

import sys
import time
from typing import Any

import numpy as np

from spikeloop.cosim.macros.plastic import PlasticModel
from spikeloop.golden.reference import plastic as golden
from spikeloop.golden.rules.alsa.rule import Alsa
from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.lessons.population import PlasticPopulation
from spikeloop.pysim.plastic import numba_engine, numpy_engine
from spikeloop.pysim.plastic.params import PlasticParams

__all__ = ["main", "measured_lesson"]

AXONS, NEURONS, TICKS, LANES = 784, 100, 350, 16
EVENTS, SPIKES = 5.0, 0.043  # a tick


def measured_lesson(presentations: int) -> Lesson:
    """Poisson spikes on a seventh of the axons; the teacher alone makes neurons spike."""
    rng, one = np.random.default_rng(0), 1 << 20
    rule = Alsa(alpha=-0.3, beta=1.3, tau=20.0)
    p = PlasticPopulation.make(
        AXONS,
        NEURONS,
        **rule.settings(16),
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
    teacher = rng.random((presentations, TICKS, NEURONS)) < SPIKES / NEURONS
    weights = rng.integers(1 << 13, 1 << 14, (AXONS, NEURONS))
    return Lesson.make(p, weights, spikes, teacher=teacher, name="rate")


def main(presentations: int = 20) -> int:
    """Prints a line for each engine. Returns 1 if the weights differ, else 0."""
    model = PlasticModel(PlasticParams(axons=AXONS, neurons=NEURONS, lanes=LANES))
    numba_engine.run(measured_lesson(1), record=False)  # compiled
    ways: dict[str, Any] = {
        "RTL": (model.run, presentations, {"record": False}),
        "pysim (numba)": (numba_engine.run, presentations, {"record": False}),
        "pysim (numpy)": (numpy_engine.run, min(presentations, 4), {"record": False}),
        "golden": (golden.run, min(presentations, 2), {}),
    }
    ends: dict[int, set[int]] = {}
    lesson = measured_lesson(presentations)
    want = numba_engine.run(lesson)
    for name, (run, count, options) in ways.items():
        start = time.process_time()
        trace = run(lesson, 0, count, **options)
        seconds = time.process_time() - start
        ends.setdefault(count, set()).add(int(trace.crc[-1]))
        ticks, updates = int(lesson.ticks[:count].sum()), int((want.updates[:, 0] < count).sum())
        line = f"{ticks / seconds:,.0f} ticks/s, {updates / seconds:,.0f} weight updates/s"
        if name == "RTL":
            line += f", {trace.cycles.mean():,.0f} cycles a tick"
        print(f"{name}: {line} ({ticks:,} ticks)")
    model.close()
    same = all(int(want.crc[count - 1]) in crcs and len(crcs) == 1 for count, crcs in ends.items())
    print("all weights are equal" if same else "weights differ")
    return int(not same)


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
