"""Pictures of a lesson: weights before and after, and how well it answers meanwhile.

The lesson runs once more on pysim's engine, some presentations at a time.
"""

from typing import Any

import numpy as np

from spikeloop.cosim.studies.figures import LINES, figure, svg
from spikeloop.golden.rules.alsa.flowers import CLASSES, LENGTHS, PLACES, SPECIES, Trial
from spikeloop.pysim.plastic import numba_engine

__all__ = ["curve", "draw"]

STEP = 8  # presentations between two points of the curve


def curve(chosen: Trial, weight_bits: int = 16) -> tuple[list[int], list[float], np.ndarray]:
    """Presentations, accuracy of the count over 1,000 ms after each, and the last weights."""
    lesson = chosen.lesson(weight_bits)
    state, at = lesson.state, [0]
    scores = [chosen.counted(state.weights)]
    while at[-1] < lesson.presentations:
        last = min(at[-1] + STEP, lesson.presentations)
        state = numba_engine.run(lesson, at[-1], last, state, record=False).state
        at.append(last)
        scores.append(chosen.counted(state.weights))
    return at, scores, state.weights


def draw(chosen: Trial, weight_bits: int = 16) -> bytes:
    """SVG: a map of the weights of each neuron before and after, and the learning curve."""
    at, scores, weights = curve(chosen, weight_bits)
    before = chosen.lesson(weight_bits).weights
    drawing, axes = figure(2, CLASSES + 1, 8.5, 3.4, width_ratios=[1, 1, 1, 1.4])
    for row, (when, values) in enumerate((("before", before), ("after", weights))):
        for neuron in range(CLASSES):
            _map(axes[row, neuron], values[:, neuron] / 2.0**weight_bits)
            axes[row, neuron].set_title(f"{SPECIES[neuron]}, {when}")
            if neuron:
                axes[row, neuron].set_yticks([])
    for axis in axes[:, CLASSES]:
        axis.remove()
    axis = drawing.add_subplot(axes[0, 0].get_gridspec()[:, CLASSES])
    axis.plot(at, scores, color=LINES[0], linewidth=1.2)
    axis.set_title("right answers, test flowers")
    axis.set_xlabel("presentations")
    axis.set_ylim(0, 1.03)
    axis.grid(True)
    return svg(drawing)


def _map(axis: Any, weights: np.ndarray) -> None:
    """One neuron's weights, a row for each length."""
    axis.imshow(weights.reshape(len(LENGTHS), PLACES), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axis.set_xticks([])
    axis.set_yticks(range(len(LENGTHS)), LENGTHS)
