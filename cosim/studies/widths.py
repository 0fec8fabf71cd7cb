"""Accuracy and columns against the bits of the weights: ``spikeloop widths``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spikeloop.cosim.stages.quantize import calibration
from spikeloop.cosim.stages.requantize import is_network, refuse_float_options, requantizer
from spikeloop.cosim.studies.figures import LINES, figure, svg
from spikeloop.golden.data.datasets import load_mnist
from spikeloop.golden.nets.layers import FloatNet
from spikeloop.golden.quantize.quantize import Quantizer
from spikeloop.golden.quantize.widths import WIDTHS, Rounding, sweep
from spikeloop.pysim.common.files import write_atomic

__all__ = ["draw", "run"]


def run(
    float_net: Path,
    data: Path | None,
    scale: str | None,
    folder: Path,
    *,
    start: Callable[[int], None],
    advance: Callable[[int], None],
) -> dict[str, Any]:
    """Quantise a float net to each width, all layers and each alone; the rows of the sweep.

    Writes widths.json and widths.svg into ``folder``. ``start`` is told the number of nets,
    ``advance`` how many more are done.
    """
    quantizer: Rounding
    if is_network(float_net):
        refuse_float_options(data=data, scale=scale)
        quantizer = requantizer(float_net)
        said = f"{len(quantizer.labels):,} samples of its stimulus"
    else:
        net = FloatNet.load(float_net)
        spikes, labels = calibration(net, load_mnist(data))
        options: dict[str, Any] = {} if scale is None else {"scale": scale}
        quantizer = Quantizer(net, spikes, labels, **options)
        said = f"{len(labels):,} training images"
    alone = len(quantizer.names) if len(quantizer.names) > 1 else 0
    start(len(WIDTHS) * (1 + alone))
    study: dict[str, Any] = sweep(quantizer, advance=advance)
    study["samples"] = said
    write_atomic(folder / "widths.json", (json.dumps(study, indent=1) + "\n").encode())
    write_atomic(folder / "widths.svg", draw(study))
    return study


def draw(study: dict[str, Any]) -> bytes:
    """SVG: accuracy against columns, the bits at the points.

    One line is for all layers, and one for each layer alone.
    """
    drawing, axes = figure(1, 1, 7.5, 3.6)
    axis = axes[0, 0]
    for i, name in enumerate(dict.fromkeys(row["layer"] for row in study["rows"])):
        rows = [row for row in study["rows"] if row["layer"] == name]
        axis.plot(
            [row["columns"] for row in rows],
            [100 * row["accuracy"] for row in rows],
            "o-",
            color=LINES[i % len(LINES)],
            markersize=3.5,
            linewidth=1.2,
            label="all layers" if name is None else f"{name} alone, others at 10 bits",
        )
        for row in rows:
            axis.annotate(
                row["bits"],
                (row["columns"], 100 * row["accuracy"]),
                xytext=(3, -10),
                textcoords="offset points",
                fontsize=7,
            )
    dashed = (0, (4, 3))
    axis.axhline(
        100 * study["float"], color=LINES[3], linestyle=dashed, linewidth=0.9, label="float"
    )
    axis.set_xlabel("columns of the synapses")
    axis.set_ylabel("accuracy, %")
    axis.grid()
    axis.legend(frameon=False, loc="lower right")
    return svg(drawing)
