"""A lesson: presentations, one after the other, that share weights and thresholds.

Samples of other runs are independent; presentations of a lesson are not. docs/plasticity.md,
"A lesson".
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.pysim.common.bits import pack, unpack
from spikeloop.pysim.common.checks import check_array, check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.common.reading import read_file
from spikeloop.pysim.lessons.population import PlasticPopulation

__all__ = ["MAX_TICKS", "Lesson", "LessonState"]

MAX_TICKS = 65_535
"""Ticks of a presentation."""
MAX_THETA = (1 << 24) - 1
MAX_K = (1 << 32) - 1
"""Ticks of a lesson before they begin again: setting first_tick."""
FLAGS = ("learn", "adapt", "normalise")


@dataclass(frozen=True, eq=False)
class LessonState:
    """What outlasts a presentation: all that a lesson needs to go on.

    weights:  uint16 ``[axon, neuron]``
    theta:    int64 ``[neuron]``
    dirty:    bool ``[neuron]``
    ticks:    K, ticks since the lesson began
    """

    weights: np.ndarray
    theta: np.ndarray
    dirty: np.ndarray
    ticks: int

    def check(self, population: PlasticPopulation) -> "LessonState":
        """Itself; InputError unless it is a state of ``population``."""
        _weights(population, self.weights)
        for name in ("theta", "dirty"):
            shape = getattr(self, name).shape
            if shape != (population.neurons,):
                raise InputError(
                    f"{name} of a lesson must be of shape ({population.neurons},), not {shape}"
                )
        check_array("dirty of a lesson", self.dirty, np.bool_)
        _within(self.theta, 0, MAX_THETA, "theta of a lesson")
        check_int("ticks of a lesson", self.ticks, 0, MAX_K)
        return self


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesson:
    """Presentations for a population. Build it with :meth:`make`, which packs and checks.

    weights:    uint16 ``[axon, neuron]``, at the beginning
    theta:      int64 ``[neuron]``, at the beginning
    ticks:      int64 ``[presentation]``, 1..65,535
    spikes:     packed uint8 ``[tick of the lesson, ceil(axons / 8)]``
    teacher:    packed uint8 ``[tick of the lesson, ceil(neurons / 8)]``
    learn, adapt, normalise: bool ``[presentation]``
    labels:     int64 ``[presentation]``, -1 where there is none
    """

    population: PlasticPopulation
    weights: np.ndarray
    theta: np.ndarray
    ticks: np.ndarray
    spikes: np.ndarray
    teacher: np.ndarray
    learn: np.ndarray
    adapt: np.ndarray
    normalise: np.ndarray
    labels: np.ndarray
    name: str = "lesson"
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def make(
        cls,
        population: PlasticPopulation,
        weights: np.ndarray,
        spikes: np.ndarray,
        *,
        ticks: np.ndarray | int | None = None,
        teacher: np.ndarray | None = None,
        theta: np.ndarray | int = 0,
        learn: np.ndarray | bool = True,
        adapt: np.ndarray | bool = True,
        normalise: np.ndarray | bool = False,
        labels: np.ndarray | None = None,
        name: str = "lesson",
    ) -> "Lesson":
        """A lesson of unpacked spikes.

        spikes:   0/1 ``[presentation, tick, axon]``, or with ``ticks`` ``[tick of all, axon]``.
        teacher:  0/1 in the same form for neurons; none by default.
        InputError for shapes that do not fit and values out of range.
        """
        p = population
        spikes = np.asarray(spikes)
        if spikes.ndim == 3:
            ticks = np.full(len(spikes), spikes.shape[1]) if ticks is None else ticks
            spikes = spikes.reshape(-1, spikes.shape[2])
            teacher = None if teacher is None else np.asarray(teacher).reshape(len(spikes), -1)
        counts = np.atleast_1d(np.asarray(len(spikes) if ticks is None else ticks))
        _within(counts, 1, MAX_TICKS, "ticks of a presentation")
        total, many = int(counts.sum()), len(counts)
        if teacher is None:
            teacher = np.zeros((total, p.neurons), np.uint8)
        lines = {"spikes": (spikes, p.axons), "teacher": (np.asarray(teacher), p.neurons)}
        packed: dict[str, Any] = {}
        for what, (bits, size) in lines.items():
            if bits.shape != (total, size):
                raise InputError(
                    f"{what} of a lesson must be of shape ({total}, {size}), not {bits.shape}"
                )
            packed[what] = pack(_within(bits, 0, 1, f"{what} of a lesson"))
        if packed["teacher"].any() and not p["w_teach"]:
            raise InputError(
                "setting w_teach of a lesson with teacher spikes must be above 0, not 0"
            )
        flags = dict(zip(FLAGS, (learn, adapt, normalise), strict=True))
        rows: dict[str, Any] = {
            key: _shaped(np.asarray(n, bool), (many,), key) for key, n in flags.items()
        }
        classes = np.full(many, -1) if labels is None else np.asarray(labels)
        return cls(
            population=p,
            weights=_weights(p, weights),
            theta=_shaped(
                _within(np.asarray(theta), 0, MAX_THETA, "theta of a lesson"), (p.neurons,), "theta"
            ).astype(np.int64),
            ticks=counts.astype(np.int64),
            labels=_shaped(
                _within(classes, -1, p.neurons - 1, "labels of a lesson"), (many,), "labels"
            ).astype(np.int64),
            name=name,
            **packed,
            **rows,
        )

    @property
    def presentations(self) -> int:
        return len(self.ticks)

    @property
    def first(self) -> np.ndarray:
        """First tick of each presentation in the lesson, and the end: int64 [presentation + 1]."""
        return np.concatenate([[0], np.cumsum(self.ticks)])

    @property
    def state(self) -> LessonState:
        """The state with which it begins."""
        dirty = np.zeros(self.population.neurons, bool)
        return LessonState(self.weights, self.theta, dirty, self.population["first_tick"])

    def of(self, presentation: int) -> tuple[np.ndarray, np.ndarray]:
        """Spikes ``[tick, axon]`` and teacher ``[tick, neuron]`` of a presentation, uint8 0/1."""
        rows = slice(*self.first[presentation : presentation + 2])
        return (
            unpack(self.spikes[rows], self.population.axons),
            unpack(self.teacher[rows], self.population.neurons),
        )

    def save(self, path: str | Path) -> Path:
        """Write the lesson's file, whole or not at all."""
        from spikeloop.pysim.lessons.file import encode

        return write_atomic(path, encode(self))

    @classmethod
    def load(cls, path: str | Path) -> "Lesson":
        """Read a lesson's file; InputError for anything else than a sound one."""
        from spikeloop.pysim.lessons.file import decode

        return decode(read_file(path, "lesson file", "write it with Lesson.save"), str(path))

    def with_(self, **changes: Any) -> "Lesson":
        """The same lesson with other fields."""
        return replace(self, **changes)


def _weights(p: PlasticPopulation, weights: np.ndarray) -> np.ndarray:
    weights = np.asarray(weights)
    if weights.shape != (p.axons, p.neurons):
        raise InputError(
            f"weights of a lesson must be of shape ({p.axons}, {p.neurons}), not {weights.shape}"
        )
    return _within(weights, p["w_min"], p["w_max"], "weights of a lesson").astype(np.uint16)


def _within(values: np.ndarray, low: int, high: int, what: str) -> np.ndarray:
    if values.dtype != np.bool_ and not np.issubdtype(values.dtype, np.integer):
        raise InputError(f"{what} must be integers, not {values.dtype}")
    wrong = values[(values < low) | (values > high)] if values.size else values
    if wrong.size:
        raise InputError(f"{what} must be in {low}..{high}, not {wrong[0]}")
    return values


def _shaped(values: np.ndarray, shape: tuple[int, ...], what: str) -> np.ndarray:
    try:
        return np.array(np.broadcast_to(values, shape))
    except ValueError:
        raise InputError(
            f"{what} of a lesson must be of shape {shape}, not {values.shape}"
        ) from None
