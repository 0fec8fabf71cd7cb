"""Load port: the 32-bit, word-addressed bus behind which every register and memory of the map lies.

One request at a time; a memory request waits until the core is idle. Decoded from pysim/memory_map.py, the one table.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.core import Core
from pysim.memory_map import CONTROL_CLEAR, CONTROL_TICK, CONTROL_ZERO, COUNTERS
from pysim.params import BUS_BITS

__all__ = ["LoadPort", "request_layout"]


def request_layout(address_bits: int) -> data.StructLayout:
    """A request: write ``data`` to ``address``, or read it."""
    return data.StructLayout({"address": address_bits, "data": BUS_BITS, "write": 1})


class LoadPort(wiring.Component):
    """Drives the ``tick``, ``clear``, ``zero``, ``steps``, ``dense`` and ``bus_*`` members of ``core``.

    Members
    -------
    request: In, stream of requests; response: Out, stream of answers to reads, in order. tick: In(1), strobe that runs a tick too.
    pending: Out, a request or command is on its way to the core.
    """

    def __init__(self, core: Core):
        self.core = core
        super().__init__({"request": In(stream.Signature(request_layout(core.map.address_bits))), "response": Out(stream.Signature(BUS_BITS)),
                          "tick": In(1), "pending": Out(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        core, map_ = self.core, self.core.map
        request, full = Signal.like(self.request.payload), Signal()
        answer, answered = Signal(BUS_BITS), Signal()
        m.d.comb += [self.request.ready.eq(~full), self.response.valid.eq(answered), self.response.payload.eq(answer)]
        with m.If(self.request.valid & ~full):
            m.d.sync += [request.eq(self.request.payload), full.eq(1)]
        with m.If(self.response.ready):
            m.d.sync += answered.eq(0)

        # Commands are strobes that wait for an idle core.
        commands = Signal(3)
        m.d.comb += [self.pending.eq(full | commands.any()), core.clear.eq(commands[1] & ~core.busy),
                     core.tick.eq(commands[0] & ~commands[1] & ~core.busy), core.zero.eq(commands[2] & ~core.busy)]
        with m.If(~core.busy):
            m.d.sync += commands.eq(0)
            with m.If(core.clear):
                m.d.sync += commands.eq(commands & CONTROL_TICK)
        with m.If(self.tick):
            m.d.sync += commands[0].eq(1)

        registers = {
            **{name: r.reset for name, r in map_.registers.items() if r.access == "r"},
            "status": core.busy, "steps": core.steps, "dense": core.dense, "tick": core.number,
            **{name: getattr(core, f"count_{name}")[:BUS_BITS] for name in COUNTERS},
            **{f"{name}_high": getattr(core, f"count_{name}")[BUS_BITS:] for name in COUNTERS},
        }
        reading, row, chunk = Signal(), Signal(core.row_bits), Signal(core.chunk_bits)
        is_memory = Signal()
        m.d.comb += [is_memory.eq(core.bus_select.any()), core.bus_row.eq(row), core.bus_chunk.eq(chunk), core.bus_data.eq(request.data)]
        for index, memory in enumerate(map_.memories.values()):
            address = request.address - memory.base
            inside = Cat(request.address)[memory.size_bits:] == memory.base >> memory.size_bits
            at_row, at_chunk = Signal(core.row_bits), Signal(core.chunk_bits)
            m.d.comb += [at_chunk.eq(address[:memory.chunk_bits]), at_row.eq(address[memory.chunk_bits:memory.size_bits])]
            with m.If(full & inside & (at_row < memory.rows) & (at_chunk < memory.chunks)):
                m.d.comb += [core.bus_select[index].eq(1), row.eq(at_row), chunk.eq(at_chunk)]

        with m.If(reading):
            m.d.sync += [answer.eq(core.bus_answer), answered.eq(1), reading.eq(0), full.eq(0)]
        with m.Elif(full & is_memory & ~core.busy & ~commands.any()):
            with m.If(request.write):
                m.d.comb += core.bus_write.eq(1)
                m.d.sync += full.eq(0)
            with m.Elif(~answered | self.response.ready):
                m.d.comb += core.bus_read.eq(1)
                m.d.sync += reading.eq(1)
        with m.Elif(full & ~is_memory):
            with m.If(request.write):
                m.d.sync += full.eq(0)
                with m.Switch(request.address):
                    with m.Case(map_.registers["control"].address):
                        m.d.sync += commands.eq(commands | (request.data & (CONTROL_TICK | CONTROL_CLEAR | CONTROL_ZERO)))
                    with m.Case(map_.registers["steps"].address):
                        m.d.sync += core.steps.eq(request.data)
                    with m.Case(map_.registers["dense"].address):
                        m.d.sync += core.dense.eq(request.data)
            with m.Elif(~answered | self.response.ready):
                m.d.sync += [answer.eq(0), answered.eq(1), full.eq(0)]
                with m.Switch(request.address):
                    for name, value in registers.items():
                        with m.Case(map_.registers[name].address):
                            m.d.sync += answer.eq(value)
        return m
