"""One layer of the quantised ANN, and the exact thresholds of the spiking neurons that replace it."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from spikeloop.pysim.network.convolution import Conv

__all__ = ["EPSILON", "Layer", "reachable"]


EPSILON = 1e-6  # of the batch norm (Eq 2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """One layer of the ANN: ``conv`` its geometry, ``weights`` ``[channels, source channels, height, width]`` float32 (first layer) or
    int8 in {-1, 0, 1}; ``mu``, ``sigma`` >= 0, ``beta`` float32 ``[channels]``, the batch norm in units of s."""

    name: str
    conv: Conv
    weights: np.ndarray
    mu: np.ndarray
    sigma: np.ndarray
    beta: np.ndarray

    def normalised(self, x: Tensor) -> Tensor:
        """r from x, float64 ``[sample, channel, height, width]``."""
        s = conv2d(
            x,
            torch.from_numpy(self.weights).double(),
            stride=self.conv.stride,
            padding=self.conv.padding,
        )
        mu, sigma, beta = (
            torch.from_numpy(a).double()[:, None, None] for a in (self.mu, self.sigma, self.beta)
        )
        return (s - mu) / (sigma + EPSILON) + beta

    def thetas(self, k: int, bound: int) -> list[list[Fraction]]:
        """theta_1..theta_K of each channel, exact."""
        unit, eps = 1 << k, Fraction(EPSILON)
        return [
            [
                unit * mu + (i - Fraction(1, 2) - beta * unit) * (sigma + eps)
                for i in range(1, bound * unit + 1)
            ]
            for mu, sigma, beta in zip(
                *(map(Fraction, a.tolist()) for a in (self.mu, self.sigma, self.beta)), strict=True
            )
        ]


def reachable(theta: Fraction, most: int) -> int:
    """v_th of a neuron whose sums are within -most..most: ceil(theta); what none can reach, or all reach, is clipped to just that."""
    return min(max(math.ceil(theta), -most), most + 1)
