"""Hard-concrete gates: their probabilities and gradient; a small net that learns, closes gates and
runs on the RTL."""

import math
from dataclasses import replace

import pytest
import torch

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.quantize.leak import best_leak
from spikeloop.golden.rules.hard_concrete.net import (
    BETA,
    GAMMA,
    V_TH,
    ZETA,
    GatedNet,
    gate,
    open_probability,
    surrogate,
)
from spikeloop.golden.rules.hard_concrete.train import HardConcreteConfig, train
from spikeloop.golden.rules.structure import structure
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from tests.make.rule_nets import check_same_bits, compare_on_rtl, small_mnist

SMALL = HardConcreteConfig(
    layers="fc16-fc10", encoder=Encoder(name="rate", steps=6), epochs=10, lr=2e-2, penalty=0.3
)


def test_an_open_gate_has_the_printed_probability():
    """0.9308 at log_alpha = 1, by the closed form and by drawing; both ends of b have a probability
    of their own."""
    assert round(float(open_probability(torch.tensor(1.0))), 4) == 0.9308
    torch.manual_seed(0)
    for log_alpha in (-2.0, 0.0, 1.0):
        b = gate(torch.full((400_000,), log_alpha), torch.rand(400_000).clamp(1e-6, 1 - 1e-6))
        assert (b > 0).double().mean() == pytest.approx(
            float(open_probability(torch.tensor(log_alpha))), abs=4e-3
        )  # 5 sigma
        assert (b == 0).any() and (b == 1).any() and b.min() == 0 and b.max() == 1


def test_the_gate_of_the_test_closes_where_it_is_said():
    edge = math.log(-GAMMA / ZETA)
    assert gate(torch.tensor(edge - 1e-3)) == 0 < gate(torch.tensor(edge + 1e-3))
    assert gate(torch.tensor(-edge + 1e-3)) == 1


def test_averages_are_folded_into_the_weights_behind_them():
    """Both nets spike alike: all values are small multiples of 2^-8, so every sum is exact."""
    torch.manual_seed(2)
    net = GatedNet(structure("6c3-ap2-5c3-ap2-fc12-fc10", (1, 14, 14), "c ap fc")).double().eval()
    for weight in net.weight:
        weight.data = (weight.data * 64).round() / 64
        weight.data += weight.data.sign() / 64
    spikes = (torch.rand(5, 9, 196, dtype=torch.float64) < 0.4).double()
    net.gated, net.k_tau = False, 0.125
    plain = net.float_net().double()
    expected, got = net(spikes), plain(spikes)
    for a, b in zip(expected, got, strict=True):
        assert torch.equal(a, b) and a.any() and not a.all()


def test_gates_are_drawn_once_a_batch_and_have_a_gradient():
    torch.manual_seed(1)
    net = GatedNet(structure("fc5", (1, 2, 4)))
    first, second = net.effective(0), net.effective(0)
    assert not torch.equal(first, second)
    net.eval()
    assert torch.equal(net.effective(0), net.effective(0))
    log_alpha, x = (
        torch.randn(50, dtype=torch.float64, requires_grad=True),
        torch.rand(50, dtype=torch.float64),
    )
    gate(log_alpha, x).sum().backward()
    s = torch.sigmoid((torch.log(x) - torch.log(1 - x) + log_alpha) / BETA)
    inside = (s * (ZETA - GAMMA) + GAMMA > 0) & (s * (ZETA - GAMMA) + GAMMA < 1)
    torch.testing.assert_close(log_alpha.grad, inside * (ZETA - GAMMA) / BETA * s * (1 - s))
    assert inside.any() and not inside.all()


def test_surrogate_is_the_rectangle():
    assert surrogate(torch.tensor([-0.6, -0.4, 0.0, 0.4, 0.6])).tolist() == [0, 1, 1, 1, 0]


@pytest.mark.parametrize(
    "k_tau, errors",
    [
        (0.1, (0.1, 0.025, 0.00625, 0.0016)),
        (0.2, (0.2, 0.05, 0.0125, 0.0032)),
        (0.3, (0.3, 0.05, 0.0125, 0.0032)),
    ],
)
def test_leaks_of_the_paper_as_sums_of_shifts(k_tau: float, errors: tuple[float, ...]):
    assert [best_leak(k_tau, terms).error for terms in range(4)] == pytest.approx(errors, abs=2e-4)


@pytest.fixture(scope="module")
def data() -> Dataset:
    """MNIST of 7 x 4 pixels, each the mean of 4 x 7."""
    return small_mnist(7, 4, train=1000, test=300)


@pytest.fixture(scope="module")
def network(data: Dataset) -> Network:
    return train(SMALL, data, progress=False)


def test_it_learns_and_closes_gates(network: Network, data: Dataset):
    about = network.metadata
    assert (
        about["accuracy_float"] > 0.3 and about["accuracy_integer"] > about["accuracy_float"] - 0.05
    ), about  # chance is 0.1
    assert about["open"] < 0.95 and about["connectivity_integer"] <= about["open"], about
    assert about["curve"][0]["open"] > about["open"] == about["curve"][-1]["open"]
    assert (
        about["leaks"][3]["accuracy"] == about["accuracy_integer"]
        and about["leaks"][3]["error"] < 0.002
    )  # 300 images are all
    p = network.populations[0]
    assert (
        p.leak_shift[0, :, 0].tolist() == [3, 5, 7]
        and p.leak_sign[0, :, 0].tolist() == [1, -1, 1]
        and not p.k0.any()
    )
    harder = train(replace(SMALL, penalty=3.0), data, progress=False).metadata
    assert harder["open"] < about["open"]
    plain = train(replace(SMALL, gated=False, epochs=1), data, progress=False).metadata
    assert plain["open"] == 1.0


def test_the_rtl_runs_it(network: Network, data: Dataset):
    compare_on_rtl(network, data.test_images[:20], PRESETS["tiny"])


def test_two_trainings_give_the_same_bits(data: Dataset, tmp_path):
    check_same_bits(train, replace(SMALL, epochs=2), data, tmp_path)


def test_convolutions_are_gated_as_they_are_laid(data: Dataset):
    """The float net that is quantised spikes as the net of the test."""
    torch.manual_seed(2)
    net = GatedNet(structure("3c3/2-fc10", (1, 7, 7)), gain=4.0).eval()
    x = (torch.rand(5, 6, 49) < 0.4).float()
    ours, theirs = net(x), net.float_net()(x)
    assert (
        all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True)) and 0 < ours[0].mean() < 1
    )
    assert V_TH == 0.5


@pytest.mark.parametrize(
    "change, message",
    [
        ({"leak_terms": 4}, r"leak_terms of the training must be in 0\.\.3, not 4"),
        ({"penalty": -1.0}, "penalty of the training must be a number"),
        ({"layers": "fc16-fc9"}, r"layers of the net must end with fc10 \(classes\), not fc9"),
        ({"layers": "r16-fc10"}, "structure of a net must"),
    ],
)
def test_bad_settings_are_refused(change: dict, message: str, data: Dataset):
    with pytest.raises(InputError, match=message):
        train(replace(SMALL, **change), data, progress=False)
