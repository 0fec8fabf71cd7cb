"""Training of scatter-and-gather nets: the estimators, the LeNet, short trainings."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.rules.scatter_gather.counts import scatter
from spikeloop.golden.rules.scatter_gather.train import (
    MODELS,
    ScatterGatherConfig,
    _Quantise,
    _ternary,
    accuracy,
    lenet,
    train,
    vgg,
)
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.mapping.published import layers as published
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.golden.rules.scatter_gather.nets import CONVS, assert_lossless
from tests.make.rule_nets import small_mnist, spikes_on_rtl


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


def test_vgg_is_the_papers():
    """64C3 x 3-2P2-128C3 x 2-2P2-256C3 x 2-2P2-512C3 x 2 on 24 x 24 (section 4.1)."""
    layers = vgg()
    assert list(layers) == [
        *("conv1", "conv2", "conv3", "pool1", "conv4", "conv5", "pool2"),
        *("conv6", "conv7", "pool3", "conv8", "conv9"),
    ]
    maps = [(64, 24)] * 3 + [(64, 12)] + [(128, 12)] * 2 + [(128, 6)] + [(256, 6)] * 2
    assert [c.target[::2] for c in layers.values()] == [*maps, (256, 3), (512, 3), (512, 1)]
    assert sum(math.prod(c.target) for c in list(layers.values())[1:]) == 150_272
    assert all(a.target == b.source for a, b in pairwise(layers.values()))
    mapped = [layer.sources for layer in published("zou-vgg-1") if layer.on_chip]
    assert [(conv,) for conv in list(layers.values())[1:]] == mapped


@pytest.fixture(scope="module")
def data() -> Dataset:
    return small_mnist(28, 28, train=1600)


CHIP = PRESETS["full"].replace(extension=4)
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
    network = net.to_network(readout_on_chip=True)
    spikes_on_rtl(network, Stimulus.pack(net.encode(data.test_images[:2])), CHIP)


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
