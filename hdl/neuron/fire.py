"""The fire stage: spikes, resets and next membranes.

    u = sat(x);  s = fire and u >= v_th + w and not refractory;  reset, lower bound, hold, clear

One register in domain "fire" takes x; refractory counts, fire, neuron and bound records are in
their RAMs' outputs. w and what a soft reset takes of it come from the adaptation stage, registered
there; chips without adaptations have neither.

Source: Yan et al. 2022 (BPSR), Eqs 1-2, generalised by docs/arithmetic.md.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.lib.lanes import Lanes, everywhere, lanes_from_bits
from spikeloop.hdl.neuron.record import Record
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import bound_record, fire_record, neuron_record, width

__all__ = ["FireStage"]


class FireStage(wiring.Component):
    """Spikes, resets and next membranes of ``chip.lanes`` neurons.

    Members (bit planes of ``chip.lanes`` lanes)
    -------
    total: In             x, taken at the edge of "fire".
    clear: In(1)          taken at the edge of "fire": membranes become v_init, counts 0.
    fire: In              fire records.
    neuron: In            neuron records.
    bound: In             bound records, on a chip with lower bounds.
    refractory: In        refractory counts.
    raises: In            on a chip with adaptations, w, unsigned.
    lowers: In            there, mask: a soft reset subtracts w too.
    v_next: Out           membranes after the step.
    refractory_next: Out  counts after the step.
    spikes: Out           mask: the neuron spikes.
    saturated: Out        mask: a clip changed a value.
    """

    def __init__(self, chip: Chip):
        self.chip = chip
        super().__init__(self.members(chip))

    @staticmethod
    def members(chip: Chip) -> dict:
        lanes = chip.lanes
        return {
            "total": In(lanes * chip.derived.total_bits),
            "clear": In(1),
            "fire": In(lanes * width(fire_record(chip))),
            "neuron": In(lanes * width(neuron_record(chip))),
            **({"bound": In(lanes * width(bound_record(chip)))} if chip.bounded else {}),
            "refractory": In(lanes * max(1, chip.refractory_bits)),
            **({"raises": In(lanes * chip.adaptation_bits)} if chip.adaptation_bits else {}),
            **({"lowers": In(lanes)} if chip.adaptation_bits else {}),
            "v_next": Out(lanes * chip.membrane_bits),
            "refractory_next": Out(lanes * max(1, chip.refractory_bits)),
            "spikes": Out(lanes),
            "saturated": Out(lanes),
        }

    def elaborate(self, platform) -> Module:
        m = Module()
        chip, lanes = self.chip, self.chip.lanes
        total_register, clear = Signal(self.total.shape(), reset_less=True), Signal(reset_less=True)
        m.d.fire += [total_register.eq(self.total), clear.eq(self.clear)]
        fields = Record(m, chip, fire_record(chip), self.fire)
        fields |= Record(m, chip, neuron_record(chip), self.neuron)
        if chip.bounded:
            fields |= Record(m, chip, bound_record(chip), self.bound)
        total = lanes_from_bits(
            m, total_register, lanes, chip.derived.total_bits, sliced=chip.sliced
        )
        self._update(m, total, everywhere(clear, lanes), fields)
        return m

    def _update(self, m: Module, total: Lanes, clear, p: "Record") -> None:
        chip = self.chip
        bits = chip.membrane_bits
        u, saturated = total.saturate(bits)
        v_th, v_sub = p["v_th"], p["v_sub"]
        if chip.adaptation_bits:
            raises = lanes_from_bits(
                m,
                self.raises,
                chip.lanes,
                chip.adaptation_bits,
                is_signed=False,
                sliced=chip.sliced,
            )
            v_th, v_sub = v_th.plus(raises), v_sub.plus(raises.keep(self.lowers))
        spikes = p["used"] & p["fire"] & ~u.below(v_th)
        if chip.refractory_bits:
            count = lanes_from_bits(
                m,
                self.refractory,
                chip.lanes,
                chip.refractory_bits,
                is_signed=False,
                sliced=chip.sliced,
            )
            refractory = count.nonzero()
            spikes = spikes & ~refractory
        spikes = u._wire(spikes)

        # One adder moves a membrane: down by a soft reset (u - v_sub), up from below its bound
        # (u + low_value).
        soft, hard = spikes & p["soft"], spikes & p["hard"]
        moves = soft
        operand, put, where = v_sub.flip(everywhere(1, chip.lanes)), p["v_reset"], hard
        if chip.bounded:
            low = u._wire(p["bounded"] & ~spikes & u.below(p["v_low"]))
            moves = u._wire(soft | (low & p["low_add"]))
            operand = operand.select(spikes, p["low_value"])
            low_put = low & ~p["low_add"]
            put, where = p["low_value"].select(low_put, put), hard | low_put
        if chip.refractory_bits:
            held = u._wire(p["hold"] & refractory)
            put, where, moves = p["v_reset"].select(held, put), where | held, u._wire(moves & ~held)
        moved, clipped = u.plus(operand, spikes).saturate(bits)
        put, where = p["v_init"].select(clear, put), u._wire(where | clear)
        v_next = put.select(where, moved.select(moves, u))
        m.d.comb += [
            self.v_next.eq(v_next.bits()),
            self.spikes.eq(spikes),
            self.saturated.eq(p["used"] & (saturated | (moves & clipped))),
        ]
        if chip.refractory_bits:
            loaded = p["refractory"].select(spikes, count.decrement(refractory))
            m.d.comb += self.refractory_next.eq(
                loaded.keep(~clear).resize(chip.refractory_bits).bits()
            )
