"""Queue of events that left the core and wait for the host.

It is a ring in a memory, with the event at its head in a register.
"""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.lib.ram import RAM

__all__ = ["Queue"]


class Queue(wiring.Component):
    """A queue of ``rows`` + 1 places. ``rows``, those in the memory, is a power of two.

    Members
    -------
    i: In, stream   of ``shape``, into the queue.
    o: Out, stream  of ``shape``, out of it.
    empty: Out(1)   nothing is inside.
    """

    def __init__(self, shape, rows: int):
        width = Value.cast(Signal(shape)).shape().width
        self.ram = RAM("queue", width=width, rows=rows, chunk=width)
        super().__init__(
            {"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)), "empty": Out(1)}
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.queue_memory = ram = self.ram
        put, got, level = Signal(ram.row_bits), Signal(ram.row_bits), Signal(ram.row_bits + 1)
        write, read = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(level != ram.rows),
            write.eq(self.i.valid & self.i.ready),
            read.eq((level != 0) & (~self.o.valid | self.o.ready)),
            ram.w_en.eq(write),
            ram.w_row.eq(put),
            ram.w_data.eq(self.i.payload),
            ram.r_en.eq(read),
            ram.r_row.eq(got),
            Value.cast(self.o.payload).eq(ram.r_data),
            self.empty.eq((level == 0) & ~self.o.valid),
        ]
        m.d.sync += [
            put.eq(put + write),
            got.eq(got + read),
            level.eq(level + write - read),
            self.o.valid.eq(Mux(read, 1, self.o.valid & ~self.o.ready)),
        ]
        return m
