"""The adaptation stage: what raises the thresholds of a word, on chips with adaptations.

    B = sata(decay of a);  w = shr(B or a, scale);  a' = sata(B + (step if the neuron spikes))

Adaptations and adaptive records are in their RAMs' outputs after the edge of "leak". B and w are
ready in the leak stage's cycle; registers in domain "fire" take them, so that the fire stage
compares with v_th + w at once. No cycle is added.

Source: docs/arithmetic.md; the adaptive threshold of Bellec et al. 2018 (LSNN).
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.lib.lanes import Lanes, lanes_from_bits
from spikeloop.hdl.neuron.record import Record, decay
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import adaptive_record, width

__all__ = ["AdaptationStage"]


class AdaptationStage(wiring.Component):
    """w of ``chip.lanes`` neurons, and their next adaptations.

    Members (bit planes of ``chip.lanes`` lanes)
    -------
    a: In                    adaptations, unsigned.
    adaptive: In             adaptive records.
    spikes: In               mask: the neuron spikes, from the fire stage.
    raises: Out              w, unsigned, for the fire stage.
    lowers: Out              mask: a soft reset subtracts w too.
    a_next: Out              adaptations after the step.
    adaptation_clipped: Out  mask: clip 5 or 6 changed a value.
    """

    def __init__(self, chip: Chip):
        self.chip = chip
        super().__init__(self.members(chip))

    @staticmethod
    def members(chip: Chip) -> dict:
        lanes, planes = chip.lanes, chip.lanes * chip.adaptation_bits
        return {
            "a": In(planes),
            "adaptive": In(lanes * width(adaptive_record(chip))),
            "spikes": In(lanes),
            "raises": Out(planes),
            "lowers": Out(lanes),
            "a_next": Out(planes),
            "adaptation_clipped": Out(lanes),
        }

    def elaborate(self, platform) -> Module:
        m = Module()
        chip, bits = self.chip, self.chip.adaptation_bits

        def vector(value) -> Lanes:
            return lanes_from_bits(m, value, chip.lanes, bits, is_signed=False, sliced=chip.sliced)

        p = Record(m, chip, adaptive_record(chip), self.adaptive)
        a, has = vector(self.a), p["adaptation"]
        left, low = decay(chip, a, p).saturate_unsigned(bits)
        acting, _ = a.select(p["old"], left).shift_right(p.planes("scale"), sticky=False)
        kept, clipped = Signal(self.a.shape(), reset_less=True), Signal(chip.lanes, reset_less=True)
        m.d.fire += [
            kept.eq(left.keep(has).resize(bits).bits()),
            self.raises.eq(acting.keep(has).resize(bits).bits()),
            clipped.eq(has & low),
        ]
        grown = vector(kept).plus(p["step"].keep(has & self.spikes))
        after, high = grown.saturate_unsigned(bits)
        m.d.comb += [
            self.lowers.eq(p["reset"]),
            self.a_next.eq(after.resize(bits).bits()),
            self.adaptation_clipped.eq(clipped | high),
        ]
        return m
