"""Grad R (Chen et al. 2021): synapses are pruned and grow again while the net learns. Its baseline
is Deep R (Bellec et al. 2018).

    w = s ReLU(theta);   theta <- theta - eta (s dL/dw + alpha sign(theta - mu))          Eqs 3-5

s is the sign of the initial weight, theta its magnitude. dL/dw is taken where theta < 0 too, so
that a pruned synapse grows again when the loss asks for it. (Algorithm 1 of the paper prints the
opposite sign.) Adam scales the gradient alone. The prior moves theta by eta alpha, as its values in
Table 4 require. It is a Laplace prior of scale 1 / alpha around mu. mu is chosen so that a share p
of the prior is pruned:

    mu = -ln(2 p) / alpha for p < 1/2, ln(2 - 2 p) / alpha otherwise                         Eq 10
    p  = exp(-alpha mu) / 2 for mu > 0, 1 - exp(alpha mu) / 2 otherwise                       Eq 9

Deep R keeps the number of synapses. Active ones follow the gradient, a constant pull eta alpha
towards 0, and a random walk. A synapse whose theta falls below 0 becomes dormant. A random dormant
one becomes active in its place, with theta = 0.

Neuron (Eq 2): m = u + (-u + sum w x) / tau_m, spike where m >= 1, hard reset to 0. With tau_m = 2
and in twice the unit this is m = u / 2 + sum w x with a threshold of 2: a leak of one shift without
error. The surrogate is H'(x) = 1 / (1 + pi^2 x^2), x = m - 1 in the unit of Eq 2. No gradient flows
through the reset (Eqs 11-12).
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from spikeloop.golden.nets.layers import FloatNet
from spikeloop.golden.nets.neurons import lif
from spikeloop.pysim.common.errors import InputError

__all__ = ["LEAK", "V_TH", "SparseNet", "prior_mean", "pruned_share", "surrogate"]

LEAK, V_TH = torch.tensor(0.5), 2.0  # tau_m = 2: a shift by one, a doubled threshold


def prior_mean(p: float, alpha: float) -> float:
    """mu of Eq 10 for a pruned share p and alpha.

    InputError unless p is between 0 and 1 and alpha is above 0 and finite.
    """
    if not 0 < p < 1 or not 0 < alpha < math.inf:
        raise InputError(
            f"p of the prior must be between 0 and 1 and alpha above 0, not {p} and {alpha}"
        )
    return -math.log(2 * p) / alpha if p < 0.5 else math.log(2 - 2 * p) / alpha


def pruned_share(mu: float, alpha: float) -> float:
    """p of Eq 9: the share of the prior below 0."""
    return math.exp(-alpha * mu) / 2 if mu > 0 else 1 - math.exp(alpha * mu) / 2


def surrogate(x: Tensor) -> Tensor:
    """dS/dm at x = m - V_TH, both in twice the unit of Eq 2: half of H' at x / 2."""
    return x.mul(math.pi / 2).square_().add_(1).reciprocal_().mul_(0.5)


class _Grown(torch.autograd.Function):
    """s ReLU(theta) with gradient s for every theta, also below 0."""

    @staticmethod
    def forward(ctx: Any, theta: Tensor, s: Tensor) -> Tensor:
        ctx.save_for_backward(s)
        return theta.clamp(min=0).mul_(s)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (s,) = ctx.saved_tensors
        return grad * s, None


class SparseNet(nn.Module):
    """A net without biases, trained by Grad R or Deep R.

    sizes:        inputs, hidden layers, outputs.
    alpha:        scale of the prior or of the pull; 0 for none.
    p:            pruned share of the prior (Grad R).
    connectivity: share of the synapses that is active (Deep R), 0..1; None for Grad R.
    temperature:  of the random walk (Deep R), whose step is N(0, 2 lr temperature).
    gain:         initial weights are N(0, gain^2 / inputs); Deep R counts active inputs.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        alpha: float,
        p: float = 0.95,
        connectivity: float | None = None,
        temperature: float = 0.0,
        gain: float = 3.0,
    ) -> None:
        super().__init__()
        self.sizes, self.alpha, self.temperature = tuple(sizes), alpha, temperature
        self.deep = connectivity is not None
        self.mu = prior_mean(p, alpha) if alpha and not self.deep else 0.0
        self.theta = nn.ParameterList()
        for i, (m, n) in enumerate(pairwise(sizes)):
            inputs = m * (1.0 if connectivity is None else connectivity)
            w = torch.randn(m, n) * gain / inputs**0.5
            self.theta.append(nn.Parameter(w.abs()))
            self.register_buffer(f"sign{i}", w.sign())
            if connectivity is not None:
                active = torch.zeros(m * n)
                active[torch.randperm(m * n)[: max(round(connectivity * m * n), 1)]] = 1
                self.register_buffer(f"active{i}", active.view(m, n))
                self.theta[i].data.mul_(active.view(m, n))

    def weight(self, i: int) -> Tensor:
        """Weights ``[sizes[i], sizes[i + 1]]``."""
        s = self.get_buffer(f"sign{i}")
        if self.deep:
            return self.theta[i] * (s * self.get_buffer(f"active{i}"))
        grown: Tensor = _Grown.apply(self.theta[i], s)
        return grown

    def forward(self, x: Tensor, held: int = 1) -> list[Tensor]:
        """Spikes ``[T, B, size]`` of every layer.

        x: spikes ``[T, B, inputs]``, or real values ``[1, B, inputs]`` that last ``held`` = T
           steps.
        """
        every = []
        for i in range(len(self.theta)):
            currents = (x.flatten(0, 1) @ self.weight(i)).unflatten(0, x.shape[:2])
            if not i and held > 1:
                currents = currents.expand(held, -1, -1)
            x, _ = lif(currents, LEAK, v_th=V_TH, slope=surrogate)
            every.append(x)
        return every

    @torch.no_grad()
    def pull(self, lr: float) -> None:
        """The prior's part of a Grad R update: theta <- theta - lr alpha sign(theta - mu)."""
        for theta in self.theta:
            theta.sub_(torch.sign(theta - self.mu), alpha=lr * self.alpha)

    @torch.no_grad()
    def rewire(self, lr: float, optimiser: torch.optim.Optimizer) -> None:
        """The Deep R part of an update: pull, walk, put synapses to sleep and wake as many.

        The optimiser's memory of both kinds is set to 0.
        """
        for i, theta in enumerate(self.theta):
            active = self.get_buffer(f"active{i}")
            theta.sub_(lr * self.alpha)
            if self.temperature:
                theta.add_(torch.randn(theta.shape), alpha=(2 * lr * self.temperature) ** 0.5)
            theta.mul_(active)
            gone = (theta < 0).view(-1).nonzero()[:, 0]
            dormant = (active == 0).view(-1).nonzero()[:, 0]
            born = dormant
            if len(dormant):
                born = dormant[torch.randint(len(dormant), (len(gone),))].unique()
            # Where a dormant synapse was drawn twice, one of those below 0 stays active, at 0.
            gone = gone[torch.randperm(len(gone))[: len(born)]]
            theta.clamp_(min=0)
            active.view(-1)[gone], active.view(-1)[born] = 0, 1
            moved = torch.cat((gone, born))
            theta.view(-1)[moved] = 0
            for memory in optimiser.state[theta].values():
                if isinstance(memory, Tensor) and memory.shape == theta.shape:
                    memory.view(-1)[moved] = 0

    def connectivity(self) -> float:
        """Share of the synapses whose weight is not 0."""
        nonzero = sum(int((self.weight(i) != 0).sum()) for i in range(len(self.theta)))
        return nonzero / sum(theta.numel() for theta in self.theta)

    @torch.no_grad()
    def float_net(self, planes: int = 0, mean: float = 0.0, deviation: float = 1.0) -> FloatNet:
        """The same net in the unit of Eq 2: half the weights, threshold 1, tau 1/2.

        planes: bits of a pixel, each an input line (encoder ``bit_planes``), for a net of currents
                (grey - ``mean``) / ``deviation`` with grey in 0..1; 0 for a net of spikes.
        """
        net = FloatNet((self.sizes[0] * max(planes, 1), *self.sizes[1:]))
        for i, layer in enumerate(net.layers):
            weight = self.weight(i) / 2
            layer.bias.zero_()
            if planes and not i:
                weight = weight / deviation
                layer.bias.copy_(-mean * weight.sum(0))
                shares = torch.tensor([2.0**k for k in range(planes)]) / (2**planes - 1)
                weight = (shares[:, None, None] * weight).flatten(0, 1)
            layer.weight.copy_(weight)
            layer.tau.fill_(LEAK)
        return net
