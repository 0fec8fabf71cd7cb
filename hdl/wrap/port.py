"""One access of a bus at a time: to the chip's load port, or to the wrapper's two registers.

A write is done when it is on its way to the chip, a read when its answer is there. The chip lets
an access to a memory wait until its tick ends, and a tick may wait for a receiver of events. So
that no access hangs the bus, one that has waited for too long ends with an error. A write that
ended so was not done; the late answer of a read is thrown away.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.bus.loadport import request_layout
from spikeloop.pysim.chip.params import BUS_BITS
from spikeloop.pysim.chip.wrap import END, WAIT_CYCLES, WrapMap

__all__ = ["Port", "access_signature"]

ALL = (1 << BUS_BITS // 8) - 1
LATE = 7  # answers that may be on their way: two skid buffers and the load port hold fewer


def access_signature(address_bits: int) -> wiring.Signature:
    """An access, as the side of the bus sees it.

    valid:   Out(1), held until ``done``.
    address: Out, of a word.
    write:   Out(1).
    select:  Out(4), bytes to write: all or none.
    data:    Out, the word to write.
    done:    In(1), the access ends in this cycle.
    error:   In(1), with ``done``: without effect.
    answer:  In, with ``done``: the word that was read.
    """
    return wiring.Signature(
        {
            "valid": Out(1),
            "address": Out(address_bits),
            "write": Out(1),
            "select": Out(BUS_BITS // 8),
            "data": Out(BUS_BITS),
            "done": In(1),
            "error": In(1),
            "answer": In(BUS_BITS),
        }
    )


class Port(wiring.Component):
    """The port.

    Parameters
    ----------
    map_: the map of the wrapped chip.
    wait: cycles after which an access ends with an error.

    Members
    -------
    access: In             the access.
    request: Out, stream   to the chip's load port.
    response: In, stream   its answers.
    sent: Out, stream      words written to register event.
    received: In, stream   events that register event gives.
    collect: Out(1)        events out go to ``received``.
    """

    def __init__(self, map_: WrapMap, wait: int = WAIT_CYCLES):
        self.map, self.wait = map_, wait
        super().__init__(
            {
                "access": In(access_signature(map_.address_bits)),
                "request": Out(stream.Signature(request_layout(map_.load_bits))),
                "response": In(stream.Signature(BUS_BITS)),
                "sent": Out(stream.Signature(BUS_BITS)),
                "received": In(stream.Signature(END)),
                "collect": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        access, map_ = self.access, self.map
        waited, expired = Signal(range(self.wait + 1)), Signal()
        late, forsaken, stale = Signal(range(LATE + 1)), Signal(), Signal()
        reading, is_event, is_collect = Signal(), Signal(), Signal()
        m.d.comb += [
            is_event.eq(access.address == map_.registers["event"].address),
            is_collect.eq(access.address == map_.registers["collect"].address),
            expired.eq(waited == self.wait),
            self.request.p.address.eq(access.address),
            self.request.p.data.eq(access.data),
            self.request.p.write.eq(access.write),
            self.sent.payload.eq(access.data),
            self.response.ready.eq(1),
            stale.eq(self.response.valid & late.any()),
        ]
        m.d.sync += [
            waited.eq((access.valid & ~access.done).replicate(len(waited)) & (waited + 1)),
            late.eq(late + forsaken - stale),
        ]
        with m.If(reading):
            m.d.comb += [
                access.answer.eq(self.response.payload),
                access.error.eq(~self.response.valid | stale),
                access.done.eq(~access.error | expired),
                forsaken.eq(access.done & access.error),
            ]
        with m.Elif(access.valid & access.write & (access.select != ALL)):
            m.d.comb += [access.done.eq(1), access.error.eq(access.select.any())]
        with m.Elif(access.valid & is_event & access.write):
            m.d.comb += [
                self.sent.valid.eq(1),
                access.error.eq(~self.sent.ready),
                access.done.eq(self.sent.ready | expired),
            ]
        with m.Elif(access.valid & is_event):
            m.d.comb += [
                self.received.ready.eq(1),
                access.answer.eq(Mux(self.received.valid, self.received.payload, 1 << END)),
                access.done.eq(1),
            ]
        with m.Elif(access.valid & is_collect):
            m.d.comb += [access.answer.eq(self.collect), access.done.eq(1)]
            if map_.streams:
                with m.If(access.write):
                    m.d.sync += self.collect.eq(access.data)
        with m.Elif(access.valid & access.address[map_.load_bits :].any()):
            m.d.comb += access.done.eq(1)  # nothing lies above the chip but these registers
        with m.Elif(access.valid):
            m.d.comb += [
                self.request.valid.eq(1),
                access.error.eq(~self.request.ready),
                access.done.eq(
                    (self.request.ready & access.write) | (~self.request.ready & expired)
                ),
            ]
        m.d.sync += reading.eq(
            (reading & ~access.done) | (self.request.valid & self.request.ready & ~access.write)
        )
        if not map_.streams:
            m.d.comb += self.collect.eq(1)
        return m
