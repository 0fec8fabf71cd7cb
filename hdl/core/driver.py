"""The driver of a macro in front of a core: its load port, its commands, its events.

    load port --> memories of the macro;  run --> a run;  send --> an event for each set line

The macro goes on from the state that the host wrote, or that it came to. ``send`` looks at one line
a cycle, and sends an event for each that is set. A cycle in which the ring takes no event is
repeated.

Written for one clock domain, which sleeps while there is nothing to do.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.bus.loadport import SLOW
from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.params import BUS_BITS, Chip

__all__ = ["Driver"]


class Driver(wiring.Component):
    """The driver and, inside, ``macro``.

    The macro has ports ``load``, ``read``, ``start``, ``busy``, ``size`` (lines of its net),
    ``out`` (its lines), those of the chip's ``front.answers``, and ``count_*``.

    Members
    -------
    run: In(1)        strobe, while not busy: run the macro.
    send: In(1)       strobe, while not busy: send an event for each line that is set.
    zero: In(1)       counters become 0.
    busy: Out(1)      a run, or a sending, is under way.
    awake: Out(1)     the next edge does something; otherwise the domain may sleep.
    settled: Out(1)   of oscillators: the last run ended because nothing changed any more.
    axon: In          setting: axon of line 0.
    select: In        the memory that the load port asks for, a bit each in the order of the map.
    read: In(1)       the load port reads; ``answer`` comes SLOW cycles later (hdl/bus/loadport.py).
    write: In(1)      the load port writes.
    row: In           row of the access.
    chunk: In         chunk of this row.
    data: In          what it writes.
    answer: Out       what it read.
    event: Out(1)     an event wants into the ring.
    place: Out        its axon.
    taken: In(1)      the ring takes it.
    count_*: Out(64)  counters, as pysim.chip.front names them.
    """

    def __init__(self, chip: Chip, macro: wiring.Component):
        assert chip.front
        self.macro, self.front = macro, chip.front
        self.counters = tuple(chip.front.counters)
        self.prefix, table = chip.front.prefix, MemoryMap(chip).memories.values()
        own = [m for m in table if m.name.startswith(self.prefix)]
        super().__init__(
            {
                "run": In(1),
                "send": In(1),
                "zero": In(1),
                "busy": Out(1),
                "awake": Out(1),
                **{name: Out(1) for name in chip.front.answers},
                "axon": In(chip.derived.axon_bits),
                "select": In(len(own)),
                "read": In(1),
                "write": In(1),
                "row": In(max(m.row_bits for m in own)),
                "chunk": In(max(1, *(m.chunk_bits for m in own))),
                "data": In(BUS_BITS),
                "answer": Out(BUS_BITS),
                "event": Out(1),
                "place": Out(chip.derived.axon_bits),
                "taken": In(1),
                **{f"count_{name}": Out(64) for name in self.counters},
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.macro = macro = self.macro
        m.d.comb += [
            macro.start.eq(self.run),
            *(getattr(self, name).eq(getattr(macro, name)) for name in self.front.answers),
            self.answer.eq(macro.read),
        ]
        asked = self._load(m, macro)
        sending = self._send(m, macro)
        m.d.comb += [
            self.busy.eq(macro.busy | sending),
            self.awake.eq(self.busy | self.run | self.send | self.zero | asked),
        ]
        self._count(m, macro)
        return m

    def _load(self, m: Module, macro: wiring.Component):
        """Accesses to the macro, one cycle late; returns whether one is under way.

        The clocks of the macro hang on the driver's. Their gates open only at an edge of it, which
        is the one that makes the copy.
        """
        access, later = Signal(), Signal(SLOW)
        held, number = Signal.like(macro.load), Signal(range(max(2, len(self.select))))
        for i in range(len(self.select)):
            with m.If(self.select[i]):
                m.d.comb += number.eq(i)
        m.d.comb += [access.eq((self.read | self.write) & self.select.any()), macro.load.eq(held)]
        m.d.sync += [later.eq((later << 1) | access), held.en.eq(access)]
        with m.If(access):
            m.d.sync += [
                held.write.eq(self.write),
                held.memory.eq(number),
                held.row.eq(self.row),
                held.index.eq(self.chunk),
                held.data.eq(self.data),
            ]
        return access | later.any()

    def _send(self, m: Module, macro: wiring.Component):
        """Events, one line after the other; returns whether some are still to come."""
        sending, left = Signal(), Signal.like(macro.size)
        lines, moves = Signal.like(macro.out), Signal()
        m.d.comb += [
            self.event.eq(sending & lines[0]),
            moves.eq(sending & (self.taken | ~lines[0])),
        ]
        with m.If(self.send):
            m.d.sync += [
                sending.eq(1),
                lines.eq(macro.out),
                left.eq(macro.size - 1),
                self.place.eq(self.axon),
            ]
        with m.Elif(moves):
            m.d.sync += [
                sending.eq(left != 0),
                lines.eq(lines >> 1),
                left.eq(left - 1),
                self.place.eq(self.place + 1),
            ]
        return sending

    def _count(self, m: Module, macro: wiring.Component) -> None:
        """Counters since ``zero``: those of the macro never stop, so a copy says where they were.

        Cycles are those of the driver: runs and sendings.
        """
        cycles = f"{self.prefix}cycles"
        total = getattr(self, f"count_{cycles}")
        m.d.sync += total.eq(Mux(self.zero, 0, total + self.busy))
        for counter in self.counters:
            name = counter.removeprefix(self.prefix)
            if counter != cycles:
                count, before = getattr(macro, f"count_{name}"), Signal(64, name=f"before_{name}")
                with m.If(self.zero):
                    m.d.sync += before.eq(count)
                m.d.comb += getattr(self, f"count_{counter}").eq(count - before)
