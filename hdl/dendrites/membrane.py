"""The soma of a neuron: what its dendrite and the other neurons make of its potential.

sum --> v --+
G f --> inh +--> push --> u          one product a cycle (docs/dendritic.md, "A step", 2 and 3)
"""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.dendrites.arithmetic import PLACE_BITS, clipped, place_of
from spikeloop.hdl.dendrites.layouts import phase_layout, settings_layout, sum_bits, write_layout
from spikeloop.pysim.dendrites.settings import INHIBITION_BITS, PASSING, UNITS
from spikeloop.pysim.dendritic.params import DendriticParams

__all__ = ["Membrane"]

V_BITS, U_BITS, F_BITS = PASSING["v"].bits, UNITS["u"].bits, UNITS["f"].bits
PUSH_BITS = V_BITS + 1


class Membrane(wiring.Component):
    """v and u of a neuron, in domain "tail".

    Members
    -------
    settings: In         as loaded.
    phase: In            what is done.
    write: In            what the host writes into the neuron.
    sum: In              of wm em; complete behind a sweep, and stays until the next one.
    pull: In(20)         G of this neuron and neuron ``phase.other``.
    response: In(16)     f of that neuron.
    v: Out(26)           signed.
    u: Out(21)           signed.
    clips: Out(2)        with ``first`` v, with ``move`` u is clipped.
    place_u: Out(10)     where the table has L of u,
    place_v: Out(10)     and of the attenuated v, behind ``mean``.
    """

    def __init__(self, p: DendriticParams):
        self.p = p
        super().__init__(
            {
                "settings": In(settings_layout()),
                "phase": In(phase_layout(p)),
                "write": In(write_layout(p)),
                "sum": In(signed(sum_bits(p))),
                "pull": In(INHIBITION_BITS),
                "response": In(F_BITS),
                "v": Out(signed(V_BITS)),
                "u": Out(signed(U_BITS)),
                "clips": Out(2),
                "place_u": Out(PLACE_BITS),
                "place_v": Out(PLACE_BITS),
            }
        )

    def elaborate(self, platform) -> Module:
        m, s, phase = Module(), self.settings, self.phase
        whole = Signal(signed(sum_bits(self.p) - 12), reset_less=True)
        m.d.tail += whole.eq(self.sum >> 12)
        v, v_over = clipped(m, "v_new", whole, V_BITS)
        pulled = Signal(F_BITS + INHIBITION_BITS + 4, reset_less=True)
        with m.If(phase.first):
            m.d.tail += self.v.eq(v)
        with m.If(phase.inhibit):
            m.d.tail += pulled.eq(Mux(phase.first, 0, pulled) + self.pull * self.response)

        push = Signal(signed(PUSH_BITS), reset_less=True)
        left = Signal(signed(U_BITS), reset_less=True)
        factor, other = Signal(signed(PUSH_BITS)), Signal(16)
        product = Signal(signed(PUSH_BITS + 16))
        part, total = Signal(signed(PUSH_BITS)), Signal(signed(PUSH_BITS + 1))
        m.d.comb += [
            factor.eq(Mux(phase.gather, self.u, Mux(phase.move, push, self.v))),
            other.eq(Mux(phase.gather, s.leak_u, Mux(phase.move, s.gain_d, s.attenuation))),
            product.eq(factor * other),
            part.eq((product + (1 << 15)) >> 16),
            total.eq(left + part),
        ]
        u, u_over = clipped(m, "u_new", total, U_BITS)
        with m.If(phase.gather):
            m.d.tail += [
                push.eq(self.v - self.u - (pulled >> INHIBITION_BITS)),
                left.eq(self.u - part),
            ]
        with m.If(phase.move):
            m.d.tail += self.u.eq(u)
        with m.If(self.write.state & (self.write.index == 0)):
            m.d.tail += self.u.eq(self.write.data)
        of_v, passed = Signal(PLACE_BITS, reset_less=True), product[24:].as_signed()
        new = place_of(m, "of_v_new", passed)
        with m.If(phase.mean):
            m.d.tail += of_v.eq(new)
        m.d.comb += [
            self.clips.eq((phase.first & v_over) | ((phase.move & u_over) << 1)),
            self.place_u.eq(place_of(m, "of_u", self.u >> 8)),
            self.place_v.eq(of_v),
        ]
        return m
