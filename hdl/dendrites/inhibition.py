"""How the others inhibit a neuron: a row of G, which learns from output spikes on both sides."""

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.dendrites.layouts import phase_layout, settings_layout, write_layout
from spikeloop.hdl.dendrites.traces import GAIN_BITS
from spikeloop.pysim.dendrites.settings import INHIBITION_BITS
from spikeloop.pysim.dendritic.params import DendriticParams

__all__ = ["Inhibition"]


class Inhibition(wiring.Component):
    """Row i of G, in domain "tail". ``i``: number of the neuron.

    Members
    -------
    settings: In        as loaded.
    phase: In           what is done.
    write: In           what the host writes into the neuron.
    s: In(1)            output spike of the neuron.
    gain: In(23)        D of the neuron, signed.
    other_s: In(1)      output spike of neuron ``phase.other``.
    other_gain: In(23)  D of that neuron, signed.
    pull: Out(20)       G of the neuron and that one.
    row: Out            the row, neuron 0 lowest.
    """

    def __init__(self, p: DendriticParams, i: int):
        self.p, self.i = p, i
        super().__init__(
            {
                "settings": In(settings_layout()),
                "phase": In(phase_layout(p)),
                "write": In(write_layout(p)),
                "s": In(1),
                "gain": In(signed(GAIN_BITS)),
                "other_s": In(1),
                "other_gain": In(signed(GAIN_BITS)),
                "pull": Out(INHIBITION_BITS),
                "row": Out(p.neurons * INHIBITION_BITS),
            }
        )

    def elaborate(self, platform) -> Module:
        m, phase, write = Module(), self.phase, self.write
        high = self.settings.g_max
        row = [
            Signal(INHIBITION_BITS, name=f"g_{k}", reset_less=True) for k in range(self.p.neurons)
        ]
        total, new = Signal(signed(GAIN_BITS + 2)), Signal(INHIBITION_BITS)
        m.d.comb += [
            self.pull.eq(Array(row)[phase.other]),
            total.eq(self.pull + Mux(self.s, self.other_gain, 0) + Mux(self.other_s, self.gain, 0)),
            new.eq(Mux(total < 0, 0, Mux(total > high, high, total))),
        ]
        for k, g in enumerate(row):
            if k != self.i:
                with m.If(phase.pair & (phase.other == k)):
                    m.d.tail += g.eq(new)
            with m.If(write.pair & (write.index == k)):
                m.d.tail += g.eq(write.data)
            m.d.comb += self.row.word_select(k, INHIBITION_BITS).eq(g)
        return m
