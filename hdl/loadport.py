"""Load port: the 32-bit, word-addressed bus behind which every register and memory of the map lies.

One request at a time; a request for a memory waits until the core is idle. Decoded from pysim/memory_map.py, the one
table. An address that nothing lies at reads 0 and ignores writes.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.core import Core
from pysim.memory_map import COUNTERS
from pysim.params import BUS_BITS

__all__ = ["LoadPort", "request_layout"]


def request_layout(address_bits: int) -> data.StructLayout:
    """A request: write ``data`` to ``address``, or read it."""
    return data.StructLayout({"address": address_bits, "data": BUS_BITS, "write": 1})


class LoadPort(wiring.Component):
    """Drives the ``steps``, ``dense`` and ``bus_*`` members of ``core``.

    Members
    -------
    request: In, stream of requests. response: Out, stream of the answers to reads, in order.
    command: Out, bits written to the control register in this cycle. wait: In, a command is still to be taken.
    """

    def __init__(self, core: Core):
        self.core = core
        super().__init__({
            "request": In(stream.Signature(request_layout(core.map.address_bits))), "response": Out(stream.Signature(BUS_BITS)),
            "command": Out(3), "wait": In(1),
        })

    def elaborate(self, platform) -> Module:
        m = Module()
        core, map_, request = self.core, self.core.map, self.request.p
        reading = Signal()  # a memory was asked in the cycle before
        m.d.comb += core.bus_awake.eq(self.request.valid | reading)

        values = {
            **{name: r.reset for name, r in map_.registers.items() if r.access == "r"},
            "status": core.busy | self.wait, "steps": core.steps, "dense": core.dense, "tick": core.number,
            **{name: getattr(core, f"count_{name}")[:BUS_BITS] for name in COUNTERS},
            **{f"{name}_high": getattr(core, f"count_{name}")[BUS_BITS:] for name in COUNTERS},
        }
        register = Signal(BUS_BITS)
        with m.Switch(request.address):
            for name, value in values.items():
                with m.Case(map_.registers[name].address):
                    m.d.comb += register.eq(value)
        for index, memory in enumerate(map_.memories.values()):
            row, chunk = Signal(core.row_bits), Signal(core.chunk_bits)
            m.d.comb += [chunk.eq(request.address[:memory.chunk_bits]), row.eq(request.address[memory.chunk_bits:memory.size_bits])]
            here = request.address[memory.size_bits:] == memory.base >> memory.size_bits
            with m.If(here & (row < memory.rows) & (chunk < memory.chunks)):
                m.d.comb += [core.bus_select[index].eq(1), core.bus_row.eq(row), core.bus_chunk.eq(chunk)]

        fresh, is_memory, idle = Signal(), Signal(), Signal()
        m.d.comb += [
            fresh.eq(self.request.valid & ~reading), is_memory.eq(core.bus_select.any()), idle.eq(~core.busy & ~self.wait),
            core.bus_data.eq(request.data),
            core.bus_write.eq(fresh & is_memory & idle & request.write),
            core.bus_read.eq(fresh & is_memory & idle & ~request.write & self.response.ready),
            self.response.valid.eq(reading | (fresh & ~is_memory & ~request.write)), self.response.payload.eq(register),
            self.request.ready.eq(reading | core.bus_write | (fresh & ~is_memory & (request.write | self.response.ready))),
        ]
        m.d.sync += reading.eq(core.bus_read)
        with m.If(reading):
            m.d.comb += self.response.payload.eq(core.bus_answer)
        with m.If(fresh & ~is_memory & request.write):
            with m.Switch(request.address):
                with m.Case(map_.registers["control"].address):
                    m.d.comb += self.command.eq(request.data)
                with m.Case(map_.registers["steps"].address):
                    m.d.sync += core.steps.eq(request.data)
                with m.Case(map_.registers["dense"].address):
                    m.d.sync += core.dense.eq(request.data)
        return m
