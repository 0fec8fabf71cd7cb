"""One layer of the quantised ANN, and the exact thresholds of the spiking neurons for it."""

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
    """One layer of the ANN.

    conv:            its geometry.
    weights:         ``[channels, source channels, height, width]``; float32 in the first layer,
                     else int8 in {-1, 0, 1}.
    mu, sigma, beta: the batch norm in units of s, float32 ``[channels]``; sigma >= 0.
    """

    name: str
    conv: Conv
    weights: np.ndarray
    mu: np.ndarray
    sigma: np.ndarray
    beta: np.ndarray

    def normalised(self, x: Tensor) -> Tensor:
        """r of x, both float64 ``[sample, channel, height, width]``."""
        weights = torch.from_numpy(self.weights).double()
        s = conv2d(x, weights, stride=self.conv.stride, padding=self.conv.padding)
        mu, sigma, beta = (
            torch.from_numpy(a).double()[:, None, None] for a in (self.mu, self.sigma, self.beta)
        )
        return (s - mu) / (sigma + EPSILON) + beta

    def thetas(self, k: int, bound: int) -> list[list[Fraction]]:
        """theta_1..theta_K of each channel, exact."""
        unit, eps, half = 1 << k, Fraction(EPSILON), Fraction(1, 2)
        norms = (map(Fraction, a.tolist()) for a in (self.mu, self.sigma, self.beta))
        return [
            [
                unit * mu + (i - half - beta * unit) * (sigma + eps)
                for i in range(1, bound * unit + 1)
            ]
            for mu, sigma, beta in zip(*norms, strict=True)
        ]


def reachable(theta: Fraction, most: int) -> int:
    """v_th of a neuron whose sums lie in -most..most: ceil(theta).

    A threshold that no sum reaches, or every sum, is clipped to the nearest such value.
    """
    return min(max(math.ceil(theta), -most), most + 1)
