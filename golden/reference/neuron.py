"""One step of the neurons of a population, in torch int64, written from docs/arithmetic.md alone.

In this order: bias, rectification, leak, saturation, comparison, reset, lower bound, refractory
count.
"""

import numpy as np
import torch
from torch import Tensor

from spikeloop.pysim.network.elements import LeakRounding, LowBound, Population, Reset

__all__ = ["Neurons"]


class Neurons:
    """A population's parameters as tensors, and its step."""

    def __init__(self, p: Population, bits: int) -> None:
        self.name, self.size, self.pages = p.name, p.size, p.pages
        self.low_limit, self.high_limit = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        for key in (
            "bias",
            "v_th",
            "v_sub",
            "k0",
            "leak_sign",
            "leak_shift",
            "rectify",
            "fire",
            "v_reset",
            "v_low",
            "v_low_reset",
            "v_low_add",
            "refractory",
            "hold",
            "v_init",
        ):
            array = getattr(p, key)
            wide = array if array.dtype == np.bool_ else array.astype(np.int64)
            setattr(self, key, torch.from_numpy(wide))
        # For each alternative, the neurons that have it. The step leaves out those of no neuron.
        self.rounding = {
            mode: torch.from_numpy(p.rounding == mode)
            for mode in LeakRounding
            if (p.rounding == mode).any()
        }
        self.reset = {
            mode: torch.from_numpy(p.reset == mode) for mode in Reset if (p.reset == mode).any()
        }
        self.low = {
            mode: torch.from_numpy(p.low == mode) for mode in LowBound if (p.low == mode).any()
        }

    bias: Tensor
    v_th: Tensor
    v_sub: Tensor
    k0: Tensor
    leak_sign: Tensor
    leak_shift: Tensor
    rectify: Tensor
    fire: Tensor
    v_reset: Tensor
    v_low: Tensor
    v_low_reset: Tensor
    v_low_add: Tensor
    refractory: Tensor
    hold: Tensor
    v_init: Tensor

    def state(self, samples: int) -> tuple[Tensor, Tensor]:
        """Membrane and refractory count before step 0, ``[sample, size]``."""
        count = torch.zeros(samples, self.size, dtype=torch.int64)
        return self.v_init.expand(samples, self.size), count

    def step(
        self, k: int, state: tuple[Tensor, Tensor], total: Tensor
    ) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
        """Step k for the sums S, ``total``.

        Returns the new state (v', c'), the spikes and where a clip acted (both bool); all are
        ``[sample, size]``.
        """
        v, c = state
        page = min(k, self.pages - 1)

        current = total + self.bias[page]
        if self.rectify.any():
            current = torch.where(self.rectify, current.clamp(min=0), current)
        u, saturated = self._sat(self._leak(v, page) + current)  # clip 1
        spikes = self.fire & (u >= self.v_th[page]) & (c == 0)

        after = u  # v' of a neuron that spikes
        if Reset.HARD in self.reset:
            after = torch.where(self.reset[Reset.HARD], self.v_reset, after)
        if Reset.SOFT in self.reset:
            lowered, clip = self._sat(u - self.v_sub[page])  # clip 2
            soft = self.reset[Reset.SOFT]
            after = torch.where(soft, lowered, after)
            saturated = saturated | (spikes & soft & clip)

        rest = u  # v' of a neuron that does not
        held = self.hold & (c > 0)
        below = ~spikes & (u < self.v_low)
        if LowBound.CLIP in self.low:
            rest = torch.where(below & self.low[LowBound.CLIP], self.v_low, rest)
        if LowBound.RESET in self.low:
            rest = torch.where(below & self.low[LowBound.RESET], self.v_low_reset, rest)
        if LowBound.ADD in self.low:
            added, clip = self._sat(u + self.v_low_add)  # clip 3; a held neuron does not add
            acts = below & self.low[LowBound.ADD]
            rest = torch.where(acts, added, rest)
            saturated = saturated | (acts & ~held & clip)
        rest = torch.where(held, self.v_reset, rest)

        count = torch.where(spikes, self.refractory, (c - 1).clamp(min=0))
        return (torch.where(spikes, after, rest), count), spikes, saturated

    def _sat(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` clipped to the membrane range, and where that changed it."""
        clipped = x.clamp(self.low_limit, self.high_limit)
        return clipped, clipped != x

    def _leak(self, v: Tensor, page: int) -> Tensor:
        """L: the kept membrane and up to three shifted terms, each rounded alone."""
        leaked = torch.where(self.k0[page], v, 0)
        for sign, shift in zip(self.leak_sign[page], self.leak_shift[page], strict=True):
            if sign.any():
                leaked = leaked + sign * self._shr(v, shift)
        return leaked

    def _shr(self, v: Tensor, shift: Tensor) -> Tensor:
        """shr(v, shift) with the rounding of each neuron."""
        magnitude, result = v.abs() >> shift, v >> shift  # torch shifts int64 arithmetically: floor
        if LeakRounding.TOWARD_ZERO in self.rounding:
            zeroward = self.rounding[LeakRounding.TOWARD_ZERO]
            result = torch.where(zeroward, v.sign() * magnitude, result)
        if LeakRounding.AT_LEAST_ONE in self.rounding:
            at_least = self.rounding[LeakRounding.AT_LEAST_ONE]
            result = torch.where(at_least, v.sign() * magnitude.clamp(min=1), result)
        return result
