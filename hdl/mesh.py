"""The chip of many cores: mesh_width x mesh_height crossbar cores and the fabric between them.

It has one load port and one pair of event streams. A core's spikes go by its route entries to its
own axons, into the fabric, or out. A tick is over when no core works and the fabric is empty. Only
then the next one starts, in all cores in the same cycle. So a packet of delay d is in its ring
before the slot of d ticks later is scanned, however far it went and whatever stood in its way.

Core n = y * mesh_width + x. Its registers and memories lie at n << address_bits of the load port. A
command written to any core's control register is for all cores.

Source: Zou et al. 2021, section 2.4; docs/fabric.md.
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, ClockSignal, Instance, Module, Mux, ResetSignal, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.bus.loadport import request_layout
from spikeloop.hdl.chip import commands, pins
from spikeloop.hdl.chip import working as working_pin
from spikeloop.hdl.core.ports import members
from spikeloop.hdl.fabric.fabric import Fabric
from spikeloop.hdl.fabric.router import in_turn
from spikeloop.hdl.lib.layout import layout
from spikeloop.hdl.lib.skid import Skid
from spikeloop.hdl.names import CORE_MODULE
from spikeloop.pysim.chip.fabric import Mesh
from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.params import BUS_BITS, Chip
from spikeloop.pysim.chip.records import event_record, numbered, output_record

__all__ = ["MeshTop"]


class MeshTop(wiring.Component):
    """The mesh. Members as those of hdl.chip.ChipTop.

    Addresses and events have the number of their core above them (pysim.chip.records.numbered).
    What is for a core that does not exist is ignored, and reads 0.
    """

    def __init__(self, chip: Chip):
        self.chip, self.mesh = chip, Mesh(chip.mesh_width, chip.mesh_height)
        self.map = MemoryMap(chip)
        self.requests = request_layout(self.map.address_bits + chip.derived.core_bits)
        self.into, self.out = (
            layout(numbered(record(chip), chip)) for record in (event_record, output_record)
        )
        super().__init__(
            {
                "request": In(stream.Signature(self.requests)),
                "response": Out(stream.Signature(BUS_BITS)),
                "i": In(stream.Signature(self.into)),
                "o": Out(stream.Signature(self.out)),
                "tick": In(1),
                "busy": Out(1),
                "clk": In(1),
                "rst": In(1),
                **working_pin(chip),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        reset, tick = pins(m, self)
        cores = [_Core(self.chip) for _ in self.mesh]
        for (x, y), core in zip(self.mesh, cores, strict=True):
            m.submodules[f"core_{x}_{y}"] = core
        m.submodules.fabric = fabric = Fabric(
            self.mesh, layout(event_record(self.chip)), clock_gates=self.chip.clock_gates
        )
        for number, core in enumerate(cores):
            wiring.connect(m, core.p, fabric.i[number])

        working, asked = Signal(), Signal(3)
        m.d.comb += [
            working.eq(Cat(core.busy for core in cores).any() | fabric.busy),
            asked.eq(reduce(or_, (core.command for core in cores))),
        ]
        run, clear, zero, waiting, missed = commands(m, asked, tick, working)
        for core in cores:
            m.d.comb += [
                core.tick.eq(run),
                core.clear.eq(clear),
                core.zero.eq(zero),
                core.wait.eq(waiting.any() | working),
                core.missed.eq(missed),
            ]
        going = [
            self._load_port(m, cores),
            self._events_in(m, cores, fabric),
            self._events_out(m, cores),
        ]
        m.d.comb += self.busy.eq(
            working
            | waiting.any()
            | Cat(core.taken for core in cores).any()
            | Cat(going).any()
            | tick
            | reset
        )
        if self.chip.banks > 1:
            m.d.comb += self.working.eq(working | waiting.any() | tick | reset)
        return m

    def _load_port(self, m: Module, cores: list) -> Value:
        """Requests to the core they name, one read at a time, so that answers keep their order.

        Returns whether a request is under way.
        """
        m.submodules.requests = requests = Skid(self.requests)
        m.submodules.responses = responses = Skid(BUS_BITS)
        wiring.connect(m, wiring.flipped(self.request), requests.i)
        wiring.connect(m, responses.o, wiring.flipped(self.response))
        address = requests.o.p.address[: self.map.address_bits]
        number = requests.o.p.address[self.map.address_bits :]
        reading, nowhere = Signal(), Signal()  # a read is with its core; there is no such core
        here = [requests.o.valid & ~reading & (number == n) for n in range(len(cores))]
        for core, mine in zip(cores, here, strict=True):
            m.d.comb += [
                core.request.valid.eq(mine),
                core.request.p.address.eq(address),
                core.request.p.data.eq(requests.o.p.data),
                core.request.p.write.eq(requests.o.p.write),
                core.response.ready.eq(responses.i.ready),
            ]
        takes = Cat(core.request.ready & (number == n) for n, core in enumerate(cores)).any()
        answers = [Mux(core.response.valid, core.response.payload, 0) for core in cores]
        answered = Cat(core.response.valid for core in cores).any()
        m.d.comb += [
            requests.o.ready.eq(~reading & (takes | (number >= len(cores)))),
            responses.i.valid.eq(reading & (nowhere | answered)),
            responses.i.payload.eq(reduce(or_, answers)),
        ]
        with m.If(requests.o.valid & requests.o.ready):
            m.d.sync += [reading.eq(~requests.o.p.write), nowhere.eq(number >= len(cores))]
        with m.Elif(responses.i.valid & responses.i.ready):
            m.d.sync += reading.eq(0)
        return requests.o.valid | reading

    def _events_in(self, m: Module, cores: list, fabric: Fabric) -> Value:
        """Events to each core: from the fabric and, where it has none, from outside.

        Returns whether an event from outside waits.
        """
        m.submodules.events_in = events = Skid(self.into)
        wiring.connect(m, wiring.flipped(self.i), events.i)
        number, takes = events.o.p.core, [events.o.p.core >= len(cores)]
        for n, core in enumerate(cores):
            packet = fabric.o[n]
            m.d.comb += [
                core.i.valid.eq(packet.valid | (events.o.valid & (number == n))),
                packet.ready.eq(core.i.ready),
                core.i.p.axon.eq(Mux(packet.valid, packet.p.axon, events.o.p.axon)),
                core.i.p.delay.eq(Mux(packet.valid, packet.p.delay, events.o.p.delay)),
            ]
            takes.append((number == n) & core.i.ready & ~packet.valid)
        m.d.comb += events.o.ready.eq(Cat(takes).any())
        return events.o.valid

    def _events_out(self, m: Module, cores: list) -> Value:
        """Events of all cores, in turn, as one stream. Returns whether one waits to leave."""
        m.submodules.events_out = events = Skid(self.out)
        wiring.connect(m, events.o, wiring.flipped(self.o))
        request, grant, turn = (
            Signal(len(cores), name=f"out_{name}") for name in ("request", "grant", "turn")
        )
        chosen = [grant[n] for n in range(len(cores))]
        m.d.comb += [
            request.eq(Cat(core.o.valid for core in cores)),
            grant.eq(in_turn(request, turn)),
            events.i.valid.eq(request.any()),
        ]
        pairs = list(zip(chosen, cores, strict=True))
        for name in ("address", "delay"):
            values = [Mux(bit, core.o.p[name], 0) for bit, core in pairs]
            m.d.comb += events.i.p[name].eq(reduce(or_, values))
        m.d.comb += [
            events.i.p.core.eq(reduce(or_, (Mux(bit, n, 0) for n, bit in enumerate(chosen)))),
            *(core.o.ready.eq(bit & events.i.ready) for bit, core in pairs),
        ]
        with m.If(events.i.valid & events.i.ready):
            m.d.sync += turn.eq(~((grant << 1) - 1))
        return events.o.valid


class _Core(wiring.Component):
    """A core as an instance of the one module that hdl.verilog writes; same members."""

    def __init__(self, chip: Chip):
        super().__init__(members(chip))

    def elaborate(self, platform) -> Module:
        m = Module()
        ports = {
            f"{'i' if member.flow == In else 'o'}_{'__'.join(map(str, path))}": Value.cast(value)
            for path, member, value in self.signature.flatten(self)
        }
        m.submodules.core = Instance(CORE_MODULE, i_clk=ClockSignal(), i_rst=ResetSignal(), **ports)
        return m
