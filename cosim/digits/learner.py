"""Layers of features learn image after image, in integers or in reals; resumable.

The integers are those of pysim's compiled engine, which lessons hold equal to golden and to the
RTL. Which image comes again with lifted rates depends on the answer; the list of attempts is kept,
so that a lesson with the same presentations can be built.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from spikeloop.cosim import checkpoint
from spikeloop.golden.rules.digits.floats import FloatCore
from spikeloop.golden.rules.digits.layer import ENOUGH, THETA0, Layer
from spikeloop.golden.rules.digits.neurons import MILLIVOLT, weights_of
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.lessons.lesson import LessonState
from spikeloop.pysim.lessons.population import PlasticPopulation
from spikeloop.pysim.lessons.settings import WHOLE
from spikeloop.pysim.plastic.kernel import present
from spikeloop.pysim.traces import npz

__all__ = ["Core", "Course", "IntegerCore", "frozen_counts", "open_core", "train"]

EVERY = 100
"""Images between two points of the record."""
FILE = ("kept layer", "remove it")
LABELLING, TESTING = 1 << 20, 1 << 21
"""Added to the number of an image whose spikes label neurons or test: keys of their own."""


class Core(Protocol):
    """Weights, thresholds, and presentations that change them."""

    @property
    def weights(self) -> np.ndarray: ...

    def present(
        self, spikes: np.ndarray, teacher: np.ndarray | None = None, *, learn: bool = True
    ) -> np.ndarray: ...


class IntegerCore:
    """The plastic core's integers.

    weights: uint16 ``[axon, neuron]``; theta: int64 ``[neuron]``
    """

    def __init__(
        self, population: PlasticPopulation, weights: np.ndarray, theta: np.ndarray, ticks: int = 0
    ) -> None:
        p, self.ticks = population, ticks
        self.population = p
        self._normalises = p["target"] > 0
        # a frozen threshold does not decay either
        self._settings = {
            learn: np.array([*q.settings.values(), q.weight_bits, q.membrane_bits], np.int64)
            for learn, q in ((True, p), (False, p.changed(keep_theta=WHOLE)))
        }
        self._tables = (p.post, p.pre, p.near, p.far)
        self._w, self.theta = weights.T.copy(), theta.copy()
        self._dirty = np.zeros(p.neurons, bool)

    @property
    def weights(self) -> np.ndarray:
        return self._w.T

    @property
    def state(self) -> LessonState:
        """What a lesson goes on from."""
        weights = np.ascontiguousarray(self._w.T)
        return LessonState(weights, self.theta.copy(), self._dirty.copy(), self.ticks)

    def _run(self, spikes: np.ndarray, teacher: Any, learn: bool, record: bool) -> Any:
        if teacher is None:
            teacher = np.zeros((len(spikes), self.population.neurons), np.uint8)
        flags = (learn, learn, learn and self._normalises, record)
        found = present(
            self._settings[learn],
            self._tables,
            self._w,
            self.theta,
            self._dirty,
            self.ticks if learn else 0,
            spikes,
            teacher,
            *flags,
            0,
        )
        if learn:
            self.ticks = int(found[4])
        return found

    def present(
        self, spikes: np.ndarray, teacher: np.ndarray | None = None, *, learn: bool = True
    ) -> np.ndarray:
        """A presentation: spikes ``[tick, neuron]``, uint8."""
        return self._run(spikes, teacher, learn, True)[0][:, 0].astype(np.uint8)

    def counts(self, spikes: np.ndarray, *, learn: bool = True) -> np.ndarray:
        """A presentation without a record: spikes of each neuron, int64."""
        return self._run(spikes, None, learn, False)[5]


def open_core(layer: Layer, seed: int, weight_bits: int | None = 16) -> Any:
    """A layer before its first image. weight_bits: None for real numbers."""
    weights, theta = layer.first_weights(seed), np.full(layer.neurons, THETA0)
    if weight_bits is None:
        return FloatCore(layer.constants, layer.rule, weights, theta, seed)
    population = layer.population(weight_bits, seed=seed)
    integers = np.rint(theta * MILLIVOLT).astype(np.int64)
    return IntegerCore(population, weights_of(weights, weight_bits), integers)


def counts_of(core: Any, spikes: np.ndarray, learn: bool) -> np.ndarray:
    """Spikes of each neuron in one presentation."""
    if isinstance(core, IntegerCore):
        return core.counts(spikes, learn=learn)
    return core.present(spikes, learn=learn).sum(0, dtype=np.int64)


def frozen_counts(
    core: Any, layer: Layer, images: np.ndarray, seed: int, offset: int, first: int = 0
) -> np.ndarray:
    """Spikes ``[image, neuron]`` in answer to images, with weights and thresholds frozen.

    offset: LABELLING or TESTING; first: number of the first image.
    """
    rows = [
        counts_of(core, layer.spikes(image, (seed, offset + first + n)), False)
        for n, image in enumerate(images)
    ]
    return np.array(rows, np.int64).reshape(-1, layer.neurons)


@dataclass(eq=False)
class Course:
    """What training did.

    attempts:  uint8 ``[image]``, presentations of each
    spikes:    int64 ``[image]``, of the last presentation
    theta:     rows (images, least, mean, most) in mV, behind each 100 images
    """

    attempts: list[int] = field(default_factory=list)
    spikes: list[int] = field(default_factory=list)
    theta: list[list[float]] = field(default_factory=list)

    @property
    def images(self) -> int:
        return len(self.attempts)


def train(
    core: Any,
    layer: Layer,
    images: np.ndarray,
    seed: int,
    course: Course | None = None,
    progress: Callable[[int], None] | None = None,
    *,
    first: int = 0,
) -> Course:
    """Present ``images`` behind those of ``course``; returns it, longer.

    progress: called with 1 for each image. first: number of the first image of the course.
    """
    course = course or Course()
    for image in images:
        number = first + course.images
        for attempt in range(layer.attempts):
            counts = counts_of(core, layer.spikes(image, (seed, number), attempt), True)
            if counts.sum() >= ENOUGH:
                break
        course.attempts.append(attempt + 1)
        course.spikes.append(int(counts.sum()))
        if course.images % EVERY == 0:
            unit = MILLIVOLT if isinstance(core, IntegerCore) else 1
            heights = core.theta / unit
            row = (heights.min(), heights.mean(), heights.max())
            course.theta.append([course.images, *(float(n) for n in row)])
        if progress:
            progress(1)
    return course


def keep(path: Path, key: str, core: Any, course: Course, **more: np.ndarray) -> None:
    """Write core, course and the int64 arrays ``more``, whole or not at all."""
    head = {"key": key, **vars(course)}
    if isinstance(core, IntegerCore):
        head["ticks"] = core.ticks
    checkpoint.save(path, head, {"weights": core.weights, "theta": core.theta, **more})


def kept(path: Path, key: str, core: Any, most: int, *more: str) -> tuple[Course, npz.Arrays]:
    """What :func:`keep` wrote, put into ``core``: the course, and the arrays ``more``.

    most: images that the course may have; more: arrays int64 ``[image, axon]``.
    An empty course and no arrays if there is no such file. InputError for a file of another
    training, and for one that is damaged.
    """
    if not path.exists():
        return Course(), {}
    members = {"weights": core.weights.dtype.type, "theta": core.theta.dtype.type}
    head, arrays = checkpoint.load(path, *FILE, members | dict.fromkeys(more, np.int64))
    if head.get("key") != key:
        raise InputError(
            f"kept layer {str(path)!r} must be of the same layer, seed, images and sources, not "
            "of others: name another folder, or remove it"
        )
    weights, theta = arrays.pop("weights"), arrays.pop("theta")
    try:
        course = _course(head)
        want = [core.weights.shape, core.theta.shape]
        want += [(course.images, len(core.weights))] * len(arrays)
        shapes = [array.shape for array in (weights, theta, *arrays.values())]
        if shapes != want or course.images > most:
            raise ValueError
        if isinstance(core, IntegerCore):
            dirty = np.zeros(len(theta), bool)
            state = LessonState(weights, theta, dirty, head["ticks"]).check(core.population)
            core.ticks = state.ticks
        elif not all(np.isfinite(values).all() for values in (weights, theta)):
            raise ValueError
    except (InputError, KeyError, TypeError, ValueError):
        raise checkpoint.damaged(path, *FILE) from None
    core._w[:] = weights.T
    core.theta[:] = theta
    return course, arrays


def _course(head: checkpoint.Head) -> Course:
    """The course of a head; ValueError or TypeError unless it is one."""
    lists = [head[name] for name in ("attempts", "spikes", "theta")]
    if not all(isinstance(values, list) for values in lists):
        raise ValueError
    course = Course(*lists)
    whole = [*course.attempts, *course.spikes]
    if len(course.spikes) != course.images or not all(
        type(n) is int and 0 <= n < 1 << 31 for n in whole
    ):
        raise ValueError
    for row in course.theta:
        if len(row) != 4 or not all(type(n) in (int, float) for n in row):
            raise ValueError
    return course


def key_of(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
