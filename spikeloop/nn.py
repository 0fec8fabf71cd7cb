"""Modules that train with the chip's own arithmetic (docs/training.md)."""

from spikeloop.golden.nn.layers import LIF, AvgPool2d, Conv1d, Conv2d, Linear, MaxPool2d, sequential
from spikeloop.golden.nn.model import IntegerModel, from_float
from spikeloop.golden.quantize.scales import with_bits

__all__ = [
    "LIF",
    "AvgPool2d",
    "Conv1d",
    "Conv2d",
    "IntegerModel",
    "Linear",
    "MaxPool2d",
    "from_float",
    "sequential",
    "with_bits",
]
