"""Synaptic currents and adaptations of a population (docs/arithmetic.md), with gradients.

Values are whole numbers in floating point, ``[sample, neuron]``. Backwards, a shift is its factor
and a clip passes what lies inside, as in golden/nn/step.py.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from spikeloop.pysim.network.elements import LeakRounding, Population, StateUse

__all__ = ["Adaptation", "Current", "Decay", "State", "through", "whole"]

EXACT = 1 << 24


class State(NamedTuple):
    """Membrane v, refractory count c, synaptic current y and adaptation a, [sample, neuron] each.

    A state that the population does not have is None.
    """

    v: Tensor
    c: Tensor
    y: Tensor | None = None
    a: Tensor | None = None


def through(exact: Tensor, smooth: Tensor) -> Tensor:
    """The value of ``exact`` with the gradient of ``smooth``."""
    return smooth + (exact - smooth).detach()


def whole(array: np.ndarray) -> Tensor:
    """A parameter as a buffer: bool, or floating point that holds its whole numbers exactly."""
    value = torch.as_tensor(array)
    if value.dtype == torch.bool:
        return value
    return value.float() if int(value.abs().max()) <= EXACT else value.double()


class Decay(nn.Module):
    """The leak of a membrane ("leak_"), or a decay ("current_", "adaptation_")."""

    k0: Tensor
    sign: Tensor
    shift: Tensor
    rounding: Tensor

    def __init__(self, p: Population, prefix: str) -> None:
        super().__init__()
        membrane = prefix == "leak_"
        self.register_buffer("k0", whole(p.k0 if membrane else getattr(p, f"{prefix}k0")))
        self.register_buffer("sign", whole(getattr(p, f"{prefix}sign")))
        self.register_buffer("shift", whole(getattr(p, f"{prefix}shift")))
        rounding = p.rounding if membrane else getattr(p, f"{prefix}rounding")
        self.register_buffer("rounding", whole(rounding))
        active = (getattr(p, f"{prefix}sign") != 0).any(axis=2)
        self._terms = [[r for r, acts in enumerate(page) if acts] for page in active.tolist()]

    def forward(self, x: Tensor, page: int) -> Tensor:
        """What is left of x."""
        left = x * self.k0[page]
        for term in self._terms[page]:
            left = left + self.sign[page, term] * self._shifted(x, self.shift[page, term])
        return left

    def _shifted(self, x: Tensor, shift: Tensor) -> Tensor:
        smooth = x * torch.exp2(-shift)
        down, towards = torch.floor(smooth), torch.trunc(smooth)
        least = torch.sign(x) * towards.abs().clamp(min=1)
        exact = torch.where(self.rounding == LeakRounding.TOWARD_ZERO, towards, down)
        return through(
            torch.where(self.rounding == LeakRounding.AT_LEAST_ONE, least, exact), smooth
        )


class Current(nn.Module):
    """The synaptic currents of a population; ``bits`` is their width."""

    has: Tensor
    old: Tensor
    factor: Tensor
    share: Tensor

    def __init__(self, p: Population, bits: int) -> None:
        super().__init__()
        self._least, self._most = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
        self.register_buffer("has", whole(p.current != StateUse.NONE))
        self.register_buffer("old", whole(p.current == StateUse.OLD))
        self.register_buffer("factor", whole(np.int64(1) << p.gain.astype(np.int64)))
        self.register_buffer("share", torch.exp2(-torch.as_tensor(p.fraction).double()).float())
        self.decay = Decay(p, "current_")

    def forward(self, y: Tensor, total: Tensor, page: int) -> tuple[Tensor, Tensor]:
        """y' and what drives the membrane (J)."""
        after = (self.decay(y, page) + total * self.factor).clamp(self._least, self._most)
        after = after * self.has
        smooth = torch.where(self.old, y, after) * self.share
        drive = through(torch.floor(smooth), smooth)
        return after, torch.where(self.has, drive, total)


class Adaptation(nn.Module):
    """The adaptations of a population; ``bits`` is their width."""

    has: Tensor
    old: Tensor
    increment: Tensor
    share: Tensor
    reset: Tensor

    def __init__(self, p: Population, bits: int) -> None:
        super().__init__()
        self._most = 2.0**bits - 1
        self.register_buffer("has", whole(p.adaptation != StateUse.NONE))
        self.register_buffer("old", whole(p.adaptation == StateUse.OLD))
        self.register_buffer("increment", whole(p.adaptation_step))
        scale = torch.as_tensor(p.adaptation_scale).double()
        self.register_buffer("share", torch.exp2(-scale).float())
        self.register_buffer("reset", whole(p.adaptation_reset))
        self.decay = Decay(p, "adaptation_")

    def raised(self, a: Tensor, page: int) -> tuple[Tensor, Tensor]:
        """The decayed adaptation B, and what it adds to the threshold (w)."""
        decayed = self.decay(a, page).clamp(0, self._most)
        smooth = torch.where(self.old, a, decayed) * self.share
        return decayed, through(torch.floor(smooth), smooth) * self.has

    def spiked(self, decayed: Tensor, fired: Tensor) -> Tensor:
        """a' after the spikes of the step."""
        return (decayed + fired * self.increment).clamp(max=self._most) * self.has
