"""``spikeloop learn``: a layer of features learns MNIST, is read in two ways, and drawn.

The images are learnt one after the other on pysim's compiled engine, or in real numbers. Nothing
is compared here: ``spikeloop lesson mnist`` does that. What is done is kept behind each 1,000
images.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.digits.figures import draw
from spikeloop.cosim.digits.learner import Course
from spikeloop.cosim.digits.study import Plan, learnt, score
from spikeloop.cosim.digits.teaching import taught
from spikeloop.cosim.runs.lock import holds_folder
from spikeloop.golden.data.datasets import load_mnist
from spikeloop.golden.rules.digits.layer import layer
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.files import writable, write_atomic
from spikeloop.pysim.common.journal import Rows

__all__ = ["run"]

CURVE = Plan(train=1, label=2000, test=1000, held=True)
"""Images of a point of the learning curve: training images, the tested ones come last."""


@holds_folder
def run(
    rule: str,
    *,
    neurons: int,
    train: int,
    label: int,
    test: int,
    seed: int = 0,
    bits: int | None = 16,
    held: bool = False,
    data: Path | None = None,
    folder: Path,
    resume: bool = False,
    started: Callable[[int], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Learn, label, teach, test and draw; a document, and rows of a table.

    bits: of a weight; None for real numbers. held: test on the last training images.
    folder: where layer, output layer, curve and picture are kept; resume: go on from there.
    started: called with the number of images; progress: with those done since.
    InputError for bad input, before anything is written.
    """
    check_int("neurons", neurons, 2, 4096)
    check_int("seed", seed, 0, (1 << 31) - 1)
    if bits is not None:
        check_int("weight bits", bits, 8, 16)
    chosen, images = layer(rule, neurons), load_mnist(data)
    plan = Plan(train=train, label=label, test=test, seed=seed, bits=bits, held=held)
    plan.check(images)
    files = [writable(folder) / name for name in ("layer.npz", "output.npz", "curve.jsonl")]
    if not resume:
        for file in files:
            file.unlink(missing_ok=True)
    if started:
        started(train + label)
    of_curve = Plan(**{**asdict(CURVE), "seed": seed, "bits": bits})
    points = Rows(files[2], (chosen, train, seed, bits, images.source))

    def at(core: Any, course: Course) -> None:
        """A point of the learning curve, at 0, 1,000, 2,000, 4,000 ... images and at the end."""
        name, thousands = f"{course.images} images", course.images // 1000
        if name in points or (thousands & (thousands - 1) and course.images < train):
            return
        found, _ = score(core, chosen, of_curve, images)
        points.add(name, {"images": course.images, "accuracy": found.testing})

    drawn = len(images.train_images) >= of_curve.label + of_curve.test
    core, course = learnt(
        chosen, plan, images, file=files[0], at=at if drawn else None, progress=progress
    )
    found = taught(core, chosen, plan, images, file=files[1], progress=progress)
    curve = [[row["images"], row["accuracy"]] for row in points.rows]
    picture = draw(chosen, core, course, curve, found, images, seed)
    write_atomic(folder / "learn.svg", picture)
    document = {
        "rule": rule,
        "neurons": neurons,
        "plan": asdict(plan),
        "source": images.source,
        "vote": found.vote,
        "count": found.count,
        "spikes": found.spikes,
        "silent": found.silent,
        "attempts": float(np.mean(course.attempts)),
        "theta": course.theta[-1:],
        "curve": curve,
        "picture": str(folder / "learn.svg"),
    }
    where = "training images held out" if held else "test images"
    rows = {
        "layer": f"{neurons} neurons, {rule}, {'real numbers' if bits is None else f'{bits} bits'}",
        "learnt": f"{train:,} images, {document['attempts']:.2f} presentations each",
        "labelled and taught": f"{label:,} images",
        "tested": f"{test:,} {where}, {found.spikes:.1f} spikes each, {found.silent:.2%} silent",
        "right by vote": f"{found.vote:.2%}",
        "right by ALSA's output layer": f"{found.count:.2%}",
        "picture": str(folder / "learn.svg"),
    }
    return document, rows
