"""One ADC of the PIM macro, shared by ``share`` units: codes of their values, and sums of codes.

    n = ((b0 + b1 + b2 + b3 - 510) * sigma) >> 10, b the bytes of the next xorshift32 word
    code = clip((v * gain + ((offset + n) << (shift + 8)) + 2^(shift + 11)) >> (shift + 12))

These are steps 4 to 6 of docs/pim.md. A round is one edge of each of three domains: "sense"
(generator and product), "code", "sum". The sums turn in a ring: after ``share`` rounds each is back
in its place.
"""

from functools import partial
from itertools import pairwise

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.domains import clocks_by_ports
from spikeloop.pysim.pim.layer import MAX_SHIFT, PimParams
from spikeloop.pysim.pim.memories import GAIN_BITS, OFFSET_BITS, SEED_BITS

__all__ = ["PimAdc", "table_fields"]

DOMAINS = ("sense", "code", "sum")


class PimAdc(wiring.Component):
    """The converter of one group of units.

    Members
    -------
    v<k>: In        held value of unit k of the group.
    clipped: In     units whose bit line the limit clipped, a bit each.
    round: In       which unit is converted.
    enable: In(1)   this round converts.
    gain: In        gain of the converter.
    offset: In      offset of the converter.
    shift: In       range shift.
    sigma: In       strength of the noise.
    pulse: In       number of the input pulse.
    first: In(1)    the sums begin.
    restart: In(1)  the generator restarts at the next edge of "sense".
    seed: In        with this seed.
    code: Out       the code, after the edge of "code".
    acts: Out(1)    a clip acted; 0 if the round does not convert.
    sum<k>: Out     sum of the codes of unit k.
    <domain>_clk: In(1)   clocks of the domains, gated; no register is reset.
    """

    def __init__(self, p: PimParams):
        self.p = p
        super().__init__(
            {
                **{f"v{k}": In(signed(p.value_bits)) for k in range(p.share)},
                "clipped": In(p.share),
                "round": In(range(max(2, p.share))),
                "enable": In(1),
                "gain": In(GAIN_BITS),
                "offset": In(signed(OFFSET_BITS)),
                "shift": In(5),
                "sigma": In(8),
                "pulse": In(range(max(2, p.pulses))),
                "first": In(1),
                "restart": In(1),
                "seed": In(SEED_BITS),
                "code": Out(signed(p.adc_bits) if p.merged else p.adc_bits),
                "acts": Out(1),
                **{f"sum{k}": Out(signed(p.sum_bits)) for k in range(p.share)},
                **{f"{domain}_clk": In(1) for domain in DOMAINS},
            }
        )

    def elaborate(self, platform) -> Module:
        m, p = Module(), self.p
        clocks_by_ports(m, self, DOMAINS)
        state, word = Signal(SEED_BITS, reset_less=True), Signal(SEED_BITS)
        left, right = Signal(SEED_BITS), Signal(SEED_BITS)
        m.d.comb += [
            left.eq(state ^ (state << 13)),
            right.eq(left ^ (left >> 17)),
            word.eq(right ^ (right << 5)),
        ]

        v, over = Signal(signed(p.value_bits)), Signal()
        with m.Switch(self.round):
            for k in range(p.share):
                with m.Case(k):
                    m.d.comb += [v.eq(getattr(self, f"v{k}")), over.eq(self.clipped[k])]
        noise = Signal(signed(8))
        m.d.comb += noise.eq(
            ((sum(word[at : at + 8] for at in (0, 8, 16, 24)) - 510) * self.sigma) >> 10
        )
        product = Signal(signed(p.value_bits + GAIN_BITS), reset_less=True)
        held = partial(Signal, reset_less=True)
        apart, converts, was_over = held(signed(OFFSET_BITS + 1)), held(), held()
        m.d.sense += [
            product.eq(v * self.gain),
            apart.eq(self.offset + noise),
            converts.eq(self.enable),
            was_over.eq(over),
        ]
        with m.If(self.restart):
            m.d.sense += state.eq(Mux(self.seed == 0, 1, self.seed))
        with m.Elif(self.enable):
            m.d.sense += state.eq(word)

        # (product + (apart << shift + 8) + 2^(shift + 11)) >> (shift + 12)
        width = max(len(product), len(apart) + 8 + MAX_SHIFT) + 2
        moved = Signal(signed(width), name="moved")
        total = Signal(signed(width), name="total")
        wide = Signal(signed(width), name="wide")
        m.d.comb += [
            moved.eq(((apart + 8) << 8) << self.shift),
            total.eq(product + moved),
            wide.eq((total >> 12) >> self.shift),
        ]
        low, high = p.code_range
        above, below = wide > high, wide < low
        code, acts = Signal.like(self.code, reset_less=True), Signal(reset_less=True)
        m.d.code += [
            code.eq(Mux(above, high, Mux(below, low, wide))),
            acts.eq(converts & (was_over | above | below)),
        ]
        m.d.comb += [self.code.eq(code), self.acts.eq(acts)]

        ring = [
            Signal(signed(p.sum_bits), name=f"ring_{k}", reset_less=True) for k in range(p.share)
        ]
        added = code << self.pulse * p.pulse_bits if p.pulses > 1 else code
        m.d.comb += [getattr(self, f"sum{k}").eq(place) for k, place in enumerate(ring)]
        m.d.sum += [before.eq(after) for before, after in pairwise(ring)]
        m.d.sum += ring[-1].eq(Mux(self.first, 0, ring[0]) + Mux(converts, added, 0))
        return m


def table_fields(word, converter: int) -> tuple:
    """Gain and offset of a converter in a word of the memory ``tables``."""
    bits = GAIN_BITS + OFFSET_BITS
    field = word[converter * bits : (converter + 1) * bits]
    return Cat(field[:GAIN_BITS]), Cat(field[GAIN_BITS:]).as_signed()
