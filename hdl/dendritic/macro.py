"""The macro of dendritic neurons: a show of one stimulus, step by step, an input a cycle.

    memories --> inputs --> e' -----+
        |                           v
        +------> lanes: W --> W' --> sums --> neurons --> f, c, G --> (the next step)
                                                ^ |
                                      table ----+-+

A show begins with ``start`` from the state that the host loaded (docs/dendritic.md). Only the
controller's clock always runs. Host accesses, sweeps, and what follows a sweep have clock domains
of their own: "port", "sweep" and "tail". pysim/dendritic/cycles.py has the cycles.
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.dendrites.layouts import load_layout
from spikeloop.hdl.dendrites.neuron import UNIT_BITS, Neuron
from spikeloop.hdl.dendritic.control import AGE_BITS, Control
from spikeloop.hdl.dendritic.inputs import Inputs
from spikeloop.hdl.dendritic.lane import Lane
from spikeloop.hdl.dendritic.memories import add_memories
from spikeloop.hdl.dendritic.phases import Phases
from spikeloop.hdl.domains import add_domain
from spikeloop.pysim.dendrites.settings import INHIBITION_BITS
from spikeloop.pysim.dendritic.memories import memories
from spikeloop.pysim.dendritic.params import COUNTERS, DendriticParams

__all__ = ["DendriticMacro"]


class DendriticMacro(wiring.Component):
    """The macro. Settings, stimuli and table stay as they are while it is busy.

    Members
    -------
    load: In              an access of the host, while not busy.
    read: Out(32)         what it read, three cycles later.
    start: In(1)          strobe, while not busy: a show.
    busy: Out(1)          a show is under way.
    size: Out             neurons of the net.
    out: Out              output spikes of the last step.
    step_valid: Out(1)    in this cycle the ports below are those behind a step.
    age: Out(16)          learning steps so far.
    rin: Out(64)          generator of input spikes.
    unit_*: Out           of a neuron: pysim's UNITS and PASSING, the first lowest.
    pairs_*: Out          a row of G, neuron 0 lowest.
    count_*: Out(64)      counters.
    """

    def __init__(self, p: DendriticParams):
        self.p = p
        super().__init__(
            {
                "load": In(load_layout(p)),
                "read": Out(32),
                "start": In(1),
                "busy": Out(1),
                "size": Out(p.neurons.bit_length()),
                "out": Out(p.neurons),
                "step_valid": Out(1),
                "age": Out(AGE_BITS),
                "rin": Out(64),
                **{f"unit_{i}": Out(UNIT_BITS) for i in range(p.neurons)},
                **{f"pairs_{i}": Out(p.neurons * INHIBITION_BITS) for i in range(p.neurons)},
                **{f"count_{name}": Out(64) for name in COUNTERS},
            }
        )

    def elaborate(self, platform) -> Module:
        m, p = Module(), self.p
        self.control = m.submodules.control = Control(p)
        self.phases = m.submodules.phases = Phases(p)
        self.inputs = m.submodules.inputs = Inputs(p)
        self.lanes, self.neurons = [Lane(p) for _ in range(p.neurons)], []
        for i, lane in enumerate(self.lanes):
            m.submodules[f"lane_{i}"] = lane
            neuron = m.submodules[f"neuron_{i}"] = Neuron(p, i)
            self.neurons.append(neuron)
        self.held = Signal(load_layout(p))
        self._domains(m)
        m.d.port += self.held.eq(self.load)
        self.settings, self.rams = add_memories(m, p, self.held)
        self.numbers = {memory.name: number for number, memory in enumerate(memories(p))}
        self._order(m)
        self._sweep(m)
        self._tail(m)
        self._host(m)
        self._answer(m)
        self._count(m)
        return m

    def _domains(self, m: Module) -> None:
        """Clocks that sleep while they have no work."""
        control, held, late = self.control, self.held, Signal()
        m.d.sync += late.eq(held.en)
        enables = {
            "port": self.load.en | held.en | late,
            "sweep": control.sweeping | held.en,
            "tail": control.hand | control.tailing | held.en,
        }
        for name, awake in enables.items():
            enable = Signal(name=f"{name}_enable")
            m.d.comb += enable.eq(awake)
            add_domain(m, name, enable, clock_gates=True)

    def _order(self, m: Module) -> None:
        """The controllers."""
        control, phases = self.control, self.phases
        for part in (control, phases, self.inputs, *self.lanes, *self.neurons):
            m.d.comb += part.settings.eq(self.settings)
        m.d.comb += [
            control.start.eq(self.start),
            control.ended.eq(phases.phase.end),
            phases.start.eq(control.hand),
            phases.grown.eq(control.grown),
            self.busy.eq(~control.waiting),
            self.size.eq(self.settings.neurons),
            self.out.eq(Cat(neuron.s for neuron in self.neurons)),
            self.age.eq(control.age),
            self.rin.eq(self.inputs.rin),
        ]
        m.d.sync += self.step_valid.eq(phases.phase.end)

    def _sweep(self, m: Module) -> None:
        """An input a cycle: fetched, moved and learnt with, written back, added."""
        control, inputs, rams = self.control, self.inputs, self.rams
        fetched, moved = Signal(), Signal()
        first, second = Signal.like(control.input), Signal.like(control.input)
        m.d.sweep += [
            fetched.eq(control.fetch),
            moved.eq(fetched),
            first.eq(control.input),
            second.eq(first),
        ]
        m.d.comb += [
            inputs.fetch.eq(control.fetch),
            inputs.field.eq(control.input[:2]),
            inputs.live.eq(control.live),
            inputs.threshold.eq(rams["stimuli"].r_data),
            inputs.word.eq(rams["synapses"].r_data),
            rams["synapses"].w_en.eq(inputs.put),
            rams["synapses"].w_row.eq(second),
            rams["synapses"].w_data.eq(inputs.moved),
            rams["weights"].w_en.eq(moved & control.learning),
            rams["weights"].w_row.eq(second),
            rams["weights"].w_data.eq(Cat(lane.new for lane in self.lanes)),
        ]
        rows = {"weights": control.input, "synapses": control.input, "stimuli": control.row}
        for name, row in rows.items():
            m.d.comb += [
                rams[name].r_en.eq(control.fetch | self.held.en),
                rams[name].r_row.eq(Mux(self.held.en, self.held.row, row)),
            ]
        for i, (lane, neuron) in enumerate(zip(self.lanes, self.neurons, strict=True)):
            m.d.comb += [
                lane.first.eq(control.first),
                lane.learning.eq(control.learning & fetched),
                lane.weight.eq(rams["weights"].r_data.word_select(i, 32)),
                lane.old.eq(inputs.old),
                lane.change.eq(neuron.c),
                lane.seen.eq(inputs.seen),
                neuron.sum.eq(lane.sum),
            ]

    def _tail(self, m: Module) -> None:
        """Each neuron sees neuron ``phase.other``; the table serves one in each cycle."""
        phases, table, neurons = self.phases, self.rams["table"], self.neurons
        other = phases.phase.other
        f, s, gain = (
            Array([getattr(neuron, name) for neuron in neurons])[other]
            for name in ("f", "s", "gain")
        )
        place = Array([neuron.place for neuron in neurons])[other]
        m.d.comb += [
            table.r_en.eq(phases.look | self.held.en),
            table.r_row.eq(Mux(self.held.en, self.held.row, place)),
        ]
        for neuron in neurons:
            m.d.comb += [
                neuron.phase.eq(phases.phase),
                neuron.second.eq(phases.second),
                neuron.word.eq(table.r_data),
                neuron.other_f.eq(f),
                neuron.other_s.eq(s),
                neuron.other_gain.eq(gain),
            ]
        for i, neuron in enumerate(neurons):
            m.d.comb += [
                getattr(self, f"unit_{i}").eq(neuron.unit),
                getattr(self, f"pairs_{i}").eq(neuron.row),
            ]

    def _host(self, m: Module) -> None:
        """What the host writes into registers that are no settings."""
        held, numbers, writes = self.held, self.numbers, Signal()
        of_globals = Signal()
        m.d.comb += [
            writes.eq(held.en & held.write),
            of_globals.eq(writes & (held.memory == numbers["globals"])),
            self.control.load.eq(of_globals & (held.row == 0) & (held.index == 0)),
            self.control.data.eq(held.data),
            self.inputs.data.eq(held.data),
        ]
        for half in range(2):
            mine = of_globals & (held.row == 1) & (held.index == half)
            m.d.comb += self.inputs.load[half].eq(mine)
        for i, neuron in enumerate(self.neurons):
            here = writes & (held.row == i)
            m.d.comb += [
                neuron.write.state.eq(here & (held.memory == numbers["neurons"])),
                neuron.write.pair.eq(here & (held.memory == numbers["inhibition"])),
                neuron.write.index.eq(held.index),
                neuron.write.data.eq(held.data),
            ]

    def _answer(self, m: Module) -> None:
        """What the host asked for. The memories take a cycle; the registers wait for them."""
        held, numbers = self.held, self.numbers
        asked, index, word = Signal.like(held.memory), Signal.like(held.index), Signal(32)
        values = [self.settings[name] for name in self.settings.shape().members]
        low = held.row[: (self.p.neurons - 1).bit_length()]
        pairs = Array([neuron.row for neuron in self.neurons])[low]
        registers = {
            "settings": Array(values)[held.row[: (len(values) - 1).bit_length()]],
            "globals": Mux(
                held.row[0],
                self.rin.word_select(held.index[0], 32),
                Mux(held.index[0], 0, self.age),
            ),
            "neurons": Array([neuron.chunk for neuron in self.neurons])[low],
            "inhibition": pairs.word_select(held.index, INHIBITION_BITS),
        }
        with m.Switch(held.memory):
            for name, value in registers.items():
                with m.Case(numbers[name]):
                    m.d.port += word.eq(value)
        m.d.port += [asked.eq(held.memory), index.eq(held.index)]
        answer = word
        for name, ram in self.rams.items():
            m.d.comb += ram.r_index.eq(index)
            answer = Mux(asked == numbers[name], ram.r_chunk, answer)
        m.d.port += self.read.eq(answer)

    def _count(self, m: Module) -> None:
        spikes = Cat(neuron.spike for neuron in self.neurons)
        clips = Cat(neuron.clips for neuron in self.neurons)
        overs = Cat(lane.over & (i < self.settings.neurons) for i, lane in enumerate(self.lanes))
        tail_clips = Signal(64)
        m.d.sync += [
            self.count_cycles.eq(self.count_cycles + self.busy),
            self.count_steps.eq(self.count_steps + self.phases.phase.end),
        ]
        m.d.sweep += self.count_saturations.eq(self.count_saturations + _ones(overs))
        m.d.tail += [
            self.count_spikes.eq(self.count_spikes + _ones(spikes)),
            tail_clips.eq(tail_clips + _ones(clips)),
        ]
        m.d.comb += [
            self.count_inputs.eq(self.inputs.spikes),
            self.count_clips.eq(self.inputs.clips + tail_clips),
        ]


def _ones(bits):
    """How many of them are 1."""
    return sum(bits)
