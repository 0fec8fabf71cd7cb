"""Rewiring (BPSR, Yan et al. 2022, Eqs 14-15 and Algorithm 1).

Weak synapses are pruned. Synapses that the loss asks for grow.

    m     := beta_m m + (1 - beta_m) dL/dw            momentum: moving average of the gradient
    prune :  |w| < Theta_w                                                              Eq 14
    grow  :  |m| > Theta_m (1 + mu_m ||c_i - c_j||_2)                                   Eq 15
    mask  =  (w != 0 and not prune) or grow
    w := mask w;   dL/dw := mask dL/dw;   then the optimiser's update

c is a random point of the unit cube for each neuron. The synapses of a convolution share weights,
so there each map has a point.

The paper prints three things otherwise. Eq 15 prints m := m + (1 - beta_m) dL/dw, which grows
without bound; the text calls m an exponential moving average, and here m is one. The algorithm
prints "and Prun", but its text prunes what meets Eq 14, hence "not". The exponent 1/2 of Eq 15 is
read as the root of the norm.

An optimiser with a memory of its own (Adam) would move a pruned weight away from 0;
:meth:`Rewiring.after` keeps it there.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spikeloop.pysim.common.errors import InputError

__all__ = ["Rewiring", "RewiringConfig", "distances"]


@dataclass(frozen=True, kw_only=True)
class RewiringConfig:
    """Settings; defaults are those of the paper's Table 2.

    theta_w: threshold of the weight.
    theta_m: threshold of the momentum.
    mu_m:    weight of the distance.
    beta_m:  weight of the past in the moving average, 0..1.
    """

    theta_w: float = 1e-2
    theta_m: float = 1e-4
    mu_m: float = 5.0
    beta_m: float = 0.99

    def __post_init__(self) -> None:
        for key, most in (
            ("theta_w", math.inf),
            ("theta_m", math.inf),
            ("mu_m", math.inf),
            ("beta_m", 1),
        ):
            value = getattr(self, key)
            if not 0 <= value <= most or value == math.inf:
                limits = "in 0..1" if most == 1 else "a number of at least 0"
                raise InputError(f"{key} of the rewiring must be {limits}, not {value!r}")


class Rewiring(nn.Module):
    """Rewiring of one weight array.

    distance: of the neurons that each synapse joins; broadcasts to the weights.
    """

    momentum: Tensor
    least: Tensor
    mask: Tensor

    def __init__(self, weight: nn.Parameter, distance: Tensor, config: RewiringConfig) -> None:
        super().__init__()
        self.config = config
        self._weight = (weight,)  # a tuple: the parameter belongs to the layer, not to this module
        self.register_buffer("momentum", torch.zeros_like(weight.data))
        self.register_buffer("least", config.theta_m * (1 + config.mu_m * distance))
        self.register_buffer("mask", torch.ones_like(weight.data, dtype=torch.bool))

    @torch.no_grad()
    def before(self) -> None:
        """Between gradient and update: apply the new mask to the weight and its gradient."""
        (weight,) = self._weight
        assert weight.grad is not None
        self.momentum.mul_(self.config.beta_m).add_(weight.grad, alpha=1 - self.config.beta_m)
        prune = weight.abs() < self.config.theta_w
        self.mask = ((weight != 0) & ~prune) | (self.momentum.abs() > self.least)
        weight.mul_(self.mask)
        weight.grad.mul_(self.mask)

    @torch.no_grad()
    def after(self) -> None:
        """After the update: pruned synapses stay 0."""
        (weight,) = self._weight
        weight.mul_(self.mask)

    @torch.no_grad()
    def settle(self) -> None:
        """End of the training: remove synapses that still grow and are weaker than Theta_w."""
        (weight,) = self._weight
        weight.mul_(weight.abs() >= self.config.theta_w)


def distances(sources: int, targets: int, *, same: bool = False) -> Tensor:
    """Distances of random points of the unit cube, float32 ``[sources, targets]``.

    same: sources and targets are the same neurons (a recurrent layer).
    The points come from torch's generator.
    """
    points = torch.rand(sources, 3)
    return torch.cdist(points, points if same else torch.rand(targets, 3))
