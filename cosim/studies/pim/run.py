"""A whole PIM sweep: its points measured, its table and its picture written."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from spikeloop.cosim.runs.lock import held
from spikeloop.cosim.studies.pim.plot import draw, summary
from spikeloop.cosim.studies.pim.sweep import STUDIES, points, sweep
from spikeloop.golden.data.datasets import check_scoring, load_mnist
from spikeloop.golden.rules.qstdb.net import QstdbNet, checkpoint
from spikeloop.pysim.common.files import write_atomic

__all__ = ["run"]


def run(
    net: Path | None,
    data: Path | None,
    studies: Sequence[str],
    folder: Path,
    *,
    seeds: int,
    images: int,
    rtl_images: int,
    start: Callable[[int], None],
    advance: Callable[[int], None],
) -> dict[str, Any]:
    """Measure what the journal in ``folder`` lacks, then write pim-sweep.json and pim-sweep.svg.

    net:     a Q-STDB net; None for the kept one.
    studies: names; empty for all.
    start:   called with the number of devices.
    advance: called with the number of devices that are newly done.

    The document holds, for each study and value, mean and standard deviation of the accuracy (%)
    and the number of devices.
    """
    chosen = points(seeds, tuple(studies) or tuple(STUDIES))
    model, mnist = QstdbNet.load(net) if net else checkpoint(), load_mnist(data)
    check_scoring(model.metadata.get("dataset", {}).get("source", ""), mnist)
    start(len(chosen))
    with held(folder):
        journal = folder / "journal.jsonl"
        results = sweep(
            model, mnist, chosen, journal, images=images, rtl_images=rtl_images, advance=advance
        )
        table = summary(results, images)
        document = {
            "images": images,
            "seeds": seeds,
            "conversions": sum(result["conversions"] for result in results),
            "different": sum(result["different"] for result in results),
            "accuracy": {
                name: {f"{value:g}": cells for value, cells in sorted(rows.items())}
                for name, rows in table.items()
            },
        }
        picture = write_atomic(folder / "pim-sweep.svg", draw(table, images))
        write_atomic(folder / "pim-sweep.json", json.dumps(document, indent=1).encode())
        return document | {"picture": str(picture)}
