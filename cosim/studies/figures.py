"""How the figures of the docs look: matplotlib, as SVG whose text stays text."""

import io
from typing import Any

__all__ = ["INK", "LINES", "figure", "svg"]

INK = "#0a0b0c"
LINES = ("#2f6fde", "#e2711d", "#2a9d6f", "#a04bc9")


def figure(rows: int, columns: int, width: float, height: float, **options: Any) -> Any:
    """A figure of ``width`` x ``height`` inches and its axes, an array ``[row, column]``."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update(
        {
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.size": 9,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.linewidth": 0.6,
            "svg.hashsalt": "spikeloop",
            "axes.titlesize": 9,
            "axes.titlelocation": "left",
            "grid.color": INK,
            "grid.alpha": 0.08,
            "grid.linewidth": 0.6,
        }
    )
    drawing = Figure(figsize=(width, height), layout="constrained")
    return drawing, drawing.subplots(rows, columns, squeeze=False, **options)


def svg(drawing: Any, facecolor: str = "white", **options: Any) -> bytes:
    """The figure as SVG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    drawing.savefig(
        buffer,
        format="svg",
        facecolor=facecolor,
        metadata={"Date": None, "Creator": None},
        **options,
    )
    return buffer.getvalue()
