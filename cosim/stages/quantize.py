"""A float net to an integer network, scaled on training images."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.stages.images import Images
from spikeloop.golden.data.datasets import Dataset, check_scoring
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.nets.layers import FloatNet
from spikeloop.golden.quantize.quantize import Quantizer, quantize
from spikeloop.golden.quantize.widths import narrowest

__all__ = ["calibration", "make", "quantize_net"]

CALIBRATION = 2000
"""Training images on which scales are chosen."""


def make(*, output: Path, float_net: Path, images: Images, **options: Any) -> dict[str, Any]:
    """Quantise the net in ``float_net`` and save it; options as of :func:`quantize_net`."""
    return quantize_net(FloatNet.load(float_net), images.load(), output, **options)


def quantize_net(
    net: FloatNet,
    data: Dataset,
    path: Path,
    *,
    bits: int,
    target_drop: float | None = None,
    name: str = "network",
    **options: Any,
) -> dict[str, Any]:
    """Quantise a float net, write the network file, return the report of the quantisation (JSON).

    bits:        bits of a weight, 2..16
    target_drop: points of accuracy; each layer then gets the narrowest weights, of at most
                 ``bits``, that lose no more
    """
    spikes, labels = calibration(net, data)
    widths: Any = bits
    if target_drop is not None:
        widths = narrowest(Quantizer(net, spikes, labels, **options), target_drop, most=bits)
    network, report = quantize(net, spikes, labels, bits=widths, name=name, **options)
    report["samples"] = f"{len(labels):,} training images"
    metadata = {k: v for k, v in network.metadata.items() if k != "accuracy_integer"}
    metadata["calibrated_on"] = report["samples"]
    replace(network, metadata=metadata).save(path)
    return report


def calibration(net: FloatNet, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Training images as spikes, uint8 ``[sample, step, line]``, and labels, to quantise with.

    The test images stay unseen until they are scored.
    """
    check_scoring(net.metadata["dataset"]["source"], data)
    images, labels = data.train_images[:CALIBRATION], data.train_labels[:CALIBRATION]
    return Encoder(**net.metadata["encoder"])(images), labels
