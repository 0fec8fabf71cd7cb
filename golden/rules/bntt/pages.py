"""BNTT over more steps than the chip has pages: a page of 2^n steps shares statistics and gains.

The sequential MNIST of Kim & Panda 2021 shows a pixel a step, 784 steps in all. With n = 4 the net
has 49 pages:

    x[t] = sum_j w_j o_j[t]                          inputs of step t, p = t >> n its page
    v[t] = lambda v[t-1] + x[t] - mu[p]
    o[t] = 1 if v[t] >= theta / a[p], then v[t] -= theta / a[p],   a = gamma / sqrt(var + eps)
    last layer: lambda 1, no spikes, no mean, no gain; loss = cross entropy of softmax(v[T] / T)
    do/du = 0.3 max(0, 1 - |u - theta| / theta),  u = a v; the reset carries no gradient

This is the paper's Eq 15 with the mean, which Eq 15 leaves out. v is the membrane in units of the
sum. A leak that acts in every step of a page cannot change that unit where the page turns, as that
of net.py does with a page for each step. So v goes on, and u is multiplied by a[p] / a[p-1].

A gain is a threshold of its page, and the mean is a bias. The chip does exactly this, up to the
rounding of integers, where lambda is a sum of shifts. The authors' code has no normalisation in the
last layer either.

Training takes all layers through a page before the next one, so that a page stays in the cache.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikeloop.golden.quantize.leak import (
    best_leak,
    integer_threshold,
    leak_arrays,
    round_half_away,
)
from spikeloop.golden.rules.bntt.net import SURROGATE, Normalised, as_array
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import Edge, Input, LeakRounding, Population, Reset
from spikeloop.pysim.network.graph import Network, start_ticks
from spikeloop.pysim.network.parameters import MAX_PAGE_SHIFT, MAX_PAGES

__all__ = ["PagedLayer", "PagedNet", "spike_page", "to_network"]


class _Spike(torch.autograd.Function):
    """The steps of a page in one function: y ``[S, B, n]`` and u ``[B, n]`` of the step before."""

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, before: Tensor, leak: float, theta: float
    ) -> tuple[Tensor, Tensor]:
        u, spikes = torch.empty_like(y), torch.empty_like(y)
        for now, current, s in zip(u, y, spikes, strict=True):
            torch.add(current, before, alpha=leak, out=now)
            torch.ge(now, theta, out=s)
            before = torch.sub(now, s, alpha=theta)
        ctx.save_for_backward(u)
        ctx.leak, ctx.theta = leak, theta
        return spikes, before

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (u,) = ctx.saved_tensors
        slope = (u - ctx.theta).abs_().div_(-ctx.theta).add_(1).clamp_(min=0).mul_(SURROGATE)
        flow, after = slope.mul_(grads[0]), grads[1]
        for now in reversed(flow.unbind()):
            now.add_(after)
            after = now * ctx.leak
        return flow, after, None, None


def spike_page(y: Tensor, before: Tensor, leak: float, theta: float) -> tuple[Tensor, Tensor]:
    """Spikes ``[S, B, n]`` of a page, and u ``[B, n]`` behind its last step.

    y:      normalised currents ``[S, B, n]``.
    before: u ``[B, n]`` behind the step before.
    """
    spikes, after = _Spike.apply(y, before, leak, theta)
    return spikes, after


class PagedLayer(Normalised):
    """A hidden layer, whose pages are of several steps."""

    def forward(self, o: Tensor, page: int) -> Tensor:
        """Normalised currents ``[S, B, size]`` of the spikes ``[S, B, inputs]`` of a page."""
        x = o.flatten(0, 1) @ self.weight
        mean, var, gamma = self.mean[page], self.var[page], self.gamma[page]
        y = F.batch_norm(x, mean, var, gamma, None, self.training, self.momentum, self.eps)
        return y.view(*o.shape[:2], -1)

    def gains(self) -> Tensor:
        """The gains a of the moving averages, ``[pages, size]``."""
        return self.gamma / (self.var + self.eps).sqrt()


class PagedNet(nn.Module):
    """The float net.

    sizes:      input lines, hidden layers, classes.
    page_shift: n, 1..15.
    leak:       lambda; like ``theta`` and ``eps`` (of the normalisation) not printed in the paper.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        steps: int,
        *,
        page_shift: int,
        leak: float,
        theta: float = 1.0,
        eps: float = 0.01,
    ) -> None:
        super().__init__()
        self.steps, self.page_shift, self.leak, self.theta = steps, page_shift, leak, theta
        pages = -(-steps >> page_shift)
        self.layers: Sequence[PagedLayer] = nn.ModuleList(  # type: ignore[assignment]
            PagedLayer(m, n, pages, eps=eps) for m, n in pairwise(sizes[:-1])
        )
        self.readout = nn.Parameter(torch.randn(sizes[-2], sizes[-1]) / sizes[-2] ** 0.5)

    def forward(self, o: Tensor) -> Tensor:
        """Membranes of the last layer behind each page, ``[B, pages, classes]``.

        o: spikes ``[B, T, lines]``.
        """
        gains = [layer.gains() for layer in self.layers]
        membranes = [o.new_zeros(len(o), a.shape[1]) for a in gains]
        sums = []
        for page, spikes in enumerate(o.transpose(0, 1).split(1 << self.page_shift)):
            for i, (layer, a) in enumerate(zip(self.layers, gains, strict=True)):
                before = membranes[i] * (a[page] / a[page - 1]) if page else membranes[i]
                y = layer(spikes, page)
                spikes, membranes[i] = spike_page(y, before, self.leak, self.theta)
            sums.append(spikes.sum(0) @ self.readout)
        return torch.stack(sums, 1).cumsum(1)

    def clamp_(self) -> None:
        """Keep all gains positive."""
        for layer in self.layers:
            layer.clamp_()


def to_network(
    net: PagedNet, *, bits: int = 8, membrane_bits: int = 24, name: str = "bntt"
) -> Network:
    """The integer network of the trained net, with the names of net.py's.

    bits: of the weights, 2..16.
    InputError for values out of range.
    """
    if not 1 <= net.page_shift <= MAX_PAGE_SHIFT:
        raise InputError(
            f"page_shift of a net must be in 1..{MAX_PAGE_SHIFT}, not {net.page_shift}"
        )
    if (pages := -(-net.steps >> net.page_shift)) > MAX_PAGES:
        raise InputError(f"pages of a net must be at most {MAX_PAGES}, not {pages}")
    if not 2 <= bits <= 16:
        raise InputError(f"weight bits must be in 2..16, not {bits}")
    names = [f"hidden{i}" for i in range(1, len(net.layers) + 1)] + ["output"]
    chain = [(source, target, 0) for source, target in pairwise(["input", *names])]
    starts, most = start_ticks(names, chain), 2 ** (bits - 1) - 1
    k0, sign, shift = leak_arrays([best_leak(net.leak)])
    populations, weights = [], []
    for layer, target in zip(net.layers, names, strict=False):
        weight, gains, mean = (as_array(x) for x in (layer.weight, layer.gains(), layer.mean))
        if not gains.min() > 0:
            raise InputError(f"gains of a layer to fold must be above 0, not {gains.min()}")
        scale = most / np.maximum(np.abs(weight).max(0), 1e-12)
        theta = net.theta * scale / gains
        threshold = [[integer_threshold(v, membrane_bits=membrane_bits) for v in r] for r in theta]
        populations.append(
            Population.make(
                target,
                weight.shape[1],
                pages=pages,
                page_shift=net.page_shift,
                start=starts[target],
                weight_bits=bits,
                bias=round_half_away(-mean * scale),
                v_th=np.array(threshold),
                v_sub=round_half_away(theta),
                rounding=LeakRounding.TOWARD_ZERO,
                reset=Reset.SOFT,
                k0=k0,
                leak_sign=sign,
                leak_shift=shift,
            )
        )
        weights.append(weight * scale)
    readout = as_array(net.readout)
    populations.append(
        Population.make(
            "output", readout.shape[1], start=starts["output"], weight_bits=bits, fire=False
        )
    )
    weights.append(readout * (most / np.abs(readout).max()))
    return Network(
        name=name,
        inputs=(Input(name="input", size=len(weights[0])),),
        populations=tuple(populations),
        edges=tuple(
            Edge(source=source, target=target, weights=round_half_away(weight).astype(np.int32))
            for (source, target, _), weight in zip(chain, weights, strict=True)
        ),
        steps=net.steps,
        output="output",
        readout="membrane",
        membrane_bits=membrane_bits,
    )
