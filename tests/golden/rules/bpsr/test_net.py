"""BPSR: gradient by hand against autograd of the same graph, synapse counts, regularisers,
rewiring."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from spikeloop.golden.nets.neurons import lif, lif_step
from spikeloop.golden.rules.bpsr.net import BpsrLayer, BpsrNet
from spikeloop.golden.rules.bpsr.rewiring import Rewiring, RewiringConfig, distances
from spikeloop.golden.rules.structure import structure, synapses

MNIST = (1, 28, 28)


def test_synapses_of_the_papers_nets():
    """Table 3: 98K and 0.1M. The flat net has its hundred neurons without lateral synapses."""
    flat, recurrent = (structure(f"8c5/2-16c3/2-{kind}100-fc10", MNIST) for kind in ("fc", "r"))
    assert [layer.synapses for layer in flat] == [28800, 28800, 40000, 1000] and synapses(
        flat
    ) == 98600
    assert [layer.synapses for layer in recurrent] == [28800, 28800, 50000, 1000] and synapses(
        recurrent
    ) == 108600
    assert (
        synapses(structure("4c5/2-16c3/2-32c3-fc100-fc10", (2, 34, 34))) == 269424
    )  # N-MNIST, 0.26M
    net = BpsrNet(recurrent)
    assert net.synapses == 108600  # no initial weight is 0
    with torch.no_grad():
        net.layers[1].weight[3, 2, 1, 0] = 0  # of 25 places
        net.layers[2].recurrent[5, 5] = 0  # type: ignore[index]
    assert net.synapses == 108600 - 25 - 1


def unfused(layer: BpsrLayer, x: Tensor) -> Tensor:
    """The same layer, step by step on golden/nets/neurons.py, differentiated by autograd."""
    u = s = torch.zeros(x.shape[1], layer.layer.size, dtype=x.dtype)
    spikes = []
    for step in x:
        if conv := layer.layer.conv:
            current = F.conv2d(
                step.view(-1, *conv.source), layer.weight, layer.bias, conv.stride
            ).flatten(1)
        else:
            current = step @ layer.weight + layer.bias
        if layer.recurrent is not None:
            current = current + s @ layer.recurrent
        u, s = lif_step(u, s, current, layer.tau)
        spikes.append(s)
    return torch.stack(spikes)


def regularised(
    spikes: list[Tensor], net: BpsrNet, labels: Tensor, spike_cost: float, weight_cost: float
) -> Tensor:
    """Eq 4, of a batch of one or more, its spike term summed over the hidden layers."""
    loss = F.cross_entropy(spikes[-1].sum(0) * (10 / len(spikes[-1])), labels)
    loss = loss + spike_cost / 2 * sum((s**2).sum() for s in spikes[:-1]) / len(labels)
    return loss + weight_cost * sum(w.abs().sum() for layer in net.layers for w in layer.weights)


@pytest.mark.parametrize("text", ["fc7-fc4", "r7-r5-fc4", "3c3/2-4c2-r6-fc4"])
def test_gradient_is_that_of_autograd_of_the_same_graph(text: str, seed: int):
    """Every parameter's and the input's, in float64; random weights, taus and biases, with pruned
    synapses among them."""
    torch.manual_seed(seed)
    net = BpsrNet(structure(text, (2, 7, 6))).double()
    with torch.no_grad():
        for layer in net.layers:
            layer.tau.uniform_(0.1, 1)
            layer.bias.uniform_(-0.2, 0.5)
            for weight in layer.weights:
                weight.mul_(torch.rand_like(weight) < 0.8)
    x = (torch.rand(9, 3, 84) < 0.3).double().requires_grad_()
    labels = torch.tensor([0, 3, 1])
    grads = []
    for fused in (True, False):
        net.zero_grad()
        x.grad = None
        spikes, every = x, []
        for layer in net.layers:
            spikes = layer(spikes)[0] if fused else unfused(layer, spikes)
            every.append(spikes)
        assert all(0.05 < s.mean() < 0.95 for s in every)  # neither silent nor saturated
        if fused:
            regularised(every, net, labels, 0.1, 0.0).backward()
            for layer in net.layers:
                for weight in layer.weights:
                    weight.grad.add_(0.01 * weight.sign())  # type: ignore[union-attr]  # Eqs 9, 13: what before_update adds
        else:
            regularised(every, net, labels, 0.1, 0.01).backward()
        grads.append([p.grad.clone() for p in (*net.parameters(), x)])  # type: ignore[union-attr]
    assert len(grads[0]) == 1 + sum(3 + layer.layer.recurrent for layer in net.layers)
    for fused_grad, autograd in zip(*grads, strict=True):
        assert autograd.abs().max() > 1e-6
        torch.testing.assert_close(fused_grad, autograd, rtol=1e-10, atol=1e-12)


def test_gradient_by_hand_of_one_neuron():
    """Two steps, the first with a spike: u = 1.2, 0.7 (reset, no leak); Eqs 7 and 11 written
    out."""
    current = torch.tensor([1.2, 0.7], dtype=torch.float64).view(2, 1, 1).requires_grad_()
    tau = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    spikes, membranes = lif(current, tau)
    assert (
        spikes.flatten().tolist() == [1, 0]
        and membranes.flatten().tolist() == [1.2, 0.7]
        and not membranes.requires_grad
    )
    (spikes * torch.tensor([2.0, 3.0]).view(2, 1, 1)).sum().backward()
    slope = [0.7 / math.sqrt(math.pi) * math.exp(-((0.7 * (u - 1)) ** 2)) for u in (1.2, 0.7)]
    assert current.grad.flatten().tolist() == pytest.approx([2 * slope[0], 3 * slope[1]], abs=1e-12)  # type: ignore[union-attr]
    assert tau.grad.item() == 0  # type: ignore[union-attr]
    current = (
        torch.tensor([0.8, 0.7], dtype=torch.float64).view(2, 1, 1).requires_grad_()
    )  # u = 0.8, 1.1: what was held leaks
    lif(current, tau)[0][1].sum().backward()
    slope = [0.7 / math.sqrt(math.pi) * math.exp(-((0.7 * 0.1) ** 2))]
    assert current.grad.flatten().tolist() == pytest.approx([0.5 * slope[0], slope[0]], abs=1e-12)  # type: ignore[union-attr]
    assert tau.grad.item() == pytest.approx(0.8 * slope[0], abs=1e-12)  # type: ignore[union-attr]


def test_rewiring_is_equations_14_and_15():
    """Each synapse by Algorithm 1: kept, pruned, kept by growth though weak, grown anew, left
    out."""
    weight = torch.nn.Parameter(torch.tensor([[0.5, 0.009, 0.009, 0.0, 0.0, -0.02]]))
    distance = torch.tensor([[0.0, 0.0, 0.0, 0.0, 1.0, 0.5]])
    rewiring = Rewiring(
        weight, distance, RewiringConfig(theta_w=0.01, theta_m=1.0, mu_m=5.0, beta_m=0.75)
    )
    grad = torch.tensor([[1.0, 1.0, 8.0, 8.0, 8.0, 1.0]])
    weight.grad = grad.clone()
    rewiring.before()
    torch.testing.assert_close(rewiring.momentum, grad / 4)  # 0 beta + grad (1 - beta)
    # growth needs |m| > 1 at distance 0 and > 6 at distance 1
    assert rewiring.mask.tolist() == [[True, False, True, True, False, True]]
    assert weight.tolist() == [[0.5, 0.0, pytest.approx(0.009), 0.0, 0.0, pytest.approx(-0.02)]]
    assert weight.grad.tolist() == [[1.0, 0.0, 8.0, 8.0, 0.0, 1.0]]
    weight.data += 0.3  # an optimiser whose memory moves all of them
    rewiring.after()
    assert weight[0, [1, 4]].tolist() == [0, 0] and (weight[0, [0, 2, 3, 5]] != 0).all()
    weight.data[0, 3] = 0.001
    rewiring.settle()
    assert weight.count_nonzero() == 3


def test_momentum_is_a_moving_average(seed: int):
    torch.manual_seed(seed)
    weight = torch.nn.Parameter(torch.randn(4, 5))
    rewiring = Rewiring(weight, torch.zeros(4, 5), RewiringConfig())
    grads = torch.randn(6, 4, 5)
    want = torch.zeros(4, 5)
    for grad in grads:
        weight.grad = grad.clone()
        want = 0.99 * want + 0.01 * grad
        rewiring.before()
    torch.testing.assert_close(rewiring.momentum, want)


def test_distances_are_of_points_in_the_unit_cube(seed: int):
    torch.manual_seed(seed)
    apart, own = distances(300, 200), distances(50, 50, same=True)
    assert apart.shape == (300, 200) and apart.min() >= 0 and apart.max() <= math.sqrt(3)
    assert abs(apart.mean() - 0.6617) < 0.02  # Robbins' constant
    assert (own.diagonal() < 1e-3).all() and torch.allclose(own, own.T)


def test_update_clamps_and_keeps_what_is_pruned(seed: int):
    torch.manual_seed(seed)
    net = BpsrNet(structure("2c3-r6-fc3", (1, 6, 6)), RewiringConfig(theta_w=0.2, theta_m=1e9))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.5)
    x = (torch.rand(5, 8, 36) < 0.4).float()
    for _ in range(4):
        optimiser.zero_grad()
        regularised(net(x), net, torch.arange(8) % 3, 1e-3, 0).backward()
        net.before_update(weight_cost=1e-3)
        pruned = [weight == 0 for layer in net.layers for weight in layer.weights]
        optimiser.step()
        net.after_update()
        for was, weight in zip(
            pruned, (w for layer in net.layers for w in layer.weights), strict=True
        ):
            assert was.any() and (weight[was] == 0).all() and weight.abs().max() <= 1
        for layer in net.layers:
            assert layer.bias.abs().max() <= 1 and layer.tau.min() >= 0 and layer.tau.max() <= 1
