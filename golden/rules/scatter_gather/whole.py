"""A scatter-and-gather net with every layer on the chip, its first layer in few bits too.

The first layer takes grey values. Here they come as bit planes, one input line for each bit of each
pixel, and its weights have ``bits`` (post-training quantisation):

    p  = x >> (8 - planes)
    W' = round(W / u_c),  u_c = max |W_c| / (2^(bits-1) - 1)  for each channel c, halves to even
    S  = sum W' p = sum over planes b of (2^b W') spike_b

On the chip the weights have planes + bits - 1 bits. Grey level p stands for p / (2^planes - 1), so
W . x is about S u_c / (2^planes - 1). Neuron i of the group of channel c fires if

    S >= theta_i (2^planes - 1) / (2^k u_c)

with theta_i as in golden/rules/scatter_gather/net.py; v_th is its ceiling, in rational numbers. All
later layers are as they were, and exact: the chip equals the ANN with this quantised first layer
(:func:`first_counts`). docs/scatter_gather.md states what the quantisation costs.
"""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import torch
from torch.nn.functional import conv2d

from spikeloop.golden.data.encoders import bit_planes, grey
from spikeloop.golden.rules.scatter_gather.layer import EPSILON, reachable
from spikeloop.golden.rules.scatter_gather.net import ScatterGather
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network

__all__ = ["BITS", "PIXELS", "PLANES", "encode", "first_counts", "to_network"]

PIXELS = "pixels"  # the input
PLANES, BITS = 4, 4


def encode(
    net: ScatterGather, images: np.ndarray, *, planes: int = PLANES
) -> dict[str, np.ndarray]:
    """Input spikes of the chip: {"pixels": uint8 0/1 ``[n, 1, planes pixels]``}.

    images: uint8 ``[n, pixels]``. The lowest plane comes first.
    """
    net.host_counts(images[:0])  # refuses images of another shape
    return {PIXELS: bit_planes(images, planes).reshape(len(images), 1, -1)}


def to_network(net: ScatterGather, *, planes: int = PLANES, bits: int = BITS) -> Network:
    """The integer network with first and last layer on the chip.

    It has one step per sample, one layer after another.
    """
    first, rest = net.layers[0], net.to_network(readout_on_chip=True)
    weights, _ = _integer(net, planes, bits)
    stacked = np.concatenate([weights << b for b in range(planes)], axis=1).repeat(net.copies, 0)
    source, target = first.conv.source, first.conv.target
    conv = replace(
        first.conv,
        source=(planes * source[0], *source[1:]),
        target=(net.copies * target[0], *target[1:]),
    )
    v_th = np.repeat(np.array(_thresholds(net, planes, bits)).ravel(), target[1] * target[2])
    population = Population.make(
        first.name, math.prod(conv.target), weight_bits=planes + bits - 1, k0=False, v_th=v_th
    )
    return replace(
        rest,
        name=f"{rest.name}-whole",
        inputs=(Input(name=PIXELS, size=math.prod(conv.source)),),
        populations=(population, *(replace(p, start=p.start + 1) for p in rest.populations)),
        edges=(
            Edge(source=PIXELS, target=first.name, conv=conv, weights=stacked.astype(np.int32)),
            *rest.edges,
        ),
    )


def first_counts(
    net: ScatterGather, images: np.ndarray, *, planes: int = PLANES, bits: int = BITS
) -> np.ndarray:
    """2^k y of the quantised first layer, uint8 ``[n, channels, height, width]``.

    It is computed in float64 from its equation.
    """
    layer, (weights, unit) = net.layers[0], _integer(net, planes, bits)
    s = conv2d(
        torch.from_numpy(grey(images, planes).reshape(-1, *layer.conv.source)),
        torch.from_numpy(weights * np.array(unit, float)[:, None, None, None]),
        stride=layer.conv.stride,
        padding=layer.conv.padding,
    ).numpy()
    mu, sigma, beta = (
        a.astype(np.float64)[:, None, None] for a in (layer.mu, layer.sigma, layer.beta)
    )
    r = (s - mu) / (sigma + EPSILON) + beta
    return np.clip(np.floor(r * (1 << net.k) + 0.5), 0, net.copies).astype(np.uint8)


def _integer(net: ScatterGather, planes: int, bits: int) -> tuple[np.ndarray, list[Fraction]]:
    """W' int64 ``[channels, source channels, height, width]`` and u of each channel."""
    check_int("planes of the first layer", planes, 1, 8)
    check_int("bits of the first layer", bits, 2, 8)
    weights = net.layers[0].weights.astype(np.float64)
    unit = [Fraction(float(np.abs(w).max()) or 1.0) / ((1 << (bits - 1)) - 1) for w in weights]
    return np.rint(weights / np.array(unit, float)[:, None, None, None]).astype(np.int64), unit


def _thresholds(net: ScatterGather, planes: int, bits: int) -> list[list[int]]:
    """For each channel, v_th of each neuron of a group."""
    weights, unit = _integer(net, planes, bits)
    levels = (1 << planes) - 1
    groups = net.layers[0].thetas(net.k, net.bound)
    most = [int(np.abs(w).sum()) * levels for w in weights]
    return [
        [reachable(theta * levels / (u * (1 << net.k)), m) for theta in group]
        for group, u, m in zip(groups, unit, most, strict=True)
    ]
