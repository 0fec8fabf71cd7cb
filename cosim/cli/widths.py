"""The command ``spikeloop widths``: accuracy and columns against the bits of the weights, before any hardware."""

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer

from spikeloop.cosim.cli.console import Json, bar, output

__all__ = ["draw", "widths"]


def widths(
    float_net: Annotated[Path, typer.Argument(help="Float net of spikeloop train.")],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="Folder with the four MNIST IDX files, gzipped or not. "
            "[dim]default: the 5,000 embedded images[/dim]",
            show_default=False,
        ),
    ] = None,
    scale: Annotated[
        str, typer.Option("--scale", metavar="NAME", help="As of spikeloop quantize.")
    ] = "layer",
    folder: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder for widths.json and widths.svg."
        ),
    ] = Path("build/widths"),
    json: Json = False,
) -> None:
    """Quantise a float net to 2 to 10 bits, all layers and each alone: accuracy, columns, silent and always firing neurons."""
    with output(json) as out:
        from spikeloop.cosim.stages.quantize import calibration
        from spikeloop.golden.data.datasets import load_mnist
        from spikeloop.golden.nets.layers import FloatNet
        from spikeloop.golden.quantize.quantize import Quantizer
        from spikeloop.golden.quantize.widths import WIDTHS, sweep
        from spikeloop.pysim.common.files import write_atomic

        net = FloatNet.load(float_net)
        spikes, labels = calibration(net, load_mnist(data))
        made = Quantizer(net, spikes, labels, scale=scale)
        with bar("widths", "nets") as (start, advance):
            start(len(WIDTHS) * (1 + len(net.layers) * (len(net.layers) > 1)))
            found = sweep(made, advance=advance)
        found |= {"samples": f"{len(labels):,} training images"}
        write_atomic(folder / "widths.json", (json_text.dumps(found, indent=1) + "\n").encode())
        picture = write_atomic(folder / "widths.svg", draw(found))
        curves: dict[str, list[str]] = {}
        for row in found["rows"]:
            silent = f" ({sum(row['silent'])} silent)" if any(row["silent"]) else ""
            curves.setdefault(row["layer"] or "all layers", []).append(
                f"{row['bits']}: {row['accuracy']:.1%}, {row['columns']:,}{silent}"
            )
        out(
            found,
            {
                "on": found["samples"],
                "float": f"{found['float']:.2%}",
                "bits": "accuracy, columns",
                **{f"  {name}": "; ".join(texts) for name, texts in curves.items()},
                "picture": picture,
            },
        )


def draw(found: dict[str, Any]) -> bytes:
    """SVG: accuracy against columns, a line for all layers and one for each alone, the bits at the points."""
    from spikeloop.cosim.studies.figures import LINES, figure, svg

    made, axes = figure(1, 1, 7.5, 3.6)
    axis = axes[0, 0]
    for i, name in enumerate(dict.fromkeys(row["layer"] for row in found["rows"])):
        rows = [row for row in found["rows"] if row["layer"] == name]
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
    axis.axhline(
        100 * found["float"], color=LINES[3], linestyle=(0, (4, 3)), linewidth=0.9, label="float"
    )
    axis.set_xlabel("columns of the synapses")
    axis.set_ylabel("accuracy, %")
    axis.grid()
    axis.legend(frameon=False, loc="lower right")
    return svg(made)
