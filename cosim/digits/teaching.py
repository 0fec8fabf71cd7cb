"""ALSA's output layer learns from frozen features: image by image, with a teacher; resumable.

One pass over labelled training images gives both read-outs: the labels of the vote, and the
weights of the ten output neurons. The first 10,000 images label, as many as asked for teach.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.digits.learner import (
    LABELLING,
    TESTING,
    Course,
    IntegerCore,
    frozen_counts,
    keep,
    kept,
    key_of,
)
from spikeloop.cosim.digits.study import Plan
from spikeloop.cosim.provenance import code
from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.rules.digits import output
from spikeloop.golden.rules.digits.floats import FloatCore
from spikeloop.golden.rules.digits.layer import Layer
from spikeloop.golden.rules.digits.neurons import weights_of
from spikeloop.golden.rules.digits.votes import answers, labels_of

__all__ = ["Taught", "open_output", "taught"]

STEP = 1000


@dataclass(frozen=True, eq=False)
class Taught:
    """Both read-outs of the same test spikes, share of right answers 0..1.

    vote:     of the neurons' labels; count: sum of the output layer's weights over the spikes
    labels:   int64 ``[neuron]``; weights: of the output layer ``[neuron, 10]``, 0..1
    answers:  of the count, int64 ``[image]``
    spikes, silent: spikes of a tested image, share of images without one
    """

    vote: float
    count: float
    labels: np.ndarray
    weights: np.ndarray
    answers: np.ndarray
    spikes: float
    silent: float


def open_output(features: int, seed: int, weight_bits: int | None = 16) -> Any:
    """The output layer before its first image. weight_bits: None for real numbers."""
    weights = output.first_weights(features, seed)
    if weight_bits is None:
        return FloatCore(output.OUTPUT, output.RULE, weights, np.zeros(output.CLASSES), seed)
    settings = {"seed": (seed + 1) & 0xFFFFFFFF}
    population = output.OUTPUT.population(
        features, output.CLASSES, output.RULE, weight_bits, **settings
    )
    integers = weights_of(weights, weight_bits)
    return IntegerCore(population, integers, np.zeros(output.CLASSES, np.int64))


def taught(
    core: Any,
    layer: Layer,
    plan: Plan,
    data: Dataset,
    *,
    file: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Taught:
    """Label and teach with ``plan.label`` images, test with ``plan.test``.

    core: features that were learnt; they stay as they are.
    file: where what is done is kept behind each 1,000 images.
    """
    _, known, digits, tested, truth = plan.parts(data)
    readout, course, counts = open_output(layer.neurons, plan.seed, plan.bits), Course(), []
    key = key_of(layer, plan, data.source, core.weights.tobytes(), code(__name__))
    if file:
        course, more = kept(file, key, readout, len(known), "counts")
        counts = list(more.get("counts", []))
    if progress:
        progress(course.images)
    while course.images < len(known):
        first = course.images
        for n in range(first, min(first + STEP, len(known))):
            spikes = layer.spikes(known[n], (plan.seed, LABELLING + n))
            fired = core.present(spikes, learn=False)
            readout.present(fired, output.teacher_of(digits[n], layer.ticks), learn=True)
            counts.append(fired.sum(0, dtype=np.int64))
            course.attempts.append(1)
            course.spikes.append(int(fired.sum()))
            if progress:
                progress(1)
        if file:
            keep(file, key, readout, course, counts=np.array(counts))
    labels = labels_of(np.array(counts), digits)
    found = frozen_counts(core, layer, tested, plan.seed, TESTING)
    weights = readout.weights / (1 if plan.bits is None else 1 << plan.bits)
    by_count = output.counted(found, weights)
    return Taught(
        vote=float((answers(found, labels) == truth).mean()),
        count=float((by_count == truth).mean()),
        labels=labels,
        weights=weights,
        answers=by_count,
        spikes=float(found.sum(1).mean()),
        silent=float((found.sum(1) == 0).mean()),
    )
