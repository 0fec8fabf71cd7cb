"""Wishbone B4: a classic slave that turns cycles into accesses, one at a time.

Inputs are registered, and so are the outputs. ``cti`` and ``bte`` are not there: to this slave a
burst is a row of single cycles.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.wrap.port import access_signature
from spikeloop.pysim.chip.params import BUS_BITS

__all__ = ["Wishbone"]


class Wishbone(wiring.Component):
    """The slave.

    Members
    -------
    adr, dat_w, dat_r, sel, we, cyc, stb, ack, err: as Wishbone names them; addresses are of bytes.
    access: Out   the access.
    """

    def __init__(self, byte_bits: int):
        super().__init__(
            {
                "adr": In(byte_bits),
                "dat_w": In(BUS_BITS),
                "dat_r": Out(BUS_BITS),
                "sel": In(BUS_BITS // 8),
                "we": In(1),
                "cyc": In(1),
                "stb": In(1),
                "ack": Out(1),
                "err": Out(1),
                "access": Out(access_signature(byte_bits - 2)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        access, asked = self.access, Signal()
        m.d.comb += asked.eq(self.cyc & self.stb)
        m.d.sync += [self.ack.eq(0), self.err.eq(0)]
        with m.If(access.valid & access.done):
            m.d.sync += [
                access.valid.eq(0),
                self.dat_r.eq(access.answer),
                self.ack.eq(asked & ~access.error),  # a master that left gets no answer
                self.err.eq(asked & access.error),
            ]
        with m.Elif(asked & ~access.valid & ~self.ack & ~self.err):
            m.d.sync += [
                access.valid.eq(1),
                access.address.eq(self.adr[2:]),
                access.data.eq(self.dat_w),
                access.select.eq(self.sel),
                access.write.eq(self.we),
            ]
        return m
