"""The plastic core: one population whose weights change while it runs (docs/plasticity.md).

    lines --> scan --> sums, a word of lanes at a time --> neurons, one a cycle
                  `--> pre traces                              |
                       pre sweep, post sweep: one synapse a cycle --> weights; spikes out

A tick is SCAN, then for each word GATHER (one event a cycle) while the neurons of the word before
pass through the neuron step, then the sweeps of pre and post events, then the spikes leave. The
sums of a tick are taken before its sweeps. ``pysim/plastic/cycles.py`` has the cycles of all this.
"""

from amaranth.hdl import ClockDomain, ClockSignal, Instance, Module, Mux, ResetSignal, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from spikeloop.hdl.lib.ram import RAM
from spikeloop.hdl.names import CLOCK_GATE_MODULE
from spikeloop.hdl.plastic.control import COMMANDS, Control
from spikeloop.hdl.plastic.lines import Lines
from spikeloop.hdl.plastic.neuron import NeuronStep
from spikeloop.hdl.plastic.sums import Sums
from spikeloop.hdl.synapses.memories import (
    add_memories,
    entry_layout,
    load_layout,
    state_layout,
    trace_layout,
)
from spikeloop.hdl.synapses.normalise import Normaliser
from spikeloop.hdl.synapses.update import Kind, PlasticityUnit, update_layout
from spikeloop.pysim.plastic.params import COUNTERS, PlasticParams

__all__ = ["PlasticCore", "neuron_layout"]

STAGES = ("neuron", "unit", "normalise")


def neuron_layout(p: PlasticParams) -> data.StructLayout:
    """A neuron after its step, for who compares."""
    return data.StructLayout({"neuron": p.neuron_bits, "spike": 1, "state": state_layout(p)})


class PlasticCore(wiring.Component):
    """The core. Settings stay as they are while it is busy.

    Members
    -------
    load: In               an access of the host, while not busy.
    read: Out(32)          what it read, two cycles later.
    tick: In(1)            strobe, while not busy: TICK.
    rest: In(1)            strobe, while not busy: REST.
    clear: In(1)           strobe, while not busy: CLEAR.
    normalise: In(1)       strobe, while not busy: NORMALISE.
    learn: In(1)           with ``tick``: it learns.
    adapt: In(1)           with ``tick``: it moves thresholds.
    zero: In(1)            counters become 0.
    i: In, stream          lines with a spike in the coming tick: axon a, or axons + n for the
                           teacher of neuron n. Taken while not busy.
    o: Out, stream         neurons that spiked, ascending.
    busy: Out(1)           a command is under way, or a line is on its way into its memory.
    count_*: Out(64)       counters.
    neuron_valid: Out(1)   in this cycle ``neuron`` has made its step.
    neuron: Out            number, spike and new state.
    arrival_valid: Out(1)  in this cycle the pre trace of ``arrival`` rises.
    arrival: Out           its axon and the new trace.
    update_valid: Out(1)   in this cycle a weight is written.
    update: Out            use, axon, neuron, old and new weight.
    """

    def __init__(self, p: PlasticParams):
        self.p = p
        arrival = data.StructLayout({"axon": p.axon_bits, "trace": trace_layout()})
        super().__init__(
            {
                "load": In(load_layout(p)),
                "read": Out(32),
                **{name: In(1) for name in (*COMMANDS, "learn", "adapt", "zero")},
                "i": In(stream.Signature(p.line_bits)),
                "o": Out(stream.Signature(p.neuron_bits)),
                "busy": Out(1),
                **{f"count_{name}": Out(64) for name in COUNTERS},
                "neuron_valid": Out(1),
                "neuron": Out(neuron_layout(p)),
                "arrival_valid": Out(1),
                "arrival": Out(arrival),
                "update_valid": Out(1),
                "update": Out(update_layout(p)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        p = self.p
        self.settings, self.rams = add_memories(m, p, self.load, self.read)
        self._lists(m)
        self.control = m.submodules.control = Control(p)
        self.lines = m.submodules.lines = Lines(p)
        self.sums = m.submodules.sums = Sums(p)
        self.step = m.submodules.step = NeuronStep(p)
        self.unit = m.submodules.unit = PlasticityUnit(p)
        self.normaliser = m.submodules.normaliser = Normaliser(p)
        for part in (self.step, self.unit, self.normaliser):
            m.d.comb += part.settings.eq(self.settings)
        connect(m, flipped(self.i), self.lines.i)
        self._domains(m)
        self._phases(m)
        self._gather(m)
        self._neurons(m)
        self._sweeps(m)
        self._weights(m)
        self._wipe(m)
        self._watch(m)
        return m

    def _domains(self, m: Module) -> None:
        """Stages that sleep while they have no work."""
        enables = {
            "neuron": self.step.valid | self.step.awake,
            "unit": self.unit.valid | self.unit.awake,
            "normalise": self.control.normalising,
        }
        for stage in STAGES:
            domain = ClockDomain(stage, local=True)
            m.domains += domain
            m.d.comb += domain.rst.eq(ResetSignal())
            m.submodules[f"{stage}_gate"] = Instance(
                CLOCK_GATE_MODULE,
                i_clk=ClockSignal(),
                i_enable=enables[stage] | ResetSignal(),
                o_gated=domain.clk,
            )

    def _lists(self, m: Module) -> None:
        """Axons with a spike in this tick, neurons with a post trace, neurons that spiked."""
        p = self.p
        entry = entry_layout(p).size
        shapes = {
            "events": (p.axons, p.axon_bits),
            "live": (p.neurons, entry),
            "fired": (p.neurons, entry),
        }
        self.lists, self.counts = {}, {}
        for name, (rows, width) in shapes.items():
            ram = RAM(f"plastic_{name}", width=width, rows=rows, chunk=width)
            m.submodules[f"{name}_memory"] = self.lists[name] = ram
            self.counts[name] = Signal(range(rows + 1), name=f"count_of_{name}")
            m.d.comb += ram.w_row.eq(self.counts[name])

    def _phases(self, m: Module) -> None:
        """The controller, the lists it walks, and the time."""
        control, lines, counts = self.control, self.lines, self.counts
        self.k, self.ticks, self.adapting = Signal(16), Signal(32), Signal()
        m.d.comb += [
            *(getattr(control, name).eq(getattr(self, name)) for name in (*COMMANDS, "learn")),
            *(getattr(control, name).eq(count) for name, count in counts.items()),
            control.ltd.eq(self.settings.ltd),
            control.scanned.eq(lines.last),
            control.stepped.eq(~self.step.valid & ~self.step.awake),
            control.settled.eq(~self.unit.valid & ~self.unit.awake),
            control.normalised.eq(~self.normaliser.busy),
            control.taken.eq(~self.o.valid | self.o.ready),
            self.busy.eq(~control.waiting | lines.writing),
            lines.waiting.eq(control.waiting & ~self.tick & ~self.rest & ~self.clear),
            lines.start.eq(control.starting),
        ]
        with m.If(control.starting):
            m.d.sync += [self.adapting.eq(self.adapt), *(n.eq(0) for n in counts.values())]
        for name, ram in self.lists.items():
            with m.If(ram.w_en):
                m.d.sync += counts[name].eq(counts[name] + 1)
        with m.If(control.ending):
            m.d.sync += [self.k.eq(self.k + 1), self.ticks.eq(self.ticks + 1)]
        with m.If(control.offering):
            m.d.sync += self.o.valid.eq(1)
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)

    def _gather(self, m: Module) -> None:
        """The scan fills the list of events; each word reads it once."""
        control, sums = self.control, self.sums
        events, weights = self.lists["events"], self.rams["weights"]
        m.d.comb += [
            events.w_en.eq(self.lines.valid),
            events.w_data.eq(self.lines.axon),
            sums.start.eq(control.starting),
            sums.fetch.eq(control.gathering),
            sums.axon.eq(events.r_data),
            sums.base.eq(control.base),
            sums.data.eq(weights.r_data),
            sums.hand.eq(control.hand),
            sums.last.eq(control.word == self.p.words - 1),
            control.added.eq(sums.added),
            control.room.eq(sums.room),
        ]
        with m.If(control.gathering | control.sweeping):
            m.d.comb += [events.r_en.eq(1), events.r_row.eq(control.inner)]
        with m.If(sums.read):
            m.d.comb += [weights.r_en.eq(1), weights.r_row.eq(sums.row)]

    def _neurons(self, m: Module) -> None:
        """The neurons of a word, one a cycle, through the neuron step."""
        p, step, sums, state = self.p, self.step, self.sums, self.rams["state"]
        w_lat = self.settings.w_lat
        self.rivals = rivals = Signal(range(p.neurons + 1))
        period = (1 << self.settings.theta_period) - 1
        m.d.comb += [
            step.learn.eq(self.control.learning),
            step.adapt.eq(self.adapting),
            step.decay.eq((self.ticks & period) == 0),
            step.valid.eq(sums.valid),
            step.entry.eq(sums.entry),
            step.total.eq(sums.total),
            step.state.eq(state.r_data),
            step.teach.eq(self.lines.taught),
            self.lines.take.eq(sums.valid),
            self.lines.neuron.eq(sums.entry.neuron),
        ]
        with m.If(self.control.starting):
            m.d.sync += [step.lateral.eq(w_lat * rivals), step.rivals.eq(w_lat * (rivals - 1))]
        with m.If(sums.valid):
            m.d.comb += [state.r_en.eq(1), state.r_row.eq(sums.entry.neuron)]
        live, fired = self.lists["live"], self.lists["fired"]
        m.d.comb += [
            live.w_en.eq(step.live),
            live.w_data.eq(step.lived),
            fired.w_en.eq(step.done & step.spike),
            fired.w_data.eq(step.left),
        ]
        with m.If(step.done):
            m.d.comb += [state.w_en.eq(1), state.w_row.eq(step.left.neuron)]
            m.d.comb += state.w_data.eq(step.new)
            m.d.sync += rivals.eq(Mux(step.left.neuron == 0, 0, rivals) + step.spike)

    def _sweeps(self, m: Module) -> None:
        """Feeds the unit: arrivals of the scan, then the pairs of the sweeps."""
        control, unit, rams, lists = self.control, self.unit, self.rams, self.lists
        swept, kind, axon = Signal(), Signal(Kind), Signal(self.p.axon_bits)
        arriving, pre = self.lines.valid, kind == Kind.PRE
        m.d.sync += swept.eq(control.sweeping)
        with m.If(control.sweeping):
            m.d.sync += [kind.eq(control.kind), axon.eq(control.inner)]
        for name in ("live", "fired"):
            with m.If(control.sweeping | control.offering):
                m.d.comb += [lists[name].r_en.eq(1), lists[name].r_row.eq(control.outer)]
        spike = Signal(entry_layout(self.p))
        m.d.comb += [spike.eq(lists["fired"].r_data), self.o.payload.eq(spike.neuron)]
        of_sweep = Mux(pre, lists["events"].r_data, axon)
        m.d.comb += [
            unit.k.eq(self.k),
            unit.ticks.eq(self.ticks),
            unit.valid.eq(swept | arriving),
            unit.kind.eq(Mux(arriving, Kind.ARRIVAL, kind)),
            unit.axon.eq(Mux(arriving, self.lines.axon, of_sweep)),
            unit.entry.eq(Mux(pre, lists["live"].r_data, lists["fired"].r_data)),
            unit.word.eq(rams["weights"].r_data),
            unit.trace.eq(rams["traces"].r_data),
            *(getattr(unit, n).eq(rams[n].r_data) for n in ("post", "pre", "near", "far")),
        ]
        with m.If(swept):
            m.d.comb += [rams["weights"].r_en.eq(1), rams["weights"].r_row.eq(unit.row)]
        with m.If(unit.valid):
            m.d.comb += [rams["traces"].r_en.eq(1), rams["traces"].r_row.eq(unit.trace_row)]
        rows = {
            **dict.fromkeys(("post", "pre"), unit.segment),
            "near": unit.age[:5],
            "far": unit.age[5:],
        }
        with m.If(unit.awake):
            for name, row in rows.items():
                m.d.comb += [rams[name].r_en.eq(1), rams[name].r_row.eq(row)]
        with m.If(unit.raise_):
            m.d.comb += [rams["traces"].w_en.eq(1), rams["traces"].w_row.eq(unit.raised_row)]
            m.d.comb += rams["traces"].w_data.eq(unit.raised)

    def _weights(self, m: Module) -> None:
        """The unit and the normaliser write one weight of a row."""
        weights, state = self.rams["weights"], self.rams["state"]
        normaliser = self.normaliser
        m.d.comb += [
            normaliser.start.eq(self.control.normalise_now),
            normaliser.word.eq(weights.r_data),
            normaliser.state.eq(state.r_data),
        ]
        with m.If(self.control.normalising):
            m.d.comb += [weights.r_en.eq(1), weights.r_row.eq(normaliser.row)]
            m.d.comb += [state.r_en.eq(1), state.r_row.eq(normaliser.state_row)]
        with m.If(normaliser.cleaned):
            m.d.comb += [state.w_en.eq(1), state.w_row.eq(normaliser.clean_row)]
            m.d.comb += state.w_data.eq(normaliser.clean)
        for part in (self.unit, normaliser):
            with m.If(part.write):
                m.d.comb += [
                    weights.c_en.eq(1),
                    weights.c_row.eq(part.write_row),
                    weights.c_index.eq(part.write_lane),
                    weights.c_data.eq(part.update.new),
                    self.update_valid.eq(1),
                    self.update.eq(part.update),
                ]

    def _wipe(self, m: Module) -> None:
        """REST and CLEAR: a neuron and an axon a cycle."""
        p, state, traces, control = self.p, self.rams["state"], self.rams["traces"], self.control
        last = max(p.axons, p.neurons)
        place, back = Signal(range(last + 1)), Signal(range(last + 1))
        was, new, second = Signal(state_layout(p)), Signal(state_layout(p)), Signal()
        m.d.comb += [
            control.wiped.eq(place == last),
            self.lines.wipe.eq(control.wiping),
            self.lines.place.eq(place),
            was.eq(state.r_data),
            new.v.eq(self.settings.v_rest),
            new.theta.eq(Mux(control.clearing, 0, was.theta)),
            new.dirty.eq(~control.clearing & was.dirty),
        ]
        m.d.sync += [place.eq(0), second.eq(control.wiping), back.eq(place)]
        with m.If(control.wiping):
            m.d.sync += [place.eq(place + 1), self.k.eq(0), self.rivals.eq(0)]
            m.d.comb += [state.r_en.eq(1), state.r_row.eq(place)]
            m.d.comb += [traces.w_en.eq(place < p.axons), traces.w_row.eq(place)]
            with m.If(control.clearing):
                m.d.sync += self.ticks.eq(self.settings.first_tick)
            with m.If(second & (back < p.neurons)):
                m.d.comb += [state.w_en.eq(1), state.w_row.eq(back), state.w_data.eq(new)]

    def _watch(self, m: Module) -> None:
        """What was done, for the counters and for who compares."""
        step, unit = self.step, self.unit
        m.d.comb += [
            self.neuron_valid.eq(step.done),
            self.neuron.neuron.eq(step.left.neuron),
            self.neuron.spike.eq(step.spike),
            self.neuron.state.eq(step.new),
            self.arrival_valid.eq(unit.raise_),
            self.arrival.axon.eq(unit.raised_row),
            self.arrival.trace.eq(unit.raised),
        ]
        stalled = self.o.valid & ~self.o.ready
        steps = {
            "cycles": ~self.control.waiting & ~stalled,
            "stalls": stalled,
            "spikes": step.done & step.spike,
            "updates": self.update_valid,
            "weight_clips": unit.clipped,
        }
        for name in COUNTERS:
            count = getattr(self, f"count_{name}")
            m.d.sync += count.eq(Mux(self.zero, 0, count + steps[name]))
