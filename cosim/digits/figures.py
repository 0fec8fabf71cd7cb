"""Pictures of a layer that learnt: its features, how well it answered, thresholds, and spikes.

The features are the weights of 50 neurons as images, those of one label together. The raster shows
images as the output layer is taught: a neuron of the output layer spikes when its teacher does.
"""

from typing import Any

import numpy as np

from spikeloop.cosim.digits.learner import LABELLING, Course, IntegerCore
from spikeloop.cosim.digits.teaching import Taught, open_output
from spikeloop.cosim.studies.figures import INK, LINES, figure, svg
from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.rules.digits import output
from spikeloop.golden.rules.digits.layer import Layer

__all__ = ["draw"]

MAPS = (5, 10)  # rows and columns of features
SIDE = 28
LEVELS = 12
SHOWN = 6  # images of the raster


def draw(
    chosen: Layer,
    core: Any,
    course: Course,
    curve: list[list[float]],
    found: Taught,
    data: Dataset,
    seed: int,
) -> bytes:
    """SVG of a learnt layer. curve: rows (images, accuracy)."""
    drawing, axes = figure(2, 2, 8.5, 6.6, width_ratios=[1.5, 1], height_ratios=[1.25, 1])
    _maps(axes[0, 0], core, found.labels)
    _curve(axes[0, 1], curve)
    _raster(axes[1, 0], chosen, core, found, data, seed)
    _theta(axes[1, 1], course)
    return svg(drawing)


def _maps(axis: Any, core: Any, labels: np.ndarray) -> None:
    """Weights of some neurons, in the order of their labels."""
    order = np.argsort(labels, kind="stable")
    rows, columns = MAPS
    picked = order[np.linspace(0, len(order) - 1, min(rows * columns, len(order))).astype(int)]
    unit = 1 << core.population.weight_bits if isinstance(core, IntegerCore) else 1
    sheet = np.full((rows * (SIDE + 1) - 1, columns * (SIDE + 1) - 1), np.nan)
    for n, neuron in enumerate(picked):
        top, left = (SIDE + 1) * np.array(divmod(n, columns))
        image = core.weights[:, neuron].reshape(SIDE, SIDE) / unit
        sheet[top : top + SIDE, left : left + SIDE] = image / max(image.max(), 1e-9)
    sheet = np.round(sheet * LEVELS) / LEVELS  # few colours keep the file small
    axis.imshow(sheet, cmap="Blues", vmin=0, vmax=1, interpolation="none")
    axis.set_title(
        f"weights of {len(picked)} of {len(order)} neurons, in the order of their labels"
    )
    axis.axis("off")


def _curve(axis: Any, curve: list[list[float]]) -> None:
    axis.set_title("right answers by vote, %")
    axis.set_xlabel("images learnt")
    axis.grid(True)
    if not curve:
        return
    images, scores = zip(*curve, strict=True)
    axis.plot(images, [100 * score for score in scores], "o-", color=LINES[0], markersize=3)
    axis.set_xscale("symlog", linthresh=1000)
    ticks = [0, *(n for n in (1000, 4000, 16_000, 60_000) if n <= images[-1])]
    axis.set_xticks(ticks, [f"{n:,}" for n in ticks])
    axis.minorticks_off()
    axis.set_ylim(0, 100)


def _theta(axis: Any, course: Course) -> None:
    """Least, mean and most of the adaptive thresholds."""
    axis.set_title("adaptive thresholds, mV")
    axis.set_xlabel("images learnt")
    axis.grid(True)
    if not course.theta:
        return
    images, low, mean, high = np.array(course.theta).T
    axis.fill_between(images, low, high, color=LINES[0], alpha=0.15, linewidth=0)
    axis.plot(images, mean, color=LINES[0], linewidth=1.2)
    axis.set_ylim(bottom=0)


def _raster(axis: Any, chosen: Layer, core: Any, found: Taught, data: Dataset, seed: int) -> None:
    """Spikes of the features, coloured by whether the neuron's label is right, and the teacher."""
    order = np.argsort(found.labels, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    bits = core.population.weight_bits if isinstance(core, IntegerCore) else None
    readout, high = open_output(chosen.neurons, seed, bits), chosen.neurons
    step = max(1.0, high / 40)  # between two rows of the output layer
    for n in range(SHOWN):
        digit = int(data.train_labels[n])
        fired = core.present(
            chosen.spikes(data.train_images[n], (seed, LABELLING + n)), learn=False
        )
        taught = readout.present(fired, output.teacher_of(digit, chosen.ticks))
        start = n * chosen.ticks
        ticks, neurons = np.nonzero(fired)
        right = found.labels[neurons] == digit
        for mask, colour in ((right, LINES[0]), (~right, LINES[1])):
            axis.plot(start + ticks[mask], place[neurons[mask]], "|", color=colour, markersize=3)
        ticks, outputs = np.nonzero(taught)
        axis.plot(start + ticks, high + step * (2 + outputs), "|", color=INK, markersize=5)
        axis.text(start + chosen.ticks / 2, high + 13.5 * step, str(digit), ha="center")
        if n:
            axis.axvline(start, color=INK, linewidth=0.4, alpha=0.3)
    axis.set_xlim(0, SHOWN * chosen.ticks)
    axis.set_ylim(-1, high + 13 * step)
    axis.set_title("spikes: right label blue, wrong orange; on top the taught output", pad=16)
    axis.set_xlabel("ticks")
    axis.set_ylabel("neurons, by label")
