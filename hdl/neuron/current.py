"""The current stage: synaptic currents of a word, on chips that have them.

    y' = satc(decay of y + Z * 2^gain);  J = shr(y' or y, fraction), or Z without a current

One register in domain "current" takes the sum S; currents and synaptic records are in their RAMs'
outputs, and so are the currents C of a PIM layer: Z = S + C. One cycle, before the leak stage.

Source: docs/arithmetic.md; the current of Loihi's neuron, of Norse's LIF and of NIR's CubaLIF.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.lib.lanes import Lanes, lanes_from_bits
from spikeloop.hdl.neuron.record import Record, decay
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import synaptic_record, width

__all__ = ["CurrentStage"]


class CurrentStage(wiring.Component):
    """J of ``chip.lanes`` neurons, and their next currents.

    Members (bit planes of ``chip.lanes`` lanes)
    -------
    sum: In               S, ``sum_bits`` planes, taken at the edge of "current".
    current: In           with a PIM macro, the currents of its layer.
    y: In                 synaptic currents.
    synaptic: In          synaptic records.
    drive: Out            J.
    y_next: Out           synaptic currents after the step.
    current_clipped: Out  mask: clip 4 changed a value.
    """

    def __init__(self, chip: Chip):
        self.chip = chip
        super().__init__(self.members(chip))

    @staticmethod
    def members(chip: Chip) -> dict:
        lanes, d = chip.lanes, chip.derived
        return {
            "sum": In(lanes * d.sum_bits),
            **({"current": In(lanes * chip.pim.macro.current_bits)} if chip.pim else {}),
            "y": In(lanes * chip.current_bits),
            "synaptic": In(lanes * width(synaptic_record(chip))),
            "drive": Out(lanes * d.acting_bits),
            "y_next": Out(lanes * chip.current_bits),
            "current_clipped": Out(lanes),
        }

    def elaborate(self, platform) -> Module:
        m = Module()
        chip, d = self.chip, self.chip.derived

        def vector(bits, count) -> Lanes:
            return lanes_from_bits(m, bits, chip.lanes, count, sliced=chip.sliced)

        p = Record(m, chip, synaptic_record(chip), self.synaptic)
        sum_register = Signal(self.sum.shape(), reset_less=True)
        m.d.current += sum_register.eq(self.sum)
        arriving, y = vector(sum_register, d.sum_bits), vector(self.y, chip.current_bits)
        if chip.pim:
            arriving = arriving.plus(vector(self.current, chip.pim.macro.current_bits))
        gained = arriving.shift_left(p.planes("gain"))
        after, clipped = decay(chip, y, p).plus(gained).saturate(chip.current_bits)
        acting, _ = y.select(p["old"], after).shift_right(p.planes("fraction"), sticky=False)
        m.d.comb += [
            self.drive.eq(acting.select(p["current"], arriving).resize(d.acting_bits).bits()),
            self.y_next.eq(after.keep(p["current"]).bits()),
            self.current_clipped.eq(p["current"] & clipped),
        ]
        return m
