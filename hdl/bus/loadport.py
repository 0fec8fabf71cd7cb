"""Load port: the 32-bit, word-addressed bus behind which every register and memory of the map lies.

One request at a time. A request for a memory waits until the core is idle, unless it writes to the
bank at rest (chips of two banks). Addresses are decoded from pysim/chip/memory_map.py, the one
table. An address at which nothing lies reads 0 and ignores writes.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.pysim.chip.memory_map import PIM, MemoryMap
from spikeloop.pysim.chip.params import BUS_BITS

__all__ = ["SLOW", "LoadPort", "request_layout"]

SLOW = 4
"""Cycles from a read of a macro in front of the core to its answer."""


def request_layout(address_bits: int) -> data.StructLayout:
    """A request: write ``data`` to ``address``, or read it."""
    return data.StructLayout({"address": address_bits, "data": BUS_BITS, "write": 1})


class LoadPort(wiring.Component):
    """The load port of one core.

    Members
    -------
    request: In, stream    requests.
    response: Out, stream  answers to reads, in order. What takes them must stay ready, once it is,
                           until it has taken one: else the answer to a read is lost. A skid
                           buffer (hdl/lib/skid.py) does; tests/formal/port.py assumes it.
    taken: Out(1)          a request is being served.
    command: Out           bits written to the control register in this cycle.
    wait: In(1)            a command is still to be taken.
    missed: In(1)          a tick request was missed.
    busy: In(1)            register: the core is busy.
    number: In             register: number of the tick that runs next.
    count_*: In            registers: the counters.
    steps: Out             setting: T.
    dense: Out(1)          setting: visit silent axons too.
    extension: Out         setting: log2 of the axon extension f; more than the chip has is not
                           taken.
    pim_*: Out             settings of a PIM layer, or of another macro in front of the core under
                           its prefix; by name in ``settings``.
    settled: In(1)         register, with oscillators: their last run ended by itself.
    select: Out            the memory that is asked for, one bit each in the order of the map.
    row: Out               its row. With two banks, row of a loaded memory has the bank on top.
    chunk: Out             chunk of this row.
    write: Out(1)          write ``data`` to it.
    read: Out(1)           read it.
    data: Out              the chunk to write.
    answer: In             the chunk that was read, one cycle after ``read``.
    bank: Out(1)           with two banks: the one that the host wants.
    active: In(1)          with two banks: the one that ticks run on.
    """

    def __init__(self, map_: MemoryMap):
        self.map = map_
        front = map_.chip.front
        prefixes = (PIM, front.prefix) if front else PIM
        macro = [
            name
            for name, r in map_.registers.items()
            if name.startswith(prefixes) and r.access == "rw"
        ]
        memories = map_.memories.values()
        super().__init__(
            {
                "request": In(stream.Signature(request_layout(map_.address_bits))),
                "response": Out(stream.Signature(BUS_BITS)),
                "taken": Out(1),
                "command": Out(map_.command_bits),
                "wait": In(1),
                "missed": In(1),
                "busy": In(1),
                "number": In(24),
                **{f"count_{n}": In(64) for n in map_.counters},
                "steps": Out(17),
                "dense": Out(1),
                "extension": Out(map_.chip.derived.extension_bits),
                "select": Out(len(memories)),
                "row": Out(max(m.row_bits for m in memories) + map_.chip.banks - 1),
                "chunk": Out(max(1, *(m.chunk_bits for m in memories))),
                "write": Out(1),
                "read": Out(1),
                "data": Out(BUS_BITS),
                "answer": In(BUS_BITS),
                **{name: Out(BUS_BITS) for name in macro},
                **{name: In(1) for name in (front.answers if front else ())},
                **({"bank": Out(1), "active": In(1)} if map_.chip.banks > 1 else {}),
            }
        )
        self.settings = {name: getattr(self, name) for name in macro}

    def elaborate(self, platform) -> Module:
        m = Module()
        # request: a copy, because the decoder sleeps with its domain and the stream does not
        map_, request = self.map, Signal(self.request.p.shape())
        front = map_.chip.front
        done, reading = Signal(), Signal()  # reading: a memory was asked in the cycle before
        m.d.comb += self.request.ready.eq(~self.taken | done)
        with m.If(self.request.ready):
            m.d.sync += [self.taken.eq(self.request.valid), request.eq(self.request.p)]

        settings = {"steps": self.steps, "dense": self.dense}
        if map_.chip.extension > 1:
            settings["extension"] = self.extension
        if map_.chip.banks > 1:
            settings["bank"] = self.bank
        settings |= self.settings
        values = {
            **{name: r.reset for name, r in map_.registers.items() if r.access == "r"},
            "extension": 0,
            "bank": 0,
            **settings,
            **({f"{front.prefix}{n}": getattr(self, n) for n in front.answers} if front else {}),
            "tick": self.number,
            **{name: getattr(self, f"count_{name}")[:BUS_BITS] for name in map_.counters},
            **{f"{name}_high": getattr(self, f"count_{name}")[BUS_BITS:] for name in map_.counters},
        }
        # What changes in every cycle stays out of the wide choice: status joins behind it, and
        # cycles is a copy, which is exact while the core is idle.
        register, asks_status, cycles = Signal(BUS_BITS), Signal(), Signal(64)
        m.d.sync += cycles.eq(self.count_cycles)
        values |= {"cycles": cycles[:BUS_BITS], "cycles_high": cycles[BUS_BITS:]}
        m.d.comb += asks_status.eq(request.address == map_.registers["status"].address)
        with m.Switch(request.address):
            for name, value in values.items():
                with m.Case(map_.registers[name].address):
                    m.d.comb += register.eq(value)
        standby: Value = Const(0)  # the memory asked is of the bank at rest
        for index, memory in enumerate(map_.memories.values()):
            row, chunk, address = Signal.like(self.row), Signal.like(self.chunk), request.address
            place: Value = row
            if map_.chip.banks > 1 and memory.loaded:
                address, bank = address[: map_.bank_bit], address[map_.bank_bit]
                place = Cat(row[: memory.row_bits], bank)
                standby |= self.select[index] & (bank != self.active)
            m.d.comb += [
                chunk.eq(address[: memory.chunk_bits]),
                row.eq(address[memory.chunk_bits : memory.size_bits]),
            ]
            here = address[memory.size_bits :] == memory.base >> memory.size_bits
            with m.If(here & (row < memory.rows) & (chunk < memory.chunks)):
                m.d.comb += [self.select[index].eq(1), self.row.eq(place), self.chunk.eq(chunk)]

        fresh, is_memory, idle = Signal(), Signal(), Signal()
        status = Cat(self.busy | self.wait, self.missed)
        waiting, read = self._slow(m)
        m.d.comb += [
            fresh.eq(self.taken & ~reading & ~waiting if front else self.taken & ~reading),
            is_memory.eq(self.select.any()),
            idle.eq(~self.busy & ~self.wait),
            self.data.eq(request.data),
            self.write.eq(
                fresh
                & is_memory
                & (idle | standby if map_.chip.banks > 1 else idle)
                & request.write
            ),
            self.read.eq(fresh & is_memory & idle & ~request.write & self.response.ready),
            self.response.valid.eq(reading | (fresh & ~is_memory & ~request.write)),
            self.response.payload.eq(register | Mux(asks_status, status, 0)),
            done.eq(
                reading | self.write | (fresh & ~is_memory & (request.write | self.response.ready))
            ),
        ]
        m.d.sync += reading.eq(read)
        with m.If(reading):
            m.d.comb += self.response.payload.eq(self.answer)
        with m.If(fresh & ~is_memory & request.write):
            with m.Switch(request.address):
                with m.Case(map_.registers["control"].address):
                    m.d.comb += self.command.eq(request.data)
                for name, setting in settings.items():
                    with m.Case(map_.registers[name].address):
                        if name == "extension":
                            with m.If(request.data <= map_.chip.derived.extensions):
                                m.d.sync += setting.eq(request.data)
                        else:
                            m.d.sync += setting.eq(request.data)
        return m

    def _slow(self, m: Module) -> tuple[Value, Value]:
        """An answer of a macro in front of the core comes SLOW cycles behind the read, not one.

        Returns whether one is on its way, and whether an answer comes in the next cycle.
        """
        if not self.map.chip.front:
            return Const(0), self.read
        late, ported = Signal(SLOW - 1), Signal()
        memories = enumerate(self.map.memories.values())
        m.d.comb += ported.eq(
            self.read & Cat(self.select[n] for n, memory in memories if memory.ported).any()
        )
        m.d.sync += late.eq((late << 1) | ported)
        return late.any(), (self.read & ~ported) | late[-1]
