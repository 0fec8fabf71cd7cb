"""Batch normalisation through time (Kim & Panda 2021): a net with statistics and gains of every step, and its exact folding into pages.

    x[t] = sum_j w_j o_j[t]                                              inputs of step t, of the layer before in the same step
    u[t] = lambda u[t-1] + a[t] (x[t] - mu[t]),   a = gamma / sqrt(var + eps)                                              Eqs 4, 9
    o[t] = 1 if u[t] >= theta, then u[t] -= theta                        soft reset; Eq 15 writes >=, the text "exceeds"
    last layer: lambda 1, no spikes; loss = cross entropy of softmax(u[T])                                                 Eq 5
    do/du = 0.3 max(0, 1 - |u - theta| / theta); the reset carries no gradient

mu and var are those of the batch in training and moving averages after it, of each step apart, and gamma is learnt for each step.

The chip has no gain per step, but the membrane has no unit of its own either. With v[t] = u[t] / a[t], for a > 0,

    v[t] = f[t] v[t-1] + x[t] - mu[t],   f[t] = lambda a[t-1] / a[t],   o[t] = 1 if v[t] >= theta / a[t], then v[t] -= theta / a[t]

which is the same net: sums stay sums of integers, and leak, threshold and bias have a page for each step. (The paper's Eq 15 leaves
out mu and takes a[t-1] = a[t]: then f is lambda. That is another net; see the test.) What is rounded is f, to k0 and three shifts. Gains
are therefore chosen anew from the last step back, a'[T-1] = a[T-1], a'[t-1] = f[t] a'[t] / lambda with f[t] the nearest to
lambda a[t-1] / a'[t]: errors do not add up, and the chip does exactly what a net of gains a' does, up to the rounding of integers.

Every neuron has a scale S of its own: weights, -mu, theta / a' times S, rounded. In the last layer S is proportional to a'[T-1], so
that the last membranes are u[T] in one unit and the largest is the class.

Early exit (section 3.4): steps after which the mean gamma of every layer is below a threshold add nothing and are left out, which is known
before any image is seen (``exit_step``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement, pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikeloop.golden.quantize.leak import integer_threshold, round_half_away
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.limits import LEAK_TERMS, MAX_PAGES
from spikeloop.pysim.network.elements import Edge, Input, LeakRounding, Population, Reset
from spikeloop.pysim.network.graph import Network, start_ticks

__all__ = [
    "BnttLayer",
    "BnttNet",
    "Folded",
    "exit_step",
    "fold",
    "integrate",
    "spike",
    "to_network",
]

SURROGATE = 0.3
GAMMA_LEAST = 0.01  # gains stay positive: the rescaled membrane needs it
MAX_SHIFT = 12  # of the leak


class _Spike(torch.autograd.Function):
    """All steps of a layer of neurons in one function: y [B, T, n] to spikes [B, T, n]."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, leak: float, theta: float) -> Tensor:
        u, before = torch.empty_like(y), torch.zeros_like(y[:, 0])
        for t in range(y.shape[1]):
            torch.add(y[:, t], before, alpha=leak, out=u[:, t])
            before = u[:, t] - theta * (u[:, t] >= theta)
        ctx.save_for_backward(u)
        ctx.leak, ctx.theta = leak, theta
        return (u >= theta).to(y.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (u,) = ctx.saved_tensors
        flow = grad * (1 - (u - ctx.theta).abs_() / ctx.theta).clamp_(min=0).mul_(SURROGATE)
        for t in range(flow.shape[1] - 2, -1, -1):
            flow[:, t].add_(flow[:, t + 1], alpha=ctx.leak)
        return flow, None, None


def spike(y: Tensor, leak: float, theta: float) -> Tensor:
    """Spikes ``[B, T, n]`` of LIF neurons with soft reset from normalised currents ``y``, differentiable by the paper's surrogate."""
    out: Tensor = _Spike.apply(y, leak, theta)
    return out


def integrate(y: Tensor) -> Tensor:
    """Membranes ``[B, T, n]`` of the last layer: sums of ``y`` so far."""
    return y.cumsum(1)


class BnttLayer(nn.Module):
    """``weight`` [inputs, size]; ``gamma``, ``mean``, ``var`` [steps, size]. ``momentum`` of the moving averages (not printed; 0.1)."""

    mean: Tensor
    var: Tensor

    def __init__(
        self, inputs: int, size: int, steps: int, *, eps: float, momentum: float = 0.1
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, size) / inputs**0.5)
        self.gamma = nn.Parameter(torch.ones(steps, size))
        self.register_buffer("mean", torch.zeros(steps, size))
        self.register_buffer("var", torch.ones(steps, size))
        self.eps, self.momentum = eps, momentum

    def forward(self, o: Tensor) -> Tensor:
        """Spikes ``[B, T, inputs]`` of the first T steps to normalised currents ``[B, T, size]``.

        Every pair of step and neuron is a feature of its own.
        """
        x = o @ self.weight
        mean, var, gamma = (p[: x.shape[1]].view(-1) for p in (self.mean, self.var, self.gamma))
        return F.batch_norm(
            x.flatten(1), mean, var, gamma, None, self.training, self.momentum, self.eps
        ).view_as(x)

    def gains(self) -> np.ndarray:
        """a, float64 ``[steps, size]``."""
        return _array(self.gamma) / np.sqrt(_array(self.var) + self.eps)


class BnttNet(nn.Module):
    """Layers ``sizes[0]`` (input lines) - ... - ``sizes[-1]`` (classes) over ``steps`` steps; ``leak`` lambda, ``theta`` and ``eps`` of the
    normalisation are not printed in the paper."""

    def __init__(
        self,
        sizes: Sequence[int],
        steps: int,
        *,
        leak: float = 0.95,
        theta: float = 1.0,
        eps: float = 0.1,
    ) -> None:
        super().__init__()
        self.leak, self.theta = leak, theta
        self.layers: Sequence[BnttLayer] = nn.ModuleList(  # type: ignore[assignment]
            BnttLayer(m, n, steps, eps=eps) for m, n in pairwise(sizes)
        )

    def forward(self, o: Tensor) -> Tensor:
        """Input spikes ``[B, T, lines]`` to the membranes of the last layer, ``[B, T, classes]``."""
        for layer in self.layers[:-1]:
            o = spike(layer(o), self.leak, self.theta)
        return integrate(self.layers[-1](o))

    @torch.no_grad()
    def clamp_(self) -> None:
        for layer in self.layers:
            layer.gamma.clamp_(min=GAMMA_LEAST)


def exit_step(gammas: Sequence[np.ndarray], threshold: float = 0.1) -> int:
    """T_exit: steps up to the last in which the mean gamma of some layer reaches ``threshold``; at least 1.

    gammas: of every layer, ``[steps, size]``.
    """
    high = np.max([gamma.mean(1) for gamma in gammas], 0) >= threshold
    return max(1, int(np.flatnonzero(high)[-1]) + 1 if high.any() else 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Folded:
    """One layer in units of v: of every step and neuron the leak ``factor`` f (``[steps, size]``, that of step 0 without effect) as
    ``k0`` bool, ``sign`` int8 and ``shift`` uint8 ``[steps, 3, size]``, and the ``gains`` a' that these factors stand for."""

    factor: np.ndarray
    gains: np.ndarray
    k0: np.ndarray
    sign: np.ndarray
    shift: np.ndarray


def fold(gains: np.ndarray, leak: float) -> Folded:
    """Leak factors of the rescaled membrane, as shifts, from gains a > 0, float64 ``[steps, size]``."""
    if not gains.min() > 0:
        raise InputError(f"gains of a layer to fold must be above 0, not {gains.min()}")
    (values, signs, shifts), steps = _factors(), len(gains)
    found, chosen = np.zeros(gains.shape, np.int64), gains.copy()
    for t in range(steps - 1, 0, -1):
        wanted = leak * gains[t - 1] / chosen[t]
        above = values.searchsorted(wanted).clip(1, len(values) - 1)
        found[t] = above - (wanted - values[above - 1] < values[above] - wanted)
        chosen[t - 1] = values[found[t]] * chosen[t] / leak
    return Folded(
        factor=values[found],
        gains=chosen,
        k0=signs[found, 0] == 1,
        sign=signs[found, 1:].transpose(0, 2, 1),
        shift=shifts[found].transpose(0, 2, 1),
    )


@cache
def _factors() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The factors above 0 (up to 4) that k0 and three terms of shifts 0..12 make, ascending; of each, as the sum of fewest terms, the signs
    int8 ``[n, 4]``, k0 first, and the shifts uint8 ``[n, 3]``."""
    terms = [
        (0, 0),
        *((sign, shift) for shift in range(MAX_SHIFT + 1) for sign in (1, -1)),
    ]  # (0, 0): the term is off
    best: dict[float, tuple[int, tuple[tuple[int, int], ...]]] = {}
    for three in combinations_with_replacement(terms, LEAK_TERMS):
        for k0 in (1, 0):
            value = k0 + sum(sign * 2.0**-shift for sign, shift in three)
            if value > 0 and (
                value not in best or three.count((0, 0)) > best[value][1].count((0, 0))
            ):
                best[value] = k0, three
    order = sorted(best)
    return (
        np.array(order),
        np.array([[best[v][0], *(sign for sign, _ in best[v][1])] for v in order], np.int8),
        np.array([[shift for _, shift in best[v][1]] for v in order], np.uint8),
    )


def to_network(
    net: BnttNet,
    *,
    steps: int | None = None,
    bits: int = 8,
    membrane_bits: int = 24,
    name: str = "bntt",
) -> Network:
    """The integer network of the trained net: input ``input``, populations hidden1, hidden2, ..., ``output`` (read by membrane).

    steps: the first so many (T_exit) of the trained ones, default all, at most 64: a page each. bits: of the weights, 2..16.
    """
    steps = len(net.layers[0].gamma) if steps is None else steps
    if not 1 <= steps <= min(MAX_PAGES, len(net.layers[0].gamma)):
        raise InputError(
            f"steps of a net with a page for each must be in 1..{min(MAX_PAGES, len(net.layers[0].gamma))}, not {steps}"
        )
    if not 2 <= bits <= 16:
        raise InputError(f"weight bits must be in 2..16, not {bits}")
    names = [f"hidden{i}" for i in range(1, len(net.layers))] + ["output"]
    chain = [(source, target, 0) for source, target in pairwise(["input", *names])]
    starts, populations, edges, worst = start_ticks(names, chain), [], [], {}
    for layer, (source, target, _) in zip(net.layers, chain, strict=True):
        last, gains = target == "output", layer.gains()[:steps]
        folded = fold(gains, 1.0 if last else net.leak)
        worst[target] = float(np.abs(folded.gains / gains - 1).max())
        weight, mu = _array(layer.weight), _array(layer.mean)[:steps]
        scale = (
            gains[-1] if last else np.ones(gains.shape[1])
        )  # u is S v / a: one unit for all classes
        widest = np.abs(weight).max(0) * scale
        widest = widest.max() if last else widest
        scale = scale * (2 ** (bits - 1) - 1) / np.where(widest > 0, widest, 1)
        theta = net.theta * scale / folded.gains
        fires: dict[str, Any] = (
            {}
            if last
            else {
                "v_sub": round_half_away(theta),
                "v_th": np.array(
                    [
                        [integer_threshold(v, membrane_bits=membrane_bits) for v in row]
                        for row in theta
                    ]
                ),
            }
        )
        populations.append(
            Population.make(
                target,
                gains.shape[1],
                pages=steps,
                start=starts[target],
                weight_bits=bits,
                bias=round_half_away(-mu * scale),
                k0=folded.k0,
                leak_sign=folded.sign,
                leak_shift=folded.shift,
                rounding=LeakRounding.TOWARD_ZERO,
                reset=Reset.SOFT,
                fire=not last,
                **fires,
            )
        )
        edges.append(
            Edge(
                source=source,
                target=target,
                weights=round_half_away(weight * scale).astype(np.int32),
            )
        )
    return Network(
        name=name,
        inputs=(Input(name="input", size=len(net.layers[0].weight)),),
        populations=tuple(populations),
        edges=tuple(edges),
        steps=steps,
        output="output",
        readout="membrane",
        membrane_bits=membrane_bits,
        metadata={"gain_error": worst},
    )


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy().astype(np.float64)
