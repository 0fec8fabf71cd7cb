"""The macro of oscillators: one net, a cell of either kind, and a column of couplings a cycle.

    load --> settings, couplings, delays, state
    FETCH --> SELF --> PRODUCT, a column a cycle --> ROUND --> UPDATE --> FLAGS --> READ --> ..

A run begins with ``start`` from the state that the host loaded, and goes on until it settles or
comes to its last step (docs/onn.md). Only the controller's clock always runs. Each phase has its
own clock domain, and what a phase reads sleeps with the phases before it. pysim/onn/cycles.py has
the cycles.
"""

from amaranth.hdl import (
    Array,
    Cat,
    ClockDomain,
    ClockSignal,
    Instance,
    Module,
    Mux,
    ResetSignal,
    Signal,
)
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.names import CLOCK_GATE_MODULE
from spikeloop.hdl.onn.control import Control
from spikeloop.hdl.onn.memories import add_memories, load_layout
from spikeloop.hdl.onn.phase import Phase
from spikeloop.hdl.onn.relaxation import Relaxation
from spikeloop.pysim.onn.memories import global_bits, memories
from spikeloop.pysim.onn.params import COUNTERS, OnnParams

__all__ = ["OnnMacro"]

STAGES = ("port", "fetch", "column", "mac", "round", "update", "flags", "read")
FULL16, FULL8 = 0xFFFF, 0xFF


class OnnMacro(wiring.Component):
    """The macro. Settings and couplings stay as they are while it is busy.

    Members
    -------
    load: In              an access of the host, while not busy.
    read: Out(32)         what it read, three cycles later.
    start: In(1)          strobe, while not busy: run on.
    busy: Out(1)          a run is under way.
    settled: Out(1)       the last run ended because nothing changed any more.
    size: Out             oscillators of the net.
    out: Out              a bit for each oscillator: it is out of phase with the reference.
    step_valid: Out(1)    in this cycle the state is that behind a step.
    step, period, cycles, same: Out  the net's values.
    unit_*: Out           those of an oscillator, in the order of pysim's UNITS, the first lowest.
    count_*: Out(64)      counters.
    """

    def __init__(self, p: OnnParams):
        self.p = p
        self.cell = (Relaxation if p.cell == "relaxation" else Phase)(p)
        units = {
            f"unit_{i}": Out(len(getattr(self.cell, f"unit_{i}"))) for i in range(p.oscillators)
        }
        super().__init__(
            {
                "load": In(load_layout(p)),
                "read": Out(32),
                "start": In(1),
                "busy": Out(1),
                "settled": Out(1),
                "size": Out(p.oscillators.bit_length()),
                "out": Out(p.oscillators),
                "step_valid": Out(1),
                **{name: Out(bits) for name, bits in global_bits().items()},
                **units,
                **{f"count_{name}": Out(64) for name in COUNTERS},
            }
        )

    def elaborate(self, platform) -> Module:
        m, p = Module(), self.p
        self.control = m.submodules.control = Control(p)
        m.submodules.cell = self.cell
        self.held = Signal(load_layout(p))
        self._domains(m)
        m.d.port += self.held.eq(self.load)
        self.settings, self.rams = add_memories(m, p, self.held)
        self._wire(m)
        self._globals(m)
        self._answer(m)
        self._count(m)
        return m

    def _domains(self, m: Module) -> None:
        """Phases that sleep while they have no work."""
        control, held = self.control, self.held
        numbers = {memory.name: number for number, memory in enumerate(memories(self.p))}
        late, writes = Signal(), held.en & held.write
        m.d.sync += late.eq(held.en)
        state = writes & (held.memory == numbers["state"])
        self.writing = writes & (held.memory == numbers["globals"])
        enables = {
            "port": self.load.en | held.en | late,
            "fetch": control.fetching | held.en,
            "column": control.column | held.en,
            "mac": control.selfing | control.adding,
            "round": control.rounding,
            "update": control.updating | state,
            "flags": control.flagging | state,
            "read": control.reading | state | self.writing,
        }
        for stage in STAGES:
            enable = Signal(name=f"{stage}_enable")
            m.d.comb += enable.eq(enables[stage])
            domain = ClockDomain(stage, local=True)
            m.domains += domain
            m.d.comb += domain.rst.eq(ResetSignal())
            m.submodules[f"{stage}_gate"] = Instance(
                CLOCK_GATE_MODULE,
                i_clk=ClockSignal(),
                i_enable=enable | ResetSignal(),
                o_gated=domain.clk,
            )

    def _wire(self, m: Module) -> None:
        control, cell, rams = self.control, self.cell, self.rams
        m.d.comb += [
            control.start.eq(self.start),
            control.size.eq(self.settings.oscillators),
            control.coupled.eq(cell.coupled),
            self.busy.eq(~control.waiting),
            cell.settings.eq(self.settings),
            cell.held.eq(self.held),
            self.size.eq(self.settings.oscillators),
            self.out.eq(Cat(getattr(cell, f"unit_{i}")[-1] for i in range(self.p.oscillators))),
            cell.step.eq(self.step),
            cell.none.eq(self.cycles == 0),
            cell.column.eq(rams["coupling"].r_data),
            *(
                getattr(cell, name).eq(getattr(control, name))
                for name in ("turn", "selfing", "first", "digit", "source")
            ),
            *(
                getattr(self, f"unit_{i}").eq(getattr(cell, f"unit_{i}"))
                for i in range(self.p.oscillators)
            ),
        ]
        rows = {"coupling": control.row, "sums": control.turn, "delays": control.turn}
        for name, ram in rams.items():
            m.d.comb += ram.r_row.eq(Mux(self.held.en, self.held.row, rows[name]))
        for name in ("sums", "delays"):
            if name in rams:
                m.d.comb += getattr(cell, name).eq(rams[name].r_data)
        m.d.sync += self.step_valid.eq(control.reading)

    def _globals(self, m: Module) -> None:
        """READ: the net's own values, and whether the run ends."""
        cell, settings, control = self.cell, self.settings, self.control
        same = Signal.like(self.same)
        more = Mux(self.same == FULL8, FULL8, (self.same + 1)[:8])
        m.d.comb += same.eq(Mux(cell.reads, Mux(cell.kept, more, 0), self.same))
        cycles = Mux(cell.reads & (self.cycles != FULL16), (self.cycles + 1)[:16], self.cycles)
        period = self.period
        if self.p.cell == "relaxation":
            period = Mux(cell.reads, cell.length, self.period)
        new = {"step": (self.step + 1)[:24], "period": period, "cycles": cycles, "same": same}
        for row, (name, value) in enumerate(new.items()):
            old, written = getattr(self, name), self.held.row == row
            host = Mux(written, self.held.data[: len(old)], old)
            m.d.read += old.eq(Mux(self.held.en, Mux(self.writing, host, old), value))
        settles = Signal()
        m.d.comb += [
            settles.eq(
                (settings.settle != 0) & cell.reads & cell.coupled & (same >= settings.settle)
            ),
            control.over.eq(settles | (self.step + 1 >= settings.steps_max)),
        ]
        with m.If(control.reading):
            m.d.sync += self.settled.eq(settles)

    def _answer(self, m: Module) -> None:
        """What the host asked for. The memories take a cycle; state and registers wait for them."""
        asked, word = Signal.like(self.held.memory), Signal(32)
        index = Signal.like(self.held.index)
        values = Array([getattr(self, name) for name in global_bits()])
        numbers = {memory.name: number for number, memory in enumerate(memories(self.p))}
        m.d.port += [
            asked.eq(self.held.memory),
            index.eq(self.held.index),
            word.eq(
                Mux(self.held.memory == numbers["state"], self.cell.word, values[self.held.row[:2]])
            ),
        ]
        answer = word
        for name, ram in self.rams.items():
            m.d.comb += ram.r_index.eq(index)
            answer = Mux(asked == numbers[name], ram.r_chunk, answer)
        m.d.port += self.read.eq(answer)

    def _count(self, m: Module) -> None:
        with m.If(self.busy):
            m.d.sync += self.count_cycles.eq(self.count_cycles + 1)
        idle = ~self.held.en
        m.d.read += self.count_steps.eq(self.count_steps + idle)
        m.d.column += self.count_reads.eq(self.count_reads + idle)
        m.d.comb += [
            self.count_clips.eq(self.cell.clips),
            self.count_crossings.eq(self.cell.crossings),
        ]
