"""Neurons with a current or an adaptation: spike for spike as their frameworks' own forward.

Weights are whole numbers and decays are sums of shifts, so the integers must lose nothing.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeloop.golden.interchange.modules.read import import_module
from spikeloop.golden.nn.model import IntegerModel, from_float
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import StateUse
from spikeloop.pysim.network.graph import Network

STEPS, SAMPLES, LINES = 12, 40, 12


def whole(layer: Any, low: int = -2, high: int = 3) -> Any:
    """The layer with whole weights and biases."""
    for parameter in layer.parameters():
        parameter.data = torch.randint(low, high + 1, parameter.shape).float()
    return layer


def spikes_in(rng: np.random.Generator) -> np.ndarray:
    return (rng.random((SAMPLES, STEPS, LINES)) < 0.5).astype(np.uint8)


def check(net: nn.Module, x: np.ndarray, want: torch.Tensor, off: float = 0.0) -> Network:
    """The integers' output spikes are those of forward, ``want`` [step, sample, neuron]; at most
    the share ``off`` differs."""
    made = import_module(net, (LINES,), steps=STEPS, bits=16, data=x)
    network = made.network
    got = run(network, {"input": x}).spikes[network.output]
    expected = want.transpose(0, 1).numpy()
    assert 0.02 < expected.mean() < 0.98
    assert (got != expected).mean() <= off
    assert made.drift is not None and not any(row.saturated for row in made.drift.populations)
    return network


# -- snnTorch ------------------------------------------------------------------------------------


def synaptic(**options: Any) -> Any:
    snn = pytest.importorskip(
        "snntorch", reason="package snntorch is not installed: pip install -e '.[test]'"
    )
    return snn.Synaptic(**{"alpha": 0.5, "beta": 0.5, "init_hidden": True, **options})


class Chain(nn.Module):
    """Layers whose neurons keep their states, over [step, sample, ...]."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            if hasattr(layer, "reset_mem"):
                layer.mem, layer.syn = torch.zeros(0), torch.zeros(0)
        rows = []
        for row in x:
            for layer in self.layers:
                row = layer(row)
            rows.append(row)
        return torch.stack(rows)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.75, 0.875, 1.0])
@pytest.mark.parametrize(
    ("mechanism", "delay"), [("subtract", True), ("zero", True), ("zero", False), ("none", True)]
)
def test_synaptic(mechanism: str, delay: bool, alpha: float, rng: np.random.Generator) -> None:
    torch.manual_seed(0)
    options = {"alpha": alpha, "reset_mechanism": mechanism, "reset_delay": delay}
    high = 4 / (1.1 - alpha)
    net = Chain(
        whole(nn.Linear(LINES, 9)), synaptic(threshold=3.5 + high / 2, **options),
        whole(nn.Linear(9, 4, bias=False), -2, 4), synaptic(threshold=3.3 + high / 8, **options),
    )  # fmt: skip
    x = spikes_in(rng)
    with torch.no_grad():
        want = net(torch.as_tensor(x).float().transpose(0, 1))
    network = check(net, x, want)
    assert network.current_bits == 24 and network.adaptation_bits == 0
    p = network.population(network.output)
    assert (p.current == StateUse.NEW).all()
    if mechanism == "zero" and delay:  # the membrane loses the step after a spike
        assert (p.refractory == 1).all() and p.hold.all()


def test_a_constant_goes_through_the_current(rng: np.random.Generator) -> None:
    """The bias of a Linear layer enters the current, so it rises with it; it is no bias here."""
    torch.manual_seed(0)
    layer = whole(nn.Linear(LINES, 5), -1, 1)
    layer.bias.data = torch.tensor([60.0, -40.0, 9.0, 0.0, 3.0])
    net = Chain(layer, synaptic(alpha=0.75, threshold=20.5))
    x = spikes_in(rng)
    with torch.no_grad():
        want = net(torch.as_tensor(x).float().transpose(0, 1))
    network = check(net, x, want)
    always = network.populations[-1]
    assert always.name == "every_step" and always.size == 64
    assert not network.population(network.output).bias.any()
    trace = run(network, {"input": x[:1]})
    assert trace.spikes["every_step"].all()


def test_what_no_current_needs_has_none() -> None:
    snn = pytest.importorskip("snntorch", reason="package snntorch is not installed")
    net = nn.Sequential(nn.Linear(LINES, 3), snn.Leaky(0.5, init_hidden=True))
    network = import_module(net).network
    assert network.current_bits == 0 and network.adaptation_bits == 0
    assert [p.name for p in network.populations] == ["n1"]


@pytest.mark.parametrize(
    ("kind", "delay"), [("RSynaptic", True), ("RSynaptic", False), ("RLeaky", True)]
)
@pytest.mark.parametrize("mechanism", ["subtract", "zero", "none"])
def test_recurrent_neurons(
    kind: str, delay: bool, mechanism: str, rng: np.random.Generator
) -> None:
    """Their delayed "zero" drops the whole next step of the membrane.

    RSynaptic resets one step later, whatever reset_delay says.
    """
    snn = pytest.importorskip("snntorch", reason="package snntorch is not installed")
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = whole(nn.Linear(LINES, 9))
            options = {"alpha": 0.5} if kind == "RSynaptic" else {}
            options |= {"reset_mechanism": mechanism, "reset_delay": delay}
            self.cells = getattr(snn, kind)(beta=0.5, threshold=5.3, linear_features=9, **options)
            whole(self.cells.recurrent, -3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            states = self.cells.reset_mem()
            if not delay:  # then RSynaptic needs their shape
                states = [torch.zeros_like(self.fc(x[0]))] * len(states)
            rows = []
            for row in x:
                states = self.cells(self.fc(row), *states)
                rows.append(states[0])
            return torch.stack(rows)

    net, x = Net(), spikes_in(rng)
    with torch.no_grad():
        want = net(torch.as_tensor(x).float().transpose(0, 1))
    network = check(net, x, want)
    assert any(e.source == e.target for e in network.edges)


def test_a_forward_that_stops_is_named() -> None:
    """RSynaptic without delay takes the spikes that it was handed; init_hidden hands it none."""
    snn = pytest.importorskip("snntorch", reason="package snntorch is not installed")
    options = {"reset_delay": False, "init_hidden": True, "linear_features": 4}
    net = nn.Sequential(nn.Linear(3, 4), snn.RSynaptic(0.5, 0.5, **options))
    with pytest.raises(InputError, match=r"^forward must run .* not end with: unsupported operand"):
        import_module(net)


def test_a_late_reset_without_memory_is_refused() -> None:
    net = nn.Sequential(nn.Linear(3, 3), synaptic(beta=0.0))
    with pytest.raises(InputError, match=r"decay of node 'n1' must be at least 1/64 .* current"):
        import_module(net)


def test_from_float_trains_what_was_imported() -> None:
    """The model that trains has the integers' spikes, at 16 bits those of the import."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 8), synaptic(alpha=0.75, beta=0.875, threshold=0.7))
    x = (torch.rand(5, 6, 10, generator=torch.Generator().manual_seed(3)) < 0.5).float()
    model = from_float(net, bits=4, steps=6)
    network = model.to_network()
    want = run(network, {"input": x.numpy().astype(np.uint8)})
    with torch.no_grad():
        got = model.run(x)
    assert np.array_equal(got.spikes["n1"].numpy(), want.spikes["n1"]) and want.spikes["n1"].any()
    assert np.array_equal(got.synaptic["n1"].numpy(), want.synaptic["n1"])
    model(x).sum().backward()
    assert all(float(model.part(i).weight.grad.abs().max()) > 0 for i in range(2))  # type: ignore[union-attr]
    weight = model.part(0).weight.detach().numpy()
    assert np.allclose(weight, net[0].weight.detach().numpy().T, atol=1e-3)
    assert isinstance(model, IntegerModel)


# -- Norse ---------------------------------------------------------------------------------------

INV = torch.tensor(500.0)  # times dt, 1e-3: a half


def norse() -> Any:
    return pytest.importorskip(
        "norse.torch", reason="package norse is not installed: pip install -e '.[frameworks]'"
    )


def lif_parameters(**changes: Any) -> Any:
    usual = {"tau_syn_inv": INV, "tau_mem_inv": INV, "v_th": torch.tensor(3.3)}
    return norse().LIFParameters(**{**usual, **changes})


def lsnn_parameters() -> Any:
    return norse().LSNNParameters(
        tau_syn_inv=INV,
        tau_mem_inv=INV,
        tau_adapt_inv=torch.tensor(125.0),
        v_th=torch.tensor(2.3),
        beta=torch.tensor(1.5),
    )


class Loop(nn.Module):
    """Cells over the steps of [step, sample, ...]."""

    def __init__(self, *cells: nn.Module) -> None:
        super().__init__()
        self.cells = norse().SequentialState(*cells)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state, rows = None, []
        for row in x:
            z, state = self.cells(row, state)
            rows.append(z)
        return torch.stack(rows)


def recurrent(kind: str, p: Any) -> Any:
    cells = getattr(norse(), kind)(LINES, 9, p=p)
    with torch.no_grad():
        cells.input_weights.copy_(torch.randint(-2, 4, cells.input_weights.shape).float())
        cells.recurrent_weights.copy_(torch.randint(-2, 3, cells.recurrent_weights.shape).float())
    return cells


CELLS = {
    "LIFCell": lambda n: [whole(nn.Linear(LINES, 9)), n.LIFCell(lif_parameters())],
    "LIFCell, leak and reset": lambda n: [
        whole(nn.Linear(LINES, 9)),
        n.LIFCell(lif_parameters(v_leak=torch.tensor(0.5), v_reset=torch.tensor(-1.0))),
    ],
    "LIFRecurrentCell": lambda n: [recurrent("LIFRecurrentCell", lif_parameters())],
    "LSNNCell": lambda n: [whole(nn.Linear(LINES, 9)), n.LSNNCell(lsnn_parameters())],
    "LSNNRecurrentCell": lambda n: [recurrent("LSNNRecurrentCell", lsnn_parameters())],
}
WHOLE = {
    "LIF": lambda n: [whole(nn.Linear(LINES, 9)), n.LIF(lif_parameters())],
    "LIFRecurrent": lambda n: [recurrent("LIFRecurrent", lif_parameters())],
    "LSNN": lambda n: [whole(nn.Linear(LINES, 9)), n.LSNN(lsnn_parameters())],
    "LSNNRecurrent": lambda n: [recurrent("LSNNRecurrent", lsnn_parameters())],
}


@pytest.mark.parametrize("kind", [*CELLS, *WHOLE])
def test_norse(kind: str, rng: np.random.Generator) -> None:
    n = norse()
    torch.manual_seed(1)
    if kind in CELLS:
        net: Any = Loop(*CELLS[kind](n), whole(nn.Linear(9, 4), -2, 5), n.LIFCell(lif_parameters()))
    else:
        net = n.SequentialState(*WHOLE[kind](n), whole(nn.Linear(9, 4)), n.LIF(lif_parameters()))
    x = spikes_in(rng)
    with torch.no_grad():
        out = net(torch.as_tensor(x).float().transpose(0, 1))
    network = check(net, x, out if kind in CELLS else out[0])
    first = network.populations[0]
    lsnn = kind.startswith("LSNN")
    assert (first.current == (StateUse.OLD if lsnn else StateUse.NEW)).all()
    assert (first.adaptation == (StateUse.NEW if lsnn else StateUse.NONE)).all()


def test_a_norse_read_out(rng: np.random.Generator) -> None:
    """LICell: the membrane behind a current is the answer."""
    n = norse()
    torch.manual_seed(1)
    p = n.LIParameters(tau_syn_inv=INV, tau_mem_inv=INV)
    cells = n.LIFCell(lif_parameters()), whole(nn.Linear(9, 4)), n.LICell(p)
    net = Loop(whole(nn.Linear(LINES, 9)), *cells)
    x = spikes_in(rng)
    with torch.no_grad():
        want = net(torch.as_tensor(x).float().transpose(0, 1)).transpose(0, 1).numpy()
    network = import_module(net, (LINES,), steps=STEPS, bits=16, data=x).network
    assert network.readout == "membrane"
    p_out = network.population(network.output)
    unit = network.metadata["scales"][network.output] * 2.0 ** (
        p_out.gain.astype(float) - p_out.fraction
    )
    got = run(network, {"input": x}).membranes[network.output] / unit
    assert np.abs(got - want).max() < 1e-3 * np.abs(want).max()


# -- sinabs --------------------------------------------------------------------------------------


def time_constant(decay: float) -> float:
    return float(-1 / np.log(decay))


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("kind", ["LIF", "ALIF", "ALIF to a value", "ALIF hard"])
def test_sinabs(kind: str, norm: bool, rng: np.random.Generator) -> None:
    layers = pytest.importorskip(
        "sinabs.layers", reason="package sinabs is not installed: pip install -e '.[frameworks]'"
    )
    from sinabs.activation import MembraneReset, MembraneSubtract, SingleSpike

    torch.manual_seed(1)
    half = time_constant(0.5)
    options: dict[str, Any] = {"tau_mem": half, "norm_input": norm, "spike_fn": SingleSpike}
    options["spike_threshold"] = torch.tensor(3.3)
    if kind == "LIF":
        neurons = layers.LIF(tau_syn=half, **options)
    else:
        ways = {"ALIF to a value": MembraneSubtract(2.0), "ALIF hard": MembraneReset()}
        options["reset_fn"] = ways.get(kind, MembraneSubtract())
        neurons = layers.ALIF(
            tau_adapt=time_constant(0.75), adapt_scale=4.1, min_v_mem=-1.0, **options
        )
    net = nn.Sequential(whole(nn.Linear(LINES, 9)), neurons)
    x = spikes_in(rng)
    with torch.no_grad():
        want = net(torch.as_tensor(x).float()).transpose(0, 1)
    network = check(net, x, want, off=0.002)  # exp() of 32-bit time constants misses the shifts
    p = network.population(network.output)
    if kind != "LIF":
        assert (p.adaptation == StateUse.OLD).all()
        assert p.adaptation_reset.all() == (kind != "ALIF to a value")


def test_sinabs_alif_with_a_current_is_refused() -> None:
    layers = pytest.importorskip("sinabs.layers", reason="package sinabs is not installed")
    net = nn.Sequential(nn.Linear(3, 3), layers.ALIF(tau_mem=2.0, tau_syn=2.0, tau_adapt=9.0))
    with pytest.raises(InputError, match="without tau_syn, not with it: sinabs' ALIF forgets"):
        import_module(net)


def test_an_adaptation_that_lowers_the_threshold_is_refused() -> None:
    layers = pytest.importorskip("sinabs.layers", reason="package sinabs is not installed")
    net = nn.Sequential(nn.Linear(3, 3), layers.ALIF(2.0, 9.0, adapt_scale=-1.0))
    with pytest.raises(InputError, match=r"step of an adaptation must be 0 or more, not -0\.1"):
        import_module(net)
