"""One step of the neurons of a population, in torch int64, written from docs/arithmetic.md alone.

In this order: synaptic current, bias, rectification, leak, saturation, comparison with the
threshold and its adaptation, reset, lower bound, refractory count, adaptation.
"""

import torch
from torch import Tensor

from spikeloop.golden.reference.decay import Decay, tensor
from spikeloop.golden.reference.states import Adaptation, Current, State
from spikeloop.pysim.network.elements import LowBound, Population, Reset, Widths

__all__ = ["Neurons"]


class Neurons:
    """A population's parameters as tensors, and its step. ``widths`` are those of its network."""

    def __init__(self, p: Population, widths: Widths) -> None:
        self.name, self.size, self.pages, self.page_shift = p.name, p.size, p.pages, p.page_shift
        bits = widths.membrane
        self.low_limit, self.high_limit = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        for key in (
            "bias",
            "v_th",
            "v_sub",
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
            setattr(self, key, tensor(getattr(p, key)))
        self.leak = Decay(p, "leak_")
        self.current = Current(p, widths.current) if p.has_current else None
        self.adaptation = Adaptation(p, widths.adaptation) if p.has_adaptation else None
        # For each alternative, the neurons that have it. The step leaves out those of no neuron.
        self.reset = {
            mode: torch.from_numpy(p.reset == mode) for mode in Reset if (p.reset == mode).any()
        }
        self.low = {
            mode: torch.from_numpy(p.low == mode) for mode in LowBound if (p.low == mode).any()
        }

    bias: Tensor
    v_th: Tensor
    v_sub: Tensor
    rectify: Tensor
    fire: Tensor
    v_reset: Tensor
    v_low: Tensor
    v_low_reset: Tensor
    v_low_add: Tensor
    refractory: Tensor
    hold: Tensor
    v_init: Tensor

    def state(self, samples: int) -> State:
        """The states before step 0."""
        zero = torch.zeros(samples, self.size, dtype=torch.int64)
        return State(
            self.v_init.expand(samples, self.size),
            zero,
            zero if self.current else None,
            zero if self.adaptation else None,
        )

    def step(self, k: int, state: State, total: Tensor) -> tuple[State, Tensor, Tensor]:
        """Step k for the sums Z, ``total``.

        Returns the new state, the spikes and where a clip acted (both bool); all are
        ``[sample, size]``.
        """
        v, c, y, a = state
        page = min(k >> self.page_shift, self.pages - 1)
        drive, threshold, lowering = total, self.v_th[page], self.v_sub[page]
        clips = []
        if self.current:
            assert y is not None
            y, drive, clip = self.current.step(y, total, page)  # clip 4
            clips.append(clip)
        if self.adaptation:
            assert a is not None
            a, raised, clip = self.adaptation.raised(a, page)  # clip 5
            clips.append(clip)
            threshold = threshold + raised
            lowering = lowering + torch.where(self.adaptation.reset, raised, 0)

        current = drive + self.bias[page]
        if self.rectify.any():
            current = torch.where(self.rectify, current.clamp(min=0), current)
        u, saturated = self._sat(self.leak.of(v, page) + current)  # clip 1
        spikes = self.fire & (u >= threshold) & (c == 0)

        after = u  # v' of a neuron that spikes
        if Reset.HARD in self.reset:
            after = torch.where(self.reset[Reset.HARD], self.v_reset, after)
        if Reset.SOFT in self.reset:
            lowered, clip = self._sat(u - lowering)  # clip 2
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

        if self.adaptation and a is not None:
            a, clip = self.adaptation.spiked(a, spikes)  # clip 6
            clips.append(clip)
        for clip in clips:
            saturated = saturated | clip
        count = torch.where(spikes, self.refractory, (c - 1).clamp(min=0))
        return State(torch.where(spikes, after, rest), count, y, a), spikes, saturated

    def _sat(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` clipped to the membrane range, and where that changed it."""
        clipped = x.clamp(self.low_limit, self.high_limit)
        return clipped, clipped != x
