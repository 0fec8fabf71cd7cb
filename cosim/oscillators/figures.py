"""Pictures of recall: phases of one recall over time, the share recalled against noise, and the
attractors that the noisiest inputs come to.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeloop.cosim.studies.figures import INK, LINES, figure, svg
from spikeloop.pysim.onn import numba_engine, numpy_engine
from spikeloop.pysim.oscillators.hebb import inputs
from spikeloop.pysim.oscillators.net import OnnNet

__all__ = ["draw", "phases"]


def phases(net: OnnNet, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Phases of all oscillators at each reading of one recall.

    Returns free periods since the start, float ``[reading]``, and phases in periods, 0..1, float
    ``[reading, oscillator]``.
    """
    engine = numba_engine if numba_engine.AVAILABLE else numpy_engine
    start, state, ended = inputs(net, pixels), None, False
    times, found = [], []
    readings = 0
    while not ended:
        trace = engine.run(net, start, steps=net.metadata["steps"], state=state)
        for units, whole in zip(trace.units, trace.whole.tolist(), strict=True):
            if whole[2] > readings:
                readings = whole[2]
                times.append(whole[0] / net.metadata["steps"])
                found.append(_phase(net, units, whole[1]))
        state, ended = trace.state, trace.ended
    return np.array(times), np.array(found).reshape(len(times), net.size)


def _phase(net: OnnNet, units: np.ndarray, period: int) -> np.ndarray:
    if net.cell == "relaxation":
        return units[3] / period % 1
    return (units[0] - units[0, net["reference"]]) % net.slots / net.slots


def draw(
    net: OnnNet,
    pattern: np.ndarray,
    pixels: np.ndarray,
    rates: Mapping[int, float],
    ends: tuple[int, np.ndarray],
    shape: tuple[int, int] | None,
) -> bytes:
    """SVG: the input, phases over time, what is read, recall against fuzzy pixels, attractors.

    ends:  fuzzy pixels of inputs, and where these end: shares ``[pattern, reached]``
    shape: rows and columns of a pattern, for the two small images; None draws them as a line.
    """
    times, found = phases(net, pixels)
    drawing, axes = figure(1, 5, 11.0, 2.6, width_ratios=[0.8, 2.2, 0.8, 1.9, 1.6])
    _image(axes[0, 0], pixels, shape, "input")
    axis = axes[0, 1]
    white = pattern == pattern[net["reference"]]
    for mask, colour in ((white, LINES[0]), (~white, LINES[1])):
        around = (found[:, mask] + 0.25) % 1 - 0.25  # 0 and 1 are the same
        axis.plot(times, around, color=colour, linewidth=0.7, alpha=0.6)
    axis.set_title("phase of each oscillator")
    axis.set_xlabel("free periods")
    axis.set_ylim(-0.28, 0.78)
    axis.set_yticks([-0.25, 0, 0.25, 0.5, 0.75])
    axis.grid(True)
    last = found[-1] if len(found) else np.zeros(net.size)
    out = np.where((last < 0.25) | (last >= 0.75), 1, -1) * pattern[net["reference"]]
    _image(axes[0, 2], out, shape, "read")
    axis = axes[0, 3]
    axis.plot(list(rates), list(rates.values()), color=LINES[0], marker="o", markersize=3)
    axis.axhline(0.8, color=INK, linewidth=0.6, linestyle=":")
    axis.set_title("share recalled")
    axis.set_xlabel("fuzzy pixels")
    axis.set_ylim(0, 1.03)
    axis.grid(True)
    axis = axes[0, 4]
    count, shares = ends
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (given, reached), share in np.ndenumerate(shares):
        if share and len(shares) <= 10:
            colour = "white" if share > 0.5 else "black"
            text = f"{100 * share:.0f}"
            axis.text(reached, given, text, ha="center", va="center", fontsize=6, color=colour)
    axis.set_xticks(range(len(shares) + 1), [*map(str, range(len(shares))), "none"])
    axis.set_yticks(range(len(shares)))
    axis.set_title(f"attractors, {count} fuzzy, %")
    axis.set_xlabel("pattern reached")
    axis.set_ylabel("pattern given")
    return svg(drawing)


def _image(axis: Any, pixels: np.ndarray, shape: tuple[int, int] | None, title: str) -> None:
    rows = np.asarray(pixels, float).reshape(shape or (1, -1))
    axis.imshow(rows, cmap="gray", vmin=-1, vmax=1)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_title(title)
