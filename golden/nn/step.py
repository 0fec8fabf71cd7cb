"""One step of a population (docs/arithmetic.md), with gradients.

Values are whole numbers in floating point, so the step is exact: shifts are products with powers of
two, and every sum stays below 2^24 in float32 or 2^53 in float64. Backwards, rounding and clipping
are seen through: a shift is its factor, a clip passes what lies inside, and a spike has the slope

    d s / d u = 1 / (width (1 + |u - v_th - w| / width)^2)     (fast sigmoid, Zenke & Ganguli 2018)

with a width in units of the membrane. w is what an adaptation adds to the threshold.
"""

from typing import Any

import torch
from torch import Tensor, nn

from spikeloop.golden.nn.states import Adaptation, Current, Decay, State, through, whole
from spikeloop.pysim.network.elements import LowBound, Population, Reset, Widths
from spikeloop.pysim.network.parameters import MEMBRANE

__all__ = ["Neurons", "rounded", "spike"]

LEAK = ("k0", "leak_sign", "leak_shift", "rounding")


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


def rounded(x: Tensor) -> Tensor:
    """Halves away from zero; the gradient passes."""
    return through(torch.sign(x) * torch.floor(x.abs() + 0.5), x)


class Neurons(nn.Module):
    """The neurons of a population; its arrays are buffers, bias apart, which is given at each step.

    widths: of the states of the network.
    width:  of the spike's slope, in units of the membrane, [neuron] or a number.
    """

    def __init__(self, population: Population, widths: Widths, width: Tensor) -> None:
        super().__init__()
        self.size, self.pages = population.size, population.pages
        self.page_shift = population.page_shift
        bits = widths.membrane
        self._least, self._most = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
        self.register_buffer("width", torch.as_tensor(width, dtype=torch.float32))
        for key in MEMBRANE:
            if key != "bias" and key not in LEAK:
                self.register_buffer(key, whole(getattr(population, key)))
        self.leak = Decay(population, "leak_")
        self.current = Current(population, widths.current) if population.has_current else None
        self.adaptation = None
        if population.has_adaptation:
            self.adaptation = Adaptation(population, widths.adaptation)
        self._rectifies = bool(population.rectify.any())
        self._bounded = bool((population.low != LowBound.NONE).any())
        self._refractory = bool(population.refractory.any())
        self._fires = bool(population.fire.any())

    def begin(self, samples: int, like: Tensor) -> State:
        """The state before step 0."""
        v = self.get_buffer("v_init").to(like.dtype).expand(samples, -1).clone()
        zero = torch.zeros_like(v)
        return State(v, zero, zero if self.current else None, zero if self.adaptation else None)

    def forward(self, total: Tensor, bias: Tensor, state: State, step: int) -> tuple[Tensor, State]:
        """Spikes and the next state. ``total``: the sum S of the weights of the spikes that arrive;
        ``bias`` [page, neuron], whole numbers."""
        page = min(step >> self.page_shift, self.pages - 1)
        v, count, y, a = state
        drive, threshold, lowering = total, self._paged("v_th", page), self._paged("v_sub", page)
        if self.current is not None:
            assert y is not None
            y, drive = self.current(y, total, page)
        if self.adaptation is not None:
            assert a is not None
            a, raised = self.adaptation.raised(a, page)
            threshold = threshold + raised
            lowering = lowering + raised * self.adaptation.reset
        current = drive + bias[page]
        if self._rectifies:
            current = torch.where(self._of("rectify"), current.clamp(min=0), current)
        u = self._clip(self.leak(v, page) + current)
        free = count == 0
        fired = torch.zeros_like(u)
        if self._fires:
            may = self._of("fire") & free if self._refractory else self._of("fire")
            fired = spike(u - threshold, self.get_buffer("width")) * may
        after = self._after_spike(u, fired, lowering)
        after = self._after_silence(u, after, fired, count)
        if self._refractory:
            loaded = self.get_buffer("refractory").to(u.dtype)
            count = torch.where(fired > 0, loaded, (count - 1).clamp(min=0))
        if self.adaptation is not None:
            assert a is not None
            a = self.adaptation.spiked(a, fired)
        return fired, State(after, count, y, a)

    def _after_spike(self, u: Tensor, fired: Tensor, lowering: Tensor) -> Tensor:
        """v' of all neurons as far as a spike decides it."""
        reset = self.get_buffer("reset")
        soft = self._clip(u - fired * lowering)
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
        return self.get_buffer(key)[page]

    def _of(self, key: str) -> Tensor:
        return self.get_buffer(key)
