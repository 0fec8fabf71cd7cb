"""The command ``spikeloop onn``: patterns recalled, or the figures of the paper."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.macros.engines import check_engines
from spikeloop.cosim.oscillators.recall import Plan, Recalls, recall
from spikeloop.cosim.runs.lock import holds_folder
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import writable, write_atomic
from spikeloop.pysim.onn.zeta import calibrate
from spikeloop.pysim.oscillators.circuit import PERIOD, Step
from spikeloop.pysim.oscillators.digits import SHAPE, digits
from spikeloop.pysim.oscillators.hebb import FACTOR, check_patterns, phase_net, relaxation_net
from spikeloop.pysim.oscillators.net import OnnNet
from spikeloop.pysim.oscillators.settings import CELLS
from spikeloop.pysim.traces.npz import load_array

__all__ = ["make_net", "run"]

SETTLE = {"relaxation": 4, "phase": 2}
PERIODS = {"relaxation": 20, "phase": 50}


def make_net(
    patterns: np.ndarray,
    cell: str,
    *,
    beta: float | None = None,
    factor: float | None = None,
    periods: int | None = None,
    settle: int | None = None,
) -> OnnNet:
    """A net that stores patterns, with the default step, formats and settings of its cell."""
    if cell not in CELLS:
        raise InputError(f"cell must be one of {', '.join(CELLS)}, not {cell!r}")
    run = {
        "periods": PERIODS[cell] if periods is None else periods,
        "settle": SETTLE[cell] if settle is None else settle,
    }
    if cell == "phase":
        for name, value in (("--beta", beta), ("--factor", factor)):
            if value is not None:
                raise InputError(f"{name} must be left out for the phase cell, not {value}")
        return phase_net(patterns, **run)
    factor = FACTOR if factor is None else factor
    return relaxation_net(patterns, calibrate(Step()), beta=beta, factor=factor, **run)


@holds_folder
def run(
    what: str,
    engines: Sequence[str],
    *,
    cell: str,
    fuzzy: Sequence[str],
    samples: int,
    seed: int,
    every: bool,
    folder: Path,
    resume: bool,
    started: Callable[[int], None] | None = None,
    progress: Callable[[int], None] | None = None,
    **net_options: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Recall ``what`` ("digits", patterns' file .npy, or a net's file with such a file beside it).

    A document, and rows of a table. InputError for bad input, before anything is written.
    """
    engines = check_engines(engines)
    patterns, shape = _patterns(what)
    counts = _counts(fuzzy, patterns.shape[1])
    check_int("--samples", samples, 1, 100_000)
    check_int("--seed", seed, 0, 10_000)
    net = make_net(patterns, cell, **net_options)
    plan = Plan(patterns, counts, samples, seed, every)
    writable(folder)
    net.save(folder / "net.safetensors")
    if started:
        started(len(counts) * samples)
    found = recall(
        net, plan, engines, kept=folder / "recall.jsonl", resume=resume, progress=progress
    )
    facts = found.document()
    document = {"net": what, "cell": cell, "oscillators": net.size, **facts}
    rows = _rows(net, what, found, facts)
    if found.rows and not found.first:
        picture = folder / "recall.svg"
        write_atomic(picture, _picture(net, plan, found, shape))
        document["picture"] = rows["picture"] = str(picture)
    return document, rows


def _patterns(what: str) -> tuple[np.ndarray, tuple[int, int] | None]:
    """Patterns ``[pattern, pixel]``, and rows and columns of one if the file has them."""
    if what == "digits":
        return digits(), SHAPE
    array = load_array(what, "file of patterns", "save an array [pattern, pixel] of -1 and 1")
    shape = array.shape[1:] if array.ndim == 3 else None
    return check_patterns(array), shape


def _counts(fuzzy: Sequence[str], pixels: int) -> tuple[int, ...]:
    counts: list[int] = []
    for text in fuzzy:
        low, dash, high = text.partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise InputError(f"--fuzzy must be numbers and ranges such as 0,6,12-15, not {text!r}")
        counts += range(int(low), int(high or low) + 1) if dash else [int(low)]
    counts = list(dict.fromkeys(counts))
    if not counts:
        raise InputError("--fuzzy must be numbers and ranges such as 0,6,12-15, not empty")
    for count in counts:
        check_int("--fuzzy", count, 0, pixels)
    return tuple(counts)


def _rows(net: OnnNet, what: str, found: Recalls, facts: dict[str, Any]) -> dict[str, Any]:
    rows = {"net": f"{what}, {net.size} oscillators, cell {net.cell}"}
    if found.rows:
        wrong = facts["unsteady"]
        rows["recalled"] = ", ".join(
            f"{count} fuzzy: {rate:.1%}" for count, rate in facts["recall"].items()
        )
        rows["samples"] = f"{facts['samples']:,}, of which {wrong:,} without a stable period"
        free = net.metadata["steps"]
        rows["steps"] = (
            f"median {facts['median_steps']:,.0f} ({facts['median_steps'] / free:.1f} free "
            f"periods), at most {facts['most_steps']:,}"
        )
        if net.cell == "relaxation":
            mean = float(np.mean([row["period"] for row in found.rows]))
            rows["period"] = f"{mean / free:.3f} free periods, {mean / free * PERIOD * 1e6:.2f} us"
        if facts["cycles"]:
            rows["cycles"] = (
                f"{facts['cycles']:,}, {facts['cycles'] / facts['samples']:,.0f} a recall"
            )
    for pair, number in found.compared.items():
        rows[f"{pair}?"] = f"{number:,} values compared, {found.different[pair]:,} different"
    if found.seconds:
        rows["seconds"] = ", ".join(f"{name} {n:.1f}" for name, n in found.seconds.items())
    return rows


def _picture(net: OnnNet, plan: Plan, found: Recalls, shape: tuple[int, int] | None) -> bytes:
    from spikeloop.cosim.oscillators.figures import draw

    count = plan.counts[-1]
    pattern, pixels = plan.inputs(count)[0]
    ends = count, found.attractors(count, len(plan.patterns))
    return draw(net, plan.patterns[pattern], pixels, found.rates(), ends, shape)
