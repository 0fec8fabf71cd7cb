"""The float neuron: leaky integrate-and-fire with hard reset and a surrogate gradient (BPSR, Yan et al. 2022, Eqs 1-2).

    u[t] = tau * u[t-1] * (1 - s[t-1]) + x[t]        x: feed-forward + recurrent current + bias
    s[t] = 1 if u[t] - U_th >= 0 else 0
    ds/du = alpha / sqrt(pi) * exp(-alpha^2 (u - U_th)^2)          alpha = 0.7

The reset carries no gradient (du[t]/ds[t-1] is left out, as in the paper's Eqs 8-13).
"""

import math

import torch
from torch import Tensor

__all__ = ["ALPHA", "U_TH", "fire", "lif_step", "surrogate"]

U_TH = 1.0
ALPHA = 0.7


def surrogate(x: Tensor) -> Tensor:
    """Derivative that stands in for the step function's at x = u - U_th."""
    return ALPHA / math.sqrt(math.pi) * torch.exp(-(ALPHA * ALPHA) * x * x)


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return grad * surrogate(x)


def fire(x: Tensor) -> Tensor:
    """1.0 where x >= 0, else 0.0; differentiable through :func:`surrogate`."""
    return _Fire.apply(x)


def lif_step(u: Tensor, s: Tensor, current: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """One step. (membrane, spikes) of the step before, ``[..., n]``, to those of this one; tau ``[n]`` in 0..1."""
    u = tau * u * (1 - s.detach()) + current
    return u, fire(u - U_TH)
