"""Scales found by the loss: no worse than those of least current error, and the best of their
neighbours; a threshold that rounds badly is found out."""

import numpy as np
import pytest
import torch

from spikeloop.golden.nets.layers import FloatNet
from spikeloop.golden.quantize.quantize import Quantizer
from spikeloop.golden.quantize.search import FACTORS, search_scales
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.network.graph import Network


def loss(network: Network, quantizer: Quantizer) -> float:
    """Mean of log sum exp z - z[label], z = 10 / T times the output spikes."""
    spikes = run(network, quantizer.inputs).spikes["output"].sum(1, dtype=np.int64)
    z = 10 / network.steps * spikes
    losses = np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), quantizer.labels]
    return float(losses.mean())


@pytest.fixture
def quantizer(seed: int) -> Quantizer:
    """A random net of two layers, whose own answers are the labels."""
    torch.manual_seed(seed)
    net = FloatNet((20, 30, 5))
    with torch.no_grad():
        for layer in net.layers:
            layer.weight.mul_(0.4).clamp_(-1, 1)
    rng = np.random.default_rng(seed)
    spikes = (rng.random((200, 6, 20)) < 0.4).astype(np.uint8)
    answers = Quantizer(net, spikes, np.zeros(200, np.int64)).float_spikes[-1].sum(1).argmax(1)
    return Quantizer(net, spikes, answers)


def test_the_scales_found_are_the_best_of_their_neighbours(quantizer: Quantizer):
    bits = [3, 3]
    scales = search_scales(quantizer, bits)
    start = [layer.scale for layer in quantizer.layers(bits)]
    least = loss(quantizer.network(bits, scales=scales), quantizer)
    print(f"loss {loss(quantizer.network(bits), quantizer):.4f} -> {least:.4f}")
    assert scales != start and least < loss(quantizer.network(bits), quantizer)
    for i in range(2):
        for factor in FACTORS:
            near = [scale * (factor if i == j else 1) for j, scale in enumerate(scales)]
            assert loss(quantizer.network(bits, scales=near), quantizer) >= least - 1e-6


def test_given_scales_are_taken_as_they_are(quantizer: Quantizer):
    network = quantizer.network([4, 4], scales=[5.0, 6.5])
    assert network.metadata["scales"] == {"hidden1": 5.0, "output": 6.5}
    assert network.metadata["scale"] == "given"
    assert [p.v_th[0, 0] for p in network.populations] == [5, 7]
    weights = quantizer.net.layers[0].weight.detach().numpy().astype(float)
    expected = np.clip(np.sign(weights) * np.floor(np.abs(weights) * 5 + 0.5), -8, 7)
    np.testing.assert_array_equal(network.edges[0].weights, expected)
