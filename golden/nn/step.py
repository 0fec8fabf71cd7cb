"""One step of a population (docs/arithmetic.md), with gradients.

Values are whole numbers in floating point, so the step is exact: shifts are products with powers of
two, and every sum stays below 2^24 in float32 or 2^53 in float64. Backwards, rounding and clipping
are seen through: a shift is its factor, a clip passes what lies inside, and a spike has the slope

    d s / d u = 1 / (width (1 + |u - v_th| / width)^2)     (fast sigmoid, Zenke & Ganguli 2018)

with a width in units of the membrane.
"""

from typing import Any

import torch
from torch import Tensor, nn

from spikeloop.pysim.common.limits import LEAK_TERMS
from spikeloop.pysim.network.elements import ARRAYS, LeakRounding, LowBound, Population, Reset

__all__ = ["Neurons", "State", "rounded", "spike"]

State = tuple[Tensor, Tensor]
"""Membrane v and refractory count c, [sample, neuron] each."""


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, width: Tensor) -> Tensor:
        ctx.save_for_backward(x, width)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        x, width = ctx.saved_tensors
        return grads[0] / (width * (1 + x.abs() / width) ** 2), None


def spike(x: Tensor, width: Tensor) -> Tensor:
    """1 where x >= 0, with the gradient of a fast sigmoid of that width."""
    return _Spike.apply(x, width)


def through(exact: Tensor, smooth: Tensor) -> Tensor:
    """The value of ``exact`` with the gradient of ``smooth``."""
    return smooth + (exact - smooth).detach()


def rounded(x: Tensor) -> Tensor:
    """Halves away from zero; the gradient passes."""
    return through(torch.sign(x) * torch.floor(x.abs() + 0.5), x)


class Neurons(nn.Module):
    """The neurons of a population; its arrays are buffers, bias apart, which is given at each step.

    width: of the spike's slope, in units of the membrane, [neuron] or a number.
    """

    def __init__(self, population: Population, membrane_bits: int, width: Tensor) -> None:
        super().__init__()
        self.size, self.pages = population.size, population.pages
        self._least, self._most = -(2.0 ** (membrane_bits - 1)), 2.0 ** (membrane_bits - 1) - 1
        self.register_buffer("width", torch.as_tensor(width, dtype=torch.float32))
        for key in ARRAYS:
            if key != "bias":
                value = torch.as_tensor(getattr(population, key))
                self.register_buffer(key, value if value.dtype == torch.bool else value.float())
        self._leaks = bool((population.leak_sign != 0).any())
        self._rectifies = bool(population.rectify.any())
        self._bounded = bool((population.low != LowBound.NONE).any())
        self._refractory = bool(population.refractory.any())
        self._fires = bool(population.fire.any())

    def begin(self, samples: int, like: Tensor) -> State:
        """The state before step 0."""
        v = self.get_buffer("v_init").to(like.dtype).expand(samples, -1).clone()
        return v, torch.zeros_like(v)

    def forward(self, total: Tensor, bias: Tensor, state: State, step: int) -> tuple[Tensor, State]:
        """Spikes and the next state. ``total``: the sum S of the weights of the spikes that arrive;
        ``bias`` [page, neuron], whole numbers."""
        page = min(step, self.pages - 1)
        v, count = state
        current = total + bias[page]
        if self._rectifies:
            current = torch.where(self._of("rectify"), current.clamp(min=0), current)
        u = self._clip(self._leak(v, page) + current)
        free = count == 0
        fired = torch.zeros_like(u)
        if self._fires:
            may = self._of("fire") & free if self._refractory else self._of("fire")
            fired = spike(u - self._paged("v_th", page), self.get_buffer("width")) * may
        after = self._after_spike(u, fired, page)
        after = self._after_silence(u, after, fired, count)
        if self._refractory:
            loaded = self.get_buffer("refractory").to(u.dtype)
            count = torch.where(fired > 0, loaded, (count - 1).clamp(min=0))
        return fired, (after, count)

    def _leak(self, v: Tensor, page: int) -> Tensor:
        """L: what is left of the membrane."""
        left = v * self._paged("k0", page)
        if not self._leaks:
            return left
        for term in range(LEAK_TERMS):
            sign = self.get_buffer("leak_sign")[page, term].to(v.dtype)
            if bool((sign != 0).any()):
                left = left + sign * self._shifted(v, self.get_buffer("leak_shift")[page, term])
        return left

    def _shifted(self, v: Tensor, shift: Tensor) -> Tensor:
        smooth = v * torch.exp2(-shift.to(v.dtype))
        down, towards = torch.floor(smooth), torch.trunc(smooth)
        least = torch.sign(v) * towards.abs().clamp(min=1)
        mode = self.get_buffer("rounding")
        exact = torch.where(mode == LeakRounding.TOWARD_ZERO, towards, down)
        return through(torch.where(mode == LeakRounding.AT_LEAST_ONE, least, exact), smooth)

    def _after_spike(self, u: Tensor, fired: Tensor, page: int) -> Tensor:
        """v' of all neurons as far as a spike decides it."""
        reset = self.get_buffer("reset")
        soft = self._clip(u - fired * self._paged("v_sub", page))
        hard = u * (1 - fired) + self._of("v_reset").to(u.dtype) * fired
        after = torch.where(reset == Reset.SOFT, soft, u)
        return torch.where(reset == Reset.HARD, hard, after)

    def _after_silence(self, u: Tensor, after: Tensor, fired: Tensor, count: Tensor) -> Tensor:
        """The lower bound and the hold, which act where no spike is."""
        silent = fired == 0
        if self._bounded:
            mode, below = self.get_buffer("low"), u < self._of("v_low")
            added = self._clip(u + self._of("v_low_add").to(u.dtype))
            bound = torch.where(mode == LowBound.CLIP, self._of("v_low").to(u.dtype), added)
            bound = torch.where(mode == LowBound.RESET, self._of("v_low_reset").to(u.dtype), bound)
            after = torch.where(silent & below & (mode != LowBound.NONE), bound, after)
        if self._refractory:
            held = silent & self._of("hold") & (count > 0)
            after = torch.where(held, self._of("v_reset").to(u.dtype), after)
        return after

    def _clip(self, x: Tensor) -> Tensor:
        return x.clamp(self._least, self._most)

    def _paged(self, key: str, page: int) -> Tensor:
        value = self.get_buffer(key)[page]
        return value.float() if value.dtype == torch.bool else value

    def _of(self, key: str) -> Tensor:
        return self.get_buffer(key)
