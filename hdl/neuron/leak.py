"""The leak stage: what is left of a membrane, and what comes in.

    I = S + bias, rectified;  L = k0 v + sum of +- shr(v, m_r);  x = L + I

One register in domain "leak" takes the sum; membranes and leak records are in their RAMs' outputs.
On a chip with synaptic currents the current stage hands over J, in which the sum and the current of
a PIM layer are already.

Source: Yan et al. 2022 (BPSR), Eqs 1-2 and section 2.5, generalised by docs/arithmetic.md.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.lib.lanes import Lanes, lanes_from_bits
from spikeloop.hdl.neuron.record import Record, decay
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import leak_record, width

__all__ = ["LeakStage"]


class LeakStage(wiring.Component):
    """x = L + I of ``chip.lanes`` neurons.

    Members (bit planes of ``chip.lanes`` lanes)
    -------
    sum: In      S, ``sum_bits`` planes, taken at the edge of "leak".
    v: In        membranes.
    current: In  with a PIM macro, the currents of its layer.
    drive: In    on a chip with synaptic currents, J in place of sum and current.
    leak: In     leak records.
    total: Out   x.
    """

    def __init__(self, chip: Chip):
        self.chip = chip
        super().__init__(self.members(chip))

    @staticmethod
    def members(chip: Chip) -> dict:
        lanes, d = chip.lanes, chip.derived
        driven = []  # the macro's currents, if they come past no other stage
        if chip.pim and not chip.current_bits:
            driven = [("current", In(lanes * chip.pim.macro.current_bits))]
        return {
            **({} if chip.current_bits else {"sum": In(lanes * d.sum_bits)}),
            **({"drive": In(lanes * d.acting_bits)} if chip.current_bits else {}),
            "v": In(lanes * chip.membrane_bits),
            **dict(driven),
            "leak": In(lanes * width(leak_record(chip))),
            "total": Out(lanes * d.total_bits),
        }

    def elaborate(self, platform) -> Module:
        m = Module()
        chip, d, lanes = self.chip, self.chip.derived, self.chip.lanes

        def vector(bits, count) -> Lanes:
            return lanes_from_bits(m, bits, lanes, count, sliced=chip.sliced)

        arriving = self.drive if chip.current_bits else self.sum
        sum_register = Signal(arriving.shape(), reset_less=True)
        m.d.leak += sum_register.eq(arriving)
        total = self._total(
            m,
            vector(sum_register, d.acting_bits),
            vector(self.v, chip.membrane_bits),
            Record(m, chip, leak_record(chip), self.leak),
        )
        m.d.comb += self.total.eq(total.resize(d.total_bits).bits())
        return m

    def _total(self, m: Module, synaptic: Lanes, v: Lanes, p: Record) -> Lanes:
        chip = self.chip
        if chip.pim and not chip.current_bits:
            bits = chip.pim.macro.current_bits
            synaptic = synaptic.plus(
                lanes_from_bits(m, self.current, chip.lanes, bits, sliced=chip.sliced)
            )
        current = synaptic.plus(p["bias"])
        current = current.keep(~(p["rectify"] & current.sign))
        return decay(chip, v, p).plus(current)
