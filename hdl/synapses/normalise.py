"""NORMALISE: scales the weights of the neurons that spiked to a common sum.

    for each dirty n:  Z = sum over a of w[a][n]      M = min(target 2^16 / Z, 2^24 - 1)
                       w[a][n] = clip(sh(w[a][n] M, 16), w_min, w_max)        skipped where Z = 0

Cycles: 3 for each neuron, A + 3 more if it is dirty, and A + 52 more if then Z is not 0.
Source of the command: Diehl & Cook 2015, whose code normalises before each image.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.synapses.memories import entry_layout, settings_layout, state_layout
from spikeloop.hdl.synapses.pipe import delayed, nearest
from spikeloop.hdl.synapses.update import update_layout
from spikeloop.pysim.plastic.params import PlasticParams

__all__ = ["Normaliser"]

USE = 2
FULL24 = (1 << 24) - 1


class Normaliser(wiring.Component):
    """The command. It works in domain ``normalise``, which must run while ``busy`` or ``start``.

    Members
    -------
    settings: In      of the population.
    start: In(1)      begin.
    busy: Out(1)      it works.
    state_row: Out    neuron whose state is read, in this cycle.
    state: In         its state, one cycle later.
    cleaned: Out(1)   write a neuron's state: ``clean``, in row ``clean_row``.
    clean_row: Out    this row.
    clean: Out        the state without its mark.
    row: Out          row of weights to read, in this cycle.
    word: In          this row, one cycle later.
    write: Out(1)     write a weight; ``update`` says what happened.
    write_row: Out    its row.
    write_lane: Out   its lane.
    update: Out       use, axon, neuron, old and new weight.
    """

    def __init__(self, p: PlasticParams):
        self.p = p
        super().__init__(
            {
                "settings": In(settings_layout(p)),
                "start": In(1),
                "busy": Out(1),
                "state_row": Out(p.neuron_bits),
                "state": In(state_layout(p)),
                "cleaned": Out(1),
                "clean_row": Out(p.neuron_bits),
                "clean": Out(state_layout(p)),
                "row": Out(p.row_bits),
                "word": In(p.lanes * p.weight_bits),
                "write": Out(1),
                "write_row": Out(p.row_bits),
                "write_lane": Out(p.lane_bits),
                "update": Out(update_layout(p)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        p, d = self.p, m.d.normalise
        here = Signal(entry_layout(p))  # the neuron that is looked at, and its place
        axon, reading, scaling = Signal(range(p.axons + 1)), Signal(), Signal()
        read1, read2 = Signal(), Signal()
        total, rest = Signal(p.sum_bits), Signal(p.sum_bits + 1)
        quotient, left = Signal(48), Signal(range(49))
        scale = Signal(24)
        d += [read1.eq(reading), read2.eq(read1)]
        m.d.comb += [self.state_row.eq(here.neuron), self.row.eq(here.base + axon)]

        w1, w2 = Signal(p.weight_bits), Signal(p.weight_bits)
        with m.Switch(here.lane):
            for n in range(p.lanes):
                with m.Case(n):
                    m.d.comb += w1.eq(self.word[n * p.weight_bits : (n + 1) * p.weight_bits])
        d += w2.eq(w1)

        with m.FSM(domain="normalise") as fsm:
            with m.State("WAIT"):
                with m.If(self.start):
                    d += [here.eq(0), axon.eq(0)]
                    m.next = "LOOK"
            with m.State("LOOK"):
                m.next = "DECIDE"
            with m.State("DECIDE"):
                m.d.comb += self.cleaned.eq(self.state.dirty)
                d += [total.eq(0), axon.eq(0), scaling.eq(0)]
                with m.If(self.state.dirty):
                    m.next = "READ"
                with m.Else():
                    m.next = "NEXT"
            with m.State("READ"):
                m.d.comb += reading.eq(1)
                d += axon.eq(axon + 1)
                with m.If(axon == p.axons - 1):
                    m.next = "DRAIN"
            with m.State("DRAIN"):
                with m.If(~read1 & ~read2):
                    d += [rest.eq(0), quotient.eq(self.settings.target << 16), left.eq(48)]
                    m.next = "NEXT"
                    with m.If(~scaling & (total != 0)):
                        m.next = "DIVIDE"
            with m.State("DIVIDE"):  # a bit of the quotient a cycle, the highest first
                shifted, fits = Signal(p.sum_bits + 1), Signal()
                m.d.comb += [shifted.eq((rest << 1) | quotient[-1]), fits.eq(shifted >= total)]
                d += [
                    rest.eq(Mux(fits, shifted - total, shifted)),
                    quotient.eq((quotient << 1) | fits),
                    left.eq(left - 1),
                ]
                with m.If(left == 0):
                    d += [
                        scale.eq(Mux(quotient > FULL24, FULL24, quotient)),
                        axon.eq(0),
                        scaling.eq(1),
                    ]
                    m.next = "READ"
            with m.State("NEXT"):
                at_end = here.lane == p.lanes - 1
                d += [
                    here.neuron.eq(here.neuron + 1),
                    here.lane.eq(Mux(at_end, 0, here.lane + 1)),
                    here.base.eq(Mux(at_end, here.base + p.axons, here.base)),
                ]
                m.next = "LOOK"
                with m.If(here.neuron == p.neurons - 1):
                    m.next = "WAIT"
        m.d.comb += [
            self.busy.eq(~fsm.ongoing("WAIT")),
            self.clean_row.eq(here.neuron),
            self.clean.eq(self.state),
            self.clean.dirty.eq(0),
        ]
        with m.If(read2 & ~scaling):
            d += total.eq(total + w2)
        self._scale(m, axon, here, read2 & scaling, w2, scale)
        return m

    def _scale(self, m: Module, axon, here, valid, w2, scale) -> None:
        """The weight that was read two cycles ago, times M: written in the cycle after."""
        p, s, d = self.p, self.settings, m.d.normalise
        axon2 = delayed(m, "normalise", axon, 3, "axon")
        row2 = delayed(m, "normalise", self.row, 3, "row")
        product, old, now = Signal(p.weight_bits + 9), Signal(p.weight_bits), Signal()
        d += [product.eq(nearest(w2 * scale, 16)), old.eq(w2), now.eq(valid)]
        bounded = Mux(product > s.w_max, s.w_max, product)
        m.d.comb += [
            self.write.eq(now),
            self.write_row.eq(row2[3]),
            self.write_lane.eq(here.lane),
            self.update.use.eq(USE),
            self.update.axon.eq(axon2[3]),
            self.update.neuron.eq(here.neuron),
            self.update.old.eq(old),
            self.update.new.eq(Mux(product < s.w_min, s.w_min, bounded)),
        ]
