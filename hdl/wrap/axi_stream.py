"""AXI4-Stream: words in and words out, a skid buffer at each, ``tready`` low in reset."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.lib.skid import Skid
from spikeloop.hdl.wrap.spikes import WORD
from spikeloop.pysim.chip.params import BUS_BITS

__all__ = ["AxiStreamIn", "AxiStreamOut"]


class AxiStreamIn(wiring.Component):
    """A slave.

    Members
    -------
    tdata, tlast, tvalid, tready: as AXI4-Stream names them.
    words: Out, stream   what came.
    """

    def __init__(self):
        super().__init__(
            {
                "tdata": In(BUS_BITS),
                "tlast": In(1),
                "tvalid": In(1),
                "tready": Out(1),
                "words": Out(stream.Signature(WORD)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.skid = skid = Skid(WORD)
        wiring.connect(m, skid.o, wiring.flipped(self.words))
        running = Signal()  # a skid buffer in reset looks free
        m.d.sync += running.eq(1)
        m.d.comb += [
            skid.i.p.data.eq(self.tdata),
            skid.i.p.last.eq(self.tlast),
            skid.i.valid.eq(self.tvalid & running),
            self.tready.eq(skid.i.ready & running),
        ]
        return m


class AxiStreamOut(wiring.Component):
    """A master.

    Members
    -------
    tdata, tlast, tvalid, tready: as AXI4-Stream names them.
    words: In, stream   what goes.
    """

    def __init__(self):
        super().__init__(
            {
                "tdata": Out(BUS_BITS),
                "tlast": Out(1),
                "tvalid": Out(1),
                "tready": In(1),
                "words": In(stream.Signature(WORD)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.skid = skid = Skid(WORD)
        wiring.connect(m, wiring.flipped(self.words), skid.i)
        m.d.comb += [
            self.tdata.eq(skid.o.p.data),
            self.tlast.eq(skid.o.p.last),
            self.tvalid.eq(skid.o.valid),
            skid.o.ready.eq(self.tready),
        ]
        return m
