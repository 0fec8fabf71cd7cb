"""Modules that train with the chip's own arithmetic (docs/training.md)."""

from spikeloop.golden.nn.layers import (
    ALIF,
    LIF,
    AvgPool2d,
    Conv1d,
    Conv2d,
    CubaALIF,
    CubaLIF,
    Linear,
    MaxPool2d,
    sequential,
)
from spikeloop.golden.nn.model import IntegerModel, from_float
from spikeloop.golden.quantize.scales import with_bits

__all__ = [
    "ALIF",
    "LIF",
    "AvgPool2d",
    "Conv1d",
    "Conv2d",
    "CubaALIF",
    "CubaLIF",
    "IntegerModel",
    "Linear",
    "MaxPool2d",
    "from_float",
    "sequential",
    "with_bits",
]
