"""A lane: the weights of one neuron, which learn on their way to its dendrite.

    W --> W' --> wm(W') --> product with em(e') --> sum

W' is step 6 of the step before, with that step's e' and c: what a sweep reads is what the step
before left. So each weight is read and written once in a step (docs/dendritic.md, "A step").
"""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.dendrites.layouts import SEEN_BITS, SEEN_WEIGHT_BITS, settings_layout, sum_bits
from spikeloop.pysim.dendrites.settings import PASSING, WEIGHT_BITS
from spikeloop.pysim.dendritic.params import DendriticParams

__all__ = ["Lane"]

CHANGE_BITS = PASSING["c"].bits
LOW, HIGH = -(1 << WEIGHT_BITS - 1), (1 << WEIGHT_BITS - 1) - 1


class Lane(wiring.Component):
    """One neuron's weights, an input a cycle, in domain "sweep".

    Members
    -------
    settings: In       as loaded.
    first: In(1)       the sum begins.
    learning: In(1)    the step before changes the weight of this input.
    weight: In(32)     of the input fetched before.
    old: In(16)        em(e) of that input before this step.
    change: In(19)     c of the step before.
    seen: In(16)       em(e') of the input two cycles earlier.
    new: Out(32)       the weight, a cycle later.
    over: Out(1)       with ``weight``: it is clipped.
    sum: Out           exact, two cycles behind the last ``seen``.
    """

    def __init__(self, p: DendriticParams):
        self.p = p
        super().__init__(
            {
                "settings": In(settings_layout()),
                "first": In(1),
                "learning": In(1),
                "weight": In(signed(WEIGHT_BITS)),
                "old": In(SEEN_BITS),
                "change": In(signed(CHANGE_BITS)),
                "seen": In(SEEN_BITS),
                "new": Out(signed(WEIGHT_BITS)),
                "over": Out(1),
                "sum": Out(signed(sum_bits(p))),
            }
        )

    def elaborate(self, platform) -> Module:
        m, s = Module(), self.settings
        half, total = Signal(WEIGHT_BITS), Signal(signed(WEIGHT_BITS + 2))
        product = Signal(signed(CHANGE_BITS + SEEN_BITS))
        grows = Signal(signed(CHANGE_BITS + SEEN_BITS - 12))
        decay = (self.weight + half) >> s.decay
        below, above = total < LOW, total > HIGH
        m.d.comb += [
            half.eq((1 << s.decay) >> 1),
            product.eq(self.change * self.old),
            grows.eq((product + (1 << 12))[13:]),
            total.eq(self.weight - decay + grows),
            self.over.eq(self.learning & (below | above)),
        ]
        held = Mux(below, LOW, Mux(above, HIGH, total))
        new = Signal(signed(WEIGHT_BITS), reset_less=True)
        shown = Signal(signed(SEEN_WEIGHT_BITS), reset_less=True)
        part = Signal(signed(SEEN_WEIGHT_BITS + SEEN_BITS), reset_less=True)
        so_far = Signal(signed(sum_bits(self.p)), reset_less=True)
        m.d.sweep += [
            new.eq(Mux(self.learning, held, self.weight)),
            shown.eq(new >> WEIGHT_BITS - SEEN_WEIGHT_BITS),
            part.eq(shown * self.seen),
            so_far.eq(Mux(self.first, 0, so_far + part)),
        ]
        m.d.comb += [self.new.eq(new), self.sum.eq(so_far)]
        return m
