"""spikeloop.nn: neurons with a current and an adaptation are those of the network; they learn."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from spikeloop.golden.nn.layers import ALIF, LIF, CubaALIF, CubaLIF, Linear, sequential
from spikeloop.golden.nn.model import IntegerModel
from spikeloop.golden.quantize.scales import with_bits
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import StateUse
from tests.golden.nn.test_layers import equals_the_reference, spikes
from tests.golden.reference.test_integer import random_inputs, random_network
from tests.golden.reference.test_states import with_states

NEURONS: dict[str, LIF] = {
    "current": CubaLIF(leak=0.875),
    "old current": CubaLIF(leak=0.875, current_order="old"),
    "current of three terms": CubaLIF(leak=0.9, current_decay=0.83, reset="hard"),
    "current that stays": CubaLIF(leak=0.5, current_decay=1.0, low=("clip", -0.5)),
    "current toward zero": CubaLIF(leak=0.9, rounding="toward_zero"),
    "current pages": CubaLIF(leak=0.9, current_decay=[0.5, 0.75, 0.25]),
    "current read-out": CubaLIF(leak=0.9, fires=False),
    "recurrent current": CubaLIF(leak=0.875, recurrent=True),
    "adaptation": ALIF(leak=0.9),
    "old adaptation": ALIF(leak=0.9, adaptation_order="old", adaptation_reset=True),
    "adaptation that stays": ALIF(leak=0.9, adaptation_decay=1.0, reset="none"),
    "adaptation, refractory": ALIF(leak=0.9, refractory=2, hold=True),
    "recurrent adaptation": ALIF(leak=0.9, recurrent=True, adaptation_decay=[0.75, 0.9]),
    "both": CubaALIF(leak=0.9),
    "recurrent, both": CubaALIF(leak=0.9, recurrent=True, current_order="old"),
}


@pytest.mark.parametrize("name", NEURONS)
def test_neurons_are_those_of_the_contract(name: str) -> None:
    neurons = replace(NEURONS[name], threshold=0.3)
    model = sequential(Linear(12, 9), neurons, input=(12,), steps=8)
    rates = equals_the_reference(model, spikes(6, 8, 12))
    assert name == "current read-out" or all(0 < rate < 1 for rate in rates.values())
    p = model.to_network().populations[0]
    assert p.has_current == isinstance(neurons, CubaLIF)
    assert p.has_adaptation == isinstance(neurons, ALIF)


@pytest.mark.parametrize("number", range(6))
def test_random_networks_are_those_of_the_contract(seed: int, number: int) -> None:
    """Any network with both states, in float64: all modes, gains, scales and pages."""
    rng = np.random.default_rng([seed, number])
    network = with_states(rng, random_network(rng), "combinations")
    inputs = random_inputs(rng, network, 3)
    want = run(network, inputs)
    model = IntegerModel(network).double()
    with torch.no_grad():
        got = model.run({name: torch.as_tensor(x).double() for name, x in inputs.items()})
    for p in network.populations:
        where = f"{p.name} of network {number}, seed {seed}"
        assert np.array_equal(got.spikes[p.name].numpy(), want.spikes[p.name]), where
        assert np.array_equal(got.membranes[p.name].numpy(), want.membranes[p.name]), where
        for mine, other in ((got.synaptic, want.synaptic), (got.adaptations, want.adaptations)):
            if p.name in mine:
                assert np.array_equal(mine[p.name].numpy(), other[p.name]), where


def test_the_membrane_behind_a_current_is_finer_than_the_weights() -> None:
    """Its real value does not change: a bias and an answer are in units of the membrane."""
    x = spikes(4, 8, 12)
    for decay in (0.0, 0.5):
        layers = Linear(12, 5), CubaLIF(leak=0.5, current_decay=decay, fires=False)
        model = sequential(*layers, input=(12,), steps=8, seed=2)
        p = model.to_network().populations[0]
        assert p.gain[0] > p.fraction[0] and p.current[0] == StateUse.NEW
        weight, bias = model.part(0).weight, model.biases["layer1"]
        v = y = torch.zeros(4, 5)
        for step in range(8):
            y = decay * y + x[:, step] @ weight
            v = 0.5 * v + y + bias[0]
        assert torch.allclose(model(x)[:, -1], v, atol=2e-2)


def test_gradients_reach_the_weights_through_the_current() -> None:
    """One line, one neuron, two steps: the first spike of the input acts in the second step too."""
    neurons = CubaLIF(leak=1.0, current_decay=0.5, threshold=4.0, fires=False)
    model = sequential(Linear(1, 1, bias=False, bits=8), neurons, input=(1,), steps=2)
    model(torch.tensor([[[1.0], [0.0]]]))[:, -1].sum().backward()
    grad = model.part(0).weight.grad
    assert grad is not None and float(grad) == pytest.approx(1.5, rel=1e-5)  # 1, then 1/2 more


def test_gradients_reach_the_weights_through_the_adaptation() -> None:
    """The spike of step 0 raises the threshold of step 1, which lowers the chance of a spike."""

    def slope(step: float) -> float:
        neurons = ALIF(leak=0.0, threshold=0.5, adaptation_step=step, reset="none")
        model = sequential(Linear(1, 1, bias=False, bits=8), neurons, input=(1,), steps=2)
        with torch.no_grad():
            model.part(0).weight.fill_(0.6)
        model(torch.ones(1, 2, 1))[:, 1].sum().backward()
        grad = model.part(0).weight.grad
        assert grad is not None
        return float(grad)

    assert slope(0.0) > 0
    assert slope(8.0) < 0  # more weight, more of the first spike, less of the second


@pytest.mark.parametrize("neurons", [CubaLIF, ALIF, CubaALIF])
def test_training_learns_and_stays_exact(neurons: Any) -> None:
    """Which half of the lines is busier: learnt, and still the integers' own spikes."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    rates = np.where(np.arange(16) // 8 == labels[:, None], 0.5, 0.2)
    x = torch.as_tensor((rng.random((6, 200, 16)) < rates).astype(np.float32)).transpose(0, 1)
    y = torch.as_tensor(labels)
    model = sequential(
        Linear(16, 12, bits=4), neurons(leak=0.875, recurrent=True),
        Linear(12, 2, bits=4), neurons(leak=0.875),
        input=(16,), steps=6,
    )  # fmt: skip
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(40):
        loss = torch.nn.functional.cross_entropy(model(x).sum(1), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float((model(x).sum(1).argmax(1) == y).float().mean()) > 0.85
    equals_the_reference(model, x)


def test_other_bits_keep_the_function() -> None:
    """16 bits and 10 differ in few spikes; the current keeps its fineness by a larger gain."""
    layers = Linear(12, 9, bits=16), CubaALIF(leak=0.875, threshold=0.3, recurrent=True)
    model = sequential(*layers, input=(12,), steps=8)
    network = model.to_network()
    other = with_bits(network, 10)
    x = {"input": spikes(20, 8, 12).numpy().astype(np.uint8)}
    one, two = (run(n, x).spikes["layer1"] for n in (network, other))
    assert (one != two).mean() < 0.01
    p, q = network.populations[0], other.populations[0]
    assert q.gain[0] == p.gain[0] + 6 and (q.fraction == p.fraction).all()
    assert 0.5 <= q.v_th[0, 0] / p.v_th[0, 0] <= 2
    assert q.adaptation_step[0] / p.adaptation_step[0] == pytest.approx(
        q.v_th[0, 0] / p.v_th[0, 0], rel=1e-2
    )
    equals_the_reference(IntegerModel(other), spikes(3, 8, 12))


def test_sums_that_float32_does_not_hold_are_refused() -> None:
    """A sum on its way into a current counts with its gain."""
    layers = Linear(12, 4), CubaLIF(leak=0.5, threshold=0.3)
    network = sequential(*layers, input=(12,), steps=3).to_network()
    p = network.populations[0]
    wide = replace(network, current_bits=32, populations=(replace(p, gain=p.gain * 0 + 15),))
    narrow = replace(network, populations=(replace(p, gain=p.gain * 0 + 3),))
    IntegerModel(narrow)(torch.ones(1, 3, 12))
    with pytest.raises(InputError, match=r"call model.double\(\)"):
        IntegerModel(wide)(torch.ones(1, 3, 12))
    equals_the_reference(IntegerModel(wide).double(), torch.ones(1, 3, 12).double())


def test_sums_of_an_adaptation_are_bounded_too() -> None:
    network = sequential(Linear(12, 4), ALIF(threshold=0.3), input=(12,), steps=3).to_network()
    IntegerModel(network)(torch.ones(1, 3, 12))
    with pytest.raises(InputError, match=r"call model.double\(\)"):
        IntegerModel(replace(network, adaptation_bits=24))(torch.ones(1, 3, 12))


@pytest.mark.parametrize(
    ("neurons", "words"),
    [
        (CubaLIF(current_order="late"), "current_order of CubaLIF must be one of new, old, not"),
        (ALIF(adaptation_step=-1.0), "step of ALIF must be a number of 0 or more, not -1"),
        (ALIF(adaptation_step="x"), "step of ALIF must be a number of 0 or more, not 'x'"),
        (CubaLIF(current_decay=1.5), "current_decay of CubaLIF must be a number in 0..1, not 1.5"),
        (CubaLIF(current_decay=[0.5, -1]), "current_decay of CubaLIF must be a number in 0..1, "),
        (CubaLIF(leak="x"), "leak of CubaLIF must be a number in 0..1, not 'x'"),
        (ALIF(adaptation_decay=np.nan), "decay of ALIF must be a number in 0..1, not nan"),
        (CubaLIF(threshold=np.nan), "threshold of CubaLIF must be a finite number, not nan"),
        (CubaALIF(leak=[0.5, 0.5], adaptation_decay=[0.5] * 3), "as many pages"),
    ],
)
def test_what_does_not_fit_is_named(neurons: LIF, words: str) -> None:
    with pytest.raises(InputError, match=words):
        sequential(Linear(12, 3), neurons, input=(12,), steps=4)
