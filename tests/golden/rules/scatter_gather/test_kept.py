"""The kept LeNets: lossless, and as accurate as their files and the paper say."""

import math
from pathlib import Path

import numpy as np
import pytest

from spikeloop.golden.data.datasets import load_mnist
from spikeloop.golden.nets.files import kept_files
from spikeloop.golden.reference.integer import predict, run
from spikeloop.golden.rules.scatter_gather.counts import gather, scatter
from spikeloop.golden.rules.scatter_gather.net import checkpoint
from spikeloop.golden.rules.scatter_gather.train import MODELS
from spikeloop.pysim.common.errors import InputError
from tests.golden.rules.scatter_gather.nets import assert_lossless

PUBLISHED = {1: 0.9927, 2: 0.9932, 4: 0.9937}  # Zou et al., section 4.2 and Table 4


KEPT = sorted(int(name.rsplit("-", 1)[1]) for name in kept_files("zou-lenet-"))


@pytest.mark.parametrize("spikes", KEPT)
def test_kept_lenet_is_lossless(spikes: int):
    net = checkpoint(f"zou-lenet-{spikes}")
    assert (net.k, net.bound) == MODELS[
        spikes
    ] and net.margin() > 1e-9  # float64 then decides as exact numbers do
    counts = net.host_counts(load_mnist().test_images[:40])
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
def test_kept_lenet_on_a_fifth_of_mnist(spikes: int, shared_data: Path):
    """On every fifth of the 10,000 test images the answers of the activations are as often right as
    the file says of all, within 0.5 points; the file is within 0.3 points of the paper. On a tenth
    of these each activation is a spike count, and the answers are those of the spikes."""
    mnist, net = load_mnist(shared_data / "mnist"), checkpoint(f"zou-lenet-{spikes}")
    fifth = slice(None, None, 5)
    test_images, test_labels = mnist.test_images[fifth], mnist.test_labels[fifth]
    network, right = net.to_network(readout_on_chip=True), {"host": 0, "chip": 0}
    tenth, compared = slice(None, None, 10), 0
    for at in range(0, len(test_labels), 500):
        images, labels = test_images[at : at + 500], test_labels[at : at + 500]
        counts = net.host_counts(images)
        activations = net.activations(counts)
        features = activations["fc1"].reshape(len(images), -1).astype(np.int64)
        answers = {
            "host": net.classify(scatter(activations["fc1"], spikes)),
            "chip": (features @ net.readout.T).argmax(1),
        }
        trace = run(network, {"conv1": scatter(counts[tenth], spikes)})
        for layer in net.layers[1:]:
            got = gather(trace.spikes[layer.name], spikes, layer.conv.target)
            np.testing.assert_array_equal(got, activations[layer.name][tenth], layer.name)
            compared += got.size
        np.testing.assert_array_equal(net.classify(trace.spikes["fc1"]), answers["host"][tenth])
        np.testing.assert_array_equal(predict(network, trace), answers["chip"][tenth])
        for key, answer in answers.items():
            right[key] += int((answer == labels).sum())
    print(f"{spikes} spikes: {compared:,} activations compared, {right} of 2,000 right")
    assert compared == 200 * sum(math.prod(layer.conv.target) for layer in net.layers[1:])
    for key, of_all in net.metadata["accuracy"].items():
        assert abs(right[key] / len(test_labels) - of_all) < 0.005, key
    assert net.metadata["accuracy"]["host"] >= PUBLISHED[spikes] - 0.003
