"""Accuracy of a net against what its PIM macro is and suffers: ``spikeloop pim-sweep`` (docs/qstdb.md).

Six studies. In each one thing varies, and each of its values has as many devices as there are seeds: a device's seed draws its tables
and its noise. Every image has noise of its own. Beside the varied thing a macro is ideal, but in the studies of ADC bits and rows at once
every device has the spread TYPICAL, without which all seeds would be one. Shift and clip are calibrated again for each macro.

A point's images go through golden; the first of them also through the Verilated macro: every code, current and clip count is compared.
Points done stand in a journal of JSON lines, each on disk before the next begins, so that a broken-off sweep goes on where it was.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.runs.journal import Journal
from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.reference import pim as golden
from spikeloop.golden.rules.qstdb.integer import classes
from spikeloop.golden.rules.qstdb.net import QstdbNet
from spikeloop.golden.rules.qstdb.train import CALIBRATION_IMAGES, CALIBRATION_PERCENTILE
from spikeloop.pysim.common.errors import InputError

__all__ = ["STUDIES", "TYPICAL", "Point", "device", "measure", "points", "sweep"]

TYPICAL = {"gain": 1.0, "offset": 0.5, "noise": 0.5}
STUDIES: dict[str, tuple[str, tuple[float, ...]]] = {
    "adc_bits": ("bits of the ADC", (4, 5, 6, 7, 8, 9, 10)),
    "active_rows": ("rows summed at once", (2, 4, 8, 16, 32)),
    "gain": ("spread of gains, %", (0, 1, 2, 5, 10, 20)),
    "offset": ("spread of offsets, LSB", (0, 0.5, 1, 2, 4, 8)),
    "stuck": ("cells stuck at 0 or 1, %", (0, 0.1, 0.2, 0.5, 1)),
    "noise": ("noise, LSB", (0, 0.25, 0.5, 1, 1.5, 2)),
}
"""name: (label, values): standard deviations of gain and offset over units, of noise over conversions"""
SIGMA_PER_LSB = (
    16 * 1024 / 147.8
)  # docs/pim.md, step 4: 147.8 is the standard deviation of the sum of four bytes


@dataclass(frozen=True, kw_only=True)
class Point:
    """One device: ``study`` at ``value``, drawn with ``seed``."""

    study: str
    value: float
    seed: int


def points(seeds: int, studies: tuple[str, ...] = tuple(STUDIES)) -> list[Point]:
    """All points, in order. InputError for an unknown study or less than one seed."""
    if unknown := [name for name in studies if name not in STUDIES]:
        raise InputError(f"study must be one of {', '.join(STUDIES)}, not {unknown[0]!r}")
    if seeds < 1:
        raise InputError(f"seeds of a sweep must be at least 1, not {seeds}")
    return [
        Point(study=name, value=value, seed=seed)
        for name in studies
        for value in STUDIES[name][1]
        for seed in range(seeds)
    ]


def device(net: QstdbNet, point: Point, images: np.ndarray) -> QstdbNet:
    """``net`` with the first layer in the macro of ``point``, calibrated on ``images`` uint8 ``[n, pixels]``."""
    params = net.pim.params
    if point.study in ("adc_bits", "active_rows"):
        params = replace(params, **{point.study: int(point.value)})
        spread = TYPICAL
    else:
        spread = {point.study: point.value}
    rng = np.random.default_rng([point.seed, *point.study.encode()])
    units, cells = (params.banks, params.units), (params.banks, params.rows, params.columns)
    gain, offset, which = rng.normal(size=units), rng.normal(size=units), rng.random(cells) < 0.5
    stuck = rng.random(cells) < spread.get("stuck", 0) / 100
    tables = {
        "gain": np.clip(np.rint(4096 * (1 + spread.get("gain", 0) / 100 * gain)), 0, 8191).astype(
            np.int64
        ),
        "offset": np.clip(np.rint(16 * spread.get("offset", 0) * offset), -512, 511).astype(
            np.int64
        ),
        "stuck0": stuck & ~which,
        "stuck1": stuck & which,
        "sigma": round(spread.get("noise", 0) * SIGMA_PER_LSB),
        "seed": point.seed,
    }
    made = QstdbNet(net.layers, bits=net.bits, steps=net.steps, unit=net.unit, pim=params, **tables)
    made.load_state_dict(net.state_dict())
    # what the macro is known to be (geometry, weights) sets the range, not what one device happens to have
    made.pim.tables |= {"stuck0": 0, "stuck1": 0}
    made.pim.calibrate(
        images.reshape(len(images), *net.layers[0].window.source), CALIBRATION_PERCENTILE
    )
    made.pim.tables |= {"stuck0": tables["stuck0"], "stuck1": tables["stuck1"]}
    return made.eval()


def measure(net: QstdbNet, data: Dataset, images: int, rtl_images: int) -> dict[str, int]:
    """Right classes of the first ``images`` test images, and of the first ``rtl_images`` codes, currents and counts that differ in RTL."""
    from spikeloop.cosim.macros.pim import PimModel

    x = data.test_images[:images]
    right = int((classes(net, x, np.arange(len(x))) == data.test_labels[:images]).sum())
    layer, streams = net.pim.layer(), np.arange(rtl_images)
    model = PimModel(layer.params, optimise=False)
    try:
        model.load(layer)
        ours = model.run(x[:rtl_images], streams)
    finally:
        model.close()
    want = golden.run(layer, x[:rtl_images], streams)
    different = int((ours.codes != want.codes).sum() + (ours.currents != want.currents).sum())
    different += (ours.counters["n_sat"], ours.counters["n_clip"]) != (
        int(np.sum(want.saturated)),
        int(np.sum(want.clipped)),
    )
    return {"right": right, "conversions": ours.counters["n_adc"], "different": different}


def sweep(
    net: QstdbNet,
    data: Dataset,
    wanted: list[Point],
    journal: Path,
    *,
    images: int = 2000,
    rtl_images: int = 10,
    advance: Callable[[int], None] = lambda n: None,
) -> list[dict[str, Any]]:
    """The journal's line of each point, measured now or before. ``advance`` is told of points done.

    InputError for a net without a macro, image counts out of range, and a journal of another net, data set or count.
    """
    if net.pim is None:
        raise InputError(
            "net of a PIM sweep must have its first layer in a macro, not be exact: train it with one"
        )
    if not 1 <= rtl_images <= images <= len(data.test_labels):
        raise InputError(
            f"images of a PIM sweep must be in {rtl_images}..{len(data.test_labels)} and those of the RTL in 1..images, "
            f"not {images} and {rtl_images}"
        )
    about = {"net": _digest(net), "data": data.source, "images": images, "rtl_images": rtl_images}
    kept, found = Journal.open(journal, about, "sweep"), []
    done = {(r["study"], r["value"], r["seed"]): r for r in kept.lines}
    for p in wanted:
        key = (p.study, p.value, p.seed)
        if key not in done:
            result = measure(
                device(net, p, data.train_images[:CALIBRATION_IMAGES]), data, images, rtl_images
            )
            done[key] = {"study": p.study, "value": p.value, "seed": p.seed, **result}
            kept.append(done[key])
        found.append(done[key])
        advance(1)
    return found


def _digest(net: QstdbNet) -> str:
    arrays = b"".join(parameter.detach().numpy().tobytes() for parameter in net.parameters())
    return hashlib.sha256(
        arrays + repr((net.layers, net.bits, net.steps, net.unit, net.pim.params)).encode()
    ).hexdigest()[:16]
