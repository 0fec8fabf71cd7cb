"""The float neuron: leaky integrate-and-fire with hard reset and a surrogate gradient (BPSR, Yan et al. 2022, Eqs 1-2).

    u[t] = tau * u[t-1] * (1 - s[t-1]) + x[t]        x: feed-forward + recurrent current + bias
    s[t] = 1 if u[t] - U_th >= 0 else 0
    ds/du = alpha / sqrt(pi) * exp(-alpha^2 (u - U_th)^2)          alpha = 0.7

The reset carries no gradient (du[t]/ds[t-1] is left out, as in the paper's Eqs 7-13). :func:`lif_step` is one step, differentiated by
autograd; :func:`lif` runs all steps of a layer, fused, its gradient written out:

    dL/du[t] = (dL/ds[t] + dL/du[t+1] W_rec^T) ds/du[t] + tau dL/du[t+1] (1 - s[t])                                    Eqs 7, 12
    dL/dtau = sum_t dL/du[t] u[t-1] (1 - s[t-1]),   dL/dW_rec = sum_t s[t-1]^T dL/du[t],   dL/dx[t] = dL/du[t]         Eqs 11, 13
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["ALPHA", "U_TH", "fire", "lif", "lif_step", "surrogate"]

U_TH = 1.0
ALPHA = 0.7


def surrogate(x: Tensor) -> Tensor:
    """Derivative that stands in for the step function's at x = u - U_th."""
    return ALPHA / math.sqrt(math.pi) * torch.exp(-(ALPHA * ALPHA) * x * x)


Slope = Callable[[Tensor], Tensor]


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


class _Lif(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, current: Tensor, tau: Tensor, recurrent: Tensor | None, v_th: float, slope: Slope
    ) -> tuple[Tensor, Tensor]:
        held = torch.zeros_like(current[0])  # tau u[t-1] (1 - s[t-1])
        membranes, spikes = torch.empty_like(current), torch.empty_like(current)
        for t, (u, s) in enumerate(zip(membranes, spikes, strict=True)):
            torch.add(current[t], held, out=u)
            if recurrent is not None and t:
                u.addmm_(spikes[t - 1], recurrent)
            torch.ge(u, v_th, out=s)
            torch.addcmul(u, u, s, value=-1, out=held).mul_(tau)
        ctx.save_for_backward(membranes, spikes, tau, recurrent)
        ctx.v_th, ctx.slope = v_th, slope
        ctx.mark_non_differentiable(membranes)
        return spikes, membranes

    @staticmethod
    def backward(
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor | None, None, None]:
        membranes, spikes, tau, recurrent = ctx.saved_tensors
        slope = ctx.slope(membranes - ctx.v_th)
        du = torch.empty_like(membranes)
        for t in reversed(range(len(du))):
            ds = grads[0][t]
            if t == len(du) - 1:
                torch.mul(ds, slope[t], out=du[t])
                continue
            if recurrent is not None:
                ds = torch.addmm(ds, du[t + 1], recurrent.T)
            torch.mul(ds, slope[t], out=du[t])
            du[t].addcmul_(du[t + 1] * tau, 1 - spikes[t])
        dtau = None
        if ctx.needs_input_grad[1]:
            rest = torch.addcmul(membranes, membranes, spikes, value=-1)  # u (1 - s)
            dtau = (du[1:] * rest[:-1]).sum_to_size(tau.shape)
        if recurrent is None:
            return du, dtau, None, None, None
        return du, dtau, spikes[:-1].flatten(0, 1).T @ du[1:].flatten(0, 1), None, None


def lif(
    current: Tensor,
    tau: Tensor,
    recurrent: Tensor | None = None,
    *,
    v_th: float = U_TH,
    slope: Slope = surrogate,
) -> tuple[Tensor, Tensor]:
    """Spikes and membranes before reset, ``[T, B, ...]``, of a layer from its feed-forward currents with bias, of the same shape.

    ``tau`` broadcasts to a step's currents; ``recurrent`` ``[n, n]`` (source first) adds last step's own spikes to currents ``[T, B, n]``.
    The spikes are differentiable in all three; ``slope`` is the step's derivative at u - ``v_th``. All steps are one node of the graph, of
    few passes over ``[B, ...]`` each.
    """
    return _Lif.apply(current, tau, recurrent, v_th, slope)
