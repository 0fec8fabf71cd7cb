"""The float neuron: leaky integrate-and-fire with hard reset and a surrogate gradient.

Source: BPSR, Yan et al. 2022, Eqs 1-2.

    u[t] = tau * u[t-1] * (1 - s[t-1]) + x[t]        x: feed-forward + recurrent current + bias
    s[t] = 1 if u[t] - U_th >= 0 else 0
    ds/du = alpha / sqrt(pi) * exp(-alpha^2 (u - U_th)^2)          alpha = 0.7

The reset carries no gradient: du[t]/ds[t-1] is left out, as in the paper's Eqs 7-13.
:func:`lif_step` is one step, differentiated by autograd. :func:`lif` runs all steps of a layer at
once with its gradient written out:

    dL/du[t]   = (dL/ds[t] + dL/du[t+1] W_rec^T) ds/du[t] + tau dL/du[t+1] (1 - s[t])   Eqs 7, 12
    dL/dtau    = sum_t dL/du[t] u[t-1] (1 - s[t-1])                                    Eqs 11, 13
    dL/dW_rec  = sum_t s[t-1]^T dL/du[t]
    dL/dx[t]   = dL/du[t]
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
    """The derivative that replaces that of the step function, at x = u - U_th."""
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
    """Membrane before reset and spikes of one step, ``[..., n]``.

    u, s:    membrane and spikes of the step before.
    current: of this step.
    tau:     ``[n]``, 0..1.
    """
    u = tau * u * (1 - s.detach()) + current
    return u, fire(u - U_TH)


class _Lif(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, current: Tensor, tau: Tensor, recurrent: Tensor | None, v_th: float, slope: Slope
    ) -> tuple[Tensor, Tensor]:
        carried = torch.zeros_like(current[0])  # tau u[t-1] (1 - s[t-1])
        membranes, spikes = torch.empty_like(current), torch.empty_like(current)
        for t, (u, s) in enumerate(zip(membranes, spikes, strict=True)):
            torch.add(current[t], carried, out=u)
            if recurrent is not None and t:
                u.addmm_(spikes[t - 1], recurrent)
            torch.ge(u, v_th, out=s)
            torch.addcmul(u, u, s, value=-1, out=carried).mul_(tau)
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
    """Spikes and membranes before reset, ``[T, B, ...]``, of all steps of a layer.

    current:   feed-forward currents with bias, ``[T, B, ...]``.
    tau:       broadcasts to the currents of a step.
    recurrent: ``[n, n]`` (source first); adds the spikes of the last step to currents
               ``[T, B, n]``.
    slope:     derivative of the step function at u - ``v_th``.

    The spikes are differentiable in ``current``, ``tau`` and ``recurrent``. All steps are one node
    of the graph, with few passes over ``[B, ...]`` each.
    """
    return _Lif.apply(current, tau, recurrent, v_th, slope)
