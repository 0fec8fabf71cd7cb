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
        count = _Planes("count", chip.lanes, bits)
        counts = lanes_from_planes(m, count.planes, sliced=chip.sliced)
        digits = planes_of(self.row, chip.lanes)
        added = counts.plus_small(digits, bits).planes()
        m.d.acc += count.eq(added)
        m.d.comb += self.counts.eq(Cat(count.planes))
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
        now = _Planes("now", lanes, counted, reset_less=True)
        before = _Planes("before", lanes, counted)
        digit = _Planes("digit", lanes, bits, reset_less=True)
        total = _Planes("total", lanes, bits)

        def vector(register):
            return lanes_from_planes(m, register.planes, sliced=chip.sliced)

        # Phase 0 copies the counts into this domain; only then does anything wide look at them.
        m.d.join += phase.eq(Mux(self.last, 0, Mux(phase == 2, 2, phase + 1)))
        with m.If(phase == 0):
            m.d.join += [shift.eq(self.shift), offset.eq(self.offset)]
            m.d.join += now.eq(planes_of(self.counts, lanes))
        with m.If(phase == 1):
            m.d.join += before.eq(now.planes)

        fresh = vector(now).plus(
            vector(before).flip(everywhere(1, lanes)), everywhere(1, lanes), width=counted
        )
        first = [*fresh.planes(), *[Const(0, lanes)] * (bits - counted)]
        less_offset = [everywhere(offset[b], lanes) for b in range(bits)]
        sums = vector(total).plus(vector(digit), width=bits).planes()
        m.d.join += digit.choose(phase == 1, first, self._next_digit(digit.planes, shift))
        m.d.join += total.choose(phase == 1, less_offset, sums)
        m.d.comb += self.sum.eq(Cat(total.planes))
        return m

    def _next_digit(self, digit: list[Value], shift: Signal) -> list[Value]:
        """The planes of the neighbour's digit, one lane down, moved up by its weight."""
        lanes, bits, up = self.chip.lanes, self.chip.derived.sum_bits, self.chip.digit_bits
        planes = [Cat(plane[1:], Const(0, 1)) for plane in digit]
        shifted = [Const(0, lanes)] * up + planes[: bits - up]
        if up > 1:  # ternary columns exist with 1-bit digits only
            return shifted
        return [Mux(shift, a, b) for a, b in zip(shifted, planes, strict=True)]


class _Planes:
    """``bits`` planes of ``lanes`` bits each, in registers."""

    def __init__(self, name: str, lanes: int, bits: int, *, reset_less: bool = False):
        self.planes: list[Value]
        if lanes % WORD_BITS == 0:
            whole = Signal(lanes * bits, name=name, reset_less=reset_less)
            self.registers, self.planes = [whole], planes_of(whole, lanes)
        else:
            self.registers = [
                Signal(lanes, name=f"{name}_{b}", reset_less=reset_less) for b in range(bits)
            ]
            self.planes = [*self.registers]

    def eq(self, planes: list[Value]) -> list:
        """Statements that take all of ``planes``."""
        return [old.eq(new) for old, new in zip(self.registers, self._joined(planes), strict=True)]

    def choose(self, first: Value, planes: list[Value], others: list[Value]) -> list:
        """Statements that take ``planes`` if ``first``, else ``others``."""
        three = zip(self.registers, self._joined(planes), self._joined(others), strict=True)
        return [old.eq(Mux(first, a, b)) for old, a, b in three]

    def _joined(self, planes: list[Value]) -> list[Value]:
        """A value for each register."""
        return [Cat(*planes)] if len(self.registers) == 1 else planes
