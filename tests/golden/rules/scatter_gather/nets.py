"""Random scatter-and-gather nets, and their quantised ANN in rational numbers.

The ANN follows Eqs 1, 2 and 6 alone.
"""

import math
from fractions import Fraction

import numpy as np

from spikeloop.golden.reference.integer import run
from spikeloop.golden.rules.scatter_gather.counts import gather
from spikeloop.golden.rules.scatter_gather.layer import EPSILON, Layer
from spikeloop.golden.rules.scatter_gather.net import ScatterGather
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.graph import Network

CONVS = {
    "conv1": Conv.make((1, 6, 7), 2, (3, 3), padding=(1, 1)),
    "conv2": Conv.make((2, 6, 7), 3, (3, 2), padding=(0, 1)),
    "pool1": Conv.make((3, 4, 8), 2, (2, 2), stride=(2, 2)),
    "fc1": Conv.make((2, 2, 4), 5, (2, 4)),
}


def random_net(
    rng: np.random.Generator, k: int, bound: int, convs: dict[str, Conv] = CONVS
) -> ScatterGather:
    """Thresholds near the spread of the sums; some batch norms at the ends: no spread at all, out
    of reach, thetas that are integers."""
    layers = []
    for i, (name, conv) in enumerate(convs.items()):
        channels, spread = conv.target[0], 0.5 * math.sqrt(math.prod(conv.weights_shape[1:]))
        weights = (
            rng.integers(-1, 2, conv.weights_shape).astype(np.int8)
            if i
            else rng.normal(size=conv.weights_shape)
        )
        mu, sigma, beta = (
            rng.normal(0, spread, channels),
            spread * rng.uniform(0.5, 2, channels),
            rng.normal(0.3, 0.5, channels),
        )
        sigma[rng.random(channels) < 0.1] = 0
        mu[rng.random(channels) < 0.05] = rng.choice([-1e9, 1e9])
        whole = rng.random(channels) < 0.3
        mu[whole], beta[whole] = (
            np.round(mu[whole]),
            (rng.integers(1, 1 + (bound << k)) - 0.5) / (1 << k),
        )
        layers.append(
            Layer(
                name=name,
                conv=conv,
                weights=weights if i else weights.astype(np.float32),
                mu=mu.astype(np.float32),
                sigma=sigma.astype(np.float32),
                beta=beta.astype(np.float32),
            )
        )
    features = math.prod(layers[-1].conv.target)
    return ScatterGather(
        k=k,
        bound=bound,
        layers=tuple(layers),
        readout=rng.integers(-1, 2, (4, features)).astype(np.int8),
        last_weights=rng.normal(size=(4, features)).astype(np.float32),
        last_bias=rng.normal(size=4).astype(np.float32),
    )


def rational_layer(layer: Layer, y: np.ndarray, k: int, bound: int) -> np.ndarray:
    """One sample: y (Fractions) of this layer from y of the one before, neuron by neuron (Eqs 1, 2,
    6)."""
    conv, out = layer.conv, np.empty(layer.conv.target, object)
    for c, v, u in np.ndindex(*conv.target):
        s = Fraction(0)
        for d, i, j in np.ndindex(*conv.weights_shape[1:]):
            row, column = (
                v * conv.stride[0] + i - conv.padding[0],
                u * conv.stride[1] + j - conv.padding[1],
            )
            if 0 <= row < conv.source[1] and 0 <= column < conv.source[2]:
                s += int(layer.weights[c, d, i, j]) * y[d, row, column]
        mu, sigma, beta = (Fraction(float(a[c])) for a in (layer.mu, layer.sigma, layer.beta))
        r = (s - mu) / (sigma + Fraction(EPSILON)) + beta
        out[c, v, u] = min(
            max(Fraction(math.floor(r * 2**k + Fraction(1, 2)), 2**k), Fraction(0)), Fraction(bound)
        )
    return out


def assert_lossless(
    net: ScatterGather,
    network: Network,
    inputs: dict[str, np.ndarray],
    counts: np.ndarray,
    where: str,
) -> int:
    """Every activation is its spike count; returns the neurons compared."""
    activations, trace, compared = net.activations(counts), run(network, inputs, membranes=False), 0
    for layer in net.layers[1:]:
        spikes = gather(trace.spikes[layer.name], net.copies, layer.conv.target)
        wrong = int((spikes != activations[layer.name]).sum())
        assert not wrong, f"{wrong} of {spikes.size} activations of {layer.name} differ ({where})"
        compared += spikes.size
    return compared
