"""The relaxation cell's integer arithmetic in torch: the reference for hdl/onn and pysim/onn.

Written from docs/onn.md alone. Rows are samples, columns oscillators; everything is int64. No
lanes, passes or cycles are known here.
"""

import torch
from torch import Tensor

from spikeloop.golden.oscillators.run import Run
from spikeloop.pysim.oscillators.net import OnnNet

__all__ = ["Relaxation"]

FULL16, FULL8 = 65535, 255


class Relaxation(Run):
    """Samples of a net under way."""

    def __init__(self, net: OnnNet, start: Tensor, units: Tensor, whole: Tensor) -> None:
        super().__init__(net, start, units, whole)
        self.sums = self.g.sum(1)
        self.shift = net.formats["v_frac"] - net.formats["x_frac"]

    def advance(self) -> tuple[Tensor, Tensor, Tensor]:
        s = self.net.settings
        voltage, metal, age, phase, out = self.units.unbind(1)
        n, period, cycles, same = self.whole.unbind(1)
        metallic = metal.bool()
        shown = voltage >> self.shift
        charge = torch.where(metallic, s["a_met"], s["a_ins"])
        rate = torch.where(metallic, s["b_met"], s["b_ins"])
        coupled = (n >= s["t_on"])[:, None]
        others = torch.matmul(shown, self.g) - self.sums * shown  # g is symmetric
        acc = charge - rate * shown + torch.where(coupled, others, 0)
        raw = voltage + ((acc + (1 << s["sh"] - 1)) >> s["sh"])
        clipped = raw.clamp(0, self.net.top)
        live = n[:, None] >= self.start
        after = torch.where(live, clipped, voltage)
        crossed = live & metallic & (after >= s["v_high"])
        metal = torch.where(
            live, torch.where(metallic, ~crossed, after <= s["v_low"]), metallic
        ).long()
        clips = (live & (raw != clipped)).sum(1)

        r = s["reference"]
        reads = crossed[:, r]
        length = (age[:, r] + 1).clamp(max=FULL16)
        age = torch.where(crossed, 0, (age + 1).clamp(max=FULL16))
        quarter = length[:, None]
        inside = (4 * age < quarter) | (4 * age >= 3 * quarter)
        now = (~inside).long()
        kept = (cycles > 0) & (now == out).all(1)
        phase = torch.where(reads[:, None], age, phase)
        out = torch.where(reads[:, None], now, out)
        period = torch.where(reads, length, period)
        same = torch.where(
            reads, torch.where(kept, (same + 1).clamp(max=FULL8), torch.zeros_like(same)), same
        )
        cycles = torch.where(reads, (cycles + 1).clamp(max=FULL16), cycles)
        units = torch.stack([after, metal, age, phase, out], 1)
        whole = torch.stack([n + 1, period, cycles, same], 1)
        settled = reads & (n >= s["t_on"]) & (same >= s["settle"])
        self.count(clips, crossed.sum(1))
        return units, whole, settled
