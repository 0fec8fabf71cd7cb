"""BPSA and BPTA: neuron and gradient against the equations, Table 5, and the way from training to
RTL on a small instance."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.reference.integer import predict, run
from spikeloop.golden.rules.bpsa.net import (
    ALPHA,
    LAMBDA,
    U_TH,
    BpsaLayer,
    BpsaNet,
    adjusted_lif,
    energy_efficiency,
)
from spikeloop.golden.rules.bpsa.train import BpsaConfig, integer_network, train
from spikeloop.golden.rules.structure import structure
from spikeloop.pysim.bundle.program import Program
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import WeightFormat
from spikeloop.pysim.network.graph import Network
from tests.make.rule_nets import check_same_bits, compare_on_rtl, small_mnist

SMALL = BpsaConfig(
    structure="3c2-mp2-fc16-fc20",
    encoder=Encoder(name="rate", steps=6),
    epochs=8,
    batch=32,
    shift=0,
    lr=2e-2,
)
SAMPLES = 20


def test_table_5():
    """Energy efficiency from the printed rates, ours first (the caption has it the other way
    round): nine of ten values to the digit."""
    table = {
        "MNIST": ((0.082, 35.1), (0.183, 15.7)),
        "N-MNIST": ((0.097, 29.6), (0.176, 16.3)),
        "CIFAR10": ((0.108, 26.6), (0.214, 13.4)),
        "DVS-Gesture": ((0.083, 34.6), (0.165, 17.4)),
        "DVS-CIFAR10": ((0.097, 29.5), (0.177, 16.2)),
    }
    equal = 0
    for rate, printed in (cell for row in table.values() for cell in row):
        equal += round(energy_efficiency(rate), 1) == printed
        low, high = (
            energy_efficiency(rate + 5e-4),
            energy_efficiency(rate - 5e-4),
        )  # the rate is rounded too
        assert low - 0.05 <= printed <= high + 0.05
    assert equal == 9
    assert energy_efficiency(0.1, steps=8) == pytest.approx(57.5)


class _Spike(torch.autograd.Function):
    """o of u, and Eq 9."""

    @staticmethod
    def forward(ctx, u: Tensor) -> Tensor:
        o = (u > U_TH).to(u.dtype)
        ctx.save_for_backward(u, o)
        return o

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        u, o = ctx.saved_tensors
        return torch.where(o > 0, grad / u, 0)


def unfused(current: Tensor, leak: float, alpha: float) -> Tensor:
    """Step by step; the spike crosses the reset by a term of value 0 whose gradient is alpha do/du
    (Eq 10)."""
    held, spikes = torch.zeros_like(current[0]), []
    for step in current:
        u = held + step
        o = _Spike.apply(u)
        held = leak * (u * (1 - o.detach()) + alpha * (o - o.detach()))
        spikes.append(o)
    return torch.stack(spikes)


@pytest.mark.parametrize(("leak", "alpha"), [(LAMBDA, ALPHA), (0.5, 0.0), (0.8, 1.0)])
def test_gradient_is_that_of_autograd_of_the_same_graph(leak: float, alpha: float, seed: int):
    torch.manual_seed(seed)
    values, weights, grads = (
        torch.rand(12, 5, 7, dtype=torch.float64) * 0.5,
        torch.randn(12, 5, 7, dtype=torch.float64),
        [],
    )
    for function in (adjusted_lif, unfused):
        current = values.clone().requires_grad_()
        spikes = function(current, leak, alpha)
        assert 0.1 < spikes.mean() < 0.9
        (spikes * weights).sum().backward()
        grads.append((spikes.detach(), current.grad))
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-12, atol=1e-14)
    assert (grads[0][1] != 0).any()


def test_neuron_and_gradient_by_hand():
    """u = 0.5 (no spike: the comparison is strict), 0.65 (spike), 0.3, 0.77 (spike)."""
    current = torch.tensor([0.5, 0.2, 0.3, 0.5], dtype=torch.float64, requires_grad=True)
    spikes = adjusted_lif(current)
    assert spikes.tolist() == [0, 1, 0, 1]
    (spikes * torch.tensor([0.0, 2.0, 0.0, 3.0])).sum().backward()
    last = 3 / 0.77
    third = last * 0.9
    second = 2 / 0.65 + third * 0.9 * 0.2 / 0.65  # across the reset
    assert current.grad.tolist() == pytest.approx([second * 0.9, second, third, last], abs=1e-12)


def test_rectified_currents_and_or_pools(seed: int):
    """The net's layers: no current is negative, and a pool spikes where one of its four does."""
    torch.manual_seed(seed)
    net = BpsaNet(structure("3c3-mp2-fc20", (1, 8, 8))).eval()
    spikes = (torch.rand(5, 4, 64) < 0.5).float()
    conv, pool, _ = net(spikes)
    squares = conv.view(5, 4, 3, 6, 6)
    for y, x in product(range(3), repeat=2):
        expected = squares[..., 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].amax((3, 4))
        assert torch.equal(pool.view(5, 4, 3, 3, 3)[..., y, x], expected)
    assert 0 < pool.mean() < 1
    with pytest.raises(InputError, match="as many neurons for each of 10 classes, not 25 in all"):
        BpsaNet(structure("fc25", (1, 8, 8)))
    with pytest.raises(InputError, match="grey values must have weights, not be a pool"):
        BpsaNet(structure("mp2-fc20", (1, 8, 8)), planes=4)


def random_net(seed: int) -> BpsaNet:
    """Norms far from neutral, one gain negative, one 0."""
    torch.manual_seed(seed)
    net = BpsaNet(structure("3c3-mp2-fc12-fc20", (1, 8, 8)))
    with torch.no_grad():
        for layer in net.layers:
            if isinstance(layer, BpsaLayer):
                norm = layer.norm
                norm.weight.uniform_(0.5, 2)  # type: ignore[union-attr, operator]
                norm.weight[0], norm.weight[1] = -1, 0  # type: ignore[index]
                norm.bias.uniform_(-0.3, 0.8)  # type: ignore[union-attr, operator]
                norm.running_mean.uniform_(-0.2, 0.2)  # type: ignore[union-attr, operator]
                norm.running_var.uniform_(0.1, 2)  # type: ignore[union-attr, operator]
    return net.eval()


def test_integer_network_is_the_float_net_with_rounded_numbers(seed: int):
    """16-bit weights: all but a few spikes of the float net with the leak of the chip; strict
    threshold; votes counted on the chip."""
    net = random_net(seed)
    network = net.to_network(6, bits=16)
    spikes = (np.random.default_rng(seed).random((40, 6, 64)) < 0.4).astype(np.uint8)
    trace = run(network, {"input": spikes})
    with torch.no_grad():
        every = net(torch.from_numpy(spikes.transpose(1, 0, 2).copy()).float())
    for name, wanted in zip(("hidden1", "pool2", "hidden3", "output"), every, strict=True):
        got = trace.spikes[name]
        assert 0 < got.mean() < 1 and (got != wanted.permute(1, 0, 2).numpy()).mean() < 0.02, name
    groups = trace.spikes["output"].reshape(40, 6, 10, 2).sum((1, 3))
    np.testing.assert_array_equal(trace.membranes["vote"][:, -1], groups)
    np.testing.assert_array_equal(predict(network, trace), groups.argmax(1))
    pool = trace.spikes["hidden1"].reshape(40, 6, 3, 3, 2, 3, 2).max((4, 6)).reshape(40, 6, 27)
    np.testing.assert_array_equal(trace.spikes["pool2"], pool)
    for name in ("hidden1", "hidden3", "output"):
        population = network.population(name)
        assert population.rectify.all() and not population.v_reset.any()
        terms = {
            (int(s), int(m))
            for s, m in zip(
                population.leak_sign[0, :, 0], population.leak_shift[0, :, 0], strict=True
            )
        }
        assert population.k0.all() and terms == {(-1, 3), (1, 5), (-1, 7)}
    assert network.metadata["leak_error"] == pytest.approx(0.9 - 0.8984375)
    assert network.population("pool2").weight_format is WeightFormat.BINARY


def test_thresholds_and_weights_of_one_map():
    """Gain 0.5 / sqrt(0.25): W' = W, s = 127 / 0.5, b' = 0.1 - 0.02; u > 0.5 is u >= 128 in units
    of 1 / 254, where 0.5 is 127."""
    layer = BpsaLayer(structure("1c2-fc1", (1, 2, 2))[0]).eval()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.5, -0.25, 0.1, 0.0]).view(1, 1, 2, 2))
        layer.norm.weight.fill_(0.5)  # type: ignore[union-attr, operator]
        layer.norm.bias.fill_(0.1)  # type: ignore[union-attr, operator]
        layer.norm.running_mean.fill_(0.02)  # type: ignore[union-attr, operator]
        layer.norm.running_var.fill_(0.25)  # type: ignore[union-attr, operator]
        layer.norm.eps = 0  # type: ignore[assignment]
    weights, bias, v_th = layer.folded(8)
    assert (
        weights.ravel().tolist() == [127, -64, 25, 0]
        and bias.tolist() == [20]
        and v_th.tolist() == [128]
    )


@pytest.mark.parametrize("text", ["3c3-mp2-fc12-fc20", "fc12-fc20"])
def test_grey_values_are_a_constant_current(text: str, seed: int):
    """The float net of grey values, and the integer one of their bit planes, against the float net
    that sees them as inputs of every step."""
    torch.manual_seed(seed)
    net = BpsaNet(structure(text, (1, 8, 8)), planes=3, bare=True).eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.uniform_(-0.3, 0.3) if "bias" in name else parameter.mul_(4)
    images = np.random.default_rng(seed).integers(0, 256, (40, 64), np.uint8)
    values = torch.from_numpy(images // 32 / 7).float()
    with torch.no_grad():
        every = net(values[None], held=6)
        for layer, wanted in zip(every, net(values.expand(6, -1, -1)), strict=True):
            assert torch.equal(layer, wanted) and layer.shape[0] == 6
    network = net.to_network(6, bits=12)
    trace = run(network, {"input": Encoder(name="bit_planes", steps=6, planes=3)(images)})
    for population, wanted in zip(network.populations, every, strict=False):
        got = trace.spikes[population.name]
        assert 0 < got.mean() < 1, population.name
        assert (got != wanted.permute(1, 0, 2).numpy()).mean() < 0.02, population.name
    assert network.population("hidden1").rectify.all()
    assert not network.population("output").rectify.any()
    assert (trace.membranes["output"] < 0).any()


def test_held_currents_have_the_gradient_of_repeated_ones(seed: int):
    """In training, where norms take their statistics from the batch."""
    values, grads = torch.rand(1, 6, 64, generator=torch.Generator().manual_seed(seed)), []
    for x, held in ((values, 5), (values.expand(5, -1, -1), 1)):
        torch.manual_seed(seed)
        net = BpsaNet(structure("3c3-mp2-fc20", (1, 8, 8)), planes=4)
        net(x, held=held)[-1].sum().backward()
        grads.append([parameter.grad for parameter in net.parameters()])
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert grads[0][0].any()


def test_norms_and_rectifiers_of_a_bare_net():
    """As in the authors' code: norms behind convolutions alone, no rectifier at the end."""
    for bare, norms, rectified in ((False, [1, 1, 1], [1, 1, 1]), (True, [1, 0, 0], [1, 1, 0])):
        layers = [
            layer
            for layer in BpsaNet(structure("3c3-mp2-fc12-fc20", (1, 8, 8)), bare=bare).layers
            if isinstance(layer, BpsaLayer)
        ]
        assert [layer.norm is not None for layer in layers] == norms
        assert [layer.rectify for layer in layers] == rectified


# -- training and RTL ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data() -> Dataset:
    """MNIST of 7 x 7 pixels, each the mean of 4 x 4."""
    return small_mnist(7, 7, train=1500)


@pytest.fixture(scope="module")
def network(data: Dataset) -> Network:
    return integer_network(train(SMALL, data, progress=False), data, bits=4)


def test_it_learns_and_the_rtl_runs_it(network: Network, data: Dataset):
    about = network.metadata
    assert (
        about["rule"] == "bpsa"
        and about["accuracy_float"] > 0.4
        and about["accuracy_integer"] > about["accuracy_float"] - 0.15
    )
    assert 0 < about["rate"] < 0.5 and about["efficiency"] == pytest.approx(
        energy_efficiency(about["rate"], 6)
    )
    spikes = Encoder(**about["encoder"])(data.test_images)
    assert (predict(network, run(network, {"input": spikes})) == data.test_labels).mean() == about[
        "accuracy_integer"
    ]
    ran = compare_on_rtl(network, data.test_images[:SAMPLES], PRESETS["tiny"])
    assert isinstance(ran, Program)


def test_a_net_of_currents_runs_on_the_rtl(data: Dataset):
    config = replace(SMALL, epochs=6, bare=True, encoder=Encoder(name="bit_planes", steps=6))
    trained = integer_network(train(config, data, progress=False), data, bits=4)
    assert trained.metadata["accuracy_integer"] > 0.3, trained.metadata["curve"]
    compare_on_rtl(trained, data.test_images[:SAMPLES], PRESETS["tiny"])


def test_two_trainings_and_a_resumed_one_give_the_same_bits(data: Dataset, tmp_path):
    check_same_bits(
        lambda config, few, **options: integer_network(train(config, few, **options), few),
        replace(SMALL, epochs=1),
        data,
        tmp_path,
    )


def test_wrong_settings_are_refused(data: Dataset):
    for change, message in (
        ({"structure": "2c2-r20-fc20"}, "structure of a net must be layers c, mp, fc"),
        ({"structure": "fc25"}, "as many neurons for each of 10 classes, not 25"),
        (
            {"encoder": Encoder(name="level_crossing", steps=7)},
            "must be square and drive a line for each of 49",
        ),
        ({"encoder": Encoder(name="sequence", steps=7, planes=7)}, "a line for each of 49"),
    ):
        with pytest.raises(InputError, match=message):
            train(replace(SMALL, **change), data, progress=False)
