"""Accuracy against connectivity of nets trained by Grad R and Deep R (docs/rules.md).

    python -m spikeloop.cosim.studies.connectivity NET... [--out FILE]

prints a row for each net (files of golden.rules.grad_r.train) and draws them as integer nets beside
the paper's points, which are in the nets' metadata. Connectivity is the share of the synapses that
are not 0.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from spikeloop.cosim.flow.pretrained import load
from spikeloop.cosim.studies.figures import LINES, figure, svg
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic

__all__ = ["PICTURE", "draw", "read", "table"]

PICTURE = Path("docs/images/connectivity.svg")
RULES = {"grad-r": "Grad R", "deep-r": "Deep R"}


def read(paths: list[Path]) -> list[dict[str, Any]]:
    """Metadata of the nets, densest first; InputError for a net of another rule."""
    nets = []
    for path in paths:
        if not path.is_file():
            raise InputError(
                f"net {str(path)!r} is missing: train it by spikeloop.golden.rules.grad_r.train"
            )
        net = load(path.name.partition(".")[0], path)
        if net.rule not in RULES:
            raise InputError(
                f"net {str(path)!r} must be trained by Grad R or Deep R, not by {net.rule}"
            )
        nets.append(net.metadata)
    return sorted(nets, key=lambda metadata: -metadata["connectivity"])


def table(nets: list[dict[str, Any]]) -> str:
    """Markdown: connectivity and accuracy of float and integer nets, in percent."""
    rows = [
        "| rule | alpha | connectivity, float | accuracy | connectivity, integer | accuracy |",
        "|---|---|---|---|---|---|",
    ]
    keys = ("connectivity", "accuracy_float", "connectivity_integer", "accuracy_integer")
    for rule, name in RULES.items():
        for net in (net for net in nets if net["rule"] == rule):
            alpha = f"{net['training']['alpha']:g}" if rule == "grad-r" else ""
            cells = (f"{100 * net[key]:.2f}" for key in keys)
            rows.append(f"| {name} | {alpha} | {' | '.join(cells)} |")
    return "\n".join(rows)


def draw(nets: list[dict[str, Any]]) -> bytes:
    """SVG: for each rule a line of our integer nets and a line of the paper's nets."""
    drawing, ((axis,),) = figure(1, 1, 7.5, 3.6)
    for (rule, name), colour in zip(RULES.items(), LINES, strict=False):
        of_rule = [net for net in nets if net["rule"] == rule]
        if not of_rule:
            continue
        axis.plot(
            [100 * net["connectivity_integer"] for net in of_rule],
            [100 * net["accuracy_integer"] for net in of_rule],
            "o-",
            color=colour,
            markersize=4,
            linewidth=1.2,
            label=f"{name}, here",
        )
        (published,) = of_rule[0]["published"].values()
        axis.plot(
            *zip(*published, strict=True),
            "s--",
            color=colour,
            markersize=4,
            linewidth=0.9,
            markerfacecolor="white",
            label=f"{name}, Chen et al. 2021",
        )
    axis.set_xscale("log")
    axis.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axis.minorticks_off()
    axis.set_xlabel("synapses left, %")
    axis.set_ylabel("accuracy, %")
    axis.grid()
    axis.legend(frameon=False, loc="lower right")
    return svg(drawing)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="accuracy against connectivity of nets of spikeloop.golden.rules.grad_r.train"
    )
    parser.add_argument("nets", type=Path, nargs="+", metavar="NET", help="files of the nets")
    parser.add_argument("--out", type=Path, default=PICTURE, help="file of the picture")
    given = parser.parse_args()
    try:
        nets = read(given.nets)
        picture = write_atomic(given.out, draw(nets))
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(f"{table(nets)}\nwrote {picture}")


if __name__ == "__main__":
    main()
