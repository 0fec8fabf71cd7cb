"""Arithmetic that the parts of the macro of dendritic neurons share (docs/dendritic.md)."""

from amaranth.hdl import Module, Mux, Signal, Value, signed

from spikeloop.pysim.dendrites.settings import TABLE_WORDS

__all__ = ["INPUTS", "NEURONS", "PLACE_BITS", "clipped", "place_of", "xorshift"]

INPUTS = (13, 7, 17)
"""Shifts of the generator of 64 bits, left, right, left."""
NEURONS = (13, 17, 5)
"""Shifts of the generators of 32 bits, likewise."""
PLACE_BITS = (TABLE_WORDS - 1).bit_length()
ZERO_PLACE = 384  # where the table has L(0)


def xorshift(m: Module, name: str, word: Value, shifts: tuple[int, int, int]) -> Signal:
    """The word behind ``word``. ``name``: begins the names of the signals."""
    bits = len(word)
    one, two = Signal(bits, name=f"{name}_one"), Signal(bits, name=f"{name}_two")
    after = Signal(bits, name=f"{name}_after")
    m.d.comb += [
        one.eq(word ^ (word << shifts[0])[:bits]),
        two.eq(one ^ (one >> shifts[1])),
        after.eq(two ^ (two << shifts[2])[:bits]),
    ]
    return after


def clipped(m: Module, name: str, value: Value, bits: int) -> tuple[Signal, Signal]:
    """``value`` in ``bits`` bits with a sign, and whether that changed it; comb signals."""
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    new, over = Signal(signed(bits), name=name), Signal(name=f"{name}_over")
    below, above = value < low, value > high
    m.d.comb += [new.eq(Mux(below, low, Mux(above, high, value))), over.eq(below | above)]
    return new, over


def place_of(m: Module, name: str, a: Value) -> Signal:
    """The place of L(a), ``a`` signed in Q.8: clip(a + 384, 0, 1023). ``name``: of the signal."""
    place, moved = Signal(PLACE_BITS, name=name), Signal(signed(len(a) + 1), name=f"{name}_moved")
    high = Mux(moved > TABLE_WORDS - 1, TABLE_WORDS - 1, moved)
    m.d.comb += [moved.eq(a + ZERO_PLACE), place.eq(Mux(moved < 0, 0, high))]
    return place
