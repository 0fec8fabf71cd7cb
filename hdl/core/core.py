"""The crossbar core: axon ring, scan, accumulate, join, neuron step, events; one tick at a time.

One word (the lanes of a row read) at a time: all events of the tick are accumulated into it, then its neurons are
updated; after the last word the spikes are scanned and routed. Cycles of a tick: docs/architecture.md, "Cycles". With axon
extension f the synapse memory holds words of f times the axons, and as many times fewer of them.

Everything sleeps unless it works: the domains of STAGES tick only when they are needed (clock gates in simulation and ASIC,
enables on an FPGA: ``chip.clock_gates``). Whatever a sleeping stage reads is registered in a domain that sleeps too, so that
nothing wide is evaluated without need. On the core's own clock there is the counter of cycles alone.

Source: Zou et al. 2021, section 2.4 (1,152 x 1,024 core, column strengths, silent axons, axon extension); docs/arithmetic.md.
"""

from amaranth.hdl import (
    Cat,
    ClockDomain,
    ClockSignal,
    DomainRenamer,
    EnableInserter,
    Instance,
    Module,
    Mux,
    ResetSignal,
    Signal,
)
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.core.accumulate import Accumulators, Join
from spikeloop.hdl.core.control import Controller
from spikeloop.hdl.core.loadport import LoadPort, request_layout
from spikeloop.hdl.core.neuron import NeuronStep
from spikeloop.hdl.events.list import EventList
from spikeloop.hdl.events.ring import AxonRing
from spikeloop.hdl.events.scanner import Scanner
from spikeloop.hdl.fabric.router import packet_layout
from spikeloop.hdl.lib.lanes import total
from spikeloop.hdl.lib.layout import layout
from spikeloop.hdl.lib.ram import RAM
from spikeloop.hdl.lib.skid import Skid
from spikeloop.hdl.names import CLOCK_GATE_MODULE
from spikeloop.hdl.pim.driver import SETTINGS, PimDriver
from spikeloop.pysim.chip.fabric import Mesh
from spikeloop.pysim.chip.memory_map import COUNTERS, PIM, PIM_COUNTERS, MemoryMap
from spikeloop.pysim.chip.params import BUS_BITS, SCAN_BITS, Chip
from spikeloop.pysim.chip.records import (
    ROUTE_LOCAL,
    ROUTE_OUT,
    ROUTE_PACKET,
    event_record,
    output_record,
    route_record,
)

__all__ = ["Core", "STAGES", "members"]

STAGES = {  # domain that sleeps: the memories read in it
    "control": ("words",),
    "list": (),
    "events": ("fanout", "routes", "spikes"),
    "row": ("synapse",),
    "acc": (),
    "join": (),
    "leak": ("leak", "v", "currents"),
    "fire": ("fire", "neuron", "bound", "refractory"),
    "out": (),
}


def members(chip: Chip) -> dict:
    """The ports of a core."""
    event, map_ = layout(event_record(chip)), MemoryMap(chip)
    packets = (
        {"p": Out(stream.Signature(packet_layout(Mesh(chip.mesh_width, chip.mesh_height), event)))}
        if chip.derived.cores > 1
        else {}
    )
    return {
        "i": In(stream.Signature(event)),
        "o": Out(stream.Signature(layout(output_record(chip)))),
        **packets,
        "request": In(stream.Signature(request_layout(map_.address_bits))),
        "response": Out(stream.Signature(BUS_BITS)),
        "command": Out(map_.command_bits),
        "wait": In(1),
        "tick": In(1),
        "clear": In(1),
        "zero": In(1),
        "busy": Out(1),
        "taken": Out(1),
        **({"drive": In(1)} if chip.pim else {}),
        **{f"count_{name}": Out(64) for name in map_.counters},
    }


class Core(wiring.Component):
    """Members
    -------
    i: In, stream of events into the axon ring (axon, delay). o: Out, stream of events that leave (address, delay).
    p: Out, in a mesh: stream of packets to other cores (docs/fabric.md); ``i`` takes events whatever becomes of it.
    request: In, response: Out, the load port. command: Out, bits written to the control register. wait: In, one is to be taken.
    tick, clear, zero: In, strobes taken while idle: run a tick, clear state, zero the counters; drive: with a PIM macro, compute the
        currents of an image. busy: Out. taken: Out, a request or
        an event from outside is on its way.
    count_*: Out, 64-bit counters, as the memory map names them.
    """

    def __init__(self, chip: Chip):
        self.chip = chip
        self.map = MemoryMap(chip)
        self.enable = {stage: Signal(name=f"{stage}_enable") for stage in STAGES}
        super().__init__(members(chip))

    def elaborate(self, platform) -> Module:
        m = Module()
        chip, d, memories, enable = self.chip, self.chip.derived, self.map.memories, self.enable
        read_domain = {name: stage for stage, names in STAGES.items() for name in names}
        for stage in STAGES:
            self._add_domain(m, stage)

        def add(name: str, component, domain: str | None = None):
            """A submodule in a sleeping domain (or, written for them, in several)."""
            inner = DomainRenamer(domain)(component) if domain else component
            m.submodules[name] = inner if chip.clock_gates else EnableInserter(enable)(inner)
            return component

        ring = add("ring", AxonRing(chip, memories["ring"]), "events")
        events = add("list", EventList(chip), "list")
        control = add("control", Controller(chip), "control")
        scanner = add("spike_scanner", Scanner(rows=d.words, bits=chip.lanes), "events")
        accumulators, join = add("accumulators", Accumulators(chip)), add("join", Join(chip))
        step = add("step", NeuronStep(chip))
        saturated, counters = add("saturated", _Tally(chip)), add("counters", _Counters(), "events")
        port = add("loadport", LoadPort(self.map), "control")
        few = add(
            "few", Module()
        )  # the few registers of sleeping domains that are not part of a component
        banked = {
            name: memory.row_bits
            for name, memory in memories.items()
            if memory.loaded and chip.banks > 1
        }
        beyond = {
            name: 1 << bits for name, bits in banked.items()
        }  # rows of bank 0, with those that an address only could name
        rams = {
            name: RAM(
                name,
                width=memory.width,
                rows=beyond.get(name, 0) + memory.rows,
                read_domain=read_domain.get(name, "control"),
                write_domain="out"
                if name in ("v", "refractory")
                else "pim"
                if name == "currents"
                else "control",
            )
            for name, memory in memories.items()
            if name not in ("ring", "spikes") and not name.startswith(PIM)
        }
        rams["spikes"] = RAM(
            "spikes",
            width=chip.lanes,
            rows=d.words,
            chunk=SCAN_BITS,
            read_domain="events",
            write_domain="out",
        )
        for name, ram in rams.items():
            m.submodules[f"{name}_memory"] = ram

        # -- from events to membranes ----------------------------------------------------------------------------
        record = control.record
        m.d.comb += [
            record.eq(rams["words"].r_data),
            accumulators.row.eq(rams["synapse"].r_data),
            join.counts.eq(accumulators.counts),
            join.offset.eq(Mux(record.offset, -(events.hits << record.offset_shift), 0)),
            join.shift.eq(record.shift),
            join.last.eq(control.join_last),
            step.sum.eq(join.sum),
            step.v.eq(rams["v"].r_data),
            step.leak.eq(rams["leak"].r_data),
            step.fire.eq(rams["fire"].r_data),
            step.neuron.eq(rams["neuron"].r_data),
            step.clear.eq(control.clearing),
            rams["v"].w_data.eq(step.v_next),
            rams["spikes"].w_data.eq(step.spikes),
            saturated.mask.eq(step.saturated),
        ]
        if chip.bounded:
            m.d.comb += step.bound.eq(rams["bound"].r_data)
        if chip.refractory_bits:
            m.d.comb += [
                step.refractory.eq(rams["refractory"].r_data),
                rams["refractory"].w_data.eq(step.refractory_next),
            ]

        asked = Signal(3)  # copies of the strobes, for those that sleep
        few.d.control += asked.eq(Cat(self.tick, self.clear, self.zero))
        begins, driving = self._pim(m, few, port, rams, step, asked) if chip.pim else (None, None)
        counted = Signal()
        m.d.comb += [
            ring.slot.eq(control.slot),
            ring.dense.eq(port.dense),
            ring.extension.eq(port.extension),
            ring.start.eq(control.scan),
            ring.clear.eq(control.empty),
            counted.eq(ring.valid & ring.hit),
            events.begin.eq(control.begin),
            events.scan_valid.eq(ring.valid),
            events.scan_hit.eq(ring.hit),
            events.scan_axon.eq(ring.axon),
            events.replay.eq(control.replay),
            control.tick.eq(asked[0]),
            control.clear.eq(asked[1]),
            control.steps.eq(port.steps),
            control.group.eq(chip.axons << port.extension),
            control.emptied.eq(ring.cleared),
            control.scanned.eq(ring.last),
            control.replayed.eq(events.last),
            control.emitted.eq(scanner.last),
        ]

        # -- events out: route each spike, and events in ---------------------------------------------------------
        route, leaving = Signal(layout(route_record(chip))), Signal()
        advance, routed, local, outward = Signal(), Signal(), Signal(), Signal()
        output = add("output", Skid(layout(output_record(chip))), "events")
        blocked, held, entry, fetch = (
            outward & ~output.i.ready,
            ~advance,
            Cat(scanner.index, scanner.index_row),
            leaving,
        )
        sending = output.o.valid
        if (
            d.cores > 1
        ):  # a spike with a chain holds the scanner while its further entries are fetched, one per cycle
            packets = add("packets", Skid(self.p.payload.shape()), "events")
            sent, follow, held = Signal(), Signal(), Signal()
            m.d.comb += [
                sent.eq(routed & (route.kind == ROUTE_PACKET)),
                packets.i.valid.eq(sent),
                packets.i.p.payload.axon.eq(route.address),
                packets.i.p.payload.delay.eq(route.delay),
                *(packets.i.p[side].eq(route[side]) for side in ("x0", "y0", "x1", "y1")),
                held.eq(blocked | (sent & ~packets.i.ready)),
                follow.eq(routed & route.more & ~held),
            ]
            wiring.connect(m, packets.o, wiring.flipped(self.p))
            blocked, entry, fetch, sending = (
                held | follow,
                Mux(follow, route.next, entry),
                leaving | follow,
                sending | packets.o.valid,
            )
        m.d.comb += [
            scanner.start.eq(control.emit),
            scanner.step.eq(advance),
            control.advance.eq(advance),
            scanner.data.eq(
                Mux(control.alive.bit_select(scanner.load_row, 1), rams["spikes"].r_chunk, 0)
            ),
            route.eq(rams["routes"].r_data),
            local.eq(routed & (route.kind == ROUTE_LOCAL)),
            outward.eq(routed & (route.kind == ROUTE_OUT)),
            output.i.valid.eq(outward),
            output.i.p.address.eq(route.address),
            output.i.p.delay.eq(route.delay),
            advance.eq(~blocked),
            leaving.eq(scanner.valid & advance),
        ]
        wiring.connect(m, output.o, wiring.flipped(self.o))
        with few.If(advance):
            few.d.events += routed.eq(scanner.valid)
        # The core's own events go first; they come only while spikes are routed, so outer ones never starve.
        arrived, outer = (
            Signal(),
            Signal.like(self.i.p),
        )  # a copy: the ring sleeps, the stream does not
        m.d.comb += [
            ring.i.valid.eq(local | arrived),
            self.i.ready.eq(~arrived | (ring.i.ready & ~local)),
            ring.i.p.axon.eq(Mux(local, route.address, outer.axon)),
            ring.i.p.delay.eq(Mux(local, route.delay, outer.delay)),
        ]
        with few.If(self.i.ready):
            few.d.events += [arrived.eq(self.i.valid), outer.eq(self.i.p)]

        # -- load port and memory ports ----------------------------------------------------------------------------
        wiring.connect(m, wiring.flipped(self.request), port.request)
        wiring.connect(m, port.response, wiring.flipped(self.response))
        m.d.comb += [
            port.busy.eq(self.busy),
            port.wait.eq(self.wait),
            self.command.eq(port.command),
            port.number.eq(control.number),
        ]
        select = dict(zip(memories, port.select, strict=True))
        accessed = {name: Signal(name=f"{name}_access") for name in memories}
        m.d.comb += [accessed[name].eq(select[name] & port.read) for name in memories]
        synapse_read = Signal()  # the load port leaves no row behind for the accumulators
        few.d.control += synapse_read.eq(accessed["synapse"])
        accumulate = Signal()
        m.d.comb += accumulate.eq((events.valid & events.hit & control.live) | control.flush)
        paged = Cat(control.page[: (chip.pages - 1).bit_length()], control.word)
        reads = {  # name: (row, when)
            "words": (control.word, 1),
            "fanout": (ring.axon, counted),
            "routes": (entry, fetch),
            "synapse": (control.base + events.axon, accumulate | synapse_read),
            "leak": (paged, control.leaking),
            "fire": (paged, control.firing),
            "neuron": (control.word, control.firing),
            "bound": (control.word, control.firing),
            "v": (control.word, control.leaking),
            "currents": (control.word, control.leaking),
            "refractory": (control.word, control.firing),
            "spikes": (scanner.row, scanner.read),
        }
        bus_busy = port.read | port.write
        if (
            chip.banks > 1
        ):  # what is written to the bank at rest must not turn a read of the other one away
            bus_busy, active = port.read, Signal()
            with few.If(self.tick | self.clear):
                few.d.control += active.eq(port.bank)
            m.d.comb += port.active.eq(active)
        answers = {"ring": ring.bus_chunk}
        m.d.comb += [
            ring.bus_read.eq(accessed["ring"]),
            ring.bus_row.eq(port.row),
            ring.bus_index.eq(port.chunk),
            ring.bus_write.eq(select["ring"] & port.write),
            ring.bus_data.eq(port.data),
        ]
        for name, ram in rams.items():
            row, when = reads[name]
            if name in banked:
                m.d.comb += (within := Signal(banked[name], name=f"{name}_row")).eq(row)
                row = Cat(within, active)
            m.d.comb += [
                ram.r_row.eq(Mux(bus_busy, port.row, row)),
                ram.r_en.eq(when | accessed[name]),
            ]
            if name == "spikes":
                odd = Signal()  # the load port reads halves of the scanner's chunks
                few.d.control += odd.eq(port.chunk[0])
                m.d.comb += ram.r_index.eq(
                    Mux(control.emitting, scanner.load_chunk, port.chunk >> 1)
                )
                answers[name] = Mux(odd, ram.r_chunk[BUS_BITS:], ram.r_chunk[:BUS_BITS])
            elif name == "currents":  # written by the PIM layer, and through it
                m.d.comb += ram.r_index.eq(port.chunk)
                answers[name] = ram.r_chunk
            else:
                m.d.comb += [
                    ram.r_index.eq(port.chunk),
                    ram.c_en.eq(select[name] & port.write),
                    ram.c_row.eq(port.row),
                    ram.c_index.eq(port.chunk),
                    ram.c_data.eq(port.data),
                ]
                answers[name] = ram.r_chunk
            if name in ("v", "refractory", "spikes"):
                m.d.comb += [ram.w_row.eq(control.word), ram.w_en.eq(control.writing)]
        m.d.comb += rams["synapse"].r_zero.eq(control.flush | synapse_read | ResetSignal("row"))
        with m.If(ResetSignal("row")):
            m.d.comb += rams["synapse"].r_en.eq(1)
        chosen = Signal.like(port.select)
        with few.If(port.read):
            few.d.control += chosen.eq(port.select)
        for index, name in enumerate(memories):
            if memories[name].readable:
                with m.If(chosen[index]):
                    m.d.comb += port.answer.eq(answers[name])

        # -- counters ------------------------------------------------------------------------------------------------
        fan, wrote = (
            Signal(),
            Signal(),
        )  # the fan-out of the event before is there; so is the tally of the word before
        few.d.events += fan.eq(counted)
        few.d.control += wrote.eq(control.writing & ~control.clearing)
        adds = {
            "stalls": held,
            "spikes_in": counted,
            "spikes_out": leaving,
            "sops": Mux(fan, rams["fanout"].r_data, 0),
            "slots": Mux(ring.valid, chip.columns >> port.extension, 0),
            "saturations": Mux(wrote, saturated.count, 0),
            "dropped": ring.dropped,
            "ticks": control.settling,
        }
        busy, asleep = (
            asked.any() | control.ticking | control.clearing | sending | ring.writing,
            control.waiting,
        )
        if chip.pim:
            busy, asleep = busy | begins | driving, asleep | driving
        m.d.comb += [
            self.busy.eq(busy),
            self.taken.eq(port.taken | arrived),
            counters.zero.eq(asked[2]),
        ]
        for name, add_ in adds.items():
            m.d.comb += [
                counters.adds[name].eq(add_),
                getattr(self, f"count_{name}").eq(counters.counts[name]),
            ]
        with m.If(self.zero):
            m.d.sync += self.count_cycles.eq(0)
        with m.Elif(control.ticking):
            m.d.sync += self.count_cycles.eq(self.count_cycles + 1)
        m.d.comb += [
            getattr(port, f"count_{name}").eq(getattr(self, f"count_{name}"))
            for name in self.map.counters
        ]

        # -- who is awake ----------------------------------------------------------------------------------------------
        read_by_port = {
            stage: Cat(accessed[name] for name in names if name in accessed).any()
            for stage, names in STAGES.items()
            if names
        }
        awake = ~asleep
        if d.cores > 1:  # while other cores work, one that is through rests
            awake &= (
                control.ticking
                | control.clearing
                | self.tick
                | self.clear
                | self.zero
                | asked.any()
            )
        m.d.comb += [
            enable["control"].eq(awake | self.request.valid | port.taken),
            enable["list"].eq(control.begin | ring.valid | control.replay | events.awake),
            enable["events"].eq(
                ring.awake
                | ring.start
                | self.i.valid
                | arrived
                | local
                | accessed["ring"]
                | (port.write & select["ring"])  # in
                | scanner.start
                | control.emitting
                | sending
                | read_by_port["events"]  # out
                | asked[2]
                | fan
                | wrote
                | control.settling
            ),  # counted
            enable["row"].eq(accumulate | accessed["synapse"] | synapse_read),
            enable["acc"].eq(accumulate),
            enable["join"].eq(control.joining),
            enable["leak"].eq(control.leaking | read_by_port["leak"]),
            enable["fire"].eq(control.firing | read_by_port["fire"]),
            enable["out"].eq(
                control.writing
                | (
                    port.write
                    & (select["v"] | (select["refractory"] if chip.refractory_bits else 0))
                )
            ),
        ]
        return m

    def _pim(
        self, m: Module, few: Module, port: LoadPort, rams: dict[str, RAM], step, asked: Signal
    ) -> tuple:
        """The PIM macro, its way to the load port, and its currents on their way to the neuron step; returns that it begins, is busy."""
        chip, lanes = self.chip, self.chip.lanes
        self.enable["pim"] = Signal(name="pim_enable")
        self._add_domain(m, "pim")
        driver = PimDriver(chip)
        m.submodules.pim = DomainRenamer("pim")(driver)
        start = Signal()
        few.d.control += start.eq(self.drive)
        first = len(self.map.memories) - len(driver.memories)
        m.d.comb += [
            driver.start.eq(start),
            driver.zero.eq(asked[2]),
            self.enable["pim"].eq(driver.awake),
            driver.select.eq(port.select[first:]),
            driver.write.eq(port.write),
            driver.row.eq(port.row),
            driver.chunk.eq(port.chunk),
            driver.data.eq(port.data),
            *(getattr(driver, name).eq(port.settings[f"{PIM}{name}"]) for name in SETTINGS),
            *(
                getattr(self, f"count_{name}").eq(getattr(driver, f"count_{name}"))
                for name in PIM_COUNTERS
            ),
        ]
        ram, bits = rams["currents"], driver.front.macro.current_bits
        m.d.comb += [
            ram.c_en.eq(driver.c_en),
            ram.c_row.eq(driver.c_row),
            ram.c_index.eq(driver.c_index),
            ram.c_data.eq(driver.c_data),
            step.current.eq(
                Cat(ram.r_data[lane * BUS_BITS + b] for b in range(bits) for lane in range(lanes))
            ),
        ]
        return start, driver.busy

    def _add_domain(self, m: Module, stage: str) -> None:
        """The stage's clock domain: gated, or the core's own clock (then its registers have enables). Its reset is a copy that it
        registers itself: nothing that sleeps looks at what is awake."""
        domain, early = (
            ClockDomain(stage, local=True),
            ClockDomain(f"{stage}_reset", reset_less=True, local=True),
        )
        m.domains += [domain, early]
        domain.rst = Signal(name=f"{stage}_rst", init=1)
        m.d.comb += early.clk.eq(domain.clk)
        m.d[early.name] += domain.rst.eq(ResetSignal())
        if self.chip.clock_gates:
            enable = self.enable[stage] | ResetSignal() | domain.rst
            m.submodules[f"{stage}_gate"] = Instance(
                CLOCK_GATE_MODULE, i_clk=ClockSignal(), i_enable=enable, o_gated=domain.clk
            )
        else:
            m.d.comb += domain.clk.eq(ClockSignal())


class _Tally(wiring.Component):
    """How many lanes of ``mask`` were set at the last edge of domain "out". The copy keeps the count from waking others."""

    def __init__(self, chip: Chip):
        super().__init__({"mask": In(chip.lanes), "count": Out(chip.lanes.bit_length() + 1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        copy = Signal.like(self.mask, reset_less=True)
        m.d.out += copy.eq(self.mask)
        m.d.comb += self.count.eq(total(m, copy))
        return m


class _Counters(wiring.Component):
    """The 64-bit counters but ``cycles``, asleep while nothing counts. add_*: In, what this cycle adds. count_*: Out. zero: In."""

    def __init__(self):
        names = [name for name in COUNTERS if name != "cycles"]
        super().__init__(
            {
                "zero": In(1),
                **{f"add_{name}": In(32) for name in names},
                **{f"count_{name}": Out(64) for name in names},
            }
        )
        self.adds = {name: getattr(self, f"add_{name}") for name in names}
        self.counts = {name: getattr(self, f"count_{name}") for name in names}

    def elaborate(self, platform) -> Module:
        m = Module()
        for name, count in self.counts.items():
            m.d.sync += count.eq(Mux(self.zero, 0, count + self.adds[name]))
        return m
