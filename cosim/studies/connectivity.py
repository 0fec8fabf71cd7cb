"""Accuracy against connectivity of nets trained by Grad R and Deep R (docs/rules.md): ``python -m spikeloop.cosim.studies.connectivity NET... [--out FILE]``.

Prints a row for each net (files of golden.rules.grad_r.train) and draws them as integer nets beside the paper's points, which are in the
nets' metadata. Connectivity: share of the synapses that are not 0.
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
    found = []
    for path in paths:
        if not path.is_file():
            raise InputError(
                f"net {str(path)!r} must be a file written by spikeloop.golden.rules.grad_r.train, not missing"
            )
        net = load(path.name.partition(".")[0], path)
        if net.rule not in RULES:
            raise InputError(
                f"net {str(path)!r} must be trained by Grad R or Deep R, not by {net.rule}"
            )
        found.append(net.metadata)
    return sorted(found, key=lambda about: -about["connectivity"])


def table(found: list[dict[str, Any]]) -> str:
    """Markdown: float and integer net, connectivity and accuracy in percent."""
    rows = [
        "| rule | alpha | connectivity, float | accuracy | connectivity, integer | accuracy |",
        "|---|---|---|---|---|---|",
    ]
    for rule, name in RULES.items():
        for about in (about for about in found if about["rule"] == rule):
            alpha = f"{about['training']['alpha']:g}" if rule == "grad-r" else ""
            values = (
                about[key]
                for key in (
                    "connectivity",
                    "accuracy_float",
                    "connectivity_integer",
                    "accuracy_integer",
                )
            )
            rows.append(
                f"| {name} | {alpha} | {' | '.join(f'{100 * value:.2f}' for value in values)} |"
            )
    return "\n".join(rows)


def draw(found: list[dict[str, Any]]) -> bytes:
    """SVG: a line for each rule, ours (integer nets) and the paper's."""
    made, ((axis,),) = figure(1, 1, 7.5, 3.6)
    for (rule, name), colour in zip(RULES.items(), LINES, strict=False):
        nets = [about for about in found if about["rule"] == rule]
        if not nets:
            continue
        ours = [
            (100 * about["connectivity_integer"], 100 * about["accuracy_integer"]) for about in nets
        ]
        axis.plot(
            *zip(*ours, strict=True),
            "o-",
            color=colour,
            markersize=4,
            linewidth=1.2,
            label=f"{name}, here",
        )
        (published,) = nets[0]["published"].values()
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
    return svg(made)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="accuracy against connectivity of nets of spikeloop.golden.rules.grad_r.train"
    )
    parser.add_argument("nets", type=Path, nargs="+", metavar="NET", help="files of the nets")
    parser.add_argument("--out", type=Path, default=PICTURE, help="file of the picture")
    given = parser.parse_args()
    try:
        found = read(given.nets)
        picture = write_atomic(given.out, draw(found))
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(f"{table(found)}\nwrote {picture}")


if __name__ == "__main__":
    main()
