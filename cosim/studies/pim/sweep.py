"""Accuracy of a net against the properties of its PIM macro (``spikeloop pim-sweep``).

There are six studies. Each varies one quantity. Each value of it has as many devices as there are
seeds: a device's seed draws its tables and its noise. Every image has noise of its own. Apart from
the varied quantity a macro is ideal. The studies of ADC bits and of rows at once are an exception:
every device there has the spread TYPICAL, without which all seeds would be alike. Shift and clip
are calibrated again for each macro.

The images of a point go through golden. The first of them also go through the Verilated macro, and
every code, current and clip count is compared. Measured points stand in a journal of JSON lines,
each on disk before the next begins, so that a sweep that was broken off continues there
(docs/qstdb.md).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.reference import pim as golden
from spikeloop.golden.rules.qstdb.integer import classes
from spikeloop.golden.rules.qstdb.net import QstdbNet
from spikeloop.golden.rules.qstdb.train import CALIBRATION_IMAGES, CALIBRATION_PERCENTILE
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.journal import Journal

__all__ = ["STUDIES", "TYPICAL", "Point", "device", "measure", "points", "sweep"]

TYPICAL = {"gain": 1.0, "offset": 0.5, "noise": 0.5}
# name: (label, values); standard deviations: of gain and offset over units, of noise over
# conversions
STUDIES: dict[str, tuple[str, tuple[float, ...]]] = {
    "adc_bits": ("bits of the ADC", (4, 5, 6, 7, 8, 9, 10)),
    "active_rows": ("rows summed at once", (2, 4, 8, 16, 32)),
    "gain": ("spread of gains, %", (0, 1, 2, 5, 10, 20)),
    "offset": ("spread of offsets, LSB", (0, 0.5, 1, 2, 4, 8)),
    "stuck": ("cells stuck at 0 or 1, %", (0, 0.1, 0.2, 0.5, 1)),
    "noise": ("noise, LSB", (0, 0.25, 0.5, 1, 1.5, 2)),
}
# docs/pim.md, step 4: 147.8 is the standard deviation of the sum of four bytes
SIGMA_PER_LSB = 16 * 1024 / 147.8


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
    """``net`` with its first layer in the macro of ``point``.

    images: uint8 ``[n, pixels]``, on which the macro is calibrated.
    """
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
    gains = 4096 * (1 + spread.get("gain", 0) / 100 * gain)
    offsets = 16 * spread.get("offset", 0) * offset
    tables = {
        "gain": np.clip(np.rint(gains), 0, 8191).astype(np.int64),
        "offset": np.clip(np.rint(offsets), -512, 511).astype(np.int64),
        "stuck0": stuck & ~which,
        "stuck1": stuck & which,
        "sigma": round(spread.get("noise", 0) * SIGMA_PER_LSB),
        "seed": point.seed,
    }
    varied = QstdbNet(
        net.layers, bits=net.bits, steps=net.steps, unit=net.unit, pim=params, **tables
    )
    varied.load_state_dict(net.state_dict())
    # The range follows what every such macro has (geometry, weights), not the stuck cells of one.
    varied.pim.tables |= {"stuck0": 0, "stuck1": 0}
    maps = images.reshape(len(images), *net.layers[0].window.source)
    varied.pim.calibrate(maps, CALIBRATION_PERCENTILE)
    varied.pim.tables |= {"stuck0": tables["stuck0"], "stuck1": tables["stuck1"]}
    return varied.eval()


def measure(net: QstdbNet, data: Dataset, images: int, rtl_images: int) -> dict[str, int]:
    """Golden's right classes and the differences of the RTL.

    images:     number of test images through golden.
    rtl_images: number of them through the Verilated macro; codes, currents and counts of clips are
                compared.
    """
    from spikeloop.cosim.macros.pim import PimModel

    x = data.test_images[:images]
    right = int((classes(net, x, np.arange(len(x))) == data.test_labels[:images]).sum())
    layer, streams = net.pim.layer(), np.arange(rtl_images)
    model = PimModel(layer.params, optimise=False)
    try:
        model.load(layer)
        measured = model.run(x[:rtl_images], streams)
    finally:
        model.close()
    want = golden.run(layer, x[:rtl_images], streams)
    different = int((measured.codes != want.codes).sum())
    different += int((measured.currents != want.currents).sum())
    clips = int(np.sum(want.saturated)), int(np.sum(want.clipped))
    different += (measured.counters["n_sat"], measured.counters["n_clip"]) != clips
    return {"right": right, "conversions": measured.counters["n_adc"], "different": different}


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
    """The journal's line of each point in ``wanted``, measured now or before.

    advance: called with 1 after each point.
    InputError for a net without a macro, for image counts out of range, and for a journal of
    another net, data set or count.
    """
    if net.pim is None:
        raise InputError(
            "net of a PIM sweep must have its first layer in a macro, not be exact: "
            "train it with one"
        )
    if not 1 <= rtl_images <= images <= len(data.test_labels):
        raise InputError(
            f"images of a PIM sweep must be in {rtl_images}..{len(data.test_labels)} and those of "
            f"the RTL in 1..images, not {images} and {rtl_images}"
        )
    about = {"net": _digest(net), "data": data.source, "images": images, "rtl_images": rtl_images}
    lines = Journal.open(journal, about, "sweep")
    done = {(line["study"], line["value"], line["seed"]): line for line in lines.lines}
    results = []
    for p in wanted:
        key = (p.study, p.value, p.seed)
        if key not in done:
            varied = device(net, p, data.train_images[:CALIBRATION_IMAGES])
            result = measure(varied, data, images, rtl_images)
            done[key] = {"study": p.study, "value": p.value, "seed": p.seed, **result}
            lines.append(done[key])
        results.append(done[key])
        advance(1)
    return results


def _digest(net: QstdbNet) -> str:
    """Which net this is: weights and geometry, 16 hexadecimal digits."""
    arrays = b"".join(parameter.detach().numpy().tobytes() for parameter in net.parameters())
    geometry = repr((net.layers, net.bits, net.steps, net.unit, net.pim.params)).encode()
    return hashlib.sha256(arrays + geometry).hexdigest()[:16]
