"""The residual CNN of explicit current control on a small instance: trained, converted, run on the
RTL. About 7 CPU-seconds."""

from dataclasses import replace

import numpy as np
import pytest

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.reference.integer import predict, run
from spikeloop.golden.rules.ecc.net import IMAGE
from spikeloop.golden.rules.ecc.train import EccConfig, train
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from tests.make.rule_nets import check_same_bits, compare_on_rtl, small_mnist

SMALL = EccConfig(channels=(4, 6), steps=12, planes=2, epochs=6, batch=32, shift=0, lr=2e-2)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return small_mnist(12, 12, edge=2, train=1000)


@pytest.fixture(scope="module")
def network(data: Dataset) -> Network:
    return train(SMALL, data, progress=False)


def test_it_learns_and_the_conversion_keeps_it(network: Network, data: Dataset):
    about = network.metadata
    assert (
        about["accuracy_float"] > 0.6 and about["accuracy_integer"] > about["accuracy_float"] - 0.1
    )  # chance is 0.1
    assert Encoder(**about["encoder"]) == SMALL.encoder and about["rule"] == "ecc"
    trace = run(network, {IMAGE: SMALL.encoder(data.test_images)})
    assert (predict(network, trace) == data.test_labels).mean() == about["accuracy_integer"]
    assert [(e.source, e.target) for e in network.edges] == [
        (IMAGE, "conv1"),
        ("conv1", "conv2"),
        ("conv2", "conv3"),
        ("conv3", "conv4"),
        ("conv2", "conv4"),
        ("conv4", "output"),
    ]
    assert network.edges[1].conv.kernel == (6, 6)  # 3 x 3 behind a folded pooling of 2 x 2


def test_the_rtl_runs_it(network: Network, data: Dataset):
    compare_on_rtl(network, data.test_images[:20])


def test_two_trainings_and_a_resumed_one_give_the_same_bits(data: Dataset, tmp_path):
    check_same_bits(train, replace(SMALL, epochs=1), data, tmp_path)


def test_wrong_settings_are_refused(data: Dataset):
    for change, message in (
        ({"clip": -1.0}, "clip of the training must be a number of at least 0"),
        ({"planes": 9}, r"bits of a pixel must be in 1\.\.8, not 9"),
    ):
        with pytest.raises(InputError, match=message):
            replace(SMALL, **change)
    odd = replace(
        data, train_images=np.zeros((5, 48), np.uint8), train_labels=data.train_labels[:5]
    )
    with pytest.raises(InputError, match="images of this net must be square, not of 48 pixels"):
        train(SMALL, odd, progress=False)
    with pytest.raises(
        InputError, match=r"images of this net must have a side of 12, 20, 28, \.\.\. pixels, not 7"
    ):
        train(SMALL, replace(odd, train_images=np.zeros((5, 49), np.uint8)), progress=False)
