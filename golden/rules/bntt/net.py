"""Batch normalisation through time (Kim & Panda 2021), folded exactly into parameter pages.

The net has statistics and gains for every step:

    x[t] = sum_j w_j o_j[t]                   inputs of step t, of the layer before in the same step
    u[t] = lambda u[t-1] + a[t] (x[t] - mu[t]),   a = gamma / sqrt(var + eps)            Eqs 4, 9
    o[t] = 1 if u[t] >= theta, then u[t] -= theta
    last layer: lambda 1, no spikes; loss = cross entropy of softmax(u[T])               Eq 5
    do/du = 0.3 max(0, 1 - |u - theta| / theta); the reset carries no gradient

The reset is soft. Eq 15 writes >=, the text says "exceeds". In training mu and var are those of the
batch. After it they are moving averages, of each step apart. gamma is learnt for each step.

The chip has no gain per step, but the membrane has no unit of its own either. For a > 0 let
v[t] = u[t] / a[t]:

    v[t] = f[t] v[t-1] + x[t] - mu[t],   f[t] = lambda a[t-1] / a[t]
    o[t] = 1 if v[t] >= theta / a[t], then v[t] -= theta / a[t]

This is the same net: sums stay sums of integers, and leak, threshold and bias have a page for each
step. (The paper's Eq 15 leaves out mu and takes a[t-1] = a[t], so that f is lambda. That is another
net; a test shows it.)

Only f is rounded, to k0 and three shifts. The gains are therefore chosen anew from the last step
back: a'[T-1] = a[T-1] and a'[t-1] = f[t] a'[t] / lambda, where f[t] is the factor nearest to
lambda a[t-1] / a'[t]. So errors do not add up. The chip does exactly what a net with the gains a'
does, up to the rounding of integers.

Every neuron has a scale S of its own: weights, -mu and theta / a' times S, rounded. In the last
layer S is proportional to a'[T-1]. The last membranes are then u[T] in one unit, and the largest is
the class.

Early exit (section 3.4): steps after which the mean gamma of every layer stays below a threshold
add nothing and are left out. This is known before any image is seen (:func:`exit_step`).
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
from spikeloop.pysim.network.elements import Edge, Input, LeakRounding, Population, Reset
from spikeloop.pysim.network.graph import Network, start_ticks
from spikeloop.pysim.network.parameters import LEAK_TERMS, MAX_PAGES

__all__ = [
    "BnttLayer",
    "BnttNet",
    "Folded",
    "Normalised",
    "as_array",
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
    """All steps of a layer of neurons in one function: y ``[B, T, n]`` to spikes ``[B, T, n]``."""

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
    """Spikes ``[B, T, n]`` of LIF neurons with soft reset.

    y: normalised currents ``[B, T, n]``. The gradient is that of the paper's surrogate.
    """
    out: Tensor = _Spike.apply(y, leak, theta)
    return out


def integrate(y: Tensor) -> Tensor:
    """Membranes ``[B, T, n]`` of the last layer: the running sums of ``y``."""
    return y.cumsum(1)


class Normalised(nn.Module):
    """What a layer learns: ``weight`` ``[inputs, size]``; ``gamma``, ``mean``, ``var``
    ``[pages, size]``, where a page is one step or several.

    momentum: of the moving averages. The paper does not print it.
    """

    mean: Tensor
    var: Tensor

    def __init__(
        self, inputs: int, size: int, pages: int, *, eps: float, momentum: float = 0.1
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, size) / inputs**0.5)
        self.gamma = nn.Parameter(torch.ones(pages, size))
        self.register_buffer("mean", torch.zeros(pages, size))
        self.register_buffer("var", torch.ones(pages, size))
        self.eps, self.momentum = eps, momentum

    @torch.no_grad()
    def clamp_(self) -> None:
        """Keep all gains positive."""
        self.gamma.clamp_(min=GAMMA_LEAST)


class BnttLayer(Normalised):
    """One layer, whose pages are steps."""

    def forward(self, o: Tensor) -> Tensor:
        """Normalised currents ``[B, T, size]`` of spikes ``[B, T, inputs]`` of the first T steps.

        Every pair of step and neuron is a feature of its own.
        """
        x = o @ self.weight
        mean, var, gamma = (p[: x.shape[1]].view(-1) for p in (self.mean, self.var, self.gamma))
        return F.batch_norm(
            x.flatten(1), mean, var, gamma, None, self.training, self.momentum, self.eps
        ).view_as(x)

    def gains(self) -> np.ndarray:
        """The gains a, float64 ``[steps, size]``."""
        return as_array(self.gamma) / np.sqrt(as_array(self.var) + self.eps)


class BnttNet(nn.Module):
    """The float net.

    sizes: input lines, hidden layers, classes.
    leak:  lambda; like ``theta`` and ``eps`` (of the normalisation) not printed in the paper.
    """

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
        """Membranes of the last layer, ``[B, T, classes]``, of spikes ``[B, T, lines]``."""
        for layer in self.layers[:-1]:
            o = spike(layer(o), self.leak, self.theta)
        return integrate(self.layers[-1](o))

    def clamp_(self) -> None:
        """Keep all gains positive."""
        for layer in self.layers:
            layer.clamp_()


def exit_step(gammas: Sequence[np.ndarray], threshold: float = 0.1) -> int:
    """T_exit: the number of steps up to the last one in which a layer's mean gamma is high.

    High is at least ``threshold``. The result is at least 1.

    gammas: of every layer, ``[steps, size]``.
    """
    high = np.max([gamma.mean(1) for gamma in gammas], 0) >= threshold
    return int(np.flatnonzero(high)[-1]) + 1 if high.any() else 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Folded:
    """One layer in units of v.

    factor:      leak f of every step and neuron, ``[steps, size]``; step 0 has no effect.
    gains:       the gains a' that these factors stand for, ``[steps, size]``.
    k0:          bool ``[steps, size]``.
    sign, shift: int8 and uint8 ``[steps, 3, size]``.
    """

    factor: np.ndarray
    gains: np.ndarray
    k0: np.ndarray
    sign: np.ndarray
    shift: np.ndarray


def fold(gains: np.ndarray, leak: float) -> Folded:
    """Leak factors of the rescaled membrane as shifts.

    gains: a, float64 ``[steps, size]``; InputError unless they are above 0.
    leak:  lambda.
    """
    if not gains.min() > 0:
        raise InputError(f"gains of a layer to fold must be above 0, not {gains.min()}")
    (values, signs, shifts), steps = _factors(), len(gains)
    which, chosen = np.zeros(gains.shape, np.int64), gains.copy()
    for t in range(steps - 1, 0, -1):
        wanted = leak * gains[t - 1] / chosen[t]
        above = values.searchsorted(wanted).clip(1, len(values) - 1)
        which[t] = above - (wanted - values[above - 1] < values[above] - wanted)
        chosen[t - 1] = values[which[t]] * chosen[t] / leak
    return Folded(
        factor=values[which],
        gains=chosen,
        k0=signs[which, 0] == 1,
        sign=signs[which, 1:].transpose(0, 2, 1),
        shift=shifts[which].transpose(0, 2, 1),
    )


@cache
def _factors() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The factors above 0 (up to 4) that k0 and three terms of shifts 0..12 make, ascending.

    With each factor come the signs int8 ``[n, 4]``, k0 first, and the shifts uint8 ``[n, 3]`` of
    the sum with the fewest terms.
    """
    off = (0, 0)
    terms = [off, *((sign, shift) for shift in range(MAX_SHIFT + 1) for sign in (1, -1))]
    best: dict[float, tuple[int, tuple[tuple[int, int], ...]]] = {}
    for three in combinations_with_replacement(terms, LEAK_TERMS):
        for k0 in (1, 0):
            value = k0 + sum(sign * 2.0**-shift for sign, shift in three)
            if value > 0 and (value not in best or three.count(off) > best[value][1].count(off)):
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
    """The integer network of the trained net.

    Its input is ``input``, its populations are hidden1, hidden2, ..., ``output`` (read by
    membrane).

    steps: number of steps, from the first one (T_exit); at most 64, a page each. Default: all.
    bits:  of the weights, 2..16.
    InputError for values out of range.
    """
    steps = len(net.layers[0].gamma) if steps is None else steps
    most = min(MAX_PAGES, len(net.layers[0].gamma))
    if not 1 <= steps <= most:
        raise InputError(f"steps of a net with a page for each must be in 1..{most}, not {steps}")
    if not 2 <= bits <= 16:
        raise InputError(f"weight bits must be in 2..16, not {bits}")
    names = [f"hidden{i}" for i in range(1, len(net.layers))] + ["output"]
    chain = [(source, target, 0) for source, target in pairwise(["input", *names])]
    starts, populations, edges, worst = start_ticks(names, chain), [], [], {}
    for layer, (source, target, _) in zip(net.layers, chain, strict=True):
        last, gains = target == "output", layer.gains()[:steps]
        folded = fold(gains, 1.0 if last else net.leak)
        worst[target] = float(np.abs(folded.gains / gains - 1).max())
        weight, mu = as_array(layer.weight), as_array(layer.mean)[:steps]
        # in the last layer u is S v / a: one unit for all classes
        scale = gains[-1] if last else np.ones(gains.shape[1])
        widest = np.abs(weight).max(0) * scale
        widest = widest.max() if last else widest
        scale = scale * (2 ** (bits - 1) - 1) / np.where(widest > 0, widest, 1)
        theta = net.theta * scale / folded.gains
        fires: dict[str, Any] = {}
        if not last:
            fires["v_sub"] = round_half_away(theta)
            fires["v_th"] = np.array(
                [[integer_threshold(v, membrane_bits=membrane_bits) for v in row] for row in theta]
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


def as_array(tensor: Tensor) -> np.ndarray:
    """Its values in float64, without the graph."""
    return tensor.detach().numpy().astype(np.float64)
