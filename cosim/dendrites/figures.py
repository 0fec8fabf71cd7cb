"""Pictures of dendritic neurons: membranes, responses in their plane, areas against mixtures."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from spikeloop.cosim.dendrites.score import Score
from spikeloop.cosim.studies.figures import INK, LINES, figure, svg

__all__ = ["draw", "draw_areas"]

SHOWN = 60  # points of a probe in the plane
STRIDE = 5  # of the steps, one is drawn
COLOURS = (*LINES, "#b8860b", "#c2185b", "#00838f", "#6d4c41")
PAPER_AT_LEAST = {1: 0.5, 2: 0.9, 3: 0.8, 4: 0.8, 5: 0.8, 6: 0.8}


def draw(membranes: np.ndarray, result: Score) -> bytes:
    """SVG: membranes while all probes are shown once, and all responses in their plane.

    membranes: u of each neuron, float ``[probe, step, neuron]``, 1 is where the sigmoid ends.
    """
    probes, steps, size = membranes.shape
    half = probes // 2
    drawing, axes = figure(1, 2, 9.0, 3.0, width_ratios=[2.2, 1.0])
    axis = axes[0, 0]
    for neuron in range(size):
        drawn = membranes[:, :, neuron].reshape(-1)[::STRIDE]
        colour = COLOURS[neuron % len(COLOURS)]
        axis.plot(np.arange(drawn.size) * STRIDE, drawn, color=colour, linewidth=0.6)
    top = float(membranes.max())
    for probe in range(probes):
        if probe:
            axis.axvline(probe * steps, color=INK, linewidth=0.4 if probe != half else 1.2)
        name = ("sound " if probe < half else "probe ") + str(probe % half + 1)
        axis.text((probe + 0.5) * steps, top * 1.04, name, ha="center", va="bottom", fontsize=7)
    axis.set_title("membranes u: correct sounds, then incorrect probes", pad=14)
    axis.set_xlabel("steps")
    axis.set_xlim(0, probes * steps)
    axis.grid(True)
    _plane(axes[0, 1], result)
    return svg(drawing)


def _plane(axis: Any, result: Score) -> None:
    from matplotlib.patches import Ellipse

    for points, marker, alpha in ((result.incorrect, "x", 0.5), (result.correct, "o", 0.8)):
        for at, probe in enumerate(points):
            some = probe[:: max(1, len(probe) // SHOWN)]
            axis.scatter(
                some[:, 0],
                some[:, 1],
                s=5,
                marker=marker,
                color=COLOURS[at % len(COLOURS)] if marker == "o" else INK,
                alpha=alpha,
                linewidths=0.5,
                edgecolors="none" if marker == "o" else None,
            )
    for mean, covariance in zip(result.means, result.covariances, strict=True):
        values, vectors = np.linalg.eigh(covariance)
        angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
        width, height = 4 * np.sqrt(values[::-1])  # two deviations
        axis.add_patch(
            Ellipse(mean, width, height, angle=angle, fill=False, color=INK, linewidth=0.7)
        )
    axis.set_title(f"plane of responses, AUC {result.auc:.2f}")
    axis.set_xlabel("dots: correct, crosses: incorrect")
    axis.grid(True)


def draw_areas(rows: Sequence[dict[str, Any]]) -> bytes:
    """SVG: the area under the curve against mixtures; each seed is a dot, lines are means.

    rows: points of cosim.dendrites.paper: kind, plan and auc.
    """
    drawing, axes = figure(1, 1, 5.0, 3.0)
    axis = axes[0, 0]
    for kind, colour, shift in (("integer", LINES[0], -0.06), ("float", LINES[1], 0.06)):
        found: dict[int, list[float]] = {}
        for row in rows:
            if row["kind"] == kind:
                found.setdefault(row["plan"]["mixtures"], []).append(row["auc"])
        counts = sorted(found)
        axis.plot(counts, [np.mean(found[n]) for n in counts], color=colour, label=kind)
        for n in counts:
            axis.scatter([n + shift] * len(found[n]), found[n], s=9, color=colour, alpha=0.6)
    for n, least in PAPER_AT_LEAST.items():
        if any(row["plan"]["mixtures"] == n for row in rows):
            axis.plot([n - 0.3, n + 0.3], [least, least], color=INK, linewidth=1, linestyle=":")
    axis.set_title("correct from incorrect probes (dotted: the paper's)")
    axis.set_xlabel("mixtures")
    axis.set_ylabel("area under the ROC curve")
    axis.set_ylim(0.3, 1.02)
    axis.legend(frameon=False)
    axis.grid(True)
    return svg(drawing)
