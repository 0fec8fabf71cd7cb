"""Iris learnt on the chip by ALSA: one fold, every value of every engine compared, and accuracies.

The training lesson runs, then the test lesson with the weights that were learnt, frozen. Answers
are read in three ways: by the sum of the weights over the spikes of 1,000 ms and of 200 ms (a
neuron that neither leaks nor fires), and by the spikes of the neurons themselves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.lessons.compare import Comparison, compare_lesson
from spikeloop.cosim.lessons.engines import check_engines
from spikeloop.cosim.lessons.figures import draw
from spikeloop.golden.rules.alsa.flowers import ON, Trial, trial
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.files import write_atomic

__all__ = ["IrisRun", "run_iris"]


@dataclass(frozen=True, eq=False)
class IrisRun:
    """A fold that was learnt and tested.

    accuracy: share of right answers by read-out; empty after a difference.
    """

    trial: Trial
    learning: Comparison
    testing: Comparison | None
    accuracy: dict[str, float]

    @property
    def first(self) -> str | None:
        """The first difference."""
        return self.learning.first or (self.testing.first if self.testing else None)

    def document(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        parts = {"learning": self.learning, "testing": self.testing}
        return {
            "seed": self.trial.seed,
            "fold": self.trial.fold,
            "accuracy": self.accuracy,
            "first": self.first,
            **{name: part.document() for name, part in parts.items() if part},
        }


def run_iris(
    engines: Sequence[str],
    *,
    seed: int = 0,
    fold: int = 0,
    passes: int = 4,
    weight_bits: int = 16,
    folder: Path | None = None,
    resume: bool = False,
    limit: int | None = None,
    started: Callable[[int], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> IrisRun:
    """Learn a fold and test it on all engines.

    folder: where finished presentations are kept; resume: go on from there.
    limit: only the first presentations and test flowers.
    started: called with the number of presentations; progress: with those done since.
    InputError for a number out of range.
    """
    for name, value, low, high in (
        ("seed", seed, 0, (1 << 31) - 1),
        ("fold", fold, 0, 4),
        ("passes", passes, 1, 100),
        ("weight bits", weight_bits, 8, 16),
    ):
        check_int(name, value, low, high)
    check_engines(engines)
    chosen = trial(seed, fold, passes)
    if limit is not None:
        chosen = chosen.first(limit)
    lesson = chosen.lesson(weight_bits)
    if started:
        started(lesson.presentations + len(chosen.test_species))

    def kept(name: str) -> Path | None:
        return folder / f"{name}.npz" if folder else None

    common: dict[str, Any] = {"resume": resume, "progress": progress}
    learning = compare_lesson(lesson, engines, kept=kept("learning"), **common)
    if not learning.equal:
        return IrisRun(chosen, learning, None, {})
    weights = learning.state.weights
    test = chosen.test(weights, weight_bits)
    testing = compare_lesson(test, engines, kept=kept("testing"), **common)
    accuracy = {
        "count over 1,000 ms": chosen.counted(weights),
        "count over 200 ms": chosen.counted(weights, ON),
        "firing neurons, 1,000 ms": _fired(np.array(testing.spikes), chosen.test_species),
    }
    if folder:
        lesson.save(folder / "lesson.safetensors")
        test.save(folder / "test.safetensors")
        write_atomic(folder / "iris.svg", draw(chosen, weight_bits))
    return IrisRun(chosen, learning, testing, accuracy)


def _fired(counts: np.ndarray, species: np.ndarray) -> float:
    """Most spikes; of equals the first. ``counts``: ``[flower, neuron]``."""
    if len(counts) != len(species):
        return float("nan")
    return float((counts.argmax(1) == species).mean())
