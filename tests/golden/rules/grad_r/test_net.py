"""Grad R and Deep R: the paper's equations, the fused LIF against the tape, and small nets that
learn, prune and run on the RTL."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.nets.neurons import lif
from spikeloop.golden.rules.grad_r.net import (
    LEAK,
    V_TH,
    SparseNet,
    prior_mean,
    pruned_share,
    surrogate,
)
from spikeloop.golden.rules.grad_r.train import GradRConfig, train
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from tests.make.rule_nets import check_same_bits, compare_on_rtl, small_mnist

SMALL = GradRConfig(
    hidden=24,
    encoder=Encoder(name="rate", steps=6),
    epochs=8,
    batch=32,
    shift=0,
    lr=2e-2,
    alpha=0.1,
)


# -- equations -------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [5e-3, 0.2, 3.0])
@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.7, 0.95])
def test_equations_9_and_10_are_each_others_inverse(
    p: float, alpha: float, rng: np.random.Generator
):
    mu = prior_mean(p, alpha)
    assert pruned_share(mu, alpha) == pytest.approx(p, rel=1e-12)
    assert (mu > 0) == (p < 0.5)
    assert (rng.laplace(mu, 1 / alpha, 200_000) < 0).mean() == pytest.approx(
        p, abs=0.005
    )  # 4.5 sigma


def test_means_of_the_paper():
    assert (
        prior_mean(0.95, 5e-3) == pytest.approx(math.log(0.1) / 5e-3)
        and round(prior_mean(0.95, 5e-3), 1) == -460.5
    )
    assert round(prior_mean(0.95, 0.2), 2) == -11.51
    for p, alpha in ((0.0, 1.0), (1.0, 1.0), (0.5, 0.0), (0.5, math.inf)):
        with pytest.raises(
            InputError, match="p of the prior must be between 0 and 1 and alpha above 0"
        ):
            prior_mean(p, alpha)


def test_an_update_is_equation_5():
    """theta - eta (s dL/dw + alpha sign(theta - mu)) everywhere, also where the synapse is
    pruned."""
    torch.manual_seed(0)
    net = SparseNet((5, 4), alpha=0.1, p=0.95)
    with torch.no_grad():
        net.theta[0].sub_(1.0)
    theta, s, eta = net.theta[0].detach().clone(), net.get_buffer("sign0"), 0.3
    pruned = theta < 0
    assert pruned.any() and not pruned.all()
    w = net.weight(0)
    assert torch.equal(w, s * theta.relu())
    g = 10 * torch.randn(5, 4)
    (w * g).sum().backward()
    torch.optim.SGD(net.parameters(), lr=eta).step()
    net.pull(eta)
    torch.testing.assert_close(
        net.theta[0].detach(), theta - eta * (s * g + 0.1 * torch.sign(theta - net.mu))
    )
    assert (net.theta[0].detach() > 0)[pruned].any()  # some grow again


def test_time_constant_2_is_one_shift(rng: np.random.Generator):
    """Eq 2 and its doubled form spike alike, for sums that make every membrane exact in binary."""
    currents = rng.integers(-3, 6, (8, 500)) / 4
    u, m2 = np.zeros(500), torch.zeros(500)
    doubled = lif(torch.from_numpy(currents)[:, None], LEAK, v_th=V_TH, slope=surrogate)[0][
        :, 0
    ].numpy()
    for current, spikes in zip(currents, doubled, strict=True):
        m = u + (-u + current) / 2
        assert np.array_equal(m >= 1, spikes == 1)
        u = np.where(m >= 1, 0, m)
    assert 0 < doubled.mean() < 1 and not m2.any()


def test_fused_gradient_is_the_tapes(rng: np.random.Generator):
    class Step(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return (x >= 0).double()

        @staticmethod
        def backward(ctx, grad):
            h = 1 / (1 + (math.pi * ctx.saved_tensors[0] / 2) ** 2)  # H'(x / 2) of the paper
            return grad * h / 2

    currents = torch.from_numpy(rng.normal(0.7, 1.2, (7, 9, 11))).requires_grad_()
    tape = currents.detach().clone().requires_grad_()
    u, spikes = torch.zeros(9, 11, dtype=torch.float64), []
    for current in tape:
        m = LEAK * u + current
        spikes.append(Step.apply(m - V_TH))
        u = m * (1 - spikes[-1].detach())
    out, want, pull = (
        lif(currents, LEAK, v_th=V_TH, slope=surrogate)[0],
        torch.stack(spikes),
        torch.from_numpy(rng.normal(size=(7, 9, 11))),
    )
    assert torch.equal(out, want) and 0.05 < out.mean() < 0.9
    (out * pull).sum().backward()
    (want * pull).sum().backward()
    torch.testing.assert_close(currents.grad, tape.grad)
    torch.testing.assert_close(surrogate(torch.tensor(0.0)), torch.tensor(0.5))


def test_deep_r_keeps_the_number_of_synapses():
    torch.manual_seed(1)
    net = SparseNet((30, 20), alpha=1e-3, connectivity=0.2, temperature=1e-3)
    signs, first = net.get_buffer("sign0").clone(), net.get_buffer("active0").clone()
    optimiser = torch.optim.Adam(net.parameters(), lr=0.1)
    for _ in range(20):
        optimiser.zero_grad()
        (net.weight(0) * torch.randn(30, 20)).sum().backward()
        assert not net.theta[0].grad[net.get_buffer("active0") == 0].any()
        optimiser.step()
        net.rewire(0.1, optimiser)
        active, theta = net.get_buffer("active0"), net.theta[0].detach()
        assert int(active.sum()) == 120 and (theta >= 0).all() and not theta[active == 0].any()
        assert not optimiser.state[net.theta[0]]["exp_avg"][active == 0].any()
    assert not torch.equal(active, first) and torch.equal(net.get_buffer("sign0"), signs)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"connectivity": 1.0}, "connectivity of Deep R must be between 0 and 1, not 1.0"),
        ({"bits": 1}, "bits of the training must be in 2"),
        ({"alpha": -1.0}, "alpha of the training must be a number of at least 0"),
        ({"p": 1.5}, "p of the prior must be between 0 and 1"),
        (
            {"encoder": Encoder(name="bit_planes"), "bits": 14},
            "bits of the training must be in 2..13",
        ),
        ({"encoder": Encoder(name="bit_planes")}, "currents must be square, not of 28 pixels"),
    ],
)
def test_bad_settings_are_refused(change: dict, message: str, data: Dataset):
    with pytest.raises(InputError, match=message):
        train(replace(SMALL, **change), data, progress=False)


# -- small nets ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data() -> Dataset:
    """MNIST of 7 x 4 pixels, each the mean of 4 x 7."""
    return small_mnist(7, 4)


@pytest.fixture(scope="module")
def grad_r(data: Dataset) -> Network:
    return train(SMALL, data, progress=False)


def test_grad_r_prunes_and_learns_and_the_rtl_runs_it(grad_r: Network, data: Dataset):
    about = grad_r.metadata
    assert (
        about["accuracy_float"] > 0.4 and about["accuracy_integer"] > about["accuracy_float"] - 0.05
    ), about  # chance is 0.1
    assert about["connectivity_integer"] <= about["connectivity"] < 0.6
    assert all(
        p.leak_shift[0, 0].tolist() == [1] * p.size and not p.k0.any() for p in grad_r.populations
    )  # one-bit shift, no error
    compare_on_rtl(grad_r, data.test_images[:20], PRESETS["tiny"])


def test_a_stronger_prior_leaves_less(grad_r: Network, data: Dataset):
    few = replace(data, train_images=data.train_images[:500], train_labels=data.train_labels[:500])
    left = [
        train(replace(SMALL, alpha=alpha), few, progress=False).metadata["connectivity"]
        for alpha in (0.0, 0.05, 0.5)
    ]
    assert left[0] > left[1] > left[2], left


@pytest.mark.parametrize("connectivity", [None, 0.4], ids=["grad-r", "deep-r"])
def test_the_authors_form_learns_and_the_rtl_runs_it(connectivity: float | None):
    """Grey values as currents; the four lines of a pixel count as one synapse."""
    data = small_mnist(7, 7)
    encoder = Encoder(name="bit_planes", steps=6)
    alpha = 0.03 if connectivity is None else 1e-4
    config = replace(SMALL, encoder=encoder, gain=1.0, alpha=alpha, connectivity=connectivity)
    network = train(config, data, progress=False)
    about = network.metadata
    assert about["accuracy_float"] > 0.3, about
    assert abs(about["accuracy_integer"] - about["accuracy_float"]) < 0.05, about
    assert 0.1 < about["connectivity_integer"] <= about["connectivity"] < 0.9
    assert [population.weight_bits for population in network.populations] == [11, 8]
    assert network.inputs[0].size == 4 * data.pixels and network.populations[0].bias.any()
    compare_on_rtl(network, data.test_images[:20])


def test_currents_in_planes_are_the_normalised_values(seed: int):
    """The float net with a line for each bit, against the currents themselves."""
    torch.manual_seed(seed)
    net = SparseNet((12, 9, 5), alpha=0.0)
    images = np.random.default_rng(seed).integers(0, 256, (30, 12), np.uint8)
    values = torch.from_numpy((images // 16 / 15 - 0.2) / 0.4).float()
    with torch.no_grad():
        wanted = net(values.expand(7, -1, -1))
        held = net(values[None], held=7)
        spikes = torch.from_numpy(Encoder(name="bit_planes", steps=7)(images)).float()
        lines = net.float_net(4, 0.2, 0.4)(spikes.permute(1, 0, 2))
    assert 0.05 < wanted[1].mean() < 0.9
    for direct, same, on_lines in zip(wanted, held, lines, strict=True):
        assert torch.equal(direct, same) and (direct != on_lines).float().mean() < 0.01


def test_deep_r_learns_and_the_rtl_runs_it(data: Dataset):
    network = train(replace(SMALL, connectivity=0.3, alpha=1e-4), data, progress=False)
    assert (
        abs(network.metadata["connectivity"] - 0.3) < 1e-3
        and network.metadata["accuracy_float"] > 0.25
    ), network.metadata
    assert network.metadata["rule"] == "deep-r"
    compare_on_rtl(network, data.test_images[:20], PRESETS["tiny"])


@pytest.mark.parametrize("connectivity", [None, 0.3], ids=["grad-r", "deep-r"])
def test_two_trainings_give_the_same_bits(connectivity: float | None, data: Dataset, tmp_path):
    check_same_bits(
        train, replace(SMALL, epochs=2, connectivity=connectivity, temperature=1e-4), data, tmp_path
    )
