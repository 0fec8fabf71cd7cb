"""The table "float - integer = RTL" of an imported net's run: five columns, a row each fact.

    float, what differs, integer, what differs, RTL

The float model's side is in the summary (golden/interchange/floats.py). The other side is made of
the chunks. A layer of the RTL has a figure only if no spike of the run differs.
"""

from typing import Any

import numpy as np

from spikeloop.cosim.compare.chunk import Chunk
from spikeloop.cosim.compare.result import CHIPS
from spikeloop.cosim.runs.folder import Run

__all__ = ["columns"]

NONE = "-"


def columns(run: Run, summary: dict[str, Any]) -> list[list[str]]:
    """The rows, each a name and five texts; empty for a run without a float model."""
    floats = summary.get("floats")
    if not floats:
        return []
    backends, chunks = run.head["backends"], run.chunks
    chip = next((i for i, n in enumerate(backends) if n.partition(":")[0] in CHIPS), None)
    same = _same_spikes(summary, backends, chip)
    real, integer, rtl = (_percent(summary["accuracy"][key]) for key in ("float", "integer", "rtl"))
    between = _of(floats["answers"], floats["samples"])
    rows = [
        ["accuracy", real, "", integer, "", rtl],
        ["answers that differ", "", between, "", _answers(chunks, chip), ""],
    ]
    steps, samples = run.head["network"]["steps"], summary["samples"]
    sizes = {name: size for name, size, _ in run.head["network"]["populations"]}
    for layer in floats["populations"]:
        name = layer["population"]
        if layer["spikes"]:
            fired = sum(int(chunk.neurons[name].sum()) for chunk in chunks)
            rate = f"{fired / (sizes[name] * steps * samples):.4f}"
            between = _of(layer["different"], layer["spikes"])
            cells = [f"{layer['rate']:.4f}", between, rate, *(["0", rate] if same else [NONE] * 2)]
        else:
            cells = [NONE] * 5
        rows.append([f"spikes of {name}", *cells])
    return rows


def _same_spikes(summary: dict[str, Any], backends: list[str], chip: int | None) -> bool:
    """Whether a chip ran, and no spike of it differs from the reference."""
    if chip is None:
        return False
    if not chip:  # the chip is the reference
        return True
    pair = next(pair for pair in summary["pairs"] if pair["backend"] == backends[chip])
    return not pair["spikes_different"]


def _answers(chunks: list[Chunk], chip: int | None) -> str:
    """Answers of the chip that are not those of the reference."""
    if chip is None:
        return NONE
    different = samples = 0
    for chunk in chunks:
        reference, other = chunk.answers[0], chunk.answers[chip]
        if reference is None or other is None:
            return NONE
        different += int(np.count_nonzero(reference != other))
        samples += len(other)
    return _of(different, samples)


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}" + (f" ({part / whole:.2%})" if part else "")


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{value:.2%}"
