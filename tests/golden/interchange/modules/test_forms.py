"""Forward passes as others write them: where the time is, what moves, what forward returns."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeloop.golden.interchange.modules.read import import_module
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.common.errors import InputError

snn = pytest.importorskip(
    "snntorch", reason="package snntorch is not installed: pip install snntorch"
)
STEPS, SAMPLES = 7, 16


class Two(nn.Module):
    """Two layers and their neurons; ``how`` is forward."""

    def __init__(self, how: Callable[["Two", torch.Tensor], Any]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.fc1, self.fc2 = nn.Linear(12, 8, bias=False), nn.Linear(8, 5, bias=False)
        for layer in (self.fc1, self.fc2):
            weight = torch.randint(-2, 4, layer.weight.shape, generator=generator)
            layer.weight.data = weight.float()
        self.l1, self.l2 = snn.Leaky(0.5, threshold=2.0), snn.Leaky(0.5, threshold=2.0)
        self.how = how

    def forward(self, x: torch.Tensor) -> Any:
        return self.how(self, x)

    def over(self, currents: Any) -> list[torch.Tensor]:
        """Spikes of the second neurons for currents of the first."""
        m1, m2, out = self.l1.init_leaky(), self.l2.init_leaky(), []
        for current in currents:
            spikes, m1 = self.l1(current, m1)
            spikes, m2 = self.l2(self.fc2(spikes), m2)
            out.append(spikes)
        return out


def folded(net: Two, x: torch.Tensor) -> torch.Tensor:
    steps, samples = x.shape[:2]
    currents = net.fc1(x.reshape(steps * samples, -1)).view(steps, samples, -1)
    return torch.stack(net.over(currents))


def layer_by_layer(net: Two, x: torch.Tensor) -> torch.Tensor:
    m1, m2, hidden, out = net.l1.init_leaky(), net.l2.init_leaky(), [], []
    for current in net.fc1(x):
        spikes, m1 = net.l1(current, m1)
        hidden.append(spikes)
    for current in net.fc2(torch.stack(hidden)):
        spikes, m2 = net.l2(current, m2)
        out.append(spikes)
    return torch.stack(out)


def allocated(net: Two, x: torch.Tensor) -> torch.Tensor:
    out = torch.zeros(len(x), x.shape[1], 5, dtype=x.dtype)
    for step, spikes in enumerate(net.over(net.fc1(one) for one in x)):
        out[step] = spikes
    return out


def joined(net: Two, x: torch.Tensor) -> torch.Tensor:
    def current(one: torch.Tensor) -> torch.Tensor:
        first, second, third = one.chunk(3, 1)
        whole = net.fc1(torch.cat([third, first, second], 1))
        whole[:, :2] += one[:, 3:5]
        return torch.cat([whole[:, 4:], torch.lerp(one, whole.repeat(1, 2)[:, :12], 0.5)[:, :4]], 1)

    return torch.stack(net.over(current(one) for one in x))


def delayed_input(net: Two, x: torch.Tensor) -> torch.Tensor:
    before = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
    return torch.stack(net.over(net.fc1(x[t] - before[t]) for t in range(len(x))))


def membranes_first(net: Two, x: torch.Tensor) -> Any:
    m1, m2, out, membranes = net.l1.init_leaky(), net.l2.init_leaky(), [], []
    for one in x:
        hidden, m1 = net.l1(net.fc1(one), m1)
        spikes, m2 = net.l2(net.fc2(hidden), m2)
        out, membranes = [*out, spikes], [*membranes, m2]
    return {"mem": torch.stack(membranes), "hidden": hidden, "spk": torch.stack(out)}


FIRST: dict[str, Callable[[Two, torch.Tensor], Any]] = {
    "steps of the whole": lambda net, x: torch.stack(net.over(net.fc1(x))),
    "folded into the batch": folded,
    "layer by layer": layer_by_layer,
    "allocated": allocated,
    "cut and joined": joined,
    "the input before": delayed_input,
    "a dict": membranes_first,
    "its own number of steps": lambda net, x: torch.stack(
        net.over(net.fc1(x[t]) for t in range(STEPS))
    ),
}
SAMPLES_FIRST: dict[str, Callable[[Two, torch.Tensor], Any]] = {
    "permuted": lambda net, x: torch.stack(net.over(net.fc1(x.permute(1, 0, 2))), 1),
    "a column": lambda net, x: torch.stack(
        net.over(net.fc1(x[:, t, ...]) for t in range(x.shape[1])), 1
    ),
    "unbound": lambda net, x: torch.stack(net.over(map(net.fc1, x.unbind(1))), dim=1),
}
STATIC: dict[str, Callable[[Two, torch.Tensor], Any]] = {
    "repeated": lambda net, x: torch.stack(net.over(net.fc1(x.unsqueeze(0).repeat(STEPS, 1, 1)))),
    "one current": lambda net, x: torch.stack(net.over([net.fc1(x)] * STEPS)),
}


@pytest.mark.parametrize("name", [*FIRST, *SAMPLES_FIRST, *STATIC])
def test_a_form_of_time_gives_the_spikes_of_forward(name: str, rng: np.random.Generator) -> None:
    net = Two((FIRST | SAMPLES_FIRST | STATIC)[name]).eval()
    x = (rng.random((SAMPLES, STEPS, 12)) < 0.4).astype(np.uint8)
    spikes = torch.as_tensor(x).float()
    with torch.no_grad():
        if name in STATIC:
            x = np.repeat(x[:, :1], STEPS, 1)
            want = net(spikes[:, 0]).transpose(0, 1)
        elif name in FIRST:
            want = net(spikes.transpose(0, 1))
            want = (want["spk"] if isinstance(want, dict) else want).transpose(0, 1)
        else:
            want = net(spikes)
    network = import_module(net, (12,), steps=STEPS, bits=16).network
    assert 0 < want.mean() < 1
    np.testing.assert_array_equal(run(network, {"input": x}).spikes[network.output], want)


def reset_midway(net: Two, x: torch.Tensor) -> torch.Tensor:
    m1, out = net.l1.init_leaky(), []
    for step, one in enumerate(x):
        m1 = net.l1.init_leaky() if step == 5 else m1
        spikes, m1 = net.l1(net.fc1(one), m1)
        out.append(spikes)
    return torch.stack(out)


def by_numpy(net: Two, x: torch.Tensor) -> torch.Tensor:
    return torch.stack(net.over(net.fc1(torch.as_tensor(np.asarray(one))) for one in x))


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return (x > 0).to(x.dtype)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (reset_midway, "must all run once a step and keep their membranes for 7 steps"),
        (by_numpy, r"must not depend on its data in Python, as it does at test_forms.py:\d+"),
        (
            lambda net, x: torch.stack(net.over(Straight.apply(net.fc1(one)) for one in x)),
            r"Straight\(\) at test_forms.py:\d+ must be affine",
        ),
        (
            lambda net, x: torch.stack(net.over(net.fc1(one - x.mean(0)) for one in x)),
            "must do the same in every step",
        ),
        (
            lambda net, x: torch.stack(net.over(net.fc1(one - one.mean(0)) for one in x)),
            "must leave the samples of a batch apart",
        ),
        (
            lambda net, x: torch.stack(net.over(torch.dropout(net.fc1(a), 0.5, True) for a in x)),
            "must be affine|must be off in eval mode",
        ),
    ],
)
def test_what_no_chip_does_is_refused(how: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        import_module(Two(how), (12,), steps=STEPS)


def test_names_of_the_graph_may_be_names_of_modules(rng: np.random.Generator) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.output, self.input = nn.Linear(12, 8), snn.Leaky(0.5, init_hidden=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            spikes: torch.Tensor = self.input(self.output(x))
            return spikes

    network = import_module(Named(), (12,)).network
    assert [node.name for node in network.inputs] == ["input"]
    assert network.populations[0].size == 8


def test_a_membrane_without_reset_is_read_out() -> None:
    def how(net: Two, x: torch.Tensor) -> torch.Tensor:
        m1, m2, out = net.l1.init_leaky(), net.l2.init_leaky(), []
        for one in x:
            spikes, m1 = net.l1(net.fc1(one), m1)
            _, m2 = net.l2(net.fc2(spikes), m2)
            out.append(m2)
        return torch.stack(out)

    with pytest.raises(InputError, match="must return the spikes of 'l2', not its membrane alone"):
        import_module(Two(how), (12,))
    net = Two(how)
    net.l2 = snn.Leaky(0.5, reset_mechanism="none")
    network = import_module(net, (12,)).network
    assert network.readout == "membrane" and not network.population("l2").fire.any()


def test_a_changed_layer_is_what_it_does(rng: np.random.Generator) -> None:
    """A hook, and a subclass with a forward of its own, are traced into."""

    class Double(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(x)

    def net(layer: nn.Linear) -> nn.Module:
        layer.weight.data = torch.as_tensor(rng.integers(-2, 4, (6, 12))).float()
        layer.bias.data.zero_()
        return nn.Sequential(layer, snn.Leaky(0.5, threshold=3.0, init_hidden=True))

    hooked = nn.Linear(12, 6)
    hooked.register_forward_hook(lambda module, args, out: out * 2)
    for made in (net(Double(12, 6)), net(hooked)):
        weights = import_module(made, (12,)).network.edges[0].weights
        ratio = weights / made[0].weight.detach().numpy().T.clip(1e-9)  # type: ignore[index]
        assert weights.any() and np.unique(ratio[weights > 0]).size == 1
