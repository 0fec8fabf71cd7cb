"""The neuron step: one step of all neurons of a word, docs/arithmetic.md in gates.

    leak stage   I = S + bias, rectified;  L = k0 v + sum of +- shr(v, m_r);  x = L + I
    fire stage   u = sat(x);  s = fire and u >= v_th and not refractory;  reset, lower bound, hold, clear

Two stages, one register before each, so that each is evaluated once per word: the registers of stage ``leak``
(domain "leak": the sum here, membranes and leak records in their RAMs' outputs) and of stage ``fire`` (domain "fire":
the total here, refractory counts, fire and neuron records in their RAMs). Results are stable after the fire edge.
No multiplier; shifts are barrel shifters by a per-neuron amount.

Source: Yan et al. 2022 (BPSR), Eqs 1-2 and section 2.5, generalised by docs/arithmetic.md.
"""

from amaranth.hdl import Cat, ClockSignal, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.lanes import Lanes, everywhere, lanes_from_bits
from pysim.params import Chip
from pysim.records import Field, bound_record, fire_record, leak_record, neuron_record, width

__all__ = ["NeuronArray", "NeuronStep", "SLICE", "slice_of"]

SLICE = 128  # lanes of one instance in a wide core
SLICE_MODULE = "spikeloop_neuron_slice"


def _members(chip: Chip) -> dict:
    lanes = chip.lanes
    return {
        "sum": In(lanes * chip.derived.sum_bits), "v": In(lanes * chip.membrane_bits), "leak": In(lanes * width(leak_record(chip))),
        "clear": In(1), "fire": In(lanes * width(fire_record(chip))), "neuron": In(lanes * width(neuron_record(chip))),
        **({"current": In(lanes * chip.pim.macro.current_bits)} if chip.pim else {}),
        **({"bound": In(lanes * width(bound_record(chip)))} if chip.bounded else {}),
        "refractory": In(lanes * max(1, chip.refractory_bits)),
        "v_next": Out(lanes * chip.membrane_bits), "refractory_next": Out(lanes * max(1, chip.refractory_bits)),
        "spikes": Out(lanes), "saturated": Out(lanes),
    }


class NeuronStep(wiring.Component):
    """One step of ``chip.lanes`` neurons.

    Members (all bit planes of ``chip.lanes`` lanes)
    -------
    sum: In, ``sum_bits`` planes, taken at the leak edge. current: In, with a PIM macro, of its layer. v: In, membranes.
    leak: In, leak records.
    clear: In(1), taken at the fire edge: results become v_init and 0. fire, neuron, bound: In, records. refractory: In, counts.
    v_next, refractory_next: Out. spikes, saturated: Out, masks.
    """

    def __init__(self, chip: Chip):
        self.chip = chip
        super().__init__(_members(chip))

    def elaborate(self, platform) -> Module:
        m = Module()
        chip, lanes = self.chip, self.chip.lanes
        total_bits = chip.derived.total_bits

        def vector(bits, count, is_signed=True) -> Lanes:
            return lanes_from_bits(m, bits, lanes, count, is_signed=is_signed, sliced=chip.sliced)

        sum_register = Signal(self.sum.shape(), reset_less=True)
        m.d.leak += sum_register.eq(self.sum)
        total = self._leak_stage(m, vector(sum_register, chip.derived.sum_bits), vector(self.v, chip.membrane_bits),
                                 _Record(m, chip, leak_record(chip), self.leak))

        total_register = Signal(lanes * total_bits, reset_less=True)
        clear = Signal(reset_less=True)
        m.d.fire += [total_register.eq(total.resize(total_bits).bits()), clear.eq(self.clear)]
        fields = _Record(m, chip, fire_record(chip), self.fire)
        fields |= _Record(m, chip, neuron_record(chip), self.neuron)
        if chip.bounded:
            fields |= _Record(m, chip, bound_record(chip), self.bound)
        self._fire_stage(m, vector(total_register, total_bits), everywhere(clear, lanes), fields)
        return m

    def _leak_stage(self, m: Module, synaptic: Lanes, v: Lanes, p: "_Record") -> Lanes:
        chip = self.chip
        if chip.pim:
            bits = chip.pim.macro.current_bits
            synaptic = synaptic.plus(lanes_from_bits(m, self.current, chip.lanes, bits, sliced=chip.sliced))
        current = synaptic.plus(p["bias"])
        current = current.keep(~(p["rectify"] & current.sign))
        leak = v.keep(p["k0"])
        v_nonzero = v.nonzero() if chip.roundings and chip.leak_terms else None
        for r in range(chip.leak_terms):
            shifted, lost = v.shift_right(p.planes(f"shift{r}"), sticky=chip.roundings)
            if chip.roundings:
                shifted = shifted.increment(p["toward_zero"] & v.sign & lost)
                shifted = shifted.one_away_from_zero(p["at_least_one"] & v_nonzero & ~shifted.nonzero(), v.sign)
            minus = p[f"on{r}"] & p[f"negative{r}"]
            leak = leak.plus(shifted.keep(p[f"on{r}"]).flip(minus), minus, width=min(leak.width + 1, chip.membrane_bits + 2))
        return leak.plus(current)

    def _fire_stage(self, m: Module, total: Lanes, clear, p: "_Record") -> None:
        chip = self.chip
        bits = chip.membrane_bits
        u, saturated = total.saturate(bits)
        spikes = p["used"] & p["fire"] & ~u.below(p["v_th"])
        if chip.refractory_bits:
            count = lanes_from_bits(m, self.refractory, chip.lanes, chip.refractory_bits, is_signed=False, sliced=chip.sliced)
            refractory = count.nonzero()
            spikes = spikes & ~refractory
        spikes = u._wire(spikes)

        # One adder moves a membrane that soft-resets (u - v_sub) or is pushed up from below its bound (u + low_value).
        soft, hard = spikes & p["soft"], spikes & p["hard"]
        moves = soft
        operand, put, where = p["v_sub"].flip(everywhere(1, chip.lanes)), p["v_reset"], hard
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
        m.d.comb += [self.v_next.eq(v_next.bits()), self.spikes.eq(spikes),
                     self.saturated.eq(p["used"] & (saturated | (moves & clipped)))]
        if chip.refractory_bits:
            loaded = p["refractory"].select(spikes, count.decrement(refractory))
            m.d.comb += self.refractory_next.eq(loaded.keep(~clear).resize(chip.refractory_bits).bits())


def slice_of(chip: Chip) -> Chip | None:
    """The chip whose NeuronStep a wide core instantiates side by side; None for a core that is one piece."""
    if chip.clock_gates and chip.lanes > SLICE and chip.lanes % SLICE == 0:
        return chip.replace(lanes=SLICE, columns=SLICE * chip.digit_bits)
    return None


class NeuronArray(wiring.Component):
    """A NeuronStep of a wide core as instances of one module of ``SLICE`` lanes, which ``hdl.verilog`` writes once: neurons do not
    look at each other, and one module is generated and compiled in an eighth of the time of a full row of 1,024 lanes.
    Same members as NeuronStep."""

    def __init__(self, chip: Chip):
        self.chip = chip
        super().__init__(_members(chip))

    def elaborate(self, platform) -> Module:
        m = Module()
        lanes = self.chip.lanes
        outputs: dict[str, list] = {"v_next": [], "refractory_next": [], "spikes": [], "saturated": []}
        for first in range(0, lanes, SLICE):
            ports = {"i_leak_clk": ClockSignal("leak"), "i_fire_clk": ClockSignal("fire"), "i_clear": self.clear}
            for name in self.signature.members:
                value = getattr(self, name)
                planes = len(value) // lanes
                if name in outputs:
                    part = Signal(planes * SLICE, name=f"{name}_{first}")
                    outputs[name].append(part)
                    ports[f"o_{name}"] = part
                elif name != "clear":
                    ports[f"i_{name}"] = Cat(value[b * lanes + first:b * lanes + first + SLICE] for b in range(planes))
            m.submodules[f"slice_{first}"] = Instance(SLICE_MODULE, **ports)
        for name, parts in outputs.items():
            planes = len(parts[0]) // SLICE
            m.d.comb += getattr(self, name).eq(Cat(part[b * SLICE:(b + 1) * SLICE] for b in range(planes) for part in parts))
        return m


class _Record(dict):
    """The fields of a lane record: one-bit fields as masks, wider ones as lane vectors."""

    def __init__(self, m: Module, chip: Chip, record: list[Field], bits):
        self._raw, at = {}, 0
        for f in record:
            raw = bits[at * chip.lanes:(at + f.bits) * chip.lanes]
            self._raw[f.name] = (raw, f.bits, chip.lanes)
            self[f.name] = raw if f.bits == 1 and f.name != "refractory" else lanes_from_bits(
                m, raw, chip.lanes, f.bits, is_signed=f.signed, sliced=chip.sliced)
            at += f.bits

    def planes(self, name: str) -> list:
        """A field as the bit planes of an unsigned number."""
        raw, bits, lanes = self._raw[name]
        return [raw[b * lanes:(b + 1) * lanes] for b in range(bits)]
