"""One net, from its first image to its scores; what the studies repeat.

    train      images of the training set, each once
    label      frozen, the first training images with their digits: each neuron gets a label
    test       frozen, images that took part in nothing

Everything is keyed by the seed: first weights, input spikes, rounding. Seeds and integers against
reals see the same spikes. ``held`` tests on the last training images, which then are not trained
on; constants are chosen there, and the test images are for results alone.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.digits.learner import (
    LABELLING,
    TESTING,
    Course,
    frozen_counts,
    keep,
    kept,
    key_of,
    open_core,
    train,
)
from spikeloop.cosim.provenance import code
from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.rules.digits.layer import PIXELS, Layer
from spikeloop.golden.rules.digits.votes import answers, labels_of
from spikeloop.pysim.common.errors import InputError

__all__ = ["Plan", "Score", "learnt", "score"]

STEP = 1000
"""Images between two files of what is done."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How many images do what.

    train, label, test: images of each part
    seed:  of all random numbers
    bits:  of a weight; None for real numbers
    held:  test on the last training images instead of the test set
    """

    train: int
    label: int
    test: int
    seed: int = 0
    bits: int | None = 16
    held: bool = False

    def check(self, data: Dataset) -> None:
        """InputError unless the data set has so many images, of 784 pixels."""
        if data.pixels != PIXELS:
            raise InputError(f"pixels of an image must be {PIXELS}, not {data.pixels}")
        free = len(data.train_images) - (self.test if self.held else 0)
        for name, value, most in (
            ("images to train on", self.train, free),
            ("images to label with", self.label, free),
            ("test images", self.test, len(data.train_images if self.held else data.test_images)),
        ):
            if not 1 <= value <= most:
                raise InputError(f"{name} must be in 1..{most}, not {value}")

    def parts(self, data: Dataset) -> tuple[np.ndarray, ...]:
        """Images to train on; images and digits to label with; images and digits to test on."""
        images, digits = data.train_images, data.train_labels
        part = (images[-self.test :], digits[-self.test :])
        if not self.held:
            part = (data.test_images[: self.test], data.test_labels[: self.test])
        return images[: self.train], images[: self.label], digits[: self.label], *part


@dataclass(frozen=True)
class Score:
    """Right answers by vote, 0..1, and the spikes of a tested image.

    labelling: on the images that gave the labels; testing: on the others
    silent:    share of tested images without a spike
    """

    labelling: float
    testing: float
    spikes: float
    silent: float


def learnt(
    layer: Layer,
    plan: Plan,
    data: Dataset,
    *,
    file: Path | None = None,
    at: Callable[[Any, Course], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[Any, Course]:
    """The layer after its training images: core and course.

    file: where it is kept behind each 1,000 images; training goes on from there.
    at: called before the first image and behind each 1,000. progress: with images done.
    """
    plan.check(data)
    core, course = open_core(layer, plan.seed, plan.bits), Course()
    what = {**asdict(plan), "label": 0, "test": 0}
    key = key_of(layer, what, data.source, code("spikeloop.cosim.digits.learner"))
    if file:
        course, _ = kept(file, key, core, plan.train)
        if progress:
            progress(course.images)
    images = plan.parts(data)[0]
    if at and not course.images:
        at(core, course)
    while course.images < len(images):
        part = images[course.images : course.images + STEP]
        train(core, layer, part, plan.seed, course, progress)
        if at:
            at(core, course)
        if file:
            keep(file, key, core, course)
    return core, course


def score(core: Any, layer: Layer, plan: Plan, data: Dataset) -> tuple[Score, np.ndarray]:
    """How a frozen layer answers by vote; and the labels of its neurons."""
    _, known, digits, tested, truth = plan.parts(data)
    labelling = frozen_counts(core, layer, known, plan.seed, LABELLING)
    testing = frozen_counts(core, layer, tested, plan.seed, TESTING)
    labels = labels_of(labelling, digits)
    total = testing.sum(1)
    found = Score(
        float((answers(labelling, labels) == digits).mean()),
        float((answers(testing, labels) == truth).mean()),
        float(total.mean()),
        float((total == 0).mean()),
    )
    return found, labels
