"""Sparse spiking nets with hard-concrete gates (Yin et al. 2021): every weight is multiplied by a gate that learns to be 0.

    u[t] = k_tau u[t-1] (1 - o[t-1]) + sum_j W_ij b_ij o_j[t],   o[t] = 1 if u[t] >= V_th, else 0                      Eqs 3, 4
    x ~ U(0, 1),  s = sigmoid((log x - log(1 - x) + log_alpha) / beta),  b = min(1, max(0, s (zeta - gamma) + gamma))   Eqs 17-19
    loss = |y - mean over t of z[t]|^2 + lambda sum_ij P(b_ij > 0),   P(b > 0) = sigmoid(log_alpha - beta log(-gamma / zeta))   Eq 20

with y one-hot and z the output spikes (one neuron a class votes alone). b is 0 or 1 with a positive probability each. Gates are drawn once
for a batch. For the test the paper prints no gate; here b = min(1, max(0, sigmoid(log_alpha) (zeta - gamma) + gamma)), which for
log_alpha below log(-gamma / zeta) is exactly 0: that synapse is gone. Surrogate: 1 / delta where |u - V_th| < delta / 2, else 0.

lambda is per training image here, since a sum over all weights next to one image's error would leave nothing of the net; the paper prints
1e-3 and not what it multiplies. On the chip k_tau is a sum of shifts (golden.quantize.leak.best_leak), W b an integer weight.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikeloop.golden.nets.neurons import lif
from spikeloop.golden.rules.bpsr.net import BpsrNet
from spikeloop.golden.rules.structure import Layer

__all__ = ["BETA", "GAMMA", "K_TAU", "V_TH", "ZETA", "GatedNet", "gate", "open_probability"]

GAMMA, ZETA, BETA = -0.1, 1.1, 2 / 3
V_TH, K_TAU, DELTA = 0.5, 0.1, 1.0  # Table 1, MNIST
LOG_ALPHA = 1.0  # mean of the initial log_alpha, N(1, 0.01)


def gate(log_alpha: Tensor, x: Tensor | None = None) -> Tensor:
    """b in 0..1 from draws x in (0, 1), Eqs 17-19; without draws the gate of the test."""
    s = torch.sigmoid(
        log_alpha if x is None else (torch.log(x) - torch.log1p(-x) + log_alpha) / BETA
    )
    return (s * (ZETA - GAMMA) + GAMMA).clamp(0, 1)


def open_probability(log_alpha: Tensor) -> Tensor:
    """P(b > 0), of which the penalty is the sum."""
    return torch.sigmoid(log_alpha - BETA * math.log(-GAMMA / ZETA))


def surrogate(x: Tensor) -> Tensor:
    """The rectangle of width DELTA at u - V_TH."""
    return (x.abs() < DELTA / 2).to(x.dtype).mul_(1 / DELTA)


class GatedNet(nn.Module):
    """``layers`` of golden.rules.structure without biases; ``gated`` False: the plain net of the paper's comparison (all b = 1)."""

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
            shape = layer.conv.weights_shape if layer.conv else (layer.inputs, layer.size)
            fan_in = math.prod(shape[1:]) if layer.conv else layer.inputs
            self.weight.append(nn.Parameter(torch.randn(shape) * (gain * V_TH / fan_in**0.5)))
            if gated:
                self.log_alpha.append(nn.Parameter(LOG_ALPHA + 0.01 * torch.randn(shape)))

    def effective(self, i: int) -> Tensor:
        """W b of layer i: with drawn gates in training (torch's generator), with those of the test else."""
        weight = self.weight[i]
        if not self.gated:
            return weight
        log_alpha = self.log_alpha[i]
        return weight * gate(
            log_alpha, torch.rand_like(log_alpha).clamp_(1e-6, 1 - 1e-6) if self.training else None
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Input spikes ``[T, B, inputs]`` to the spikes ``[T, B, size]`` of every layer."""
        every = []
        for i, layer in enumerate(self.structure):
            flat, weight = x.flatten(0, 1), self.effective(i)
            if layer.conv:
                current = F.conv2d(
                    flat.view(-1, *layer.conv.source), weight, stride=layer.conv.stride
                ).flatten(1)
            else:
                current = flat @ weight
            x, _ = lif(
                current.view(*x.shape[:2], -1), torch.tensor(self.k_tau), v_th=V_TH, slope=surrogate
            )
            every.append(x)
        return every

    def penalty(self) -> Tensor:
        """Expected number of open gates."""
        return sum((open_probability(a).sum() for a in self.log_alpha), torch.zeros(()))

    @torch.no_grad()
    def open_share(self) -> float:
        """Share of the weights whose gate of the test is above 0."""
        return (
            sum(int((gate(a) > 0).sum()) for a in self.log_alpha)
            / sum(w.numel() for w in self.weight)
            if self.gated
            else 1.0
        )

    @torch.no_grad()
    def float_net(self) -> BpsrNet:
        """The net of the test with threshold 1, for quantisation: weights W b / V_th, tau k_tau."""
        training = self.training
        self.eval()
        net = BpsrNet(self.structure)
        for i, layer in enumerate(net.layers):
            layer.weight.copy_(self.effective(i) / V_TH)
            layer.bias.zero_()
            layer.tau.fill_(self.k_tau)
        self.train(training)
        return net
