"""Leaks and decays: the shift-add sums of docs/arithmetic.md, in torch int64."""

import numpy as np
import torch
from torch import Tensor

from spikeloop.pysim.network.elements import LeakRounding, Population

__all__ = ["Decay", "tensor"]


def tensor(array: np.ndarray) -> Tensor:
    """A parameter as a tensor: bool stays bool, every other type becomes int64."""
    wide = array if array.dtype == np.bool_ else array.astype(np.int64)
    return torch.from_numpy(wide)


class Decay:
    """The leak of a membrane, or the decay of a current or of an adaptation.

    prefix: of the names of its parameters: "leak_", "current_" or "adaptation_".
    """

    def __init__(self, p: Population, prefix: str) -> None:
        membrane = prefix == "leak_"
        self.k0 = tensor(p.k0 if membrane else getattr(p, f"{prefix}k0"))
        self.sign = tensor(getattr(p, f"{prefix}sign"))
        self.shift = tensor(getattr(p, f"{prefix}shift"))
        rounding = p.rounding if membrane else getattr(p, f"{prefix}rounding")
        # For each alternative, the neurons that have it. The sum leaves out those of no neuron.
        self.rounding = {
            mode: torch.from_numpy(rounding == mode)
            for mode in LeakRounding
            if (rounding == mode).any()
        }

    def of(self, x: Tensor, page: int) -> Tensor:
        """What is left of x, int64 ``[sample, size]``: exact, each term rounded alone."""
        left = torch.where(self.k0[page], x, 0)
        for sign, shift in zip(self.sign[page], self.shift[page], strict=True):
            if sign.any():
                left = left + sign * self._shr(x, shift)
        return left

    def _shr(self, x: Tensor, shift: Tensor) -> Tensor:
        """shr(x, shift) with the rounding of each neuron."""
        magnitude, result = x.abs() >> shift, x >> shift  # torch shifts int64 arithmetically: floor
        if LeakRounding.TOWARD_ZERO in self.rounding:
            zeroward = self.rounding[LeakRounding.TOWARD_ZERO]
            result = torch.where(zeroward, x.sign() * magnitude, result)
        if LeakRounding.AT_LEAST_ONE in self.rounding:
            at_least = self.rounding[LeakRounding.AT_LEAST_ONE]
            result = torch.where(at_least, x.sign() * magnitude.clamp(min=1), result)
        return result
