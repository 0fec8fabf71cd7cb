"""Scatter-and-gather: every activation of the quantised ANN is a spike count of the integer net.

Three writings meet: the ANN in rational numbers (tests/golden/rules/scatter_gather/nets.py), the
ANN in float64, and the integer net.
"""

from fractions import Fraction

import numpy as np
import pytest
import torch

from spikeloop.golden.reference.integer import predict, run
from spikeloop.golden.rules.scatter_gather.counts import gather, quantise, scatter, silence
from spikeloop.golden.rules.scatter_gather.layer import EPSILON, Layer
from spikeloop.golden.rules.scatter_gather.net import ScatterGather
from spikeloop.golden.rules.scatter_gather.train import accuracy
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import WeightFormat
from spikeloop.pysim.network.graph import Network
from tests.golden.rules.scatter_gather.nets import assert_lossless, random_net, rational_layer


@pytest.mark.parametrize("case", range(6))
@pytest.mark.parametrize(("k", "bound"), [(0, 1), (0, 2), (1, 2), (0, 3), (2, 1), (1, 4)])
def test_activations_are_spike_counts(seed: int, case: int, k: int, bound: int):
    rng = np.random.default_rng((seed, case, k, bound))
    net = random_net(rng, k, bound)
    counts = rng.integers(0, net.copies + 1, (3, *net.layers[0].conv.target)).astype(np.uint8)
    network = net.to_network()
    trace = run(network, {"conv1": scatter(counts, net.copies)}, membranes=False)
    y = [
        np.array([Fraction(int(n), 2**k) for n in one.flat], object).reshape(one.shape)
        for one in counts
    ]
    for layer in net.layers[1:]:
        y = [rational_layer(layer, one, k, bound) for one in y]
        exact = (
            np.array([[n * 2**k for n in one.flat] for one in y])
            .astype(np.int64)
            .reshape(3, *layer.conv.target)
        )
        np.testing.assert_array_equal(
            gather(trace.spikes[layer.name], net.copies, layer.conv.target), exact, layer.name
        )
    assert_lossless(
        net, network, {"conv1": scatter(counts, net.copies)}, counts, f"seed {seed}, case {case}"
    )  # and float64 agrees


def test_quantisation_is_equation_7():
    r = torch.tensor(
        [-1e9, -0.25, 0.2499999, 0.25, 0.7499999, 0.75, 1.2499999, 1.25, 1.7499999, 1.75, 2.0, 1e9],
        dtype=torch.float64,
    )
    assert quantise(r, 1, 2).tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4]


def test_thresholds_are_equation_10_and_order_is_channel_then_copy():
    mu, sigma, beta = (
        np.array([1.0, -2.5], np.float32),
        np.array([3.0, 0.5], np.float32),
        np.array([0.25, -0.125], np.float32),
    )
    layers = (
        Layer(
            name="host",
            conv=Conv.make((1, 3, 3), 4, (1, 1)),
            weights=np.ones((4, 1, 1, 1), np.float32),
            mu=np.zeros(4, np.float32),
            sigma=np.ones(4, np.float32),
            beta=np.zeros(4, np.float32),
        ),
        Layer(
            name="inner",
            conv=Conv.make((4, 3, 3), 2, (2, 2)),
            weights=np.ones((2, 4, 2, 2), np.int8),
            mu=mu,
            sigma=sigma,
            beta=beta,
        ),
    )
    net = ScatterGather(
        k=1,
        bound=2,
        layers=layers,
        last_weights=np.zeros((3, 8), np.float32),
        last_bias=np.zeros(3, np.float32),
        readout=np.zeros((3, 8), np.int8),
    )
    eps = Fraction(EPSILON)
    # mu' + (0.25 .. 1.75 - beta) sigma' by hand; theta_1 of channel 0 is exactly 2, its own ceiling
    assert layers[1].thetas(1, 2) == [
        [2, 2 + 3 + eps, 2 + 6 + 2 * eps, 2 + 9 + 3 * eps],
        [
            -5 + Fraction(3, 8) * (1 + 2 * eps),
            -5 + Fraction(7, 8) * (1 + 2 * eps),
            -5 + Fraction(11, 8) * (1 + 2 * eps),
            -5 + Fraction(15, 8) * (1 + 2 * eps),
        ],
    ]
    population = net.to_network().population("inner")
    assert population.v_th.reshape(2, 4, 4).tolist() == [
        [[2] * 4, [6] * 4, [9] * 4, [12] * 4],
        [[-4] * 4, [-4] * 4, [-3] * 4, [-3] * 4],
    ]
    assert net.margin() == 0  # that 2


def test_thresholds_out_of_reach_stay_out_of_reach():
    """Thetas far beyond the membrane's 24 bits are clipped; the largest and the smallest sum must
    still decide as before."""
    host, conv = Conv.make((1, 1, 1), 1, (1, 1)), Conv.make((1, 1, 1), 4, (1, 1))
    one, weights = np.ones(4, np.float32), np.array([1, 1, -1, -1], np.int8).reshape(4, 1, 1, 1)
    layers = (
        Layer(
            name="host",
            conv=host,
            weights=np.ones((1, 1, 1, 1), np.float32),
            mu=one[:1],
            sigma=one[:1],
            beta=one[:1],
        ),
        Layer(
            name="inner",
            conv=conv,
            weights=weights,
            mu=np.array([1e9, -1e9, 1e9, -1e9], np.float32),
            sigma=one,
            beta=one,
        ),
    )
    net = ScatterGather(
        k=1,
        bound=2,
        layers=layers,
        last_weights=np.zeros((2, 4), np.float32),
        last_bias=np.zeros(2, np.float32),
        readout=np.zeros((2, 4), np.int8),
    )
    for count in (0, 4):
        spikes = run(net.to_network(), {"host": scatter(np.full((1, 1, 1, 1), count), 4)}).spikes[
            "inner"
        ]
        assert gather(spikes, 4, conv.target).ravel().tolist() == [0, 4, 0, 4]


def test_scatter_and_gather_undo_each_other(rng: np.random.Generator):
    counts = rng.integers(0, 5, (3, 4, 2, 5)).astype(np.uint8)
    spikes = scatter(counts, 4)
    assert spikes.shape == (3, 1, 160) and spikes.dtype == np.uint8
    assert spikes.reshape(3, 4, 4, 2, 5)[1, 2, :, 1, 3].tolist() == [
        int(counts[1, 2, 1, 3] > i) for i in range(4)
    ]
    np.testing.assert_array_equal(gather(spikes, 4, (4, 2, 5)), counts)


def test_network_is_a_pipeline_of_stateless_ternary_neurons(rng: np.random.Generator):
    net = random_net(rng, 1, 2)
    network = net.to_network(readout_on_chip=True)
    assert (
        [(n.name, n.size) for n in network.inputs] == [("conv1", 4 * 2 * 6 * 7)]
        and network.steps == 1
        and network.membrane_bits == 24
    )
    assert [(p.name, p.size, p.start) for p in network.populations] == [
        ("conv2", 4 * 3 * 4 * 8, 0),
        ("pool1", 4 * 2 * 2 * 4, 1),
        ("fc1", 4 * 5, 2),
        ("fc2", 4, 3),
    ]
    for population in network.populations:
        assert population.weight_format is WeightFormat.TERNARY and population.weight_bits == 2
        assert not population.k0.any() and not population.leak_sign.any()
        assert population.fire.all() == (population.name != "fc2")
    assert (
        network.output == "fc2"
        and network.readout == "membrane"
        and net.to_network().output == "fc1"
    )
    for edge, layer in zip(network.edges[:3], net.layers[1:], strict=True):
        c, d, i, j = (int(rng.integers(n)) for n in edge.weights.shape)
        assert edge.weights[c, d, i, j] == layer.weights[c // 4, d // 4, i, j]
    assert Network.from_bytes(network.to_bytes()).sha256() == network.sha256()


def test_last_layer_on_the_host_and_on_the_chip(rng: np.random.Generator):
    net = random_net(rng, 1, 2)
    images = rng.integers(0, 256, (40, 42)).astype(np.uint8)
    features = net.activations(net.host_counts(images))["fc1"].reshape(40, -1).astype(np.int64)
    trace = run(net.to_network(readout_on_chip=True), net.encode(images))
    np.testing.assert_array_equal(trace.membranes["fc2"][:, 0], features @ net.readout.T)
    np.testing.assert_array_equal(
        predict(net.to_network(readout_on_chip=True), trace), (features @ net.readout.T).argmax(1)
    )
    logits = features / 2 @ net.last_weights.T.astype(np.float64) + net.last_bias
    np.testing.assert_array_equal(net.classify(trace.spikes["fc1"]), logits.argmax(1))
    labels = rng.integers(0, 4, 40)
    assert accuracy(net, images, labels, batch=7) == {
        "host": (logits.argmax(1) == labels).mean(),
        "chip": ((features @ net.readout.T).argmax(1) == labels).mean(),
    }
    deaf = net.activations(np.zeros((1, 2, 6, 7), np.uint8))["fc1"].reshape(
        -1
    ) @ net.readout.T.astype(np.int64)
    assert accuracy(net, images, labels, silent=1)["chip"] == (labels == deaf.argmax()).mean()


def test_host_layer_is_full_precision(rng: np.random.Generator):
    net = random_net(rng, 1, 2)
    images = rng.integers(0, 256, (5, 42)).astype(np.uint8)
    layer, x = net.layers[0], np.pad(images.reshape(5, 6, 7) / 255.0, ((0, 0), (1, 1), (1, 1)))
    s = sum(
        layer.weights[None, :, 0, i, j, None, None].astype(float) * x[:, None, i : i + 6, j : j + 7]
        for i in range(3)
        for j in range(3)
    )
    r = (s - layer.mu[:, None, None].astype(float)) / (
        layer.sigma[:, None, None].astype(float) + 1e-6
    ) + layer.beta[:, None, None]
    np.testing.assert_array_equal(net.host_counts(images), np.clip(np.floor(2 * r + 0.5), 0, 4))
    np.testing.assert_array_equal(net.encode(images)["conv1"], scatter(net.host_counts(images), 4))


@pytest.mark.parametrize(
    "images", [np.zeros((2, 41), np.uint8), np.zeros((2, 42)), np.zeros((2, 6, 7), np.uint8)]
)
def test_wrong_images_are_refused(rng: np.random.Generator, images: np.ndarray):
    with pytest.raises(InputError, match="images must be uint8 of shape"):
        random_net(rng, 0, 1).encode(images)


def test_silence_shuts_the_same_lines_in_every_sample(rng: np.random.Generator):
    spikes = np.ones((4, 1, 200), np.uint8)
    noisy = silence(spikes, 0.1, seed=3)
    assert (noisy.sum(2) == 180).all() and (noisy == noisy[0]).all() and (spikes == 1).all()
    assert (
        (silence(spikes, 0.1, seed=4) != noisy).any()
        and (silence(spikes, 0) == spikes).all()
        and not silence(spikes, 1).any()
    )
    with pytest.raises(InputError, match="share of silent lines"):
        silence(spikes, 1.1)
