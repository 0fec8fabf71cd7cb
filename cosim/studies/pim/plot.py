"""The picture of a PIM sweep: accuracy against each thing that varies, mean and spread over devices."""

from collections import defaultdict
from typing import Any

import numpy as np

from spikeloop.cosim.studies.figures import LINES, svg
from spikeloop.cosim.studies.figures import figure as new_figure
from spikeloop.cosim.studies.pim.sweep import STUDIES

__all__ = ["draw", "summary"]


def summary(
    found: list[dict[str, Any]], images: int
) -> dict[str, dict[float, tuple[float, float, int]]]:
    """Of each study and value: mean and standard deviation (of a sample) of the accuracy in %, and the number of devices."""
    scores: dict[tuple[str, float], list[float]] = defaultdict(list)
    for r in found:
        scores[r["study"], r["value"]].append(100 * r["right"] / images)
    table: dict[str, dict[float, tuple[float, float, int]]] = defaultdict(dict)
    for (study, value), some in scores.items():
        table[study][value] = (
            float(np.mean(some)),
            float(np.std(some, ddof=1)) if len(some) > 1 else 0.0,
            len(some),
        )
    return dict(table)


def draw(table: dict[str, dict[float, tuple[float, float, int]]], images: int) -> bytes:
    """SVG, one panel per study: points are means, bars one standard deviation up and down. Axes begin at 97 % or below."""
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
        axis.set_ylim(
            max(0, min(97, min(mean - sd for mean, sd in zip(means, spreads, strict=True)) - 2)),
            100,
        )
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
