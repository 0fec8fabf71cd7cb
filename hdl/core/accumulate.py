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
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.lib.lanes import everywhere, lanes_from_bits
from spikeloop.pysim.chip.params import Chip

__all__ = ["Accumulators", "Join"]


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
        digits = [self.row[b * chip.lanes : (b + 1) * chip.lanes] for b in range(chip.digit_bits)]
        counts = lanes_from_bits(m, self.counts, chip.lanes, bits, sliced=chip.sliced)
        m.d.acc += self.counts.eq(counts.plus_small(digits, bits).bits())
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
        now, before = Signal(self.counts.shape(), reset_less=True), Signal(self.counts.shape())
        digit = Signal(lanes * bits, reset_less=True)

        def vector(value, width):
            return lanes_from_bits(m, value, lanes, width, sliced=chip.sliced)

        # Phase 0 copies the counts into this domain; only then does anything wide look at them.
        m.d.join += phase.eq(Mux(self.last, 0, Mux(phase == 2, 2, phase + 1)))
        with m.If(phase == 0):
            m.d.join += [now.eq(self.counts), shift.eq(self.shift), offset.eq(self.offset)]
        with m.If(phase == 1):
            m.d.join += before.eq(now)

        fresh = vector(now, counted).plus(
            vector(before, counted).flip(everywhere(1, lanes)), everywhere(1, lanes), width=counted
        )
        m.d.join += digit.eq(
            Mux(
                phase == 1,
                Cat(fresh.bits(), Const(0, lanes * (bits - counted))),
                self._next_digit(digit, shift),
            )
        )

        less_offset = Cat(everywhere(offset[b], lanes) for b in range(bits))
        m.d.join += self.sum.eq(
            Mux(
                phase == 1,
                less_offset,
                vector(self.sum, bits).plus(vector(digit, bits), width=bits).bits(),
            )
        )
        return m

    def _next_digit(self, digit, shift):
        """The neighbour's digit, one lane down, moved up by its weight."""
        lanes, bits, up = self.chip.lanes, self.chip.derived.sum_bits, self.chip.digit_bits
        planes = [Cat(digit[b * lanes + 1 : (b + 1) * lanes], Const(0, 1)) for b in range(bits)]
        shifted = [Const(0, lanes)] * up + planes[: bits - up]
        if up > 1:  # ternary columns exist with 1-bit digits only
            return Cat(*shifted)
        return Cat(Mux(shift, a, b) for a, b in zip(shifted, planes, strict=True))
