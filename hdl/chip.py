"""The chip: one core behind its load port and its two event streams; the top of the generated Verilog.

Reset, tick and every handshake are registered at the edge of the chip, so that nothing combinational hangs on a pin.
"""

from amaranth.hdl import ClockDomain, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.axons import layout
from hdl.core import Core
from hdl.loadport import LoadPort, request_layout
from pysim.params import BUS_BITS, Chip
from pysim.records import event_record, output_record

__all__ = ["ChipTop"]


class ChipTop(wiring.Component):
    """Ports of the chip (streams: valid/ready, payloads as records of pysim/records.py, first field lowest).

    request, response: load port. i, o: events in and out. tick: In(1), a high cycle while idle runs a tick.
    clk, rst: In(1), clock and synchronous reset. busy: Out(1), from the edge that takes a tick or clear until its last event has left.
    """

    def __init__(self, chip: Chip):
        self.chip = chip
        self.core = Core(chip)
        super().__init__({
            "request": In(stream.Signature(request_layout(self.core.map.address_bits))), "response": Out(stream.Signature(BUS_BITS)),
            "i": In(stream.Signature(layout(event_record(chip)))), "o": Out(stream.Signature(layout(output_record(chip)))),
            "tick": In(1), "busy": Out(1), "clk": In(1), "rst": In(1),
        })

    def elaborate(self, platform) -> Module:
        m = Module()
        m.domains.pin = pin = ClockDomain("pin", reset_less=True)
        m.domains.sync = sync = ClockDomain("sync")
        reset = Signal(init=1)
        m.d.comb += [pin.clk.eq(self.clk), sync.clk.eq(self.clk), sync.rst.eq(reset)]
        m.d.pin += reset.eq(self.rst)

        m.submodules.core = core = self.core
        m.submodules.loadport = loadport = LoadPort(core)
        wiring.connect(m, wiring.flipped(self.request), loadport.request)
        wiring.connect(m, loadport.response, wiring.flipped(self.response))
        wiring.connect(m, core.o, wiring.flipped(self.o))
        event, full = Signal.like(self.i.payload), Signal()
        m.d.comb += [self.i.ready.eq(~full), core.i.valid.eq(full), core.i.payload.eq(event)]
        with m.If(~full):
            m.d.sync += [event.eq(self.i.payload), full.eq(self.i.valid)]
        with m.Elif(core.i.ready):
            m.d.sync += full.eq(0)
        tick = Signal()
        m.d.sync += tick.eq(self.tick)
        m.d.comb += [loadport.tick.eq(tick), self.busy.eq(core.busy | loadport.pending | tick | full | reset)]
        return m
