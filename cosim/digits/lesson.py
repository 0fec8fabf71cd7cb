"""``spikeloop lesson mnist``: a layer learns on the models and on the RTL, every value compared.

The first images are learnt by pysim's compiled engine alone. Then one lesson of further images
goes through all engines, and one of test images, with weights and thresholds frozen. Labels come
from pysim; the answers from the spikes that were compared.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.digits.learner import LABELLING, TESTING, IntegerCore, frozen_counts, train
from spikeloop.cosim.digits.study import Plan, learnt
from spikeloop.cosim.lessons.compare import Comparison, compare_lesson
from spikeloop.cosim.lessons.engines import check_engines
from spikeloop.cosim.runs.lock import holds_folder
from spikeloop.golden.data.datasets import Dataset, load_mnist
from spikeloop.golden.rules.digits.layer import Layer, layer
from spikeloop.golden.rules.digits.votes import answers, labels_of
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.files import writable
from spikeloop.pysim.lessons.lesson import Lesson, LessonState
from spikeloop.pysim.lessons.population import PlasticPopulation
from spikeloop.pysim.lessons.settings import WHOLE

__all__ = ["LANES", "joined", "learning_lesson", "run", "testing_lesson"]

LANES = 16
LABELLED = 2000
"""Training images whose answers label the neurons."""


def joined(
    population: PlasticPopulation,
    state: LessonState,
    presentations: Iterable[np.ndarray],
    labels: Sequence[int],
    *,
    learn: bool,
    name: str,
) -> Lesson:
    """A lesson that goes on from ``state``. Presentations are packed one after the other."""
    p = population.changed(first_tick=state.ticks)
    parts = [Lesson.make(p, state.weights, spikes[None]) for spikes in presentations]
    many = len(parts)
    return parts[0].with_(
        theta=state.theta,
        ticks=np.concatenate([part.ticks for part in parts]),
        spikes=np.concatenate([part.spikes for part in parts]),
        teacher=np.concatenate([part.teacher for part in parts]),
        learn=np.full(many, learn),
        adapt=np.full(many, learn),
        normalise=np.full(many, learn and p["target"] > 0),
        labels=np.array(labels, np.int64),
        name=name,
    )


def learning_lesson(
    chosen: Layer, core: IntegerCore, data: Dataset, first: int, count: int, seed: int
) -> Lesson:
    """``count`` training images from ``first`` on, each as often as the layer needs it.

    core: the layer before them. It learns them here, which decides how often each comes.
    """
    before, population = core.state, core.population
    images = data.train_images[first : first + count]
    course = train(core, chosen, images, seed, first=first)
    shown = [(n, attempt) for n, many in enumerate(course.attempts) for attempt in range(many)]
    spikes = (chosen.spikes(images[n], (seed, first + n), attempt) for n, attempt in shown)
    labels = [int(data.train_labels[first + n]) for n, _ in shown]
    return joined(population, before, spikes, labels, learn=True, name="mnist")


def testing_lesson(
    chosen: Layer, core: IntegerCore, data: Dataset, count: int, seed: int
) -> Lesson:
    """The first test images, frozen; a frozen threshold does not decay."""
    population = core.population.changed(keep_theta=WHOLE)
    spikes = (
        chosen.spikes(image, (seed, TESTING + n))
        for n, image in enumerate(data.test_images[:count])
    )
    labels = data.test_labels[:count].tolist()
    return joined(population, core.state, spikes, labels, learn=False, name="mnist test")


@holds_folder
def run(
    engines: Sequence[str],
    *,
    rule: str,
    neurons: int,
    before: int,
    images: int,
    tests: int,
    seed: int,
    bits: int,
    data: Path | None,
    folder: Path,
    resume: bool = False,
    started: Callable[[int], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Learn ``before`` images, compare ``images`` more and ``tests`` frozen; document and rows.

    folder: where the layer, both lessons and what is compared are kept; resume: go on from there.
    started: called with the number of all images; progress: with those done since.
    InputError for bad input, before anything is written.
    """
    check_engines(engines)
    check_int("neurons", neurons, 10, 4096)
    check_int("seed", seed, 0, (1 << 31) - 1)
    check_int("weight bits", bits, 8, 16)
    chosen, source = layer(rule, neurons), load_mnist(data)
    known = min(LABELLED, len(source.train_images))
    plan = Plan(train=before, label=known, test=tests, seed=seed, bits=bits)
    plan.check(source)
    check_int("images to compare", images, 1, len(source.train_images) - before)
    files = [writable(folder) / f"{name}.npz" for name in ("layer", "learning", "testing")]
    if not resume:
        files[0].unlink(missing_ok=True)
    if started:
        started(before + images + tests)
    core, _ = learnt(chosen, plan, source, file=files[0], progress=progress)
    lesson = learning_lesson(chosen, core, source, before, images, seed)
    common: dict[str, Any] = {"resume": resume, "lanes": LANES, "progress": progress}
    learning = compare_lesson(lesson, engines, kept=files[1], **common)
    document: dict[str, Any] = {
        "lesson": "mnist",
        "first": learning.first,
        "learning": learning.document(),
    }
    rows = {
        "lesson": f"mnist, {rule}, {neurons} neurons, {before:,} images learnt before",
        "compared": f"{images:,} images in {lesson.presentations:,} presentations",
        **_rows(learning, ""),
    }
    if not learning.equal:
        return document, rows
    labelling = frozen_counts(core, chosen, source.train_images[:known], seed, LABELLING)
    labels = labels_of(labelling, source.train_labels[:known])
    test = testing_lesson(chosen, core, source, tests, seed)
    testing = compare_lesson(test, engines, kept=files[2], **common)
    lesson.save(folder / "lesson.safetensors")
    test.save(folder / "test.safetensors")
    document |= {"first": testing.first, "testing": testing.document()}
    rows |= {"tested": f"{tests:,} test images, frozen", **_rows(testing, "test, ")}
    if testing.equal:
        right = answers(np.array(testing.spikes), labels) == test.labels
        document["accuracy"] = float(right.mean())
        rows["right by vote"] = f"{right.mean():.2%}, {known:,} training images label"
    return document, rows


def _rows(result: Comparison, prefix: str) -> dict[str, str]:
    rows = {f"{prefix}{pair}": text for pair, text in result.rows().items()}
    if result.cycles:
        rows[f"{prefix}cycles"] = ", ".join(f"{name} {n:,}" for name, n in result.cycles.items())
    return rows
