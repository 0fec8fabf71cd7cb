"""The crossbar core: axon ring, scan, accumulate, join, neuron step, events; one tick at a time.

One word (the lanes of a row read) at a time: all events of the tick are accumulated into it, then its neurons are
updated; after the last word the spikes are scanned and routed. Cycles of a tick: docs/architecture.md, "Cycles".

Everything but the controller sleeps unless it works: the domains of STAGES tick only when the controller says so (clock
gates in simulation and ASIC, enables on an FPGA: ``chip.clock_gates``). Whatever a sleeping stage reads is
registered in a domain that sleeps too, so that nothing wide is evaluated without need.

Source: Zou et al. 2021, section 2.4 (1,152 x 1,024 core, column strengths, silent axons); docs/arithmetic.md.
"""

from amaranth.hdl import Cat, ClockDomain, ClockSignal, DomainRenamer, EnableInserter, Instance, Module, Mux, ResetSignal, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.accumulate import Accumulators, Join
from hdl.axons import AxonRing, layout
from hdl.lanes import total
from hdl.neuron import NeuronArray, NeuronStep, slice_of
from hdl.ram import RAM
from hdl.scanner import Scanner
from hdl.skid import Skid
from pysim.memory_map import COUNTERS, MemoryMap
from pysim.params import BUS_BITS, SCAN_BITS, Chip
from pysim.records import ROUTE_LOCAL, ROUTE_OUT, event_record, output_record, route_record, word_record

__all__ = ["Core", "STAGES"]

STAGES = {  # domain that sleeps: the memories read in it
    "port": (), "events": ("fanout", "routes", "spikes"), "row": ("synapse",), "acc": (), "join": (), "leak": ("leak", "v"),
    "fire": ("fire", "neuron", "bound", "refractory"), "out": (),
}


class Core(wiring.Component):
    """Members
    -------
    i: In, stream of events into the axon ring (axon, delay). o: Out, stream of events that leave (address, delay).
    tick, clear, zero: In, strobes taken while idle: run a tick, clear state, zero the counters.
    steps: In, T. dense: In, visit silent axons too. busy: Out. number: Out, tick that runs next.
    count_*: Out, 64-bit counters, as memory_map.COUNTERS names them.
    bus_*: In, the load port's access to one memory (one bit of ``bus_select`` each, in the order of the map), while idle;
    bus_answer: Out, one cycle after ``bus_read``. bus_awake: In, the load port has work (domain "port" ticks).
    """

    def __init__(self, chip: Chip):
        self.chip = chip
        self.map = MemoryMap(chip)
        self.row_bits = max(m.row_bits for m in self.map.memories.values())
        self.chunk_bits = max(1, *(m.chunk_bits for m in self.map.memories.values()))
        super().__init__({
            "i": In(stream.Signature(layout(event_record(chip)))), "o": Out(stream.Signature(layout(output_record(chip)))),
            "tick": In(1), "clear": In(1), "zero": In(1), "steps": In(17), "dense": In(1), "busy": Out(1), "number": Out(24),
            **{f"count_{name}": Out(64) for name in COUNTERS},
            "bus_select": In(len(self.map.memories)), "bus_row": In(self.row_bits), "bus_chunk": In(self.chunk_bits),
            "bus_write": In(1), "bus_read": In(1), "bus_awake": In(1), "bus_data": In(BUS_BITS), "bus_answer": Out(BUS_BITS),
        })

    def elaborate(self, platform) -> Module:
        m = Module()
        chip, d, memories = self.chip, self.chip.derived, self.map.memories
        select = dict(zip(memories, self.bus_select, strict=True))
        self.enable = enable = {stage: Signal(name=f"{stage}_enable") for stage in STAGES}
        read_domain = {name: stage for stage, names in STAGES.items() for name in names}

        def asleep(component, domain: str | None = None):
            """The component in a sleeping domain (or, written for them, in several)."""
            component = DomainRenamer(domain)(component) if domain else component
            return component if chip.clock_gates else EnableInserter(enable)(component)

        ring = AxonRing(chip, memories["ring"])
        m.submodules.ring = asleep(ring, "events")
        rams = {name: RAM(name, width=memory.width, rows=memory.rows, read_domain=read_domain.get(name, "sync"),
                          write_domain="out" if name in ("v", "refractory") else "port")
                for name, memory in memories.items() if name not in ("ring", "spikes")}
        rams["spikes"] = RAM("spikes", width=chip.lanes, rows=d.words, chunk=SCAN_BITS, read_domain="events", write_domain="out")
        for name, ram in rams.items():
            m.submodules[f"{name}_memory"] = ram
        m.submodules.events_memory = events = RAM("events", width=1 + d.axon_bits, rows=chip.axons)
        scanner = Scanner(rows=d.words, chunks=d.spike_chunks, bits=chip.lanes)
        m.submodules.spike_scanner = asleep(scanner, "events")

        m.submodules.accumulators = asleep(accumulators := Accumulators(chip))
        m.submodules.join = asleep(join := Join(chip))
        m.submodules.step = asleep(step := NeuronArray(chip) if slice_of(chip) else NeuronStep(chip))
        m.submodules.saturated = asleep(saturated := _Tally(chip))
        m.submodules.counters = asleep(counters := _Counters())
        for stage in STAGES:
            self._add_domain(m, stage)

        m.d.comb += [accumulators.row.eq(rams["synapse"].r_data), join.counts.eq(accumulators.counts), step.sum.eq(join.sum),
                     step.v.eq(rams["v"].r_data), step.leak.eq(rams["leak"].r_data), step.fire.eq(rams["fire"].r_data),
                     step.neuron.eq(rams["neuron"].r_data), rams["v"].w_data.eq(step.v_next), rams["spikes"].w_data.eq(step.spikes),
                     saturated.mask.eq(step.saturated)]
        if chip.bounded:
            m.d.comb += step.bound.eq(rams["bound"].r_data)
        if chip.refractory_bits:
            m.d.comb += [step.refractory.eq(rams["refractory"].r_data), rams["refractory"].w_data.eq(step.refractory_next)]

        # -- the tick ------------------------------------------------------------------------------------
        number, slot, word = self.number, Signal(ring.slot_bits), Signal(d.word_bits)
        base = Signal(memories["synapse"].row_bits)  # synapse row of the word's axon 0
        record = Signal(layout(word_record(chip)))
        m.d.comb += record.eq(rams["words"].r_data)
        step_number, page, live = Signal(24), Signal(d.page_bits), Signal()
        m.d.comb += [step_number.eq(number - 1 - record.start),  # `number` already counts this tick
                     live.eq(record.used & (number > record.start) & (step_number < self.steps))]
        alive = Signal(d.words)  # words that were live in this tick
        scanned, entries, events_hit = Signal(), Signal(d.count_bits), Signal(d.count_bits)
        replay, replaying = Signal(d.count_bits), Signal()
        join_left = Signal(5)
        clearing, wrote, counted = Signal(), Signal(), Signal()
        strobe = {name: Signal(name=name)
                  for name in ("flush", "joining", "leaking", "firing", "writing", "emitting", "settling", "ticking")}
        last_word = Signal()
        m.d.comb += [last_word.eq(word == d.words - 1), strobe["ticking"].eq(~clearing)]
        advance, routed, local, outward = Signal(), Signal(), Signal(), Signal()

        m.d.sync += wrote.eq(strobe["writing"] & ~clearing)
        with m.FSM(name="state"):
            with m.State("IDLE"):
                m.d.comb += strobe["ticking"].eq(0)
                m.d.sync += clearing.eq(self.clear)
                with m.If(self.clear):
                    m.d.sync += [word.eq(0), number.eq(0), slot.eq(d.slots - 1)]
                    m.next = "EMPTY"
                with m.Elif(self.tick):
                    m.next = "START"
            with m.State("EMPTY"):  # all slots of the axon ring
                m.d.comb += ring.clear.eq(1)
                with m.If(ring.cleared):
                    m.next = "FIRE"
            with m.State("START"):
                m.d.sync += [number.eq(number + 1), slot.eq(Mux(slot == d.slots - 1, 0, slot + 1)), word.eq(0), base.eq(0), alive.eq(0),
                             scanned.eq(0), entries.eq(0), events_hit.eq(0)]
                m.next = "READ"
            with m.State("READ"):  # the word's record
                m.next = "FETCH"
            with m.State("FETCH"):
                m.d.sync += [page.eq(Mux(step_number < record.last_page, step_number, record.last_page)), replay.eq(0),
                             join_left.eq(record.last_digit + 2)]
                with m.If(live):
                    m.d.sync += alive.bit_select(word, 1).eq(1)
                with m.If(~scanned & (live | last_word)):  # the tick's events are consumed even if no word listens
                    m.d.comb += ring.start.eq(1)
                    m.next = "SCAN"
                with m.Elif(live):
                    m.next = "REPLAY"
                with m.Elif(last_word):
                    m.next = "EMIT"
                with m.Else():
                    m.d.sync += [word.eq(word + 1), base.eq(base + chip.axons)]
                    m.next = "READ"
            with m.State("SCAN"):
                with m.If(ring.last):
                    m.d.sync += scanned.eq(1)
                    with m.If(live):
                        m.next = "FLUSH"
                    with m.Else():
                        m.next = "EMIT"
            with m.State("REPLAY"):
                m.d.sync += [replay.eq(replay + 1), replaying.eq(replay != entries)]
                with m.If(replay == entries):
                    m.next = "FLUSH"
            with m.State("FLUSH"):  # adds the last row and leaves 0 in the row register
                m.d.comb += strobe["flush"].eq(1)
                m.next = "JOIN"
            with m.State("JOIN"):
                m.d.comb += strobe["joining"].eq(1)
                m.d.sync += join_left.eq(join_left - 1)
                with m.If(join_left == 0):
                    m.next = "LEAK"
            with m.State("LEAK"):
                m.d.comb += strobe["leaking"].eq(1)
                m.next = "FIRE"
            with m.State("FIRE"):
                m.d.comb += strobe["firing"].eq(1)
                m.next = "OUT"
            with m.State("OUT"):
                m.d.comb += strobe["writing"].eq(1)
                m.d.sync += [word.eq(word + 1), base.eq(base + chip.axons)]
                with m.If(clearing):
                    m.next = "FIRE"
                    with m.If(last_word):
                        m.next = "IDLE"
                with m.Else():
                    m.next = "READ"
                    with m.If(last_word):
                        m.next = "EMIT"
            with m.State("EMIT"):
                m.d.comb += scanner.start.eq(1)
                m.next = "ROUTE"
            with m.State("ROUTE"):
                m.d.comb += strobe["emitting"].eq(1)
                with m.If(scanner.last):
                    m.next = "LAST"
            with m.State("LAST"):  # the last event leaves
                m.d.comb += strobe["emitting"].eq(1)
                with m.If(advance):
                    m.next = "SETTLE"
            with m.State("SETTLE"):  # its axon is written
                m.d.comb += strobe["settling"].eq(1)
                m.next = "IDLE"

        # -- events in: scan, remember, accumulate -------------------------------------------------------------
        axon, hit, valid = Signal(d.axon_bits), Signal(), Signal()
        m.d.comb += [
            ring.slot.eq(slot), ring.dense.eq(self.dense),
            valid.eq(ring.valid | replaying), axon.eq(Mux(replaying, events.r_data[:d.axon_bits], ring.axon)),
            hit.eq(Mux(replaying, events.r_data[-1], ring.hit)),
            events.w_en.eq(ring.valid), events.w_row.eq(entries), events.w_data.eq(Cat(ring.axon, ring.hit)),
            events.r_en.eq(1), events.r_row.eq(replay), counted.eq(ring.valid & ring.hit),
            join.offset.eq(Mux(record.offset, -(events_hit << record.offset_shift), 0)), join.shift.eq(record.shift),
            join.last.eq(join_left == 0),
        ]
        with m.If(ring.valid):
            m.d.sync += entries.eq(entries + 1)
        with m.If(counted):
            m.d.sync += events_hit.eq(events_hit + 1)

        # -- events out: route each spike ------------------------------------------------------------------------
        route, leaving = Signal(layout(route_record(chip))), Signal()
        m.submodules.output = output = Skid(layout(output_record(chip)))
        m.d.comb += [
            scanner.step.eq(advance), scanner.data.eq(Mux(alive.bit_select(scanner.load_row, 1), rams["spikes"].r_chunk, 0)),
            route.eq(rams["routes"].r_data), local.eq(routed & (route.kind == ROUTE_LOCAL)), outward.eq(routed & (route.kind == ROUTE_OUT)),
            output.i.valid.eq(outward), output.i.p.address.eq(route.address), output.i.p.delay.eq(route.delay),
            advance.eq(~(outward & ~output.i.ready)), leaving.eq(scanner.valid & advance),
        ]
        wiring.connect(m, output.o, wiring.flipped(self.o))
        with m.If(advance):
            m.d.sync += routed.eq(scanner.valid)
        # The core's own events go first; they come only while spikes are routed, so outer ones never starve.
        m.d.comb += [ring.i.valid.eq(local | self.i.valid), self.i.ready.eq(ring.i.ready & ~local),
                     ring.i.p.axon.eq(Mux(local, route.address, self.i.p.axon)), ring.i.p.delay.eq(Mux(local, route.delay, self.i.p.delay))]

        # -- enables ---------------------------------------------------------------------------------------------
        accessed = {name: Signal(name=f"{name}_access") for name in memories}
        m.d.comb += [accessed[name].eq(select[name] & self.bus_read) for name in memories]
        synapse_read = Signal()  # the load port leaves no row behind for the accumulators
        m.d.sync += synapse_read.eq(accessed["synapse"])
        accumulate = Signal()
        m.d.comb += [
            accumulate.eq((valid & hit & live) | strobe["flush"]),
            enable["row"].eq(accumulate | accessed["synapse"] | synapse_read), enable["acc"].eq(accumulate),
            enable["join"].eq(strobe["joining"]),
            enable["leak"].eq(strobe["leaking"] | accessed["leak"] | accessed["v"]),
            enable["fire"].eq(strobe["firing"] | Cat(accessed[name] for name in STAGES["fire"] if name in accessed).any()),
            enable["port"].eq(self.bus_awake),
            enable["out"].eq(strobe["writing"] | (self.bus_write & (select["v"] | (select["refractory"] if chip.refractory_bits else 0)))),
            step.clear.eq(clearing),
        ]

        # -- memory ports ------------------------------------------------------------------------------------------
        paged = Cat(page[:(chip.pages - 1).bit_length()], word)
        reads = {  # name: (row, enable, zero)
            "words": (word, 1), "fanout": (ring.axon, counted), "routes": (Cat(scanner.index, scanner.index_row), leaving),
            "synapse": (base + axon, enable["row"]), "leak": (paged, strobe["leaking"]), "fire": (paged, strobe["firing"]),
            "neuron": (word, strobe["firing"]), "bound": (word, strobe["firing"]),
            "v": (word, strobe["leaking"]), "refractory": (word, strobe["firing"]),
            "spikes": (scanner.row, scanner.read),
        }
        bus_busy = self.bus_read | self.bus_write
        answers = {"ring": ring.bus_chunk}
        m.d.comb += [ring.bus_read.eq(accessed["ring"]), ring.bus_row.eq(self.bus_row), ring.bus_index.eq(self.bus_chunk),
                     ring.bus_write.eq(select["ring"] & self.bus_write), ring.bus_data.eq(self.bus_data)]
        for name, ram in rams.items():
            row, when = reads[name]
            m.d.comb += [ram.r_row.eq(Mux(bus_busy, self.bus_row, row)), ram.r_en.eq(when | accessed[name])]
            if name == "spikes":
                odd = Signal()  # the load port reads halves of the scanner's chunks
                m.d.sync += odd.eq(self.bus_chunk[0])
                m.d.comb += ram.r_index.eq(Mux(strobe["emitting"], scanner.load_chunk, self.bus_chunk >> 1))
                answers[name] = Mux(odd, ram.r_chunk[BUS_BITS:], ram.r_chunk[:BUS_BITS])
            else:
                m.d.comb += [ram.r_index.eq(self.bus_chunk), ram.c_en.eq(select[name] & self.bus_write), ram.c_row.eq(self.bus_row),
                             ram.c_index.eq(self.bus_chunk), ram.c_data.eq(self.bus_data)]
                answers[name] = ram.r_chunk
            if name in ("v", "refractory", "spikes"):
                m.d.comb += [ram.w_row.eq(word), ram.w_en.eq(strobe["writing"])]
        m.d.comb += rams["synapse"].r_zero.eq(strobe["flush"] | synapse_read | ResetSignal())
        with m.If(ResetSignal()):
            m.d.comb += rams["synapse"].r_en.eq(1)
        chosen = Signal.like(self.bus_select)
        with m.If(self.bus_read):
            m.d.sync += chosen.eq(self.bus_select)
        for index, name in enumerate(memories):
            with m.If(chosen[index]):
                m.d.comb += self.bus_answer.eq(answers[name])

        # -- counters ------------------------------------------------------------------------------------------------
        fan = Signal()  # the fan-out of the event before is there
        m.d.sync += fan.eq(counted)
        adds = {"stalls": ~advance, "spikes_in": counted, "spikes_out": leaving, "sops": Mux(fan, rams["fanout"].r_data, 0),
                "slots": Mux(ring.valid, chip.columns, 0), "saturations": Mux(wrote, saturated.count, 0), "dropped": ring.dropped,
                "ticks": strobe["settling"]}
        m.d.comb += [self.busy.eq(strobe["ticking"] | clearing | output.o.valid | ring.writing),
                     counters.zero.eq(self.zero),
                     enable["events"].eq(
                         ring.awake | ring.start | self.i.valid | local | accessed["ring"] | (self.bus_write & select["ring"])  # in
                         | scanner.start | strobe["emitting"] | accessed["routes"] | accessed["spikes"]  # out
                         | self.zero | fan | wrote | strobe["settling"] | accessed["fanout"])]  # counted
        for name, add in adds.items():
            m.d.comb += [counters.adds[name].eq(add), getattr(self, f"count_{name}").eq(counters.counts[name])]
        with m.If(self.zero):
            m.d.sync += self.count_cycles.eq(0)
        with m.Elif(strobe["ticking"]):
            m.d.sync += self.count_cycles.eq(self.count_cycles + 1)
        return m

    def _add_domain(self, m: Module, stage: str) -> None:
        """The stage's clock domain: gated, or the core's own clock (then its registers have enables)."""
        domain = ClockDomain(stage)
        m.domains += domain
        m.d.comb += domain.rst.eq(ResetSignal())
        if self.chip.clock_gates:
            enable = self.enable[stage] | ResetSignal()
            m.submodules[f"{stage}_gate"] = Instance("spikeloop_clock_gate", i_clk=ClockSignal(), i_enable=enable, o_gated=domain.clk)
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
        super().__init__({"zero": In(1), **{f"add_{name}": In(32) for name in names}, **{f"count_{name}": Out(64) for name in names}})
        self.adds = {name: getattr(self, f"add_{name}") for name in names}
        self.counts = {name: getattr(self, f"count_{name}") for name in names}

    def elaborate(self, platform) -> Module:
        m = Module()
        for name, count in self.counts.items():
            m.d.events += count.eq(Mux(self.zero, 0, count + self.adds[name]))
        return m
