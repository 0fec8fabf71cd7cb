"""The response of a neuron, what its dendrite predicted of it, and what it learns from that.

L(z) --> + noise --> f --+
L(attenuated v) --> q ---+--> (f - q) (65536 - q) --> c          (docs/dendritic.md, 4 and 6)
"""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.dendrites.arithmetic import NEURONS, xorshift
from spikeloop.hdl.dendrites.layouts import phase_layout, settings_layout, write_layout
from spikeloop.pysim.dendrites.settings import PASSING, UNITS
from spikeloop.pysim.dendritic.params import DendriticParams

__all__ = ["Response"]

F_BITS, CHANGE_BITS, NOISE_BITS = UNITS["f"].bits, PASSING["c"].bits, 19
ONE = 1 << 16


class Response(wiring.Component):
    """f, q, c and the generator of noise of a neuron, in domain "tail".

    Members
    -------
    settings: In     as loaded.
    phase: In        what is done.
    mine: In(1)      the table has a word of this neuron.
    write: In        what the host writes into the neuron.
    word: In(16)     word of the table.
    f: Out(16)       response.
    q: Out(16)       prediction.
    c: Out(19)       what the weights learn of it, signed.
    rn: Out(32)      generator.
    """

    def __init__(self, p: DendriticParams):
        super().__init__(
            {
                "settings": In(settings_layout()),
                "phase": In(phase_layout(p)),
                "mine": In(1),
                "write": In(write_layout(p)),
                "word": In(F_BITS),
                "f": Out(F_BITS),
                "q": Out(F_BITS),
                "c": Out(signed(CHANGE_BITS)),
                "rn": Out(32),
            }
        )

    def elaborate(self, platform) -> Module:
        m, s, phase, write = Module(), self.settings, self.phase, self.write
        after = xorshift(m, "rn", self.rn, NEURONS)
        noise, noisy = Signal(signed(NOISE_BITS)), Signal(signed(NOISE_BITS + 1))
        four = sum(self.rn.word_select(at, 8) for at in range(4))
        m.d.comb += [noise.eq((four - 510) * s.noise), noisy.eq(self.f + noise)]
        factor, other = Signal(signed(F_BITS + 2)), Signal(18)
        product = Signal(signed(F_BITS + 2 + 18))
        m.d.comb += [
            factor.eq(Mux(phase.gate, self.f - self.q, self.c)),
            other.eq(Mux(phase.gate, ONE - self.q, s.rate)),
            product.eq(factor * other),
        ]
        with m.If(phase.gather):
            m.d.tail += [self.q.eq(0), self.c.eq(0)]
        with m.If(phase.mean):
            m.d.tail += self.f.eq(0)
        with m.If(phase.take_f & self.mine):
            m.d.tail += self.f.eq(self.word)
        with m.If(phase.take_q & self.mine):
            m.d.tail += self.q.eq(self.word)
        with m.If(phase.draw):
            m.d.tail += self.rn.eq(after)
        with m.If(phase.add):
            m.d.tail += self.f.eq(Mux(noisy < 0, 0, Mux(noisy > ONE - 1, ONE - 1, noisy)))
        with m.If(phase.gate | phase.rate):
            m.d.tail += self.c.eq((product + ONE // 2) >> 16)
        with m.If(write.state & (write.index == 1)):
            m.d.tail += self.f.eq(write.data)
        with m.If(write.state & (write.index == 6)):
            m.d.tail += self.rn.eq(write.data)
        return m
