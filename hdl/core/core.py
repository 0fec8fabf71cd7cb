"""The crossbar core: axon ring, scan, accumulate, join, neuron step, events; one tick at a time.

One word (the lanes of a row read) at a time: all events of the tick are accumulated into the word,
then its neurons are updated. After the last word the spikes are scanned and routed. Cycles of a
tick: docs/architecture.md, "Cycles". With axon extension f the synapse memory holds words of f
times the axons, and f times fewer of them.

Everything sleeps unless it works: the domains of hdl/core/domains.py tick only when they are
needed. What a sleeping stage reads is registered in a domain that sleeps too, so that nothing wide
is evaluated without need. Only the counter of cycles runs on the core's own clock.

Source: Zou et al. 2021, section 2.4 (1,152 x 1,024 core, column strengths, silent axons, axon
extension); docs/arithmetic.md.
"""

from amaranth.hdl import Cat, DomainRenamer, EnableInserter, Module, Mux, Signal
from amaranth.lib import wiring

from spikeloop.hdl.bus.loadport import LoadPort
from spikeloop.hdl.bus.memories import Memories
from spikeloop.hdl.core.accumulate import Accumulators, Join
from spikeloop.hdl.core.control import Controller
from spikeloop.hdl.core.counters import Counters, Tally
from spikeloop.hdl.core.domains import sleeping, wake
from spikeloop.hdl.core.front import add_front
from spikeloop.hdl.core.ports import members
from spikeloop.hdl.domains import add_domain
from spikeloop.hdl.events.list import EventList
from spikeloop.hdl.events.ring import AxonRing
from spikeloop.hdl.events.scanner import Scanner
from spikeloop.hdl.lib.layout import layout
from spikeloop.hdl.lib.skid import Skid
from spikeloop.hdl.neuron.step import NeuronStep
from spikeloop.hdl.pim.driver import SETTINGS, PimDriver
from spikeloop.pysim.chip.memory_map import (
    CONTROL_PIM,
    CONTROL_RUN,
    CONTROL_SEND,
    PIM,
    PIM_COUNTERS,
    MemoryMap,
)
from spikeloop.pysim.chip.params import BUS_BITS, Chip
from spikeloop.pysim.chip.records import (
    ROUTE_LOCAL,
    ROUTE_OUT,
    ROUTE_PACKET,
    output_record,
    route_record,
)

__all__ = ["Core"]


class Core(wiring.Component):
    """One core of a chip. Its members are those of hdl/core/ports.py."""

    def __init__(self, chip: Chip):
        self.chip = chip
        self.map = MemoryMap(chip)
        self.stages = sleeping(chip)
        self.enable = {stage: Signal(name=f"{stage}_enable") for stage in self.stages}
        super().__init__(members(chip))

    def macro_commands(self) -> dict[int, Signal]:
        """Strobes of the macro in front of the core, by their bits of the control register."""
        if self.chip.pim:
            return {CONTROL_PIM: self.drive}
        return {CONTROL_RUN: self.run, CONTROL_SEND: self.send} if self.chip.front else {}

    def elaborate(self, platform) -> Module:
        m = Module()
        for stage in self.stages:
            add_domain(m, stage, self.enable[stage], clock_gates=self.chip.clock_gates)
        self._parts(m)
        self._membranes(m)
        self._tick(m)
        self._routes(m)
        self._arrivals(m)
        self._memory_ports(m)
        self._count(m)
        wake(m, self)
        return m

    def _parts(self, m: Module) -> None:
        """The submodules, each in a domain that sleeps or, written for them, in several."""
        chip = self.chip
        read_domains = {name: stage for stage, names in self.stages.items() for name in names}
        self.ring = self._add(m, "ring", AxonRing(chip, self.map.memories["ring"]), "events")
        self.events = self._add(m, "list", EventList(chip), "list")
        self.control = self._add(m, "control", Controller(chip), "control")
        scanner = Scanner(rows=chip.derived.words, bits=chip.lanes)
        self.scanner = self._add(m, "spike_scanner", scanner, "events")
        self.accumulators = self._add(m, "accumulators", Accumulators(chip))
        self.join = self._add(m, "join", Join(chip))
        self.step = self._add(m, "step", NeuronStep(chip))
        self.saturated = self._add(m, "saturated", Tally(chip))
        self.counters = self._add(m, "counters", Counters(), "events")
        self.port = self._add(m, "loadport", LoadPort(self.map), "control")
        # the few registers of sleeping domains that are not part of a component
        self.few = self._add(m, "few", Module())
        self.memories = Memories(chip, self.map.memories, read_domains)
        for name, ram in self.memories.rams.items():
            m.submodules[f"{name}_memory"] = ram

    def _add(self, m: Module, name: str, component, domain: str | None = None):
        """Adds a submodule whose own domain is ``domain``; returns the component."""
        inner = DomainRenamer(domain)(component) if domain else component
        m.submodules[name] = inner if self.chip.clock_gates else EnableInserter(self.enable)(inner)
        return component

    def _membranes(self, m: Module) -> None:
        """From the rows of a word to its sums, spikes and next membranes."""
        chip, control, events, rams = self.chip, self.control, self.events, self.memories.rams
        accumulators, join, step, record = self.accumulators, self.join, self.step, control.record
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
            self.saturated.mask.eq(step.saturated),
        ]
        if chip.bounded:
            m.d.comb += step.bound.eq(rams["bound"].r_data)
        if chip.current_bits or chip.adaptation_bits:
            cleared = Signal()  # CLEAR leaves the second states 0
            self.few.d.fire += cleared.eq(control.clearing)
        for state, records, bits in (
            ("y", "synaptic", chip.current_bits),
            ("a", "adaptive", chip.adaptation_bits),
        ):
            if bits:
                after = getattr(step, f"{state}_next")
                m.d.comb += [
                    getattr(step, state).eq(rams[state].r_data),
                    getattr(step, records).eq(rams[records].r_data),
                    rams[state].w_data.eq(Mux(cleared, 0, after)),
                ]
        if chip.refractory_bits:
            m.d.comb += [
                step.refractory.eq(rams["refractory"].r_data),
                rams["refractory"].w_data.eq(step.refractory_next),
            ]

    def _tick(self, m: Module) -> None:
        """Strobes, and what ring, list and controller tell each other in a tick."""
        ring, events, control, port = self.ring, self.events, self.control, self.port
        self.asked = asked = Signal(3)  # copies of the strobes, for those that sleep
        self.few.d.control += asked.eq(Cat(self.tick, self.clear, self.zero))
        if self.chip.pim:
            self._pim(m)
        if self.chip.front:
            self.driver = add_front(m, self)
        self.counted = Signal()
        m.d.comb += [
            ring.slot.eq(control.slot),
            ring.dense.eq(port.dense),
            ring.extension.eq(port.extension),
            ring.start.eq(control.scan),
            ring.clear.eq(control.empty),
            self.counted.eq(ring.valid & ring.hit),
            events.begin.eq(control.begin),
            events.scan_valid.eq(ring.valid),
            events.scan_hit.eq(ring.hit),
            events.scan_axon.eq(ring.axon),
            events.replay.eq(control.replay),
            control.tick.eq(asked[0]),
            control.clear.eq(asked[1]),
            control.steps.eq(port.steps),
            control.group.eq(self.chip.axons << port.extension),
            control.emptied.eq(ring.cleared),
            control.scanned.eq(ring.last),
            control.replayed.eq(events.last),
            control.emitted.eq(self.scanner.last),
        ]

    def _pim(self, m: Module) -> None:
        """The PIM macro, the load port's way to it, and its currents' way to the neuron step."""
        chip, lanes, port = self.chip, self.chip.lanes, self.port
        self.enable["pim"] = Signal(name="pim_enable")
        add_domain(m, "pim", self.enable["pim"], clock_gates=chip.clock_gates)
        self.driver = driver = PimDriver(chip)
        m.submodules.pim = DomainRenamer("pim")(driver)
        start = Signal()
        self.few.d.control += start.eq(self.drive)
        self.begins = start
        first = len(self.map.memories) - len(driver.memories)
        m.d.comb += [
            driver.start.eq(start),
            driver.zero.eq(self.asked[2]),
            self.enable["pim"].eq(driver.awake),
            driver.select.eq(port.select[first:]),
            driver.write.eq(port.write),
            driver.row.eq(port.row),
            driver.chunk.eq(port.chunk),
            driver.data.eq(port.data),
            *(getattr(driver, name).eq(port.settings[f"{PIM}{name}"]) for name in SETTINGS),
        ]
        m.d.comb += [
            getattr(self, f"count_{name}").eq(getattr(driver, f"count_{name}"))
            for name in PIM_COUNTERS
        ]
        ram, bits = self.memories.rams["currents"], driver.front.macro.current_bits
        planes = (ram.r_data[lane * BUS_BITS + b] for b in range(bits) for lane in range(lanes))
        m.d.comb += [
            ram.c_en.eq(driver.c_en),
            ram.c_row.eq(driver.c_row),
            ram.c_index.eq(driver.c_index),
            ram.c_data.eq(driver.c_data),
            self.step.current.eq(Cat(planes)),
        ]

    def _routes(self, m: Module) -> None:
        """Each spike to where its route leads: an axon of the core, a packet, or out."""
        chip, control, scanner, rams = self.chip, self.control, self.scanner, self.memories.rams
        route, leaving = Signal(layout(route_record(chip))), Signal()
        advance, routed, local, outward = Signal(), Signal(), Signal(), Signal()
        self.route, self.leaving, self.local = route, leaving, local
        output = self._add(m, "output", Skid(layout(output_record(chip))), "events")
        blocked, self.held = outward & ~output.i.ready, ~advance
        self.entry, self.fetch = Cat(scanner.index, scanner.index_row), leaving
        self.sending = output.o.valid
        if chip.derived.cores > 1:
            # A spike with a chain holds the scanner; its further entries come one per cycle.
            packets = self._add(m, "packets", Skid(self.p.payload.shape()), "events")
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
            blocked, self.held = held | follow, held
            self.entry = Mux(follow, route.next, self.entry)
            self.fetch = leaving | follow
            self.sending = self.sending | packets.o.valid
        alive = control.alive.bit_select(scanner.load_row, 1)
        m.d.comb += [
            scanner.start.eq(control.emit),
            scanner.step.eq(advance),
            control.advance.eq(advance),
            scanner.data.eq(Mux(alive, rams["spikes"].r_chunk, 0)),
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
        with self.few.If(advance):
            self.few.d.events += routed.eq(scanner.valid)

    def _arrivals(self, m: Module) -> None:
        """Events into the ring: the core's own go first.

        They come only while spikes are routed, so that outer ones never starve. Those of a macro
        in front of the core come between ticks, before outer ones.
        """
        ring, local, route = self.ring, self.local, self.route
        arrived, outer = Signal(), Signal.like(self.i.p)  # a copy: only the ring sleeps
        axon = Mux(local, route.address, outer.axon)
        delay = Mux(local, route.delay, outer.delay)
        if self.chip.front:
            event = self.driver.event
            axon, delay = Mux(event, self.driver.place, axon), Mux(event, self.event_delay, delay)
            self.local = local = local | event
        m.d.comb += [
            ring.i.valid.eq(local | arrived),
            self.i.ready.eq(~arrived | (ring.i.ready & ~local)),
            ring.i.p.axon.eq(axon),
            ring.i.p.delay.eq(delay),
        ]
        with self.few.If(self.i.ready):
            self.few.d.events += [arrived.eq(self.i.valid), outer.eq(self.i.p)]
        self.arrived = arrived

    def _memory_ports(self, m: Module) -> None:
        """The load port, and which row each memory reads and when."""
        chip, control, port, memories = self.chip, self.control, self.port, self.memories
        few, events, scanner = self.few, self.events, self.scanner
        wiring.connect(m, wiring.flipped(self.request), port.request)
        wiring.connect(m, port.response, wiring.flipped(self.response))
        m.d.comb += [
            port.busy.eq(self.busy),
            port.wait.eq(self.wait),
            port.missed.eq(self.missed),
            self.command.eq(port.command),
            port.number.eq(control.number),
        ]
        memories.ask(m, port)
        self.synapse_read = Signal()  # the load port leaves no row behind for the accumulators
        few.d.control += self.synapse_read.eq(memories.accessed["synapse"])
        self.accumulate = accumulate = Signal()
        m.d.comb += accumulate.eq((events.valid & events.hit & control.live) | control.flush)
        bus_busy, active = port.read | port.write, None
        if chip.banks > 1:  # writes to the bank at rest must not turn a read of the other away
            bus_busy, active = port.read, Signal()
            with few.If(self.tick | self.clear):
                few.d.control += active.eq(port.bank)
            m.d.comb += port.active.eq(active)
        paged = Cat(control.page[: (chip.pages - 1).bit_length()], control.word)
        driving = control.driving if chip.current_bits else control.leaking
        reads = {  # name: (row, when)
            "words": (control.word, 1),
            "fanout": (self.ring.axon, self.counted),
            "routes": (self.entry, self.fetch),
            "synapse": (control.base + events.axon, accumulate | self.synapse_read),
            "leak": (paged, control.leaking),
            "fire": (paged, control.firing),
            "neuron": (control.word, control.firing),
            "bound": (control.word, control.firing),
            "v": (control.word, control.leaking),
            "currents": (control.word, driving),
            "synaptic": (paged, driving),
            "y": (control.word, driving),
            "adaptive": (paged, control.leaking),
            "a": (control.word, control.leaking),
            "refractory": (control.word, control.firing),
            "spikes": (scanner.row, scanner.read),
        }
        memories.connect(
            m,
            few,
            port,
            self.ring,
            reads,
            bus_busy=bus_busy,
            active=active,
            front=self.driver.answer if chip.front else None,
            spike_chunk=Mux(control.emitting, scanner.load_chunk, port.chunk >> 1),
            written=(control.word, control.writing),
            no_row=control.flush | self.synapse_read,
        )

    def _count(self, m: Module) -> None:
        """What each counter adds in this cycle, and whether the core is busy."""
        chip, control, ring, rams = self.chip, self.control, self.ring, self.memories.rams
        # the fan-out of the event before is there; so is the tally of the word before
        fan, wrote = Signal(), Signal()
        self.fan, self.wrote = fan, wrote
        self.few.d.events += fan.eq(self.counted)
        self.few.d.control += wrote.eq(control.writing & ~control.clearing)
        adds = {
            "stalls": self.held,
            "spikes_in": self.counted,
            "spikes_out": self.leaving,
            "sops": Mux(fan, rams["fanout"].r_data, 0),
            "slots": Mux(ring.valid, chip.columns >> self.port.extension, 0),
            "saturations": Mux(wrote, self.saturated.count, 0),
            "dropped": ring.dropped,
            "ticks": control.settling,
        }
        busy = self.asked.any() | control.ticking | control.clearing | self.sending | ring.writing
        if chip.pim or chip.front:
            busy = busy | self.begins | self.driver.busy
        m.d.comb += [
            self.busy.eq(busy),
            self.taken.eq(self.port.taken | self.arrived),
            self.counters.zero.eq(self.asked[2]),
        ]
        for name, value in adds.items():
            m.d.comb += [
                self.counters.adds[name].eq(value),
                getattr(self, f"count_{name}").eq(self.counters.counts[name]),
            ]
        with m.If(self.zero):
            m.d.sync += self.count_cycles.eq(0)
        with m.Elif(control.ticking):
            m.d.sync += self.count_cycles.eq(self.count_cycles + 1)
        m.d.comb += [
            getattr(self.port, f"count_{name}").eq(getattr(self, f"count_{name}"))
            for name in self.map.counters
        ]
