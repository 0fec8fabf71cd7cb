"""The report: one HTML page with everything inside, no network needed (jinja2 text, matplotlib figures as inline SVG).

Summary and denominators, the raster of one sample, membranes of a few neurons on every backend over each other, what
quantisation did per layer, cycles against events as predicted and as measured.
"""

import base64
import io
import re
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from cosim.compare import CHIPS, decisions
from pysim.network import Network, write_atomic
from pysim.trace import Stimulus, Trace, unpack

__all__ = ["write"]

INK = "#0a0b0c"  # stands for the page's text colour in the figures
LINES = ("#2f6fde", "#e2711d", "#2a9d6f", "#a04bc9")
POINTS = 600


def write(path: Path, summary: dict[str, Any], network: Network, stimulus: Stimulus, traces: dict[str, Trace],
          counters: dict[str, dict[str, np.ndarray]], times: dict[str, dict[str, Any]]) -> Path:
    """Write the page. ``stimulus`` and ``traces`` hold the one sample that is drawn; ``counters`` those of the whole run."""
    template = jinja2.Environment(loader=jinja2.PackageLoader("cosim"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template.filters |= {"percent": lambda x: "-" if x is None else f"{x:.2%}", "count": lambda x: "-" if x is None else f"{x:,}",
                         "number": lambda x: f"{x:,.1f}"}
    page = template.get_template("report.html").render(
        s=summary, times=times,
        label=None if stimulus.labels is None else int(stimulus.labels[0]), answer=_answer(network, traces),
        picture=_picture(network, stimulus), raster=_raster(network, stimulus, next(iter(traces.values()))),
        membranes=_membranes(network, traces), cycles=_cycles(counters))
    return write_atomic(path, page.encode())


def _answer(network: Network, traces: dict[str, Trace]) -> int | None:
    answers = decisions(network, next(iter(traces.values())))
    return None if answers is None else int(answers[0])


def _figure(rows: int, columns: int, width: float, height: float, **options: Any) -> Any:
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({
        "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "axes.edgecolor": INK, "axes.labelcolor": INK,
        "text.color": INK, "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False,
        "axes.linewidth": 0.6, "svg.hashsalt": "spikeloop", "axes.titlesize": 9, "axes.titlelocation": "left"})
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def _svg(figure: Any) -> str:
    """The figure as an SVG element that takes its text colour and its font from the page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg"):].replace(INK, "currentColor")
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', 'role="img"', text, count=1)


def _picture(network: Network, stimulus: Stimulus) -> dict[str, str] | None:
    """A square input as a picture: the earlier and the more often a line spikes, the darker; None for other shapes."""
    node = network.inputs[0]
    side = round(node.size**0.5)
    if side * side != node.size or side < 4:
        return None
    from matplotlib.figure import Figure

    spikes = unpack(stimulus.spikes[node.name][0], node.size)
    weight = (spikes * np.arange(len(spikes), 0, -1)[:, None]).sum(axis=0).reshape(side, side)
    figure = Figure(figsize=(1.4, 1.4), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(weight, cmap="Greys", interpolation="nearest")
    axes.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return {"data": base64.b64encode(buffer.getvalue()).decode(), "name": node.name}


def _raster(network: Network, stimulus: Stimulus, trace: Trace) -> str:
    """Spikes of the first sample: one panel per input and population, a mark per spike."""
    layers = [(n.name, n.size, unpack(stimulus.spikes[n.name][0], n.size)) for n in network.inputs]
    layers += [(p.name, p.size, unpack(trace.spikes[p.name][0], p.size)) for p in network.order()]
    heights = [max(0.7, min(2.2, 0.42 * size**0.28)) for _, size, _ in layers]
    figure, axes = _figure(len(layers), 1, 8.6, sum(heights) + 0.5, sharex=True, gridspec_kw={"height_ratios": heights})
    for i, (axis, (name, size, spikes)) in enumerate(zip(axes[:, 0], layers, strict=True)):
        step, line = np.nonzero(spikes)
        axis.scatter(step, line, s=60 if size <= 16 else 26, marker="|" if size > 16 else "s", linewidths=1.1 if size > 16 else 0,
                     color=LINES[0] if i >= len(network.inputs) else INK, alpha=0.9 if size <= 128 else 0.55)
        axis.set_ylim(-0.5, size - 0.5)
        axis.set_ylabel(f"{name}\n{size}", rotation=0, ha="right", va="center")
        axis.set_yticks([0, size - 1] if size > 16 else range(0, size, max(1, size // 5)))
        axis.grid(axis="x", color=INK, alpha=0.08, linewidth=0.6)
    axes[-1, 0].set_xlabel("step")
    axes[-1, 0].set_xlim(-0.6, network.steps - 0.4)
    axes[-1, 0].set_xticks(range(0, network.steps, max(1, network.steps // 16)))
    return _svg(figure)


def _membranes(network: Network, traces: dict[str, Trace]) -> str:
    """Membranes of the three busiest neurons of the output and of one population before it, every backend over the others."""
    reference = next(iter(traces.values()))
    shown = [network.population(network.output)] + [p for p in reversed(network.order()) if p.name != network.output][:1]
    figure, axes = _figure(len(shown), 3, 10.2, 1.75 * len(shown) + 0.4, sharex=True)
    for row, population in zip(axes, shown, strict=True):
        counts = unpack(reference.spikes[population.name][0], population.size).sum(axis=0)
        swing = np.ptp(reference.membranes[population.name][0], axis=0)
        busiest = np.lexsort((-swing, -counts.astype(int)))[:3]
        for axis, neuron in zip(row, busiest, strict=False):
            for i, (name, trace) in enumerate(traces.items()):
                axis.plot(trace.membranes[population.name][0, :, neuron], color=LINES[i % len(LINES)], label=name, drawstyle="steps-mid",
                          linewidth=(5.5, 2.6, 1.1)[min(i, 2)], alpha=(0.35, 0.55, 1)[min(i, 2)], solid_joinstyle="miter")
            page = np.minimum(np.arange(network.steps), population.pages - 1)
            if population.fire[neuron]:
                axis.plot(population.v_th[page, neuron], color=INK, linestyle=(0, (4, 3)), linewidth=0.9, drawstyle="steps-mid",
                          label="threshold")
                spikes = np.flatnonzero(unpack(reference.spikes[population.name][0], population.size)[:, neuron])
                axis.plot(spikes, np.full(spikes.size, population.v_th[0, neuron]), "^", color=INK, markersize=4, label="spike")
            axis.set_title(f"{population.name} {neuron}")
            axis.margins(y=0.12)
        for axis in row[len(busiest):]:
            axis.set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel("step")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(labels), frameon=False)
    return _svg(figure)


def _cycles(counters: dict[str, dict[str, np.ndarray]]) -> str | None:
    """Cycles of a tick against the events it scanned, on every backend that knows them."""
    known = {name: c for name, c in counters.items() if "cycles" in c and "spikes_in" in c}
    if not known:
        return None
    figure, axes = _figure(1, 1, 10.2, 2.9)
    axis = axes[0, 0]
    for name, values in known.items():
        points = np.unique(np.stack([values["spikes_in"].ravel(), values["cycles"].ravel()], axis=1), axis=0)
        points = points[np.linspace(0, len(points) - 1, min(POINTS, len(points))).astype(int)]
        chip = name.partition(":")[0] in CHIPS
        axis.plot(points[:, 0], points[:, 1], "." if chip else "o", markersize=2.6 if chip else 6, markeredgewidth=0,
                  color=LINES[list(counters).index(name) % len(LINES)], alpha=1 if chip else 0.35,
                  label=f"{name} ({'measured' if chip else 'predicted'})")
    axis.set_xlabel("events scanned in a tick")
    axis.set_ylabel("cycles of the tick")
    axis.set_ylim(bottom=0)
    axis.set_xlim(left=0)
    axis.grid(color=INK, alpha=0.08, linewidth=0.6)
    axis.legend(frameon=False, loc="lower right")
    return _svg(figure)
