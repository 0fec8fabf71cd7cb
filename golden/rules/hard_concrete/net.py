"""Sparse spiking nets with hard-concrete gates (Yin et al. 2021).

Every weight is multiplied by a gate that learns to be 0:

    u[t] = k_tau u[t-1] (1 - o[t-1]) + sum_j W_ij b_ij o_j[t]                              Eq 3
    o[t] = 1 if u[t] >= V_th, else 0                                                       Eq 4
    x ~ U(0, 1),  s = sigmoid((log x - log(1 - x) + log_alpha) / beta)                Eqs 17-18
    b = min(1, max(0, s (zeta - gamma) + gamma))                                          Eq 19
    loss = |y - mean over t of z[t]|^2 + lambda sum_ij P(b_ij > 0)                        Eq 20
    P(b > 0) = sigmoid(log_alpha - beta log(-gamma / zeta))

y is one-hot and z are the output spikes (one neuron a class votes alone). b is 0 or 1 with a
positive probability each. Gates are drawn once for a batch. For the test the paper prints no gate.
Here it is b = min(1, max(0, sigmoid(log_alpha) (zeta - gamma) + gamma)). For log_alpha below
log(-gamma / zeta) this is exactly 0, and that synapse is gone. Surrogate: 1 / delta where
|u - V_th| < delta / 2, else 0.

Here lambda is per training image: a sum over all weights beside one image's error would leave
nothing of the net. The paper prints 1e-3, but not what it multiplies. On the chip k_tau is a sum of
shifts (golden.quantize.leak.best_leak) and W b is an integer weight.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikeloop.golden.nets.neurons import lif
from spikeloop.golden.rules.bpsr.net import BpsrNet
from spikeloop.golden.rules.ecc.net import fold_pool
from spikeloop.golden.rules.structure import Layer

__all__ = [
    "BETA", "GAMMA", "K_TAU", "V_TH", "ZETA", "GatedNet", "folded", "gate", "open_probability",
]  # fmt: skip

GAMMA, ZETA, BETA = -0.1, 1.1, 2 / 3
V_TH, K_TAU, DELTA = 0.5, 0.1, 1.0  # Table 1, MNIST
LOG_ALPHA = 1.0  # mean of the initial log_alpha, N(1, 0.01)


def gate(log_alpha: Tensor, x: Tensor | None = None) -> Tensor:
    """The gate b, 0..1, of draws x in (0, 1) (Eqs 17-19); without draws the gate of the test."""
    if x is not None:
        log_alpha = (torch.log(x) - torch.log1p(-x) + log_alpha) / BETA
    s = torch.sigmoid(log_alpha)
    return (s * (ZETA - GAMMA) + GAMMA).clamp(0, 1)


def open_probability(log_alpha: Tensor) -> Tensor:
    """Probability that the gate is open, P(b > 0). The penalty is the sum of these."""
    return torch.sigmoid(log_alpha - BETA * math.log(-GAMMA / ZETA))


def surrogate(x: Tensor) -> Tensor:
    """The rectangle of width DELTA, at x = u - V_TH."""
    return (x.abs() < DELTA / 2).to(x.dtype).mul_(1 / DELTA)


def folded(layer: Layer, weight: Tensor) -> tuple[Layer, Tensor]:
    """A layer without averages that computes the same: each line of a window has the weight of its
    mean, over the lines of the window."""
    if not (pool := layer.average):
        return layer, weight
    side, _ = pool.kernel
    if layer.conv:
        conv, array = fold_pool(layer.conv, weight.detach().numpy(), side)
        return replace(layer, conv=conv, average=None), torch.from_numpy(array)
    place = torch.arange(len(weight)).view(pool.target)
    lines = place.repeat_interleave(side, 1).repeat_interleave(side, 2).flatten()
    return replace(layer, average=None), weight[lines] / side**2


class GatedNet(nn.Module):
    """Layers of golden.rules.structure without biases.

    gated: False makes the plain net that the paper compares with (all b = 1).
    gain:  initial weights are N(0, (gain V_TH)^2 / fan-in).
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        gated: bool = True,
        k_tau: float = K_TAU,
        gain: float = 2.0,
    ) -> None:
        super().__init__()
        self.structure, self.k_tau, self.gated = tuple(layers), k_tau, gated
        self.weight, self.log_alpha = nn.ParameterList(), nn.ParameterList()
        for layer in layers:
            seen = math.prod(layer.average.target) if layer.average else layer.inputs
            shape = layer.conv.weights_shape if layer.conv else (seen, layer.size)
            fan_in = math.prod(shape[1:]) if layer.conv else seen
            # the mean of a window of sparse spikes is smaller than a spike
            side = layer.average.kernel[0] if layer.average else 1
            spread = side * gain * V_TH / fan_in**0.5
            self.weight.append(nn.Parameter(torch.randn(shape) * spread))
            if gated:
                self.log_alpha.append(nn.Parameter(LOG_ALPHA + 0.01 * torch.randn(shape)))

    def effective(self, i: int) -> Tensor:
        """W b of layer i; in training the gates are drawn by torch's generator."""
        weight = self.weight[i]
        if not self.gated:
            return weight
        log_alpha, x = self.log_alpha[i], None
        if self.training:
            x = torch.rand_like(log_alpha).clamp_(1e-6, 1 - 1e-6)
        return weight * gate(log_alpha, x)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Spikes ``[T, B, size]`` of every layer, of input spikes ``[T, B, inputs]``."""
        every = []
        for i, layer in enumerate(self.structure):
            flat, weight = x.flatten(0, 1), self.effective(i)
            if pool := layer.average:
                flat = F.avg_pool2d(flat.view(-1, *pool.source), pool.kernel).flatten(1)
            if layer.conv:
                maps = flat.view(-1, *layer.conv.source)
                current = F.conv2d(maps, weight, stride=layer.conv.stride).flatten(1)
            else:
                current = flat @ weight
            current, k_tau = current.view(*x.shape[:2], -1), torch.tensor(self.k_tau)
            x, _ = lif(current, k_tau, v_th=V_TH, slope=surrogate)
            every.append(x)
        return every

    def penalty(self) -> Tensor:
        """Expected number of open gates."""
        return sum((open_probability(a).sum() for a in self.log_alpha), torch.zeros(()))

    @torch.no_grad()
    def open_share(self) -> float:
        """Share of the weights whose gate of the test is above 0."""
        if not self.gated:
            return 1.0
        above = sum(int((gate(log_alpha) > 0).sum()) for log_alpha in self.log_alpha)
        return above / sum(weight.numel() for weight in self.weight)

    @torch.no_grad()
    def float_net(self) -> BpsrNet:
        """The net of the test with threshold 1, for quantisation.

        Its weights are W b / V_th, its tau is k_tau. Averages are part of the weights behind them.
        """
        training = self.training
        self.eval()
        plain = [folded(layer, self.effective(i) / V_TH) for i, layer in enumerate(self.structure)]
        net = BpsrNet([layer for layer, _ in plain])
        for layer, (_, weight) in zip(net.layers, plain, strict=True):
            layer.weight.copy_(weight)
            layer.bias.zero_()
            layer.tau.fill_(self.k_tau)
        self.train(training)
        return net
