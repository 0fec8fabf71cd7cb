"""The neuron step: one step of all neurons of a word, docs/arithmetic.md in gates.

    leak stage   I = S + bias, rectified;  L = k0 v + sum of +- shr(v, m_r);  x = L + I
    fire stage   u = sat(x);  s = fire and u >= v_th and not refractory;
                 reset, lower bound, hold, clear

There is one register before each stage, so that each is evaluated once per word:

    domain "leak"  the sum here; membranes and leak records in their RAMs' outputs
    domain "fire"  the total here; refractory counts, fire and neuron records in their RAMs' outputs

Results are stable after the edge of "fire". There is no multiplier; shifts are barrel shifters by
an amount of each neuron's own. Neurons do not look at each other. So a wide core has each stage as
instances of one module of ``SLICE`` lanes, which hdl/verilog.py writes once and the simulator's
compiler reads once.

Source: Yan et al. 2022 (BPSR), Eqs 1-2 and section 2.5, generalised by docs/arithmetic.md.
"""

from amaranth.hdl import Cat, ClockSignal, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.lib.lanes import Lanes, everywhere, lanes_from_bits
from spikeloop.hdl.names import FIRE_MODULE, LEAK_MODULE
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import (
    Field,
    bound_record,
    fire_record,
    leak_record,
    neuron_record,
    width,
)

__all__ = ["FireStage", "LeakStage", "NeuronStep", "SLICE", "SLICE_MODULES", "slice_of"]

SLICE = 256  # lanes of one instance in a wide core


def slice_of(chip: Chip) -> Chip | None:
    """The chip whose stages a wide core instantiates side by side; None for other cores."""
    if chip.clock_gates and chip.lanes > SLICE and chip.lanes % SLICE == 0:
        return chip.replace(lanes=SLICE, columns=SLICE * chip.digit_bits)
    return None


class LeakStage(wiring.Component):
    """x = L + I of ``chip.lanes`` neurons.

    Members (bit planes of ``chip.lanes`` lanes)
    -------
    sum: In      S, ``sum_bits`` planes, taken at the edge of "leak".
    v: In        membranes.
    current: In  with a PIM macro, the currents of its layer.
    leak: In     leak records.
    total: Out   x.
    """

    def __init__(self, chip: Chip):
        self.chip = chip
        super().__init__(self.members(chip))

    @staticmethod
    def members(chip: Chip) -> dict:
        lanes = chip.lanes
        return {
            "sum": In(lanes * chip.derived.sum_bits),
            "v": In(lanes * chip.membrane_bits),
            **({"current": In(lanes * chip.pim.macro.current_bits)} if chip.pim else {}),
            "leak": In(lanes * width(leak_record(chip))),
            "total": Out(lanes * chip.derived.total_bits),
        }

    def elaborate(self, platform) -> Module:
        m = Module()
        chip, d, lanes = self.chip, self.chip.derived, self.chip.lanes

        def vector(bits, count) -> Lanes:
            return lanes_from_bits(m, bits, lanes, count, sliced=chip.sliced)

        sum_register = Signal(self.sum.shape(), reset_less=True)
        m.d.leak += sum_register.eq(self.sum)
        total = self._total(
            m,
            vector(sum_register, d.sum_bits),
            vector(self.v, chip.membrane_bits),
            _Record(m, chip, leak_record(chip), self.leak),
        )
        m.d.comb += self.total.eq(total.resize(d.total_bits).bits())
        return m

    def _total(self, m: Module, synaptic: Lanes, v: Lanes, p: "_Record") -> Lanes:
        chip = self.chip
        if chip.pim:
            bits = chip.pim.macro.current_bits
            synaptic = synaptic.plus(
                lanes_from_bits(m, self.current, chip.lanes, bits, sliced=chip.sliced)
            )
        current = synaptic.plus(p["bias"])
        current = current.keep(~(p["rectify"] & current.sign))
        leak = v.keep(p["k0"])
        v_nonzero = v.nonzero() if chip.roundings and chip.leak_terms else None
        for r in range(chip.leak_terms):
            shifted, lost = v.shift_right(p.planes(f"shift{r}"), sticky=chip.roundings)
            if chip.roundings:
                shifted = shifted.increment(p["toward_zero"] & v.sign & lost)
                shifted = shifted.one_away_from_zero(
                    p["at_least_one"] & v_nonzero & ~shifted.nonzero(), v.sign
                )
            minus = p[f"on{r}"] & p[f"negative{r}"]
            term = shifted.keep(p[f"on{r}"]).flip(minus)
            bits = min(leak.width + 1, chip.membrane_bits + 2)
            leak = leak.plus(term, minus, width=bits)
        return leak.plus(current)


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
        fields = _Record(m, chip, fire_record(chip), self.fire)
        fields |= _Record(m, chip, neuron_record(chip), self.neuron)
        if chip.bounded:
            fields |= _Record(m, chip, bound_record(chip), self.bound)
        total = lanes_from_bits(
            m, total_register, lanes, chip.derived.total_bits, sliced=chip.sliced
        )
        self._update(m, total, everywhere(clear, lanes), fields)
        return m

    def _update(self, m: Module, total: Lanes, clear, p: "_Record") -> None:
        chip = self.chip
        bits = chip.membrane_bits
        u, saturated = total.saturate(bits)
        spikes = p["used"] & p["fire"] & ~u.below(p["v_th"])
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


STAGES = {LeakStage: "leak", FireStage: "fire"}  # and their domains
SLICE_MODULES = {LeakStage: LEAK_MODULE, FireStage: FIRE_MODULE}


class NeuronStep(wiring.Component):
    """One step of ``chip.lanes`` neurons.

    It has the members of both stages except ``total``, which goes from one stage to the other.
    """

    def __init__(self, chip: Chip):
        self.chip = chip
        members = {name: member for stage in STAGES for name, member in stage.members(chip).items()}
        super().__init__({name: member for name, member in members.items() if name != "total"})

    def elaborate(self, platform) -> Module:
        m = Module()
        chip, lanes = self.chip, self.chip.lanes
        if (part := slice_of(chip)) is None:
            m.submodules.leak_stage = leak = LeakStage(chip)
            m.submodules.fire_stage = fire = FireStage(chip)
            m.d.comb += fire.total.eq(leak.total)
            for component in (leak, fire):
                for name, member in component.members(chip).items():
                    if name != "total":
                        inner, outer = getattr(component, name), getattr(self, name)
                        m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)
            return m
        outputs: dict[str, list] = {}
        for first in range(0, lanes, SLICE):
            total = Signal(SLICE * chip.derived.total_bits, name=f"total_{first}")
            for stage, domain in STAGES.items():
                ports = {f"i_{domain}_clk": ClockSignal(domain)}
                for name, member in stage.members(part).items():
                    planes = member.shape // SLICE
                    if name == "total":
                        value = total
                    elif name == "clear":
                        value = self.clear
                    elif member.flow is In:
                        value = Cat(
                            getattr(self, name)[b * lanes + first : b * lanes + first + SLICE]
                            for b in range(planes)
                        )
                    else:
                        value = Signal(member.shape, name=f"{name}_{first}")
                        outputs.setdefault(name, []).append(value)
                    ports[f"{'i' if member.flow is In else 'o'}_{name}"] = value
                m.submodules[f"{domain}_{first}"] = Instance(SLICE_MODULES[stage], **ports)
        for name, parts in outputs.items():
            planes = len(parts[0]) // SLICE
            m.d.comb += getattr(self, name).eq(
                Cat(part[b * SLICE : (b + 1) * SLICE] for b in range(planes) for part in parts)
            )
        return m


class _Record(dict):
    """The fields of a lane record: one-bit fields as masks, wider ones as lane vectors."""

    def __init__(self, m: Module, chip: Chip, record: list[Field], bits):
        self._raw, at = {}, 0
        for f in record:
            raw = bits[at * chip.lanes : (at + f.bits) * chip.lanes]
            self._raw[f.name] = (raw, f.bits, chip.lanes)
            self[f.name] = raw
            if f.bits > 1 or f.name == "refractory":
                self[f.name] = lanes_from_bits(
                    m, raw, chip.lanes, f.bits, is_signed=f.signed, sliced=chip.sliced
                )
            at += f.bits

    def planes(self, name: str) -> list:
        """A field as the bit planes of an unsigned number."""
        raw, bits, lanes = self._raw[name]
        return [raw[b * lanes : (b + 1) * lanes] for b in range(bits)]
