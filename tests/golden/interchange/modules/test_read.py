"""Modules as users write them: what runs is imported spike for spike, or refused by its line."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from spikeloop.golden.interchange.modules.grey import Grey
from spikeloop.golden.interchange.modules.read import import_module
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.common.errors import InputError

snn = pytest.importorskip(
    "snntorch", reason="package snntorch is not installed: pip install snntorch"
)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Torch's own initial weights are the same in every run."""
    torch.manual_seed(1)


def whole(net: Any, seed: int = 0) -> Any:
    """The net with small whole weights: its integers then make the very same spikes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d)):
                shape = layer.weight.shape
                layer.weight.copy_(torch.randint(-2, 4, shape, generator=generator).float())
                if layer.bias is not None:
                    layer.bias.zero_()
    return net.eval()


def leaky(threshold: float = 2.0, **options: Any) -> Any:
    return snn.Leaky(0.5, threshold=threshold, **options)


def hidden(threshold: float = 2.0, **options: Any) -> Any:
    return leaky(threshold, init_hidden=True, **options)


class Loop(nn.Module):
    """Base of nets whose forward has a loop over the steps of [step, sample, ...]."""

    def step(self, x: torch.Tensor, state: dict[str, Any]) -> torch.Tensor:
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state: dict[str, Any] = {}
        return torch.stack([self.step(x[t], state) for t in range(x.shape[0])])

    def fire(self, lif: Any, x: torch.Tensor, state: dict[str, Any], name: str) -> torch.Tensor:
        spikes, state[name] = lif(x, state.get(name, torch.zeros_like(x)))
        return spikes


class Order(Loop):
    """Synapses first, neurons after, as many nets are written."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(12, 8, bias=False), nn.Linear(8, 8, bias=False)
        self.lif1, self.lif2 = leaky(), leaky()

    def step(self, x: torch.Tensor, state: dict[str, Any]) -> torch.Tensor:
        one = self.fire(self.lif1, self.fc1(x), state, "1")
        return self.fire(self.lif2, self.fc2(one), state, "2")


class Shared(Order):
    """One neuron module for both layers, one linear layer twice."""

    def __init__(self) -> None:
        super().__init__()
        self.fc0 = nn.Linear(12, 8, bias=False)

    def step(self, x: torch.Tensor, state: dict[str, Any]) -> torch.Tensor:
        one = self.fire(self.lif1, self.fc0(x), state, "1")
        two = self.fire(self.lif1, self.fc2(one), state, "2")
        return self.fire(self.lif1, self.fc2(two), state, "3")


class Skip(Order):
    """A residual sum, a scaled difference and a sum of a value with itself."""

    def step(self, x: torch.Tensor, state: dict[str, Any]) -> torch.Tensor:
        one = self.fire(self.lif1, self.fc1(x) * 2 - x[:, :8], state, "1")
        return self.fire(self.lif2, self.fc2(one) + one + one, state, "2")


class Late(Order):
    """Spikes of the step before come back, through a layer."""

    def step(self, x: torch.Tensor, state: dict[str, Any]) -> torch.Tensor:
        before = state.get("spikes", torch.zeros(len(x), 8, dtype=x.dtype))
        one = self.fire(self.lif1, self.fc1(x) + self.fc2(before), state, "1")
        state["spikes"] = one
        return one


class Images(Loop):
    """Functional pools, view and flatten, batch norm, a list of modules, an unused head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3, padding="same", bias=False), nn.BatchNorm2d(4)
        self.head, self.unused = nn.Linear(16, 5, bias=False), nn.Linear(3, 3)
        self.lifs = nn.ModuleList([leaky(), leaky(), leaky()])
        self.middle = nn.ModuleList([nn.Conv2d(4, 4, 2, padding="same", bias=False)])

    def step(self, x: torch.Tensor, state: dict[str, Any]) -> torch.Tensor:
        x = self.fire(self.lifs[0], self.norm(self.conv(x)), state, "0")
        x = F.max_pool2d(x, 2)
        x = self.fire(self.lifs[1], self.middle[0](x), state, "1")
        x = F.adaptive_avg_pool2d(x, 2).view(len(x), -1)
        return self.fire(self.lifs[2], self.head(x) * 4, state, "2")


NETS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "order": (Order, (12,)),
    "shared": (Shared, (12,)),
    "skip": (Skip, (12,)),
    "late": (Late, (12,)),
    "images": (Images, (2, 8, 8)),
    "max pool": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 3, 3),
            hidden(3.0),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(27, 4),
            hidden(),
        ),
        (1, 8, 8),
    ),
    "length": (
        lambda: nn.Sequential(
            nn.Conv1d(2, 3, 3, padding="same", dilation=2),
            hidden(),
            nn.MaxPool1d(2),
            nn.Conv1d(3, 2, 2),
            hidden(),
        ),
        (2, 10),
    ),
    "unflatten": (
        lambda: nn.Sequential(
            nn.Linear(10, 16), hidden(), nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 2, 3), hidden()
        ),
        (10,),
    ),
    "recurrent": (
        lambda: nn.Sequential(
            nn.Linear(10, 6),
            snn.RLeaky(0.5, linear_features=6, init_hidden=True),
            nn.Linear(6, 3),
            hidden(),
        ),
        (10,),
    ),
    "one to one": (
        lambda: nn.Sequential(
            nn.Linear(10, 6), snn.RLeaky(0.5, V=1.0, all_to_all=False, init_hidden=True)
        ),
        (10,),
    ),
    "lapicque": (
        lambda: nn.Sequential(
            nn.Linear(10, 6), snn.Lapicque(R=2.0, C=1.0, time_step=1.0, init_hidden=True)
        ),
        (10,),
    ),
    "read-out": (lambda: nn.Sequential(nn.Linear(10, 6), hidden(), nn.Linear(6, 3)), (10,)),
    "neurons first": (
        lambda: nn.Sequential(leaky(1.0, init_hidden=True), nn.Linear(6, 3), hidden()),
        (6,),
    ),
    "bfloat16": (lambda: nn.Sequential(nn.Linear(8, 6), hidden()).bfloat16(), (8,)),
}


@pytest.mark.parametrize("name", NETS)
def test_spike_for_spike_as_forward(name: str, rng: np.random.Generator) -> None:
    """Weights are whole and the leak is a shift: the integers depart in no spike."""
    make, shape = NETS[name]
    net = whole(make())
    data = (rng.random((20, 6, *shape)) < 0.4).astype(np.uint8)
    made = import_module(net, shape, steps=6, bits=12, data=data)
    drift = made.drift
    assert drift is not None and drift.samples == 20
    spiking = [row for row in drift.populations if row.spikes]
    assert sum(row.different for row in spiking) == 0
    assert all(0 < row.rate < 1 for row in spiking), "a silent population proves nothing"
    twin = next(a.value for a in made.assumed if a.what == "float twin = forward")
    assert "0 different" in twin


def test_the_imported_net_gives_forwards_answers(rng: np.random.Generator) -> None:
    """Another way: forward in float32, the integer reference on the network file's content."""
    net = whole(Order())
    x = (rng.random((10, 7, 12)) < 0.4).astype(np.uint8)
    with torch.no_grad():
        want = net(torch.as_tensor(x).float().transpose(0, 1)).transpose(0, 1).numpy()
    network = import_module(net, (12,), steps=7, bits=12).network
    assert np.array_equal(run(network, {network.inputs[0].name: x}).spikes[network.output], want)


def test_the_net_of_the_user_stays_as_it_was() -> None:
    net = whole(nn.Sequential(nn.Linear(10, 6), hidden()))
    net[1].mem = torch.ones(3, 6)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    import_module(net)
    assert net[0].weight.dtype == torch.float32 and torch.equal(net[1].mem, torch.ones(3, 6))
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


def test_weights_that_forward_makes_are_those_imported() -> None:
    net = nn.Sequential(weight_norm(nn.Linear(8, 6)), hidden(0.3)).eval()
    made = import_module(net, bits=16)
    edge = made.network.edges[0]
    scale = next(iter(made.network.metadata["scales"].values()))
    assert np.allclose(edge.weights / scale, net[0].weight.detach().numpy().T, atol=1 / scale)


class Static(nn.Module):
    """Five steps of its own on one input, as tutorials do it; the spikes are added up."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(6, 4, bias=False), leaky()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mem, total = torch.zeros(len(x), 4, dtype=x.dtype), 0
        for _ in range(5):
            spikes, mem = self.lif(self.fc(x), mem)
            total = total + spikes
        return total / 5


def test_a_loop_on_one_input_decides_the_steps() -> None:
    made = import_module(whole(Static()), (6,), steps=32)
    assert made.network.steps == 5
    assert ("time", "static") in [(a.what, a.value) for a in made.assumed]


def _with(step: Callable[[Any, torch.Tensor, dict[str, Any]], torch.Tensor]) -> Any:
    return type("Changed", (Order,), {"step": step})()


def branch(self: Any, x: torch.Tensor, state: dict[str, Any]) -> torch.Tensor:
    y = self.fc1(x)
    if y.sum() > 0:
        y = y * 2
    return self.fire(self.lif1, y, state, "1")


def relu(self: Any, x: torch.Tensor, state: dict[str, Any]) -> torch.Tensor:
    return self.fire(self.lif1, F.relu(self.fc1(x)), state, "1")


def membrane(self: Any, x: torch.Tensor, state: dict[str, Any]) -> torch.Tensor:
    self.fire(self.lif1, self.fc1(x), state, "1")
    return self.fire(self.lif2, self.fc2(state["1"]), state, "2")


def pool(self: Any, x: torch.Tensor, state: dict[str, Any]) -> torch.Tensor:
    y = F.max_pool1d(self.fc1(x).unsqueeze(1), 2).squeeze(1)
    return self.fire(self.lif1, y, state, "1")


def other_steps(self: Any, x: torch.Tensor, state: dict[str, Any]) -> torch.Tensor:
    state["n"] = state.get("n", 0) + 1
    y = self.fc1(x) if state["n"] % 2 else self.fc1(x) * 3
    return self.fire(self.lif1, y, state, "1")


def mixed(self: Any, x: torch.Tensor, state: dict[str, Any]) -> torch.Tensor:
    return self.fire(self.lif1, self.fc1(x) - self.fc1(x).mean(0), state, "1")


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (branch, r"depend on its data in Python, as it does at test_read.py:\d+ \(a condition\)"),
        (relu, r"relu\(\) at test_read.py:\d+ must be affine"),
        (membrane, "membrane of neurons 'lif1' must not feed other layers"),
        (pool, r"max_pool1d\(\) at test_read.py:\d+ must pool spikes, not currents"),
        (other_steps, "must do the same in every step"),
        (mixed, "must leave the samples of a batch apart"),
    ],
)
def test_what_cannot_be_had_is_named_with_its_line(step: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        import_module(whole(_with(step)), (12,))


def test_damaged_nets_are_named() -> None:
    net = nn.Sequential(nn.Linear(3, 3), hidden())
    with torch.no_grad():
        net[0].weight[1, 1] = float("nan")
    with pytest.raises(InputError, match=r"values of '0\.weight' must be finite"):
        import_module(net)
    lazy = nn.Sequential(nn.Flatten(), nn.LazyLinear(6), hidden())
    with pytest.raises(InputError, match="layer '1' is lazy and never ran"):
        import_module(lazy)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.zeros((2, 5, 12)), r"of shape \[sample, 6, 12\], not \(2, 5, 12\)"),
        (np.full((2, 6, 12), 0.5), "must be spikes, 0 or 1"),
        (np.zeros((0, 6, 12)), "data to compare on must hold samples, not none"),
    ],
)
def test_data_is_checked(data: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        import_module(whole(Order()), (12,), steps=6, data=data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.zeros((0, 12)), "data to compare on must hold samples, not none"),
        (np.full((2, 12), "a"), "grey values must be numbers, not <U1"),
        (np.full((2, 12), 2), r"grey values must lie in 0..1, not 2..2"),
    ],
)
def test_grey_data_are_checked(data: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        import_module(whole(Order()), (12,), steps=6, data=data, grey=Grey(2))


def test_pixels_are_grey_values(rng: np.random.Generator) -> None:
    """uint8 above 1 are 0..255 over the whole range; 0 and 1 are numbers, in any type."""
    pixels = rng.integers(0, 256, (4, 12), dtype=np.uint8)
    grey = Grey(3, -1.0, 3.0)
    assert np.array_equal(grey.levels(pixels), np.floor(pixels / 255 * 7 + 0.5))
    assert np.array_equal(Grey(3).levels(pixels & 1), 7 * (pixels & 1))
    made = import_module(whole(Order()), (12,), steps=4, data=pixels, grey=Grey(3))
    assert made.drift is not None and made.drift.samples == 4


def test_a_graph_that_departs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check is checked: a neuron read with another leak is seen at its first membrane."""
    from spikeloop.golden.interchange.modules import graph
    from spikeloop.golden.interchange.neurons import read

    def wrong(path: str, module: Any) -> Any:
        neuron = read.neuron_of(path, module)
        neuron.node.values["beta"] = np.float64(0.25)
        return neuron

    monkeypatch.setattr(graph, "neuron_of", wrong)
    with pytest.raises(InputError, match=r"not differ in the membrane of neuron .* in step 1"):
        import_module(whole(nn.Sequential(nn.Linear(10, 6), hidden(50.0))))


def test_a_long_drift_stays_inside_the_membrane() -> None:
    """One sided input for 3,000 steps: the scale leaves room, so that nothing is clipped."""
    net = nn.Sequential(nn.Linear(2, 1, bias=False), leaky(20.3, init_hidden=True))
    net[1].beta.fill_(1.0)
    net[0].weight.data = torch.tensor([[-1.01, 1.02]])
    data = np.zeros((1, 3000, 2), np.uint8)
    data[0, :2000, 0] = 1
    data[0, 2000:, 1] = 1
    drift = import_module(net, steps=3000, bits=16, data=data).drift
    assert drift is not None and drift.populations[0].saturated == 0


def test_grey_values_reach_the_chip_as_planes(rng: np.random.Generator) -> None:
    """The twin on planes equals forward on the rounded values; the lines are plane after plane."""
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), hidden(0.5), nn.Flatten(), nn.Linear(32, 3), hidden(0.5)
    )
    data = rng.uniform(-1, 1, (9, 1, 6, 6))
    grey = Grey(bits=3, low=-1.0, high=1.0)
    made = import_module(net, (1, 6, 6), steps=7, bits=14, data=data, grey=grey)
    network = made.network
    assert network.inputs[0].size == 3 * 36 and network.metadata["grey"]["bits"] == 3
    assert network.edges[0].conv is not None  # a convolution of three times the channels
    levels = grey.levels(data.reshape(9, -1))
    assert np.abs(grey.values(levels) - data.reshape(9, -1)).max() <= 1 / 7 + 1e-12
    spikes = np.repeat(grey.planes(levels)[:, None], 7, axis=1)
    trace = run(network, {"input": spikes})
    net.eval()
    with torch.no_grad():
        x = torch.as_tensor(grey.values(levels)).float().reshape(9, 1, 6, 6)
        for layer in (net[1], net[4]):
            layer.mem = torch.zeros(0)
        want = torch.stack([net(x) for _ in range(7)], 1).numpy()
    assert (trace.spikes[network.output] != want).mean() < 0.02 and 0 < want.mean() < 1


def test_a_pool_of_grey_values_is_refused() -> None:
    net = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4, 3), hidden())
    assert import_module(whole(net), (1, 4, 4)).network.populations[0].size == 4
    with pytest.raises(InputError, match="must pool spikes, not currents"):
        import_module(whole(net), (1, 4, 4), grey=Grey())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Grey(9), "bits of grey values must be in 1..8, not 9"),
        (lambda: Grey(4, 1.0, 0.0), "must go up from one number to another, not 1..0"),
        (lambda: Grey().levels(np.array([0.5, 1.5])), "must lie in 0..1, not 0.5..1.5"),
    ],
)
def test_grey_is_checked(make: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()
