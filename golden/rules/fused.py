"""One LIF layer over all steps of a batch, its gradient written out: no tape of single operations, no Python per neuron.

    m[t] = leak u[t-1] + I[t],   s[t] = 1 if m[t] >= v_th else 0,   u[t] = m[t] (1 - s[t])            hard reset, u before step 0 is 0
    dL/dm[t] = dL/ds[t] surrogate(m[t] - v_th) + leak (1 - s[t]) dL/dm[t+1],   dL/dI[t] = dL/dm[t]    no gradient through the reset's s

The sums I of all steps come from one matrix product before, so that the loop over time holds three passes over ``[B, n]`` per step.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["lif"]


class _Lif(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, currents: Tensor, leak: float, v_th: float, surrogate: Callable[[Tensor], Tensor]) -> Tensor:
        membranes = currents.clone()
        silent = torch.empty_like(currents, dtype=torch.bool)
        for t, m in enumerate(membranes):
            if t:
                m.add_(membranes[t - 1] * silent[t - 1], alpha=leak)
            torch.lt(m, v_th, out=silent[t])
        ctx.save_for_backward(membranes, silent)
        ctx.leak, ctx.v_th, ctx.surrogate = leak, v_th, surrogate
        return silent.logical_not().to(currents.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        membranes, silent = ctx.saved_tensors
        out = ctx.surrogate(membranes - ctx.v_th).mul_(grad)
        for t in range(len(out) - 2, -1, -1):
            out[t].add_(out[t + 1] * silent[t], alpha=ctx.leak)
        return out, None, None, None


def lif(currents: Tensor, leak: float, v_th: float, surrogate: Callable[[Tensor], Tensor]) -> Tensor:
    """Spikes ``[T, B, n]`` (0.0, 1.0) of currents ``[T, B, n]``; ``surrogate``: the step's derivative at m - v_th, as a new tensor."""
    spikes: Tensor = _Lif.apply(currents, leak, v_th, surrogate)
    return spikes
