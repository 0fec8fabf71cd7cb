"""golden/nn: forward is the integer network, every spike and membrane; and back to a network."""

import numpy as np
import pytest
import torch

from spikeloop.golden.nn.model import IntegerModel
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from tests.make.networks import random_network


def inputs_of(network: Network, samples: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    shape = samples, network.steps
    return {
        node.name: (rng.random((*shape, node.size)) < 0.4).astype(np.uint8)
        for node in network.inputs
    }


@pytest.mark.parametrize("seed", range(60))
def test_forward_is_the_reference(seed: int) -> None:
    """Random networks with every feature: all spikes and membranes, then the same network."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, PRESETS["tiny"])
    inputs = inputs_of(network, 3, rng)
    want = run(network, inputs)
    model = IntegerModel(network).double()
    with torch.no_grad():
        got = model.run({name: torch.as_tensor(x).double() for name, x in inputs.items()})
    for p in network.populations:
        assert np.array_equal(got.spikes[p.name].numpy(), want.spikes[p.name])
        assert np.array_equal(got.membranes[p.name].numpy(), want.membranes[p.name])
    back = model.to_network()
    for one, other in zip(network.edges, back.edges, strict=True):
        assert np.array_equal(one.weights, other.weights)
    for one, other in zip(network.populations, back.populations, strict=True):
        assert np.array_equal(one.bias, other.bias)


def test_a_trained_bias_beyond_float32_is_refused(rng: np.random.Generator) -> None:
    """The bias that forward uses decides, not the one that the network came with."""
    network = Network(
        name="net",
        inputs=(Input(name="x", size=4),),
        populations=(Population.make("out", 3, weight_bits=4, v_th=5),),
        edges=(Edge(source="x", target="out", weights=np.ones((4, 3), np.int32)),),
        steps=2,
        output="out",
        membrane_bits=16,
        metadata={"scales": {"out": 8.0}},
    )
    model = IntegerModel(network)
    spikes = torch.as_tensor(inputs_of(network, 3, rng)["x"])
    with torch.no_grad():
        model(spikes)
        model.biases["out"][0, 1] = -(2.0**21)  # 2^24 units of the membrane
        with pytest.raises(InputError, match=r"sums of population 'out' must stay below 2\^24"):
            model(spikes)
        model.double()(spikes)
