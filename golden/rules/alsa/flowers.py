"""Iris by ALSA: 48 lines, 3 neurons, a teacher that makes the neuron of the species spike.

A length becomes a place on 12 lines; line i spikes with h max(0, 1 - |i - place| / w) (Mo et al.
2022, eq. 8), in regular trains. A presentation is 200 ticks of 1 ms with input and 50 without. The
teacher forces its neuron 4 times. In training only the teacher makes neurons spike (high
threshold); in the test the threshold is low, and weights and thresholds are frozen.

The constants were chosen before any seed of the results was run, on other seeds.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikeloop.golden.data.iris import folds, load_iris
from spikeloop.golden.rules.alsa.rule import Alsa
from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.lessons.population import PlasticPopulation
from spikeloop.pysim.lessons.tables import keep

__all__ = [
    "CLASSES",
    "LENGTHS",
    "LINES",
    "PLACES",
    "SPECIES",
    "TEACHER",
    "Trial",
    "population",
    "rates_of",
    "trains",
    "trial",
]

SPECIES = ("setosa", "versicolor", "virginica")
LENGTHS = ("sepal length", "sepal width", "petal length", "petal width")
PLACES, CLASSES = 12, len(SPECIES)
LINES = len(LENGTHS) * PLACES
HEIGHT, WIDTH = 20.0, 2.0  # Hz, places
ON, OFF = 200, 50  # ticks of a presentation with and without input
TEACHER = (49, 99, 149, 199)
TEST_TICKS = 1000
UNIT = 20  # fraction bits of a potential; V_L is 0, V_E is 1
THRESHOLD, TEST_THRESHOLD = 0.45, 0.005
TAU_M, TAU_E, REFRACTORY, FORCE = 100.0, 5.0, 5, 100.0


def rates_of(lengths: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Spikes per tick of each line: float64 ``[flower, 48]``.

    known: the flowers of the training set, whose least and greatest lengths are the ends.
    """
    low, high = known.min(0), known.max(0)
    place = np.clip((lengths - low) / (high - low) * (PLACES - 1), 0, PLACES - 1)
    away = np.abs(np.arange(PLACES) - place[:, :, None])
    rates = HEIGHT / 1000 * np.maximum(0, 1 - away / WIDTH)
    return rates.reshape(len(lengths), LINES)


def trains(rates: np.ndarray, ticks: int) -> np.ndarray:
    """Regular trains, the first spike after half a period: bool ``[flower, tick, line]``."""
    counts = np.floor(rates[:, None] * np.arange(ticks + 1)[:, None] + 0.5)
    return np.diff(counts, axis=1) > 0


def population(
    weight_bits: int = 16, *, stochastic: bool = True, test: bool = False, rule: Alsa | None = None
) -> PlasticPopulation:
    """The 3 neurons and 48 lines, as they learn or as they are tested."""
    one = 1 << UNIT
    threshold = TEST_THRESHOLD if test else THRESHOLD
    return PlasticPopulation.make(
        LINES,
        CLASSES,
        weight_bits=weight_bits,
        **(rule or Alsa()).settings(weight_bits),
        v_th=int(threshold * one) + 1,
        v_low=-(1 << 23),
        e_exc=one,
        k_m=round(65536 / TAU_M),
        keep_e=keep(TAU_E),
        refractory=0 if test else REFRACTORY,
        gate=1,
        w_shift=16 - weight_bits,
        w_teach=round(FORCE * 65536),
        stochastic=int(stochastic),
        seed=7,
    )


@dataclass(frozen=True, eq=False)
class Trial:
    """One fold of one seed: what it learns from, and what it is tested with.

    rates, test_rates: spikes per tick of the training and the test flowers ``[flower, 48]``
    order:   flowers in the order of presentation, int64 ``[presentation]``
    """

    seed: int
    fold: int
    weights: np.ndarray
    rates: np.ndarray
    species: np.ndarray
    order: np.ndarray
    test_rates: np.ndarray
    test_species: np.ndarray

    def first(self, count: int) -> "Trial":
        """Its first presentations and test flowers."""
        rows = slice(0, count)
        return replace(
            self,
            order=self.order[rows],
            test_rates=self.test_rates[rows],
            test_species=self.test_species[rows],
        )

    def lesson(self, weight_bits: int = 16, **settings: Any) -> Lesson:
        """All presentations of the training. settings: those of :func:`population`."""
        p, count = population(weight_bits, **settings), len(self.order)
        spikes = np.zeros((count, ON + OFF, LINES), bool)
        spikes[:, :ON] = trains(self.rates, ON)[self.order]
        teacher = np.zeros((count, ON + OFF, CLASSES), bool)
        labels = self.species[self.order]
        for tick in TEACHER:
            teacher[np.arange(count), tick, labels] = True
        weights = np.rint(self.weights * (1 << weight_bits)).astype(np.int64)
        return Lesson.make(p, weights, spikes, teacher=teacher, labels=labels, name="iris")

    def test(self, weights: np.ndarray, weight_bits: int = 16, ticks: int = TEST_TICKS) -> Lesson:
        """The test flowers, frozen, with what was learnt."""
        return Lesson.make(
            population(weight_bits, test=True),
            weights,
            trains(self.test_rates, ticks),
            learn=False,
            adapt=False,
            labels=self.test_species,
            name="iris test",
        )

    def counted(self, weights: np.ndarray, ticks: int = TEST_TICKS) -> float:
        """Accuracy of a neuron that neither leaks nor fires: argmax of the sum of w over spikes."""
        counts = trains(self.test_rates, ticks).sum(1)
        answers = (counts @ weights.astype(np.float64)).argmax(1)
        return float((answers == self.test_species).mean())


def trial(seed: int, fold: int, passes: int = 4) -> Trial:
    """Fold ``fold`` (0..4) of a seed: four groups to learn from, ``passes`` times in new orders."""
    lengths, species = load_iris()
    rng = np.random.default_rng(seed)
    group = folds(species, rng)
    weights = rng.uniform(0.2, 0.3, (5, LINES, CLASSES))[fold]
    rng = np.random.default_rng([seed, fold])
    known = np.flatnonzero(group != fold)
    held = np.flatnonzero(group == fold)
    order = np.concatenate([rng.permutation(len(known)) for _ in range(passes)])
    return Trial(
        seed,
        fold,
        weights,
        rates_of(lengths[known], lengths[known]),
        species[known],
        order,
        rates_of(lengths[held], lengths[known]),
        species[held],
    )
