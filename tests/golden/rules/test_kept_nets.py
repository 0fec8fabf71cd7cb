"""The nets that BPSR and BPSA keep: their files say what they are, and score what they say."""

from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.flow.pretrained import load
from spikeloop.golden.data.datasets import load_mnist
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.reference.integer import predict, run
from spikeloop.golden.rules.structure import structure, synapses

NAMES = ("bpsr-mnist", "bpsr-mnist-4bit", "bpsr-flat", "bpsa-mnist", "bpsa-middle")
IMAGES = 300


@pytest.mark.parametrize("name", NAMES)
def test_kept_nets_are_what_their_metadata_say(name: str, shared_data: Path):
    network = load(name).network
    about = network.metadata
    assert about["rule"] == name.partition("-")[0] and about["training"]["epochs"] == len(
        about["curve"]
    )
    layers = structure(about["training"]["structure"], (1, 28, 28))
    assert [p.size for p in network.populations][: len(layers)] == [layer.size for layer in layers]
    left = sum(  # of the lines of a grey value, the last one has the largest weights
        int(edge.fanout()[-layers[0].inputs :].sum())
        if edge.source == "input"
        else int(edge.fanout().sum())
        for edge in network.edges
        if edge.target != "vote"
    )
    if about["rule"] == "bpsr":
        assert (
            synapses(layers)
            == about["synapses_dense"]
            == (98600 if name == "bpsr-flat" else 108600)
        )
        assert (
            0.7 * about["synapses"] < left <= about["synapses"] < 80000
        )  # PTQ rounds some to 0 as well, more with 4 bits
    else:
        # rounding to 8 bits makes one in a hundred 0
        assert 0.988 * about["synapses"] < left <= about["synapses"] == synapses(layers)
    data = load_mnist(shared_data / "mnist")
    assert data.source == about["dataset"]["source"]
    spikes = Encoder(**about["encoder"])(data.test_images[:IMAGES])
    classes = predict(network, run(network, {"input": spikes}))
    score = float(np.mean(classes == data.test_labels[:IMAGES]))
    # 300 of the 10,000 images: four standard deviations of a share of 0.97 are 0.04
    assert abs(score - about["accuracy_integer"]) < 0.04 and about["accuracy_integer"] > 0.95
