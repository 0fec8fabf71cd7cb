"""Random lessons for plastic populations: every setting drawn, corners drawn often.

All draws of a lesson come from one generator, so a seed names a lesson.
"""

import numpy as np

from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.lessons.population import PlasticPopulation
from spikeloop.pysim.lessons.settings import WHOLE
from spikeloop.pysim.lessons.tables import SEGMENTS, exponential, keep

__all__ = ["SIZES", "random_lesson", "random_population", "random_table"]

SIZES = {
    "small": {"axons": 9, "neurons": 5, "weight_bits": 16, "membrane_bits": 24},
    "narrow": {"axons": 20, "neurons": 11, "weight_bits": 8, "membrane_bits": 16},
    "wide": {"axons": 70, "neurons": 6, "weight_bits": 12, "membrane_bits": 32},
    "one": {"axons": 1, "neurons": 1, "weight_bits": 11, "membrane_bits": 20},
}
"""Sizes of populations: one chunk of lines and two, one neuron and one axon, all widths' ends."""


def random_table(rng: np.random.Generator) -> np.ndarray:
    """A weight dependence without steps of more than 32,767."""
    edges = np.clip(
        np.cumsum(rng.integers(-9000, 9001, SEGMENTS + 1)) + rng.integers(0, 65536), 0, 65535
    )
    return np.stack([edges[:-1], np.diff(edges)], 1)


def random_population(rng: np.random.Generator, size: dict[str, int]) -> PlasticPopulation:
    """A population of this size that spikes: every mode and both ends of ranges come up."""
    bits, P = size["weight_bits"], size["membrane_bits"]
    one = 1 << P - 5  # a unit of potential; 16 of them are the range

    def chance(p: float) -> bool:
        return bool(rng.random() < p)

    near, far = exponential(float(rng.choice([3.0, 20.0, 200.0])))
    if chance(0.1):
        near, far = rng.integers(0, 65536, (2, 32))
    top = (1 << bits) - 1
    w_min = int(rng.integers(0, top // 4)) if chance(0.3) else 0
    w_max = int(rng.integers(top // 2, top + 1)) if chance(0.3) else top
    f0 = 0 if chance(0.4) else int(rng.integers(-9000, 9000))
    rest = int(rng.integers(-2 * one, one)) if chance(0.5) else 0
    p = PlasticPopulation.make(
        **size,
        post=random_table(rng),
        pre=random_table(rng),
        near=near,
        far=far,
        v_rest=rest,
        v_reset=rest + int(rng.integers(-one, one // 2)),
        v_th=rest + int(rng.integers(one // 8, one)),
        v_low=rest - int(rng.integers(one, 4 * one)) if chance(0.8) else -(1 << P - 1),
        e_exc=rest + int(rng.integers(one, 6 * one)),
        e_inh=rest - int(rng.integers(one, 4 * one)),
        bias=int(rng.integers(-one // 4, one // 2)) if chance(0.4) else 0,
        k_m=65535 if chance(0.05) else int(rng.integers(2000, 30000)),
        keep_e=keep(float(rng.choice([1.0, 5.0, 50.0]))),
        keep_i=keep(float(rng.choice([1.0, 10.0]))),
        keep_y=keep(float(rng.choice([2.0, 20.0, 100.0]))),
        keep_theta=WHOLE if chance(0.2) else int(rng.integers(30000, WHOLE)),
        theta_plus=(1 << 24) - 1
        if chance(0.05)
        else int(rng.integers(0, 1 + (one >> 4) % (1 << 24))),
        theta_period=int(rng.integers(0, 5)),
        refractory=int(rng.choice([0, 0, 1, 2, 7, 63], p=[0.3, 0.2, 0.2, 0.2, 0.07, 0.03])),
        gate=int(rng.integers(2)),
        fire=int(not chance(0.03)),
        w_shift=16 if chance(0.05) else max(0, 16 - bits + int(rng.integers(-2, 1))),
        w_lat=int(rng.choice([0, (1 << 24) - 1])) if chance(0.3) else int(rng.integers(0, 1 << 17)),
        w_teach=(1 << 24) - 1 if chance(0.1) else int(rng.integers(1, 1 << 20)),
        x_set=int(rng.integers(2)),
        y_set=int(rng.integers(2)),
        x_one=int(rng.integers(0, 65536)),
        y_one=int(rng.integers(0, 65536)),
        b=int(rng.choice([-65536, 65535])) if chance(0.1) else int(rng.integers(-20000, 40000)),
        f0=f0,
        ltd=int(chance(0.75)),
        shift_post=int(rng.choice([8, 32])) if chance(0.1) else 30 - bits + int(rng.integers(0, 7)),
        shift_pre=int(rng.choice([8, 32])) if chance(0.1) else 32 - bits + int(rng.integers(0, 7)),
        stochastic=int(rng.integers(2)),
        sigma=0 if chance(0.4) else int(rng.integers(1, 256)),
        w_min=w_min,
        w_max=w_max,
        target=0xFFFFFFFF if chance(0.05) else int(rng.integers(0, size["axons"] << bits)),
        seed=int(rng.integers(0, 1 << 32)),
        first_tick=0xFFFFFFFF - int(rng.integers(0, 40)) if chance(0.7) else 0,
    )
    if p["seed"] % 12 == 0:  # clipped to the threshold: it spikes
        return p.changed(v_low=p["v_th"], theta_plus=0, fire=1)
    return p.changed(target=0xFFFFFFFF) if p["seed"] % 12 == 1 else p


def random_lesson(
    rng: np.random.Generator, size: dict[str, int], presentations: int = 4, ticks: int = 40
) -> Lesson:
    """Presentations of up to ``ticks`` ticks, some after a long silence, some frozen."""
    p = random_population(rng, size)
    counts = rng.integers(1, ticks + 1, presentations)
    density = rng.choice([0.0, 0.03, 0.2, 0.6, 1.0], presentations, p=[0.05, 0.35, 0.4, 0.15, 0.05])
    rows = np.repeat(density, counts)[:, None]
    spikes = rng.random((len(rows), p.axons)) < rows
    teacher = rng.random((len(rows), p.neurons)) < rng.choice([0.02, 0.2, 0.8])
    weights = rng.integers(p["w_min"], p["w_max"] + 1, (p.axons, p.neurons))
    ends = rng.random(weights.shape)
    weights = np.where(ends < 0.1, p["w_min"], np.where(ends > 0.9, p["w_max"], weights))
    if rng.random() < 0.15 or p["seed"] % 12 == 2:  # nothing to scale, unless it learns
        weights[:] = p["w_min"]
    if p["seed"] % 12 == 1:  # small, so that the largest scale does not clip them all
        weights = np.minimum(p["w_min"] + (weights & 3), p["w_max"])
    theta = rng.integers(0, p["theta_plus"] + 1, p.neurons) if rng.random() < 0.3 else 0
    return Lesson.make(
        p,
        weights,
        spikes,
        ticks=counts,
        teacher=teacher,
        theta=theta,
        learn=rng.random(presentations) < 0.85,
        adapt=rng.random(presentations) < 0.8,
        normalise=rng.random(presentations) < 0.4,
        labels=rng.integers(-1, p.neurons, presentations),
    )


def long_lesson(rng: np.random.Generator, size: dict[str, int], ticks: int = 1100) -> Lesson:
    """A presentation with a few spikes, so that ages of 31, 32, 1023 and 1024 ticks are read.

    Axon 0 spikes in the first tick alone. The teacher forces a spike at every such age.
    """
    p = random_population(rng, size).changed(fire=1, w_teach=(1 << 24) - 1, refractory=0, ltd=1)
    spikes = np.zeros((1, ticks, p.axons), bool)
    spikes[0, 0, 0] = True
    spikes[0, :, 1:] = rng.random((ticks, p.axons - 1)) < 0.01
    teacher = np.zeros((1, ticks, p.neurons), bool)
    for age in (0, 1, 31, 32, 63, 64, 1023, 1024, 1025):
        teacher[0, age] = True
    weights = rng.integers(p["w_min"], p["w_max"] + 1, (p.axons, p.neurons))
    return Lesson.make(p, weights, spikes, teacher=teacher)
