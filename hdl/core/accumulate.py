"""Accumulators and join: from synapse rows to the exact weighted sum of each neuron.

    accumulate   acc_l += digit_l
                 one row per event; domain "acc"
    join         S_n = sum over j of (acc_{n+j} - before_{n+j}) << (j digit_bits shift)
                       - (events << offset_shift if offset)
                 join + 2 cycles per word; domain "join"

Digits are unsigned: two's complement weights are stored in excess (docs/architecture.md). So a lane
needs full adders for its digit only, and half adders above. The accumulators run free and are never
cleared. A word's count is the difference of two readings, modulo 2^accumulator_bits, which no
word's count can reach.

Bit planes that fill whole words of a processor stand side by side in one register. Others are a
register each: planes of 88 lanes would else begin anywhere in a word, and a simulator would shift
each of them into place.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.lib.lanes import everywhere, lanes_from_planes, planes_of
from spikeloop.pysim.chip.params import Chip

__all__ = ["Accumulators", "Join"]

WORD_BITS = 32
"""Bits of a word in which simulators keep what is wide."""


class Accumulators(wiring.Component):
    """One accumulator per lane.

    Members (bit planes of ``chip.lanes`` lanes)
    -------
    row: In      digits of the row, ``digit_bits`` planes.
    counts: Out  free-running sums, ``accumulator_bits`` planes.
    """

    def __init__(self, chip: Chip):
        self.chip = chip
        super().__init__(
            {
                "row": In(chip.lanes * chip.digit_bits),
                "counts": Out(chip.lanes * chip.derived.accumulator_bits),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        chip, bits = self.chip, self.chip.derived.accumulator_bits
        count = _registers("count", chip.lanes, bits)
        counts = lanes_from_planes(m, count, sliced=chip.sliced)
        digits = planes_of(self.row, chip.lanes)
        added = counts.plus_small(digits, bits).planes()
        m.d.acc += [old.eq(new) for old, new in zip(count, added, strict=True)]
        m.d.comb += self.counts.eq(Cat(count))
        return m


class Join(wiring.Component):
    """Joins neighbouring lanes into weighted sums, one digit per cycle.

    Members
    -------
    counts: In    from the accumulators.
    last: In(1)   this join cycle is the word's last.
    shift: In(1)  digit j weighs 2^(j digit_bits); without it, all digits weigh 1.
    offset: In    the excess of the weights over all events, ``sum_bits`` bits.
    sum: Out      S of the neuron that starts at each lane, ``sum_bits`` bit planes.
    """

    def __init__(self, chip: Chip):
        self.chip, d = chip, chip.derived
        super().__init__(
            {
                "counts": In(chip.lanes * d.accumulator_bits),
                "last": In(1),
                "shift": In(1),
                "offset": In(d.sum_bits),
                "sum": Out(chip.lanes * d.sum_bits),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        chip, lanes, bits = self.chip, self.chip.lanes, self.chip.derived.sum_bits
        counted = self.chip.derived.accumulator_bits

        phase = Signal(range(3))
        shift, offset = Signal(reset_less=True), Signal(bits, reset_less=True)
        now = _registers("now", lanes, counted, reset_less=True)
        before = _registers("before", lanes, counted)
        digit = _registers("digit", lanes, bits, reset_less=True)
        total = _registers("total", lanes, bits)

        def vector(planes):
            return lanes_from_planes(m, planes, sliced=chip.sliced)

        # Phase 0 copies the counts into this domain; only then does anything wide look at them.
        m.d.join += phase.eq(Mux(self.last, 0, Mux(phase == 2, 2, phase + 1)))
        with m.If(phase == 0):
            m.d.join += [Cat(now).eq(self.counts), shift.eq(self.shift), offset.eq(self.offset)]
        with m.If(phase == 1):
            m.d.join += [old.eq(new) for old, new in zip(before, now, strict=True)]

        fresh = vector(now).plus(
            vector(before).flip(everywhere(1, lanes)), everywhere(1, lanes), width=counted
        )
        first = [*fresh.planes(), *[Const(0, lanes)] * (bits - counted)]
        nexts = self._next_digit(digit, shift)
        sums = vector(total).plus(vector(digit), width=bits).planes()
        for b in range(bits):
            less_offset = everywhere(offset[b], lanes)
            m.d.join += [
                digit[b].eq(Mux(phase == 1, first[b], nexts[b])),
                total[b].eq(Mux(phase == 1, less_offset, sums[b])),
            ]
        m.d.comb += self.sum.eq(Cat(total))
        return m

    def _next_digit(self, digit: list[Value], shift: Signal) -> list[Value]:
        """The planes of the neighbour's digit, one lane down, moved up by its weight."""
        lanes, bits, up = self.chip.lanes, self.chip.derived.sum_bits, self.chip.digit_bits
        planes = [Cat(plane[1:], Const(0, 1)) for plane in digit]
        shifted = [Const(0, lanes)] * up + planes[: bits - up]
        if up > 1:  # ternary columns exist with 1-bit digits only
            return shifted
        return [Mux(shift, a, b) for a, b in zip(shifted, planes, strict=True)]


def _registers(name: str, lanes: int, bits: int, *, reset_less: bool = False) -> list[Value]:
    """``bits`` planes of ``lanes`` bits each, in registers."""
    if lanes % WORD_BITS == 0:
        return planes_of(Signal(lanes * bits, name=name, reset_less=reset_less), lanes)
    return [Signal(lanes, name=f"{name}_{b}", reset_less=reset_less) for b in range(bits)]
