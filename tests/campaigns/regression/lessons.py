"""The Verilated plastic core against pysim: every value of random lessons, and their cycles.

    python -m tests.campaigns.regression.lessons [LESSONS [SEED]]

runs 300 lessons by default, on the sizes of CORES, and compares golden, both engines of pysim and
the witness with the RTL. It prints what was compared and how often each corner came up. It fails
where a corner came up less than 100 times.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from spikeloop.cosim.macros.plastic import PlasticModel
from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.lessons.trace import LessonTrace, differences, replay
from spikeloop.pysim.plastic import numba_engine, numpy_engine
from spikeloop.pysim.plastic.cycles import rest_cycles, with_cycles
from spikeloop.pysim.plastic.memories import memories
from spikeloop.pysim.plastic.params import PlasticParams
from tests.make.lessons.bins import BINS, count
from tests.make.lessons.random import SIZES, long_lesson, random_lesson
from tests.witness.lessons import witness

__all__ = ["CORES", "first_difference", "lesson_of"]

CORES = {
    "learns": PlasticParams(**SIZES["small"], lanes=2),
    "learns-narrow": PlasticParams(**SIZES["narrow"], lanes=4),
    "learns-row": PlasticParams(**SIZES["narrow"], lanes=16),
    "learns-wide": PlasticParams(**SIZES["wide"], lanes=1),
    "learns-one": PlasticParams(**SIZES["one"], lanes=1),
    "learns-five": PlasticParams(axons=3, neurons=5, weight_bits=9, membrane_bits=18, lanes=2),
}
"""Plastic cores: words of one lane, of some, one word that is not full, one synapse; more neurons
than axons, the last behind a power of two."""
LEAST = 100  # how often a corner must come up
LONG = 10  # of so many lessons one has a long silence


def lesson_of(params: PlasticParams, seed: list[int]) -> Lesson:
    """The lesson of a seed; the last number says which kind."""
    rng = np.random.default_rng(seed)
    size = {name: getattr(params, name) for name in SIZES["small"]}
    make = long_lesson if seed[-1] % LONG == LONG - 1 and params.axons < 30 else random_lesson
    return make(rng, size)


def first_difference(
    params: PlasticParams,
    seeds: list[list[int]],
    *,
    model: PlasticModel | None = None,
    also: tuple[Callable[[Lesson], LessonTrace], ...] = (),
    totals: Counter[str] | None = None,
    corners: Counter[str] | None = None,
) -> str | None:
    """Compares RTL and pysim over one random lesson per seed; the first difference, or None.

    Every third lesson goes in through the pins, every third stalls the spikes' receiver.
    also: further models, which must say the same. totals, corners: counted up.
    """
    core = model or PlasticModel(params, optimise=False)
    try:
        for seed in seeds:
            lesson = lesson_of(params, seed)
            way = seed[-1] % 3
            try:
                ours = core.run(lesson, pins=way == 1, stall=way * 12345 if way == 2 else 0)
            except RuntimeError as error:
                return f"{error}: {params}, seed {seed}"
            want = with_cycles(params, lesson, numpy_engine.run(lesson))
            if core.clear_cycles != rest_cycles(params):
                return f"CLEAR takes {core.clear_cycles} cycles, not {rest_cycles(params)}"
            for run in (None, *also):
                other = ours if run is None else run(lesson)
                names = ("pysim", "RTL" if run is None else run.__module__.split(".")[-1])
                found = differences(want, other, lesson.ticks, names)
                if found.first:
                    return f"{found.first}: {params}, seed {seed}"
                if totals is not None:
                    totals.update(found.compared)
            if (
                replay(lesson.weights, ours.updates, range(lesson.presentations)) != ours.crc
            ).any():
                return f"log does not give the CRC: {params}, seed {seed}"
            for text in _weights_read(core, lesson, ours):
                return f"{text}: {params}, seed {seed}"
            if corners is not None:
                corners.update(count(lesson, want, params.lanes))
    finally:
        if model is None:
            core.close()
    return None


def _weights_read(core: PlasticModel, lesson: Lesson, trace: LessonTrace) -> Iterator[str]:
    """The load port gives the weights as they are, and the tables as they were loaded."""
    p = core.params
    read = core.read("weights").reshape(p.words, p.axons, p.lanes)
    weights = read.transpose(1, 0, 2).reshape(p.axons, -1)[:, : p.neurons]
    if not np.array_equal(weights, trace.state.weights):
        yield "weights at the load port are not those of the memory"
    if not np.array_equal(core.read("near")[:, 0], lesson.population.near):
        yield "table near at the load port is not the one loaded"
    if len(core.read("state")) != next(m.rows for m in memories(p) if m.name == "state"):
        yield "state has another number of rows"


def main(lessons: int = 300, seed: int = 0) -> int:
    from spikeloop.golden.reference import plastic as golden  # torch: `make faults` does without

    totals, corners = Counter[str](), Counter[str]()
    for number, (name, params) in enumerate(CORES.items()):
        share = [[seed, number, n] for n in range(-(-lessons // len(CORES)))]
        found = first_difference(
            params,
            share,
            also=(golden.run, numba_engine.run, witness),
            totals=totals,
            corners=corners,
        )
        if found:
            print(f"{name}: {found}")
            return 1
        print(f"{name}: {len(share)} lessons, 0 different", flush=True)
    print("compared, over four pairs: " + ", ".join(f"{n:,} {name}" for name, n in totals.items()))
    rare = {name: corners[name] for name in BINS if corners[name] < LEAST}
    print("corners: " + ", ".join(f"{name} {corners[name]:,}" for name in BINS))
    if rare:
        print(f"corners that came up less than {LEAST} times: {rare}")
    return int(bool(rare))


if __name__ == "__main__":
    sys.exit(main(*(int(argument.replace(",", "")) for argument in sys.argv[1:])))
