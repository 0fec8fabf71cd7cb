"""Inputs of the dendritic neurons: random spikes, synaptic currents, postsynaptic potentials.

    fetch --> (memories) --> spike, I' --> e', both written --> em(e') to the lanes

An input a cycle goes through; docs/dendritic.md, "A step", 1. The sweep of the lanes
(hdl/dendritic/lane.py) sees e before the step at the first of these stages, and e' behind the last.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.dendrites.arithmetic import INPUTS, xorshift
from spikeloop.hdl.dendrites.layouts import SEEN_BITS, settings_layout
from spikeloop.pysim.dendrites.settings import CURRENT_BITS, PSP_BITS, RATE_BITS
from spikeloop.pysim.dendritic.params import DendriticParams

__all__ = ["Inputs"]

SEEN_SHIFT = PSP_BITS - SEEN_BITS


class Inputs(wiring.Component):
    """All inputs, one after the other, in domain "sweep".

    Members
    -------
    settings: In       as loaded.
    fetch: In(1)       the memories read an input's rows, which come in the next cycle.
    field: In(2)       with ``fetch``: the lowest bits of its number.
    live: In(1)        the inputs move. 0: a flush, which leaves them.
    threshold: In(16)  of the input fetched before.
    word: In(2 * PSP_BITS)       its row of ``synapses``: I, and e from bit 20.
    load: In(2)        strobes: the host writes the low and the high half of ``rin``.
    data: In(32)       what it writes.
    old: Out(16)       em(e) of that input before the step.
    put: Out(1)        write ``moved`` into ``synapses``, two cycles behind ``fetch``.
    moved: Out(2 * PSP_BITS)     the row behind the step.
    seen: Out(16)      em(e') a cycle later, 0 where there is no input.
    rin: Out(64)       generator.
    spikes: Out(64)    counter of input spikes.
    clips: Out(64)     counter of clipped I and e.
    """

    def __init__(self, p: DendriticParams):
        self.p = p
        super().__init__(
            {
                "settings": In(settings_layout()),
                "fetch": In(1),
                "field": In(2),
                "live": In(1),
                "threshold": In(RATE_BITS),
                "word": In(2 * PSP_BITS),
                "load": In(2),
                "data": In(32),
                "old": Out(SEEN_BITS),
                "put": Out(1),
                "moved": Out(2 * PSP_BITS),
                "seen": Out(SEEN_BITS),
                "rin": Out(64),
                "spikes": Out(64),
                "clips": Out(64),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        spike = self._spike(m)
        self._move(m, spike)
        return m

    def _spike(self, m: Module) -> Signal:
        """x of the input whose rows the memories hold; the generator steps for every fourth."""
        rin, field = Signal(64, reset_less=True), Signal(2, reset_less=True)
        after, spike = xorshift(m, "rin", rin, INPUTS), Signal()
        self.here = Signal()
        m.d.sweep += [self.here.eq(self.fetch & self.live), field.eq(self.field)]
        with m.If(self.fetch & self.live & (self.field == 0)):
            m.d.sweep += rin.eq(after)
        for half in range(2):
            with m.If(self.load[half]):
                m.d.sweep += rin.word_select(half, 32).eq(self.data)
        m.d.comb += [
            self.rin.eq(rin),
            spike.eq(self.here & (rin.word_select(field, 16) < self.threshold)),
        ]
        m.d.sweep += self.spikes.eq(self.spikes + spike)
        return spike

    def _move(self, m: Module, spike: Signal) -> None:
        """I' in one cycle, e' in the next."""
        s = self.settings
        current, psp = self.word[:CURRENT_BITS], self.word[PSP_BITS:]
        risen = Signal(CURRENT_BITS + 1)
        m.d.comb += [
            self.old.eq(psp >> SEEN_SHIFT),
            risen.eq(current - _share(s.leak_i * current) + Mux(spike, s.impulse, 0)),
        ]
        fed, last = Signal(CURRENT_BITS, reset_less=True), Signal(PSP_BITS, reset_less=True)
        high = risen[CURRENT_BITS] & self.here
        m.d.sweep += [
            fed.eq(Mux(risen[CURRENT_BITS], (1 << CURRENT_BITS) - 1, risen)),
            last.eq(psp),
            self.put.eq(self.here),
        ]
        raised, new = Signal(PSP_BITS + 1), Signal(PSP_BITS)
        m.d.comb += [
            raised.eq(last - _share(s.leak_e * last) + fed),
            new.eq(Mux(raised[PSP_BITS], (1 << PSP_BITS) - 1, raised)),
            self.moved.eq(Cat(fed, Signal(PSP_BITS - CURRENT_BITS), new)),
        ]
        over = raised[PSP_BITS] & self.put
        m.d.sweep += [
            self.seen.eq(Mux(self.put, new >> SEEN_SHIFT, 0)),
            self.clips.eq(self.clips + high + over),
        ]


def _share(product):
    """R(product, 16)."""
    return (product + (1 << 15)) >> 16
