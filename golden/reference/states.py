"""The two further states of a neuron, in torch int64, written from docs/arithmetic.md alone.

A synaptic current y stands between the weighted sum and the membrane. An adaptation a raises the
threshold. Every tensor is ``[sample, size]``, int64, or bool where it says where a clip acted.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from spikeloop.golden.reference.decay import Decay, tensor
from spikeloop.pysim.network.elements import Population, StateUse

__all__ = ["Adaptation", "Current", "State"]


class State(NamedTuple):
    """The states of a population, ``[sample, size]``.

    v: membrane.
    c: refractory count.
    y: synaptic current; None if no neuron has one.
    a: adaptation; None if no neuron has one.
    """

    v: Tensor
    c: Tensor
    y: Tensor | None = None
    a: Tensor | None = None


class Current:
    """The synaptic currents of a population."""

    def __init__(self, p: Population, bits: int) -> None:
        self.least, self.most = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        self.has = torch.from_numpy(p.current != StateUse.NONE)
        self.old = torch.from_numpy(p.current == StateUse.OLD)
        self.decay = Decay(p, "current_")
        self.gain, self.fraction = tensor(p.gain), tensor(p.fraction)

    def step(self, y: Tensor, total: Tensor, page: int) -> tuple[Tensor, Tensor, Tensor]:
        """y', what drives the membrane (J), and where clip 4 acted; ``total`` is Z."""
        exact = self.decay.of(y, page) + (total << self.gain)
        clipped = exact.clamp(self.least, self.most)
        after = torch.where(self.has, clipped, 0)
        drive = torch.where(self.old, y, after) >> self.fraction
        return after, torch.where(self.has, drive, total), self.has & (clipped != exact)


class Adaptation:
    """The adaptations of a population."""

    def __init__(self, p: Population, bits: int) -> None:
        self.most = (1 << bits) - 1
        self.has = torch.from_numpy(p.adaptation != StateUse.NONE)
        self.old = torch.from_numpy(p.adaptation == StateUse.OLD)
        self.decay = Decay(p, "adaptation_")
        self.increment, self.scale = tensor(p.adaptation_step), tensor(p.adaptation_scale)
        self.reset = tensor(p.adaptation_reset)

    def raised(self, a: Tensor, page: int) -> tuple[Tensor, Tensor, Tensor]:
        """The decayed adaptation B, what it adds to the threshold (w), and where clip 5 acted."""
        exact = self.decay.of(a, page)
        decayed = exact.clamp(0, self.most)
        raised = torch.where(self.old, a, decayed) >> self.scale
        return decayed, torch.where(self.has, raised, 0), self.has & (decayed != exact)

    def spiked(self, decayed: Tensor, spikes: Tensor) -> tuple[Tensor, Tensor]:
        """a' after the spikes of the step, and where clip 6 acted."""
        exact = decayed + torch.where(spikes, self.increment, 0)
        clipped = exact.clamp(max=self.most)
        return torch.where(self.has, clipped, 0), self.has & (clipped != exact)
