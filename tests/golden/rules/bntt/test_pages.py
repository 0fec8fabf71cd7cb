"""BNTT with pages of several steps: the equations in rational numbers, gradients against autograd
through each step, a small net trained and run on the RTL.

About 15 CPU-seconds.
"""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.reference.integer import predict, run
from spikeloop.golden.rules.bntt.net import SURROGATE
from spikeloop.golden.rules.bntt.pages import PagedNet, to_network
from spikeloop.golden.rules.bntt.train import BnttConfig, train
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import Population
from tests.make.rule_nets import check_same_bits, compare_on_rtl, small_mnist

SMALL = BnttConfig(
    encoder=Encoder(name="sequence", steps=49, planes=2),
    hidden=(24, 24),
    page_shift=3,
    leak=1 - 2**-3,
    eps=0.01,
    optimiser="adam",
    mean=True,
    lr=0.02,
    epochs=6,
    batch=50,
    shift=0,
)


def test_the_chip_and_the_net_are_the_equations(rng: np.random.Generator) -> None:
    """Gains and leak are powers of two, means and weights whole: the equations in rational numbers,
    the integers and the float net agree in every spike and membrane."""
    steps, sizes, unit = 9, (6, 5, 4, 3), 1 << 12  # of sixteenths, at most eight times halved
    net = PagedNet(sizes, steps, page_shift=2, leak=0.5, eps=0.0).eval()
    with torch.no_grad():
        for layer in net.layers:
            layer.mean.copy_(torch.from_numpy(rng.integers(-4, 5, layer.mean.shape) / 4))
            layer.var.copy_(torch.from_numpy(0.25 ** rng.integers(-2, 2, layer.var.shape)))
        for weight in (*(layer.weight for layer in net.layers), net.readout):
            weight.copy_(torch.from_numpy(rng.integers(-4, 5, weight.shape) / 2))
            weight[0] = 127 / 16  # the largest: 16 units of the integer net are 1
    network = to_network(net)
    assert [(p.pages, p.page_shift) for p in network.populations] == [(3, 2), (3, 2), (1, 0)]
    # shr rounds at odd v: scale all integers of the network up, which changes nothing else
    scaled = replace(
        network,
        edges=tuple(replace(e, weights=e.weights * (unit // 16)) for e in network.edges),
        populations=tuple(
            replace(
                p,
                weight_bits=16,
                **{key: getattr(p, key) * (unit // 16) for key in ("bias", "v_th", "v_sub")},
            )
            for p in network.populations
        ),
    )
    spikes = rng.integers(0, 2, (8, steps, sizes[0]), dtype=np.uint8)
    spikes[:, :, 0] = rng.random((8, steps)) < 0.2
    trace, seen = run(scaled, {"input": spikes}), 0
    float_net = net(torch.from_numpy(spikes).float())
    for sample in range(len(spikes)):
        o = [[int(n) for n in row] for row in spikes[sample]]
        for layer, name in zip(net.layers, ("hidden1", "hidden2"), strict=True):
            gains = _exact(layer.gains())
            weight, mean = _exact(layer.weight), _exact(layer.mean)
            v, emitted = [Fraction(0)] * len(mean[0]), []
            for t in range(steps):
                page = t >> 2
                x = _product(o[t], weight)
                v = [b / 2 + s - m for b, s, m in zip(v, x, mean[page], strict=True)]
                fires = [b >= 1 / a for b, a in zip(v, gains[page], strict=True)]
                v = [b - n / a for b, n, a in zip(v, fires, gains[page], strict=True)]
                emitted.append([int(n) for n in fires])
                assert trace.membranes[name][sample, t].tolist() == [b * unit for b in v], (name, t)
                assert trace.spikes[name][sample, t].tolist() == emitted[-1]
                seen += sum(fires)
            o = emitted
        v = [Fraction(0)] * sizes[-1]
        for t in range(steps):
            v = [b + s for b, s in zip(v, _product(o[t], _exact(net.readout)), strict=True)]
            assert trace.membranes["output"][sample, t].tolist() == [b * unit for b in v]
            if t in (3, 7, 8):
                assert float_net[sample, t // 4].tolist() == [float(b) for b in v]
    assert 100 < seen < 8 * steps * 9 - 100  # of hidden neuron-steps


def _exact(tensor: Tensor) -> list[list[Fraction]]:
    return [[Fraction(float(n)) for n in row] for row in tensor.detach()]


def _product(o: list[int], weight: list[list[Fraction]]) -> list[Fraction]:
    columns = zip(*weight, strict=True)
    return [sum((w * n for w, n in zip(c, o, strict=True)), Fraction(0)) for c in columns]


class _Step(torch.autograd.Function):
    """The spike of u - theta, with the paper's surrogate."""

    @staticmethod
    def forward(ctx, u: Tensor) -> Tensor:
        ctx.save_for_backward(u)
        return (u >= 1).double()

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (u,) = ctx.saved_tensors
        return grad * SURROGATE * (1 - (u - 1).abs()).clamp(min=0)


def test_gradients_are_those_of_the_graph_step_by_step(rng: np.random.Generator) -> None:
    """In training: statistics of the batch and the page's steps, u carried from page to page."""
    torch.manual_seed(3)
    net = PagedNet((4, 7, 6, 3), 10, page_shift=2, leak=0.75, eps=0.1).double()
    with torch.no_grad():
        for layer in net.layers:
            layer.gamma.copy_(torch.from_numpy(rng.uniform(0.5, 2, layer.gamma.shape)))
            layer.var.copy_(torch.from_numpy(rng.uniform(0.5, 2, layer.var.shape)))
    gains = [layer.gains() for layer in net.layers]
    o = torch.from_numpy(rng.integers(0, 2, (5, 10, 4))).double()
    sent = list(o.unbind(1))
    for layer, a in zip(net.layers, gains, strict=True):
        x, u, spikes = [o @ layer.weight for o in sent], torch.zeros(5, a.shape[1]).double(), []
        for t in range(10):
            page = t >> 2
            shown = torch.stack(x[4 * page : 4 * page + 4])
            var = shown.var((0, 1), unbiased=False)
            y = layer.gamma[page] * (x[t] - shown.mean((0, 1))) / (var + 0.1).sqrt()
            turns = t > 0 and t % 4 == 0
            u = 0.75 * u * (a[page] / a[page - 1] if turns else 1) + y
            spikes.append(_Step.apply(u))
            u = u - spikes[-1].detach()
        sent = spikes
    wanted = torch.stack([s @ net.readout for s in sent]).cumsum(0)[[3, 7, 9]].transpose(0, 1)
    weigh = torch.from_numpy(rng.normal(size=wanted.shape))
    parameters = list(net.parameters())
    grads = torch.autograd.grad((wanted * weigh).sum(), parameters)
    got = net(o)
    torch.testing.assert_close(got, wanted)
    assert torch.stack(sent).mean() > 0.05
    for grad, mine in zip(grads, torch.autograd.grad((got * weigh).sum(), parameters), strict=True):
        assert grad.abs().max() > 0
        torch.testing.assert_close(mine, grad)


def test_a_gain_of_a_page_is_a_threshold_of_that_page_alone() -> None:
    """One changed gamma changes the threshold of that neuron and page, and nothing else."""

    def hidden(gamma: float) -> Population:
        torch.manual_seed(0)
        net = PagedNet((4, 3, 2), 12, page_shift=1, leak=0.95, eps=0.0).eval()
        with torch.no_grad():
            net.layers[0].gamma[2, 1] = gamma
        return to_network(net).population("hidden1")

    one, two = hidden(1.0), hidden(2.0)
    for key in ("v_th", "v_sub"):
        assert np.argwhere(getattr(one, key) != getattr(two, key)).tolist() == [[2, 1]]
    assert two.v_sub[2, 1] == pytest.approx(one.v_sub[2, 1] / 2, abs=1)
    for key in ("bias", "k0", "leak_sign", "leak_shift"):
        assert np.array_equal(getattr(one, key), getattr(two, key))


def _net(steps: int = 12, **settings: float) -> PagedNet:
    return PagedNet((4, 3, 2), steps, **{"page_shift": 1, "leak": 0.5, **settings})


def _negative() -> PagedNet:
    net = _net()
    with torch.no_grad():
        net.layers[0].gamma[1, 1] = -1
    return net


@pytest.mark.parametrize(
    ("net", "bits", "message"),
    [
        (lambda: _net(page_shift=16), 8, r"page_shift of a net must be in 1\.\.15, not 16"),
        (lambda: _net(129), 8, "pages of a net must be at most 64, not 65"),
        (_net, 1, r"weight bits must be in 2\.\.16, not 1"),
        (_negative, 8, r"gains of a layer to fold must be above 0, not -0\.99"),
    ],
)
def test_bad_nets_are_refused(net: Callable[[], PagedNet], bits: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        to_network(net(), bits=bits)


def test_it_learns_pixel_by_pixel_on_the_rtl_and_resumes(tmp_path: Path) -> None:
    data = small_mnist(7, 7)
    network = train(SMALL, data, progress=False)
    about = network.metadata
    assert about["accuracy_float"] > 0.4  # chance is 0.1
    assert about["accuracy_integer"] > about["accuracy_float"] - 0.1
    assert len(about["curve"]) == 7 and about["curve"][-1] == about["accuracy_float"]
    assert [(p.pages, p.page_shift) for p in network.populations] == [(7, 3), (7, 3), (1, 0)]
    trace = run(network, {"input": Encoder(**about["encoder"])(data.test_images)})
    assert (predict(network, trace) == data.test_labels).mean() == about["accuracy_integer"]
    compare_on_rtl(network, data.test_images[:20])
    check_same_bits(train, replace(SMALL, epochs=1), data, tmp_path)
