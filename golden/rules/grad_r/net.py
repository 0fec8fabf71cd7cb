"""Grad R (Chen et al. 2021): synapses are pruned and grow again while the net learns. Deep R (Bellec et al. 2018) is its baseline.

    w = s ReLU(theta);   theta <- theta - eta (s dL/dw + alpha sign(theta - mu))                                    Eqs 3-5

dL/dw is taken where theta < 0 too, so that a pruned synapse grows again when the loss asks for it. (Algorithm 1 of the paper prints the
opposite sign.) Adam scales the gradient alone: the prior's part moves theta by eta alpha, as its values in Table 4 ask for. s is the sign
of the initial weight, theta its magnitude. The second part is a Laplace prior of scale 1 / alpha around mu, which is chosen so that a
share p of the prior is pruned:

    mu = -ln(2 p) / alpha for p < 1/2, ln(2 - 2 p) / alpha else                                                    Eq 10
    p  = exp(-alpha mu) / 2 for mu > 0, 1 - exp(alpha mu) / 2 else                                                 Eq 9

Deep R keeps the number of synapses: active ones follow the gradient, a constant pull eta alpha towards 0 and a random walk; one whose
theta falls below 0 becomes dormant, and a random dormant one becomes active with theta = 0 in its place.

Neuron (Eq 2): m = u + (-u + sum w x) / tau_m, spike where m >= 1, hard reset to 0. With tau_m = 2 this is, in twice the unit,
m = u / 2 + sum w x and a threshold of 2: a leak of one shift, no error. Surrogate H'(x) = 1 / (1 + pi^2 x^2), x = m - 1 in the unit of
Eq 2; no gradient through the reset (Eqs 11-12).
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

LEAK, V_TH = torch.tensor(0.5), 2.0  # tau_m = 2: shift by one, doubled threshold


def prior_mean(p: float, alpha: float) -> float:
    """mu of Eq 10 for a pruned share p in 0..1 (both excluded) and alpha > 0."""
    if not 0 < p < 1 or not 0 < alpha < math.inf:
        raise InputError(
            f"p of the prior must be between 0 and 1 and alpha above 0, not {p} and {alpha}"
        )
    return -math.log(2 * p) / alpha if p < 0.5 else math.log(2 - 2 * p) / alpha


def pruned_share(mu: float, alpha: float) -> float:
    """p of Eq 9: the share of the prior below 0."""
    return math.exp(-alpha * mu) / 2 if mu > 0 else 1 - math.exp(alpha * mu) / 2


def surrogate(x: Tensor) -> Tensor:
    """dS/dm at m - V_TH, both in twice the unit of Eq 2: half of H' at x / 2."""
    return x.mul(math.pi / 2).square_().add_(1).reciprocal_().mul_(0.5)


class _Grown(torch.autograd.Function):
    """s ReLU(theta), with the redefined gradient s for every theta."""

    @staticmethod
    def forward(ctx: Any, theta: Tensor, s: Tensor) -> Tensor:
        ctx.save_for_backward(s)
        return theta.clamp(min=0).mul_(s)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (s,) = ctx.saved_tensors
        return grad * s, None


class SparseNet(nn.Module):
    """Layers ``sizes`` without biases, trained by Grad R (``connectivity`` None) or Deep R (share 0..1 of the synapses that is active).

    alpha: scale of the prior or pull, 0 for none; p: pruned share of the prior (Grad R); temperature: of the random walk (Deep R), whose
    step is N(0, 2 lr temperature); gain: initial weights are N(0, gain^2 / inputs), of the active inputs with Deep R.
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
        self.sizes, self.alpha, self.temperature, self.deep = (
            tuple(sizes),
            alpha,
            temperature,
            connectivity is not None,
        )
        self.mu = prior_mean(p, alpha) if alpha and not self.deep else 0.0
        self.theta = nn.ParameterList()
        for i, (m, n) in enumerate(pairwise(sizes)):
            w = (
                torch.randn(m, n)
                * gain
                / (m * (1.0 if connectivity is None else connectivity)) ** 0.5
            )
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

    def forward(self, x: Tensor) -> list[Tensor]:
        """Input spikes ``[T, B, inputs]`` to the spikes ``[T, B, size]`` of every layer."""
        every = []
        for i in range(len(self.theta)):
            currents = (x.flatten(0, 1) @ self.weight(i)).unflatten(0, x.shape[:2])
            x, _ = lif(currents, LEAK, v_th=V_TH, slope=surrogate)
            every.append(x)
        return every

    @torch.no_grad()
    def pull(self, lr: float) -> None:
        """The prior's part of an update: theta <- theta - lr alpha sign(theta - mu)."""
        for theta in self.theta:
            theta.sub_(torch.sign(theta - self.mu), alpha=lr * self.alpha)

    @torch.no_grad()
    def rewire(self, lr: float, optimiser: torch.optim.Optimizer) -> None:
        """Deep R's: pull, walk, put to sleep, and wake as many; what the optimiser knows of either is forgotten."""
        for i, theta in enumerate(self.theta):
            active = self.get_buffer(f"active{i}")
            theta.sub_(lr * self.alpha)
            if self.temperature:
                theta.add_(torch.randn(theta.shape), alpha=(2 * lr * self.temperature) ** 0.5)
            theta.mul_(active)
            gone = (theta < 0).view(-1).nonzero()[:, 0]
            dormant = (active == 0).view(-1).nonzero()[:, 0]
            born = (
                dormant[torch.randint(len(dormant), (len(gone),))].unique()
                if len(dormant)
                else dormant
            )
            gone = gone[
                torch.randperm(len(gone))[: len(born)]
            ]  # a synapse that was drawn twice: one of those below 0 stays, at 0
            theta.clamp_(min=0)
            active.view(-1)[gone], active.view(-1)[born] = 0, 1
            moved = torch.cat((gone, born))
            theta.view(-1)[moved] = 0
            for kept in optimiser.state[theta].values():
                if isinstance(kept, Tensor) and kept.shape == theta.shape:
                    kept.view(-1)[moved] = 0

    def connectivity(self) -> float:
        """Share of the synapses whose weight is not 0."""
        left = [int((self.weight(i) != 0).sum()) for i in range(len(self.theta))]
        return sum(left) / sum(t.numel() for t in self.theta)

    @torch.no_grad()
    def float_net(self) -> FloatNet:
        """The same net in the unit of Eq 2: half the weights, threshold 1, tau 1/2."""
        net = FloatNet(self.sizes)
        for i, layer in enumerate(net.layers):
            layer.weight.copy_(self.weight(i) / 2)
            layer.bias.zero_()
            layer.tau.fill_(LEAK)
        return net
