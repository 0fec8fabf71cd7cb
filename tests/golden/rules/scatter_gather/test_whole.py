"""A scatter-and-gather net whose first layer is on the chip too: the chip's counts are exactly
those of the quantised ANN."""

from pathlib import Path

import numpy as np
import pytest

from spikeloop.golden.data.datasets import load_mnist
from spikeloop.golden.reference.integer import predict, run
from spikeloop.golden.rules.scatter_gather.counts import gather
from spikeloop.golden.rules.scatter_gather.net import checkpoint
from spikeloop.golden.rules.scatter_gather.whole import encode, first_counts, to_network
from spikeloop.pysim.common.errors import InputError
from tests.golden.rules.scatter_gather.test_net import random_net


@pytest.mark.parametrize(("planes", "bits"), [(1, 2), (3, 5), (8, 8)])
@pytest.mark.parametrize(("k", "bound"), [(0, 1), (1, 2)])
def test_every_layer_equals_the_ann(
    k: int, bound: int, planes: int, bits: int, rng: np.random.Generator
) -> None:
    net = random_net(rng, k, bound)
    images = rng.integers(0, 256, (60, 42)).astype(np.uint8)
    images[0], images[1] = 0, 255
    network = to_network(net, planes=planes, bits=bits)
    assert (
        network.populations[0].weight_bits == planes + bits - 1
        and network.inputs[0].size == planes * 42
    )
    trace = run(network, encode(net, images, planes=planes))
    counts = first_counts(net, images, planes=planes, bits=bits)
    assert 0 < counts.mean() < net.copies
    for layer, expected in (
        (net.layers[0], counts),
        *((x, net.activations(counts)[x.name]) for x in net.layers[1:]),
    ):
        np.testing.assert_array_equal(
            gather(trace.spikes[layer.name], net.copies, layer.conv.target),
            expected,
            err_msg=layer.name,
        )


def test_the_kept_net_is_lossless_on_the_embedded_images() -> None:
    net, images = checkpoint("zou-lenet-4"), load_mnist(None).test_images[:200]
    trace = run(to_network(net), encode(net, images))
    counts = first_counts(net, images)
    np.testing.assert_array_equal(
        gather(trace.spikes["conv1"], 4, net.layers[0].conv.target), counts
    )
    features = net.activations(counts)["fc1"].reshape(len(images), -1).astype(np.int64)
    np.testing.assert_array_equal(
        predict(to_network(net), trace), (features @ net.readout.T).argmax(1)
    )


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(("planes", "bits", "least"), [(4, 4, 0.991), (3, 3, 0.985)])
def test_accuracy_on_a_fifth_of_mnist(
    planes: int, bits: int, least: float, shared_data: Path
) -> None:
    net, data, right = checkpoint("zou-lenet-4"), load_mnist(shared_data / "mnist"), 0
    test_images, test_labels = data.test_images[::5], data.test_labels[::5]
    for at in range(0, len(test_images), 500):
        images, labels = test_images[at : at + 500], test_labels[at : at + 500]
        features = (
            net.activations(first_counts(net, images, planes=planes, bits=bits))["fc1"]
            .reshape(len(images), -1)
            .astype(np.int64)
        )
        right += int(((features @ net.readout.T).argmax(1) == labels).sum())
    print(f"{planes} planes, {bits} bits: {right} of {len(test_labels)} right")
    assert right >= least * len(test_labels)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"planes": 0}, "planes of the first layer must be in 1..8, not 0"),
        ({"bits": 9}, "bits of the first layer must be in 2..8, not 9"),
    ],
)
def test_refused(given: dict[str, int], sentence: str, rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match=sentence):
        to_network(random_net(rng, 1, 2), **given)
