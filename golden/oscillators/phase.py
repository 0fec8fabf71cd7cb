"""The phase cell's integer arithmetic in torch: the reference for hdl/onn and pysim/onn.

Written from docs/onn.md alone. Rows are samples, columns oscillators; everything is int64.
"""

import torch
from torch import Tensor

from spikeloop.golden.oscillators.run import Run

__all__ = ["Phase"]


class Phase(Run):
    """Samples of a net under way."""

    def advance(self) -> tuple[Tensor, Tensor, Tensor]:
        slots = self.net.slots
        edge, coming, sign, out = self.units.unbind(1)
        n, period, cycles, same = self.whole.unbind(1)
        slot = torch.remainder(n, slots)[:, None]
        signs = 1 - 2 * (torch.remainder(slot - edge, slots) >= slots // 2).long()
        field = torch.matmul(signs, self.g)
        positive = torch.where(field == 0, sign, (field > 0).long())
        rises = (positive == 1) & (sign == 0)
        coming = torch.where(rises, slot, coming)
        last = slot[:, 0] == slots - 1
        kept = (coming == edge).all(1)
        edge = torch.where(last[:, None], coming, edge)
        r = self.net["reference"]
        apart = torch.remainder(edge - edge[:, r : r + 1], slots)
        inside = (4 * apart < slots) | (4 * apart >= 3 * slots)
        out = torch.where(last[:, None], (~inside).long(), out)
        zero = torch.zeros_like(same)
        same = torch.where(last, torch.where(kept, (same + 1).clamp(max=255), zero), same)
        cycles = torch.where(last, (cycles + 1).clamp(max=65535), cycles)
        units = torch.stack([edge, coming, positive, out], 1)
        whole = torch.stack([n + 1, period, cycles, same], 1)
        return units, whole, last & (same >= self.net["settle"])
