"""Scatter-and-gather: every activation of the quantised ANN is a spike count of the integer net.

Three writings meet: the ANN in rational numbers (below, by Eqs 1, 2 and 6 alone, no thresholds),
the ANN in float64, and the integer net.
"""

import math
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from spikeloop.golden.data.datasets import Dataset, load_mnist
from spikeloop.golden.reference.integer import predict, run, run_chunks
from spikeloop.golden.rules.scatter_gather.counts import gather, quantise, scatter, silence
from spikeloop.golden.rules.scatter_gather.layer import EPSILON, Layer
from spikeloop.golden.rules.scatter_gather.net import CHECKPOINTS, ScatterGather, checkpoint, load
from spikeloop.golden.rules.scatter_gather.train import (
    MODELS,
    ScatterGatherConfig,
    _Quantise,
    _ternary,
    accuracy,
    lenet,
    train,
)
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import WeightFormat
from spikeloop.pysim.network.graph import Network

PUBLISHED = {1: 0.9927, 2: 0.9932, 4: 0.9937}  # Zou et al., section 4.2 and Table 4
KEPT = sorted(
    int(path.stem.rsplit("-", 1)[1]) for path in CHECKPOINTS.glob("zou-lenet-*.safetensors")
)
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


# -- file ------------------------------------------------------------------------------------------


def test_file_round_trip(rng: np.random.Generator, tmp_path: Path):
    net = random_net(rng, 1, 2).with_metadata(made="here")
    first = net.save(tmp_path / "net.safetensors").read_bytes()
    again = load(tmp_path / "net.safetensors")
    assert again.save(tmp_path / "again.safetensors").read_bytes() == first
    assert (
        again.metadata == {"made": "here"}
        and again.to_network().sha256() == net.to_network().sha256()
    )


def test_damaged_files_are_refused(rng: np.random.Generator, tmp_path: Path):
    path = random_net(rng, 0, 1).save(tmp_path / "net.safetensors")
    data = path.read_bytes()
    for bad in (
        b"",
        data[:100],
        data[:-1],
        data.replace(b"spikeloop_scatter_gather", b"spikeloop_scatter_gathes"),
    ):
        path.write_bytes(bad)
        with pytest.raises(InputError, match="must be a safetensors file written by"):
            load(path)
    path.write_bytes(data.replace(b'\\"version\\": 1', b'\\"version\\": 9'))
    with pytest.raises(InputError, match="must be of version 1, not 9"):
        load(path)
    path.write_bytes(data.replace(b'\\"bound\\"', b'\\"bounc\\"'))
    with pytest.raises(InputError, match="must be complete, not without 'bound'"):
        load(path)
    with pytest.raises(InputError, match="must be readable"):
        load(tmp_path / "absent")


def test_unsound_nets_are_refused(rng: np.random.Generator):
    net = random_net(rng, 0, 1)
    first, second, *rest = net.layers

    def with_second(**parts: object) -> dict[str, object]:
        return {"layers": (first, replace(second, **parts), *rest)}  # type: ignore[arg-type]

    for parts, words in (
        ({"k": 5}, "k of a scatter-and-gather net must be in 0..4, not 5"),
        ({"bound": 0}, "bound .* must be in 1..16, not 0"),
        ({"layers": net.layers[:1]}, "two or more layers"),
        ({"layers": (first, *rest)}, "source of layer 'pool1' must be the whole map"),
        (with_second(weights=second.weights * 2), "must be ternary"),
        (with_second(weights=second.weights.astype(np.float32)), "must be int8"),
        (with_second(sigma=-1 - second.sigma), "sigma of layer 'conv2' must be at least 0"),
        (with_second(beta=second.beta * np.nan), "beta of layer 'conv2' must be finite"),
        ({"readout": net.readout[:, 1:]}, "readout must be int8 of shape"),
    ):
        with pytest.raises(InputError, match=words):
            replace(net, **parts)  # type: ignore[arg-type]


# -- training --------------------------------------------------------------------------------------


def test_straight_through_estimators():
    weight = torch.tensor(
        [0.5, -0.5, 0.1, -0.1, 0.36], requires_grad=True
    )  # 0.7 mean |W| is 0.2184
    ternary = _ternary(weight)
    ternary.backward(torch.arange(5.0))
    assert (
        ternary.round().tolist() == [1, -1, 0, 0, 1]
        and weight.grad is not None
        and weight.grad.tolist() == [0, 1, 2, 3, 4]
    )
    torch.testing.assert_close(ternary, ternary.round())
    r = torch.tensor([-0.1, 0.2, 0.3, 1.9, 2.1], requires_grad=True)
    y = _Quantise.apply(r, 1, 2)
    y.backward(torch.ones(5))
    assert (
        y.tolist() == [0, 0, 0.5, 2, 2]
        and r.grad is not None
        and r.grad.tolist() == [0, 1, 1, 1, 0]
    )


def test_lenet_is_the_papers():
    layers = lenet()
    assert [c.target for c in layers.values()] == [
        (16, 28, 28),
        (16, 24, 24),
        (16, 12, 12),
        (32, 8, 8),
        (32, 4, 4),
        (256, 1, 1),
    ]
    assert all(a.target == b.source for a, b in pairwise(layers.values()))


@pytest.fixture(scope="module")
def data() -> Dataset:
    whole = load_mnist()
    return replace(
        whole,
        train_images=whole.train_images[:1600],
        train_labels=whole.train_labels[:1600],
        test_images=whole.test_images[:500],
        test_labels=whole.test_labels[:500],
    )


SMALL = {
    "conv1": Conv.make((1, 28, 28), 6, (5, 5), stride=(3, 3)),
    "pool1": Conv.make((6, 8, 8), 12, (2, 2), stride=(2, 2)),
    "fc1": Conv.make((12, 4, 4), 64, (4, 4)),
}


@pytest.mark.parametrize("spikes", MODELS)
def test_short_training_learns_and_its_spikes_are_its_activations(
    data: Dataset, spikes: int, tmp_path: Path
):
    config = ScatterGatherConfig(
        k=MODELS[spikes][0], bound=MODELS[spikes][1], epochs=4, batch=32, lr=4e-3, shift=0
    )
    net = train(config, data, layers=SMALL, progress=False)
    assert (
        net.copies == spikes
        and net.metadata["training"]["epochs"] == 4
        and len(net.metadata["curve"]) == 4
    )
    assert net.metadata["dataset"] == {"source": data.source, "train": 1600, "test": 500}
    assert net.metadata["accuracy"] == accuracy(net, data.test_images, data.test_labels)
    assert (
        net.metadata["accuracy"]["host"] > 0.7 and net.metadata["accuracy"]["chip"] > 0.5
    )  # chance is 0.1
    assert (
        abs(net.metadata["curve"][-1] - net.metadata["accuracy"]["host"]) < 0.01
    )  # float32 and 1e-6 apart
    counts = net.host_counts(data.test_images)
    assert_lossless(net, net.to_network(), {"conv1": scatter(counts, spikes)}, counts, "seed 0")


def test_one_seed_gives_the_same_bits(data: Dataset, tmp_path: Path):
    config = ScatterGatherConfig(epochs=1)
    first, again, other = (
        train(c, data, layers=SMALL, progress=False).save(tmp_path / "net").read_bytes()
        for c in (config, config, replace(config, seed=1))
    )
    assert first == again != other


def test_impossible_trainings_are_refused(data: Dataset):
    for parts, words in (
        ({"k": -1}, "k of the training"),
        ({"batch": 1}, "batch of the training"),
        ({"lr": -1.0}, "lr of the training"),
    ):
        with pytest.raises(InputError, match=words):
            ScatterGatherConfig(**parts)
    with pytest.raises(InputError, match="images for this net must have 42 pixels, not 784"):
        train(ScatterGatherConfig(), data, layers=CONVS, progress=False)
    with pytest.raises(InputError, match="at most the 1600 training images"):
        train(ScatterGatherConfig(batch=2000), data, layers=SMALL, progress=False)
    with pytest.raises(InputError, match="layers must chain"):
        train(
            ScatterGatherConfig(),
            data,
            layers={key: SMALL[key] for key in ("conv1", "fc1")},
            progress=False,
        )


# -- the kept nets ---------------------------------------------------------------------------------


@pytest.mark.parametrize("spikes", KEPT)
def test_kept_lenet_is_lossless(spikes: int, data: Dataset):
    net = checkpoint(f"zou-lenet-{spikes}")
    assert (net.k, net.bound) == MODELS[
        spikes
    ] and net.margin() > 1e-9  # float64 then decides as exact numbers do
    counts = net.host_counts(data.test_images[:40])
    compared = assert_lossless(
        net, net.to_network(), {"conv1": scatter(counts, spikes)}, counts, "embedded images"
    )
    assert compared == 40 * 14336


def test_unknown_checkpoint_is_refused():
    with pytest.raises(
        InputError, match=r"checkpoint must be one of .*zou-lenet-4.*, not 'zou-lenet-3'"
    ):
        checkpoint("zou-lenet-3")


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("spikes", KEPT)
def test_kept_lenet_on_all_of_mnist(spikes: int, shared_data: Path):
    """All 10,000 test images: every activation is a spike count, and the accuracy is that of the
    file, within 0.3 points of the paper's."""
    mnist, net = load_mnist(shared_data / "mnist"), checkpoint(f"zou-lenet-{spikes}")
    network, right = net.to_network(readout_on_chip=True), {"host": 0, "chip": 0}
    for at in range(0, len(mnist.test_labels), 250):
        images, labels = mnist.test_images[at : at + 250], mnist.test_labels[at : at + 250]
        counts = net.host_counts(images)
        activations = net.activations(counts)
        (trace,) = run_chunks(network, {"conv1": scatter(counts, spikes)}, batch=250)
        for layer in net.layers[1:]:
            np.testing.assert_array_equal(
                gather(trace.spikes[layer.name], spikes, layer.conv.target),
                activations[layer.name],
                layer.name,
            )
        right["host"] += int((net.classify(trace.spikes["fc1"]) == labels).sum())
        right["chip"] += int((predict(network, trace) == labels).sum())
    assert {key: n / len(mnist.test_labels) for key, n in right.items()} == net.metadata["accuracy"]
    assert right["host"] / len(mnist.test_labels) >= PUBLISHED[spikes] - 0.003
