"""The VGG-Net of Zou et al. 2021 with random ternary weights: a net of the paper's size."""

from dataclasses import replace
from math import ceil, prod, sqrt

import numpy as np

from spikeloop.pysim.mapping.published import layers
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import Edge, Input, Population, WeightFormat
from spikeloop.pysim.network.graph import Network

__all__ = ["RATE", "random_vgg"]

RATE = 0.25
"""Share of the neurons that spike where this share of the input lines does."""
UPPER_QUARTER = 0.674  # of a normal distribution, in standard deviations


def random_vgg(copies: int, rng: np.random.Generator) -> Network:
    """The layers of ``zou-vgg-1``, ``-2`` or ``-4`` that are on the chip; one step, no leak.

    copies: spikes that stand for one value, of which every channel has as many copies.
    """

    def copied(conv: Conv) -> Conv:
        return replace(
            conv,
            source=(conv.source[0] * copies, *conv.source[1:]),
            target=(conv.target[0] * copies, *conv.target[1:]),
        )

    inside = [layer for layer in layers(f"zou-vgg-{copies}") if layer.on_chip]
    convs = [copied(layer.sources[0]) for layer in inside]
    names = ["image", *(f"layer{i}" for i in range(len(convs)))]
    populations, edges = list[Population](), list[Edge]()
    for i, (source, target, conv) in enumerate(zip(names, names[1:], convs, strict=False)):
        weights = rng.integers(-1, 2, conv.weights_shape, dtype=np.int32)
        # a weight of -1, 0 or 1 behind a line that spikes at RATE has a variance of 2/3 RATE
        spread = sqrt(prod(conv.weights_shape[1:]) * RATE * 2 / 3)
        populations.append(
            Population.make(
                target,
                prod(conv.target),
                start=i,
                weight_bits=2,
                weight_format=WeightFormat.TERNARY,
                k0=False,
                v_th=ceil(UPPER_QUARTER * spread),
            )
        )
        edges.append(Edge(source=source, target=target, conv=conv, weights=weights))
    return Network(
        name=f"vgg-{copies}",
        inputs=(Input(name="image", size=prod(convs[0].source)),),
        steps=1,
        output=names[-1],
        populations=tuple(populations),
        edges=tuple(edges),
    )
