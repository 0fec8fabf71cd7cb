"""How the figures of the docs look: matplotlib, as SVG whose text stays text."""

from typing import Any

__all__ = ["INK", "LINES", "figure"]

INK = "#0a0b0c"
LINES = ("#2f6fde", "#e2711d", "#2a9d6f", "#a04bc9")


def figure(rows: int, columns: int, width: float, height: float, **options: Any) -> Any:
    """A figure of ``width`` x ``height`` inches and its axes, an array ``[row, column]``."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({
        "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "axes.edgecolor": INK, "axes.labelcolor": INK,
        "text.color": INK, "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False,
        "axes.linewidth": 0.6, "svg.hashsalt": "spikeloop", "axes.titlesize": 9, "axes.titlelocation": "left"})
    made = Figure(figsize=(width, height), layout="constrained")
    return made, made.subplots(rows, columns, squeeze=False, **options)
