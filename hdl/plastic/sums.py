"""Sums of a tick: the rows of its events are added, a word of lanes at a time.

    events --> rows of weights --> L sums --> held, shifted out a lane a cycle --> neuron step

While the neurons of a word are shifted out, the next word is summed. A row arrives one cycle after
its address; its event one cycle before that.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.synapses.memories import entry_layout
from spikeloop.pysim.plastic.params import PlasticParams

__all__ = ["Sums"]


class Sums(wiring.Component):
    """The sums of all lanes, and the neurons that they go to.

    Members
    -------
    start: In(1)     a tick begins.
    fetch: In(1)     an event is fetched: its axon is at ``axon`` in the next cycle.
    axon: In         this axon.
    base: In         row of the word's first weights.
    read: Out(1)     read row ``row`` of the weights.
    row: Out         this row.
    data: In         what was read, one cycle later.
    added: Out(1)    no row is on its way.
    hand: In(1)      hand the sums on, and begin with 0.
    last: In(1)      they are those of the last word.
    room: Out(1)     they can be handed on.
    valid: Out(1)    a neuron goes to its step.
    entry: Out       its number, its lane, row of its word's first weights.
    total: Out       its sum.
    """

    def __init__(self, p: PlasticParams):
        self.p = p
        super().__init__(
            {
                **{name: In(1) for name in ("start", "fetch", "hand", "last")},
                "axon": In(p.axon_bits),
                "base": In(p.row_bits),
                "read": Out(1),
                "row": Out(p.row_bits),
                "data": In(p.lanes * p.weight_bits),
                **{name: Out(1) for name in ("added", "room", "valid")},
                "entry": Out(entry_layout(p)),
                "total": Out(p.sum_bits),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        p = self.p
        adding = Signal()
        m.d.sync += [self.read.eq(self.fetch), adding.eq(self.read)]
        m.d.comb += [self.added.eq(~self.read & ~adding), self.row.eq(self.base + self.axon)]
        sums = [Signal(p.sum_bits, name=f"sum_{lane}") for lane in range(p.lanes)]
        with m.If(self.hand):
            m.d.sync += [total.eq(0) for total in sums]
        with m.Elif(adding):
            for lane, total in enumerate(sums):
                weight = self.data[lane * p.weight_bits : (lane + 1) * p.weight_bits]
                m.d.sync += total.eq(total + weight)

        held, size, end = Signal(p.lanes * p.sum_bits), Signal(range(p.lanes + 1)), Signal()
        lane, number = Signal(range(p.lanes + 1)), Signal(p.neuron_bits)
        m.d.comb += [
            end.eq(lane == size - 1),
            self.room.eq(~self.valid | end),
            self.entry.neuron.eq(number),
            self.entry.lane.eq(lane),
            self.total.eq(held),
        ]
        with m.If(self.start):
            m.d.sync += number.eq(0)
        with m.If(self.valid):
            m.d.sync += [held.eq(held >> p.sum_bits), lane.eq(lane + 1), number.eq(number + 1)]
            m.d.sync += self.valid.eq(~end)
        with m.If(self.hand):
            m.d.sync += [held.eq(Cat(*sums)), self.valid.eq(1), lane.eq(0)]
            m.d.sync += [self.entry.base.eq(self.base), size.eq(p.lanes)]
            with m.If(self.last):
                m.d.sync += size.eq(p.last_lanes)
        return m
