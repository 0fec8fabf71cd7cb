"""The picture of a PIM sweep: accuracy against each varied quantity, mean and spread of devices."""

from collections import defaultdict
from typing import Any

import numpy as np

from spikeloop.cosim.studies.figures import LINES, svg
from spikeloop.cosim.studies.figures import figure as new_figure
from spikeloop.cosim.studies.pim.sweep import STUDIES

__all__ = ["draw", "summary"]


def summary(
    results: list[dict[str, Any]], images: int
) -> dict[str, dict[float, tuple[float, float, int]]]:
    """Mean and standard deviation of the accuracy in %, and the number of devices.

    The result is by study and value. The deviation is that of a sample.
    """
    scores: dict[tuple[str, float], list[float]] = defaultdict(list)
    for result in results:
        scores[result["study"], result["value"]].append(100 * result["right"] / images)
    table: dict[str, dict[float, tuple[float, float, int]]] = defaultdict(dict)
    for (study, value), devices in scores.items():
        spread = float(np.std(devices, ddof=1)) if len(devices) > 1 else 0.0
        table[study][value] = float(np.mean(devices)), spread, len(devices)
    return dict(table)


def draw(table: dict[str, dict[float, tuple[float, float, int]]], images: int) -> bytes:
    """SVG, one panel a study: points are means, bars one standard deviation up and down.

    The axes begin at 97 % or below.
    """
    rows = -(-len(table) // 3)
    figure, axes = new_figure(rows, min(3, len(table)), 10.2, 2.6 * rows)
    for axis, (study, points) in zip(axes.flat, table.items(), strict=False):
        values = sorted(points)
        at = range(len(values)) if study == "active_rows" else values
        means, spreads = ([points[value][i] for value in values] for i in range(2))
        axis.errorbar(
            at,
            means,
            spreads,
            color=LINES[0],
            marker="o",
            markersize=3.5,
            linewidth=1.2,
            capsize=2.5,
            elinewidth=1,
        )
        axis.set_xlabel(STUDIES[study][0])
        if study in ("active_rows", "adc_bits"):
            axis.set_xticks(at, [f"{value:g}" for value in values])
        lowest = min(mean - spread for mean, spread in zip(means, spreads, strict=True))
        axis.set_ylim(max(0, min(97, lowest - 2)), 100)
        axis.grid()
    for axis in axes[:, 0]:
        axis.set_ylabel("accuracy, %")
    for axis in axes.flat[len(table) :]:
        axis.set_visible(False)
    count = max(n for points in table.values() for *_, n in points.values())
    figure.suptitle(
        f"{count} devices a point, {images:,} test images each; bars: one standard deviation",
        fontsize=9,
        x=0.01,
        ha="left",
    )
    return svg(figure)
