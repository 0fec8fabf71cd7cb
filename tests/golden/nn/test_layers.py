"""spikeloop.nn: layers and neurons give the integer network's spikes; it learns; refusals."""

from typing import Any

import numpy as np
import pytest
import torch

from spikeloop.golden.nn.layers import LIF, AvgPool2d, Conv1d, Conv2d, Linear, MaxPool2d, sequential
from spikeloop.golden.nn.model import IntegerModel, from_float
from spikeloop.golden.quantize.scales import best_scale, with_bits
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.common.errors import InputError

NEURONS: dict[str, dict[str, Any]] = {
    "integrate": {},
    "leak": {"leak": 0.9},
    "forget": {"leak": 0.0},
    "hard": {"leak": 0.875, "reset": "hard", "v_reset": -0.25},
    "none": {"leak": 0.5, "reset": "none"},
    "toward zero": {"leak": 0.75, "rounding": "toward_zero"},
    "at least one": {"leak": 0.75, "rounding": "at_least_one"},
    "clip": {"leak": 0.9, "low": ("clip", -0.1)},
    "bounce": {"leak": 0.9, "low": ("reset", -0.1, 0.2)},
    "lift": {"leak": 0.9, "low": ("add", -0.1, 0.3)},
    "refractory": {"leak": 0.9, "refractory": 2},
    "held": {"leak": 0.9, "refractory": 2, "hold": True, "v_reset": 0.1},
    "rectify": {"leak": 0.9, "rectify": True},
    "recurrent": {"leak": 0.9, "recurrent": True},
    "pages": {"leak": [0.9, 0.5, 1.0], "threshold": [0.2, 0.4, 0.3]},
    "read-out": {"leak": 0.9, "fires": False},
}


def equals_the_reference(model: IntegerModel, x: torch.Tensor) -> dict[str, float]:
    """Every spike and membrane of ``model`` and of its network; the rates of the populations."""
    network = model.to_network()
    want = run(network, {"input": x.flatten(2).numpy().astype(np.uint8)})
    with torch.no_grad():
        got = model.run(x)
    for name in want.spikes:
        assert np.array_equal(got.spikes[name].numpy(), want.spikes[name])
        assert np.array_equal(got.membranes[name].numpy(), want.membranes[name])
        for mine, other in ((got.synaptic, want.synaptic), (got.adaptations, want.adaptations)):
            if name in mine:
                assert np.array_equal(mine[name].numpy(), other[name]) and other[name].any()
            else:
                assert name not in other or not other[name].any()
    return {name: float(spikes.mean()) for name, spikes in want.spikes.items()}


def spikes(*shape: int) -> torch.Tensor:
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(3)) < 0.5).float()


@pytest.mark.parametrize("name", NEURONS)
def test_neurons_are_those_of_the_contract(name: str) -> None:
    given = {"threshold": 0.3} | NEURONS[name]
    model = sequential(Linear(12, 9), LIF(**given), input=(12,), steps=8)
    rates = equals_the_reference(model, spikes(6, 8, 12))
    assert name == "read-out" or all(0 < rate < 1 for rate in rates.values())
    assert model(spikes(2, 8, 12)).shape == (2, 8, 9)


STACKS: dict[str, tuple[tuple[Any, ...], tuple[int, ...]]] = {
    "mixed widths": (
        (Linear(8, 9, bits=8), LIF(threshold=0.3), Linear(9, 4, bits=2), LIF(threshold=0.3)),
        (8,),
    ),
    "convolution": (
        (
            Conv2d(2, 3, 3, padding=1, bits=5),
            LIF(threshold=0.3),
            Conv2d(3, 3, 2, stride=2, groups=3),
            LIF(threshold=0.2),
        ),
        (2, 6, 6),
    ),
    "or pool": (
        (Conv2d(1, 3, 3), LIF(threshold=0.3), MaxPool2d(2), Linear(12, 3), LIF(threshold=0.2)),
        (1, 6, 6),
    ),
    "mean before dense": (
        (
            Conv2d(1, 3, 3),
            LIF(threshold=0.3),
            AvgPool2d(2),
            Linear(12, 12, bias=False),
            LIF(threshold=0.03),
        ),
        (1, 6, 6),
    ),
    "mean before convolution": (
        (Conv2d(1, 3, 3), LIF(threshold=0.3), AvgPool2d(2), Conv2d(3, 4, 2), LIF(threshold=0.1)),
        (1, 6, 6),
    ),
    "length": (
        (
            Conv1d(2, 3, 3, padding=1),
            LIF(threshold=0.3),
            Linear(30, 4, bias=False),
            LIF(threshold=0.2),
        ),
        (2, 10),
    ),
}


@pytest.mark.parametrize("name", STACKS)
def test_layers_are_those_of_the_network(name: str) -> None:
    layers, shape = STACKS[name]
    rates = equals_the_reference(sequential(*layers, input=shape, steps=6), spikes(5, 6, *shape))
    assert all(0 < rate < 1 for rate in rates.values())


def test_a_pool_of_the_mean_is_the_mean() -> None:
    """The wide weights of the network are the small ones, each in its window."""
    model = sequential(
        Conv2d(1, 2, 1),
        LIF(threshold=0.1),
        AvgPool2d(2),
        Linear(8, 3),
        LIF(),
        input=(1, 4, 4),
        steps=2,
    )
    edge = model.to_network().edges[1]
    small = (model.synapses["1"].weight * model.scales["layer2"]).reshape(8, 3)
    wide = edge.weights.reshape(2, 4, 4, 3)
    for channel, y, x in ((0, 0, 0), (1, 3, 2), (1, 1, 1)):
        line = channel * 4 + (y // 2) * 2 + x // 2
        assert np.array_equal(wide[channel, y, x], np.rint(small[line].detach().numpy()))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_training_learns_and_stays_exact(bits: int) -> None:
    """Which half of the lines is busier: learnt, and still the integers' own spikes."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    rates = np.where(np.arange(16) // 8 == labels[:, None], 0.5, 0.2)
    x = torch.as_tensor((rng.random((6, 200, 16)) < rates).astype(np.float32)).transpose(0, 1)
    y = torch.as_tensor(labels)
    model = sequential(
        Linear(16, 12, bits=bits), LIF(leak=0.875), Linear(12, 2, bits=bits), LIF(leak=0.875),
        input=(16,), steps=6,
    )  # fmt: skip
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(40):
        loss = torch.nn.functional.cross_entropy(model(x).sum(1), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    accuracy = float((model(x).sum(1).argmax(1) == y).float().mean())
    assert accuracy > 0.85
    equals_the_reference(model, x)


def test_gradients_are_those_of_the_smooth_step() -> None:
    """By hand: one line, one neuron that integrates, one step."""
    model = sequential(Linear(1, 1, bias=False, bits=8), LIF(threshold=2.0), input=(1,), steps=1)
    with torch.no_grad():
        model.synapses["0"].weight.fill_(1.0)
    scale = model.scales["layer1"]
    model(torch.ones(1, 1, 1)).sum().backward()
    u = np.rint(scale).clip(-128, 127)
    v_th = float(model.network.populations[0].v_th[0, 0])
    width = 0.5 * v_th
    slope = 1 / (width * (1 + abs(u - v_th) / width) ** 2)
    grad = model.synapses["0"].weight.grad
    assert grad is not None
    inside = abs(scale) <= 127
    assert float(grad) == pytest.approx(slope * scale if inside else 0.0, rel=1e-5)


def test_from_float_keeps_the_weights_and_takes_the_bits() -> None:
    snn = pytest.importorskip(
        "snntorch", reason="package snntorch is not installed: pip install snntorch"
    )
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(10, 8), snn.Leaky(0.875, threshold=0.4, init_hidden=True),
        torch.nn.Linear(8, 3), snn.Leaky(0.875, threshold=0.3, init_hidden=True),
    )  # fmt: skip
    model = from_float(net, bits={"n1": 8, "n3": 3}, steps=6)
    widths = {p.name: p.weight_bits for p in model.to_network().populations}
    assert widths == {"n1": 8, "n3": 3}
    weight = model.synapses["0"].weight.detach().numpy()
    assert np.allclose(weight, net[0].weight.detach().numpy().T, atol=1e-3)
    equals_the_reference(model, spikes(5, 6, 10))


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_the_best_scale_beats_the_largest_weight(bits: int, rng: np.random.Generator) -> None:
    weights = rng.normal(size=2000)
    limit = (1 << (bits - 1)) - 1

    def error(scale: float) -> float:
        whole = np.clip(np.rint(weights * scale), -limit - 1, limit)
        return float(((whole / scale - weights) ** 2).mean())

    assert error(best_scale(weights, bits)) <= error(limit / np.abs(weights).max())
    assert best_scale(np.zeros(3), bits) == 1.0


def test_other_bits_keep_the_function() -> None:
    """16 bits and 12 bits differ in few spikes; thresholds follow the scale."""
    model = sequential(Linear(12, 9, bits=16), LIF(leak=0.875, threshold=0.3), input=(12,), steps=8)
    network = model.to_network()
    other = with_bits(network, 12)
    x = {"input": spikes(20, 8, 12).numpy().astype(np.uint8)}
    one, two = (run(n, x).spikes["layer1"] for n in (network, other))
    assert (one != two).mean() < 0.01 and other.populations[0].weight_bits == 12
    ratio = other.populations[0].v_th / network.populations[0].v_th
    scales = other.metadata["scales"]["layer1"] / network.metadata["scales"]["layer1"]
    assert np.allclose(ratio, scales, rtol=1e-2)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ((Linear(12, 3),), "last layer must be neurons"),
        ((LIF(),), "layer 0 must follow synapses"),
        ((Linear(11, 3), LIF()), "layer 0 must take the 12 lines in front of it, not 11"),
        ((Linear(12, 3), Linear(3, 3), LIF()), "must follow one group of synapses"),
        ((Conv2d(1, 2, 3), LIF()), r"must take 1 channels of a map, not the shape \(12,\)"),
        ((MaxPool2d(2), Linear(3, 3), LIF()), "must divide the map"),
        ((Linear(12, 3, bits=1), LIF()), "bits of a weight must be in 2..16, not 1"),
        (
            (Linear(12, 3), LIF(reset="late")),
            "reset of LIF must be one of hard, soft, none, not 'late'",
        ),
        ((Linear(12, 3), LIF(leak=[0.5, 0.5], threshold=[1.0, 1.0, 1.0])), "as many pages"),
    ],
)
def test_what_does_not_fit_is_named(layers: tuple[Any, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        sequential(*layers, input=(12,), steps=4)


def test_inputs_are_checked() -> None:
    model = sequential(Linear(12, 3), LIF(), input=(12,), steps=4)
    with pytest.raises(InputError, match=r"of shape \[sample, step, 12\], not \(2, 4, 11\)"):
        model(torch.zeros(2, 4, 11))


def test_sums_that_float32_does_not_hold_are_refused() -> None:
    model = sequential(Linear(600, 2, bits=16), LIF(), input=(600,), steps=2, membrane_bits=32)
    with pytest.raises(InputError, match=r"call model.double\(\)"):
        model(torch.ones(1, 2, 600))
    equals_the_reference(model.double(), torch.ones(1, 2, 600).double())
