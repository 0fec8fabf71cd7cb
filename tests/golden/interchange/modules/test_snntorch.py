"""snnTorch modules: spike for spike as snnTorch's own forward, for every reset and both delays;
and what is refused."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeloop.golden.interchange.modules.read import import_module
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network

snn = pytest.importorskip(
    "snntorch", reason="package snntorch is not installed: pip install -e '.[test]'"
)

# decays whose shifts are exact, and the steps for which 12 bits below the point suffice (1 or 2 a
# step)
STEPS = {0.0: 20, 0.5: 9, 0.75: 5, 1.0: 20}
RESETS = [
    (mechanism, delay) for mechanism in ("subtract", "zero", "none") for delay in (True, False)
]


def forward(net: nn.Sequential, spikes: np.ndarray) -> dict[str, np.ndarray]:
    """Spikes of every Leaky, uint8 ``[sample, step, neuron]``, by snnTorch's own forward pass."""
    made: dict[str, list[np.ndarray]] = {
        name: [] for name, layer in net.named_children() if isinstance(layer, snn.Leaky)
    }
    for layer in net:
        if isinstance(layer, snn.Leaky):
            layer.mem = torch.zeros(0)
    with torch.no_grad():
        for step in range(spikes.shape[1]):
            x = torch.as_tensor(spikes[:, step], dtype=torch.float32)
            for name, layer in net.named_children():
                x = layer(x)
                if name in made:
                    made[name].append(x.reshape(len(x), -1).numpy().astype(np.uint8))
    return {name: np.stack(steps, axis=1) for name, steps in made.items()}


def leaky(**options: Any) -> Any:
    return snn.Leaky(**{"beta": 0.5, "init_hidden": True, **options})


def integers(layer: Any, low: int, high: int, rng: np.random.Generator) -> Any:
    """The layer with whole weights (and biases)."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(
                torch.as_tensor(rng.integers(low, high + 1, parameter.shape), dtype=torch.float32)
            )
    return layer


def check(net: nn.Sequential, spikes: np.ndarray, share: float = 0.0, **options: Any) -> Network:
    """Integers against forward; at most ``share`` of the spikes may differ."""
    made = import_module(net, steps=spikes.shape[1], bits=16, data=spikes, **options)
    network = made.network
    trace = run(network, {"input": spikes.reshape(*spikes.shape[:2], -1)})
    for name, want in forward(net, spikes).items():
        population = f"n{name}"
        assert (trace.spikes[population] != want).mean() <= share
        assert 0 < want.mean() < 1, f"layer {name} must spike, and not always"
    return network


@pytest.mark.parametrize("beta", STEPS)
@pytest.mark.parametrize("mechanism, delay", RESETS)
def test_spike_for_spike_as_snntorch(
    mechanism: str, delay: bool, beta: float, rng: np.random.Generator
) -> None:
    options = {"beta": beta, "reset_mechanism": mechanism, "reset_delay": delay}
    net = nn.Sequential(
        integers(nn.Linear(12, 9), -2, 3, rng),
        leaky(threshold=4.0, **options),
        nn.Dropout(),
        integers(nn.Linear(9, 4, bias=False), -2, 4, rng),
        leaky(threshold=3.5, **options),
    ).eval()
    if mechanism == "subtract" and not delay:  # thresholds that no membrane exceeds twice
        for linear, neurons in ((net[0], net[1]), (net[3], net[4])):
            with torch.no_grad():
                bias = 0 if linear.bias is None else linear.bias
                most = linear.weight.clamp(min=0).sum(dim=1) + bias
                neurons.threshold.fill_(float(np.ceil(float(most.max()) / (2 - beta))))
    # threshold / beta is no integer for 0.75: the reset of an integer is off by half a unit
    share = 0.01 if mechanism == "subtract" and delay and beta == 0.75 else 0.0
    check(net, (rng.random((40, STEPS[beta], 12)) < 0.6).astype(np.uint8), share)


def test_delayed_resets_need_no_edge(rng: np.random.Generator) -> None:
    """A reset one step late is a soft one by threshold / beta; only without memory it is an
    edge."""
    for beta, edges in ((0.9, 1), (0.0, 2)):
        net = nn.Sequential(nn.Linear(12, 300), leaky(beta=beta))
        assert len(import_module(net).network.edges) == edges


def test_trained_here_and_rounded(rng: np.random.Generator) -> None:
    """Trained by snnTorch's surrogate gradient; weights are then rounded to sixteenths, and nothing
    is lost any more."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(16, 12), leaky(), nn.Linear(12, 2), leaky(reset_mechanism="zero"))
    labels = rng.integers(0, 2, 200)
    rates = np.where(np.arange(16) // 8 == labels[:, None], 0.6, 0.1)
    spikes = (rng.random((8, 200, 16)) < rates).astype(np.uint8).transpose(1, 0, 2)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(30):
        for layer in (net[1], net[3]):
            layer.mem = torch.zeros(0)
        counts = sum(
            net(torch.as_tensor(spikes[:, step], dtype=torch.float32)) for step in range(8)
        )
        loss = nn.functional.cross_entropy(counts, torch.as_tensor(labels))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        for parameter in (*net[0].parameters(), *net[2].parameters()):
            parameter.copy_((parameter * 16).round() / 16)
    network = check(net, spikes, share=0.001)
    answers = run(network, {"input": spikes}).spikes[network.output].sum(axis=1).argmax(axis=1)
    assert (answers == labels).mean() > 0.9


def test_convolutions(rng: np.random.Generator) -> None:
    net = nn.Sequential(
        integers(nn.Conv2d(1, 3, 3, padding=1), -2, 3, rng),
        leaky(beta=1.0, threshold=8.0),
        nn.AvgPool2d(2),
        nn.Flatten(),
        integers(nn.Linear(12, 5), -3, 6, rng),
        leaky(beta=1.0, threshold=9.0, reset_mechanism="zero"),
    )
    check(net, (rng.random((6, 10, 1, 4, 4)) < 0.4).astype(np.uint8), shape=(1, 4, 4))


def test_a_reset_that_snntorch_skips_is_refused() -> None:
    """Above twice the threshold snnTorch without delay does not reset: its forward tells."""
    net = nn.Sequential(
        nn.Linear(1, 1, bias=False), leaky(beta=1.0, threshold=1.0, reset_delay=False)
    )
    net[0].weight.data.fill_(3.0)
    spikes = np.zeros((1, 6, 1), np.uint8)
    spikes[0, 0] = 1
    with pytest.raises(InputError, match=r"not differ in the .* of neuron 0 of '1' in step 1"):
        import_module(net, steps=6, data=spikes)


def test_the_table_names_what_differs_between_layers() -> None:
    net = nn.Sequential(
        nn.Linear(3, 3), leaky(reset_mechanism="zero"), nn.Linear(3, 2), leaky(reset_delay=False)
    )
    table = [(a.what, a.value, a.why) for a in import_module(net).assumed]
    assert ("reset of n1", "hard", "metadata of the module") in table
    assert ("reset of n3", "soft", "metadata of the module") in table
    assert ("compare", ">", "metadata of the module") in table
    assert ("time", "step", "as forward runs") in table


@pytest.mark.parametrize(
    "make, words",
    [
        (nn.Sequential, "input shape of a net is missing"),
        (lambda: nn.Sequential(nn.Linear(3, 3), nn.ReLU()), "must hold neurons"),
        (lambda: nn.Sequential(nn.Conv2d(1, 1, 2), leaky()), "begins with Conv2d is missing"),
        (
            lambda: nn.Sequential(nn.Linear(3, 3), snn.Alpha(0.75, 0.5, init_hidden=True)),
            "not Alpha: its membrane is the difference of two currents",
        ),
        (lambda: nn.Sequential(nn.Linear(3, 3), leaky(inhibition=True)), "without inhibition"),
        (
            lambda: nn.Sequential(nn.Linear(3, 3), leaky(graded_spikes_factor=2.0)),
            "must be of graded_spikes_factor 1",
        ),
        (
            lambda: nn.Sequential(nn.Linear(3, 3), leaky(threshold=0.0)),
            "threshold of neurons '1' must be positive, not 0",
        ),
        (lambda: nn.Sequential(nn.Linear(3, 3), leaky(beta=float("nan"))), "must be finite"),
        (
            lambda: nn.Sequential(nn.Linear(3, 3), leaky(), nn.Linear(4, 2), leaky()),
            r"must run on an input of shape \(3,\), not end with: mat1 and mat2",
        ),
    ],
)
def test_refused(make: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        import_module(make())
