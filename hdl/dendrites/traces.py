"""Output spikes of a neuron, the two traces that they leave, and what a pair gains by a spike.

One product a cycle: leak of trace_d, threshold of the spike, leak of trace_p; then, behind the
spike, D (docs/dendritic.md, "A step", 7).
"""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.dendrites.arithmetic import NEURONS, clipped, xorshift
from spikeloop.hdl.dendrites.layouts import phase_layout, settings_layout, write_layout
from spikeloop.pysim.dendrites.settings import UNITS
from spikeloop.pysim.dendritic.params import DendriticParams

__all__ = ["GAIN_BITS", "Traces"]

TRACE_BITS, F_BITS, GAIN_BITS = UNITS["trace_p"].bits, UNITS["f"].bits, 23


class Traces(wiring.Component):
    """trace_p, trace_d, s, D and the generator of output spikes of a neuron, in domain "tail".

    Members
    -------
    settings: In      as loaded.
    phase: In         what is done.
    used: In(1)       the net has this neuron.
    write: In         what the host writes into the neuron.
    f: In(16)         response.
    trace_p: Out(26)  signed.
    trace_d: Out(26)  signed.
    rs: Out(32)       generator.
    s: Out(1)         output spike.
    gain: Out(23)     D, signed, behind ``meet``.
    spike: Out(1)     with ``trace``: s.
    clips: Out(2)     with ``trace``: trace_p, trace_d is clipped.
    """

    def __init__(self, p: DendriticParams):
        super().__init__(
            {
                "settings": In(settings_layout()),
                "phase": In(phase_layout(p)),
                "used": In(1),
                "write": In(write_layout(p)),
                "f": In(F_BITS),
                "trace_p": Out(signed(TRACE_BITS)),
                "trace_d": Out(signed(TRACE_BITS)),
                "rs": Out(32),
                "s": Out(1),
                "gain": Out(signed(GAIN_BITS)),
                "spike": Out(1),
                "clips": Out(2),
            }
        )

    def elaborate(self, platform) -> Module:
        m, s, phase = Module(), self.settings, self.phase
        plastic = s.plastic
        both = Signal(signed(TRACE_BITS + 1))
        factor, other = Signal(signed(TRACE_BITS + 1)), Signal(20)
        product = Signal(signed(TRACE_BITS + 1 + 20))
        m.d.comb += both.eq(self.trace_p + self.trace_d)
        with m.If(phase.add):
            m.d.comb += [factor.eq(self.trace_d), other.eq(s.leak_d)]
        with m.Elif(phase.gate):
            m.d.comb += [factor.eq(self.f), other.eq(s.spike_gain)]
        with m.Elif(phase.rate):
            m.d.comb += [factor.eq(self.trace_p), other.eq(s.leak_p)]
        with m.Else():
            m.d.comb += [factor.eq(both), other.eq(s.g_max)]
        m.d.comb += product.eq(factor * other)
        share = Signal(signed(TRACE_BITS))
        m.d.comb += share.eq((product + (1 << 15)) >> 16)

        threshold = Signal(F_BITS, reset_less=True)
        after = xorshift(m, "rs", self.rs, NEURONS)
        with m.If(phase.add & plastic):
            m.d.tail += self.trace_d.eq(self.trace_d - share)
        with m.If(phase.gate & plastic):
            m.d.tail += [threshold.eq(product >> 16), self.rs.eq(after)]
        with m.If(phase.rate & plastic):
            m.d.tail += self.trace_p.eq(self.trace_p - share)
        m.d.comb += self.spike.eq(phase.trace & self.used & (self.rs[16:] < threshold))
        low, high = Signal(signed(TRACE_BITS + 1)), Signal(signed(TRACE_BITS + 1))
        m.d.comb += [
            low.eq(self.trace_p - Mux(self.spike, s.step_p, 0)),
            high.eq(self.trace_d + Mux(self.spike, s.step_d, 0)),
        ]
        trace_p, p_over = clipped(m, "p_new", low, TRACE_BITS)
        trace_d, d_over = clipped(m, "d_new", high, TRACE_BITS)
        with m.If(phase.trace):
            m.d.tail += [self.trace_p.eq(trace_p), self.trace_d.eq(trace_d), self.s.eq(self.spike)]
            m.d.comb += self.clips.eq(p_over | (d_over << 1))
        with m.If(phase.gather):
            m.d.tail += self.s.eq(0)
        with m.If(phase.meet):
            m.d.tail += self.gain.eq((product + (1 << 23)) >> 24)
        with m.If(self.write.state):
            with m.Switch(self.write.index):
                for index, register in ((4, self.trace_p), (5, self.trace_d), (7, self.rs)):
                    with m.Case(index):
                        m.d.tail += register.eq(self.write.data)
        return m
