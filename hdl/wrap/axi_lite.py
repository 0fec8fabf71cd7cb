"""AXI4-Lite: a slave that turns writes and reads into accesses, one at a time.

Write address and write data may come in any order. Reads and writes that wait for one another take
turns. All outputs are registers, low in reset.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.wrap.port import access_signature
from spikeloop.pysim.chip.params import BUS_BITS

__all__ = ["AxiLite"]

SLVERR = 2


class AxiLite(wiring.Component):
    """The slave.

    Members
    -------
    aw, w, b, ar, r: the five channels, as AXI4-Lite names them; addresses are of bytes.
    access: Out       the access.
    """

    def __init__(self, byte_bits: int):
        super().__init__(
            {
                "awaddr": In(byte_bits),
                "awvalid": In(1),
                "awready": Out(1),
                "wdata": In(BUS_BITS),
                "wstrb": In(BUS_BITS // 8),
                "wvalid": In(1),
                "wready": Out(1),
                "bresp": Out(2),
                "bvalid": Out(1),
                "bready": In(1),
                "araddr": In(byte_bits),
                "arvalid": In(1),
                "arready": Out(1),
                "rdata": Out(BUS_BITS),
                "rresp": Out(2),
                "rvalid": Out(1),
                "rready": In(1),
                "access": Out(access_signature(byte_bits - 2)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        access = self.access
        # a place for each of the three things that a master sends; it is open while it is free
        places = {"aw": "awaddr", "w": "wdata", "ar": "araddr"}
        full = {name: Signal(name=f"{name}_full") for name in places}
        held = {name: Signal.like(getattr(self, pin)) for name, pin in places.items()}
        strobes, serving, turn = Signal.like(self.wstrb), Signal(), Signal()
        for name, pin in places.items():
            valid, ready = getattr(self, f"{name}valid"), getattr(self, f"{name}ready")
            with m.If(valid & ready):
                m.d.sync += [full[name].eq(1), held[name].eq(getattr(self, pin)), ready.eq(0)]
            with m.Elif(~full[name]):
                m.d.sync += ready.eq(1)
        with m.If(self.wvalid & self.wready):
            m.d.sync += strobes.eq(self.wstrb)

        can_write, can_read = Signal(), Signal()
        m.d.comb += [
            can_write.eq(full["aw"] & full["w"] & ~self.bvalid),
            can_read.eq(full["ar"] & ~self.rvalid),
            access.valid.eq(serving),
            access.data.eq(held["w"]),
            access.select.eq(strobes),
        ]
        with m.If(~serving):  # turn: a read comes first
            m.d.sync += [
                serving.eq(can_write | can_read),
                access.write.eq(can_write & ~(can_read & turn)),
            ]
            with m.If(can_write & ~(can_read & turn)):
                m.d.sync += access.address.eq(held["aw"][2:])
            with m.Else():
                m.d.sync += access.address.eq(held["ar"][2:])
        with m.Elif(access.done):
            m.d.sync += [serving.eq(0), turn.eq(access.write)]
            with m.If(access.write):
                m.d.sync += [full["aw"].eq(0), full["w"].eq(0)]
            with m.Else():
                m.d.sync += full["ar"].eq(0)
        for name, mine in (("b", access.write), ("r", ~access.write)):
            valid, ready = getattr(self, f"{name}valid"), getattr(self, f"{name}ready")
            with m.If(serving & access.done & mine):
                m.d.sync += [valid.eq(1), getattr(self, f"{name}resp").eq(access.error * SLVERR)]
            with m.Elif(ready):
                m.d.sync += valid.eq(0)
        with m.If(serving & access.done & ~access.write):
            m.d.sync += self.rdata.eq(access.answer)
        return m
