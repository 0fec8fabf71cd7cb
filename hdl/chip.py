"""The chip: one core, its load port and two event streams; the top of the generated Verilog.

Reset, tick and every stream are registered at the edge of the chip, so that nothing combinational
hangs on a pin.
"""

from collections.abc import Mapping

from amaranth.hdl import ClockDomain, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.bus.loadport import request_layout
from spikeloop.hdl.core.core import Core
from spikeloop.hdl.lib.layout import layout
from spikeloop.hdl.lib.skid import Skid
from spikeloop.pysim.chip.memory_map import CONTROL_CLEAR, CONTROL_TICK, CONTROL_ZERO
from spikeloop.pysim.chip.params import BUS_BITS, Chip
from spikeloop.pysim.chip.records import event_record, output_record

__all__ = ["ChipTop", "commands", "pins", "working"]


class ChipTop(wiring.Component):
    """The chip.

    Streams are valid/ready; their payloads are records of pysim/chip/records.py, the first field
    lowest.

    Members
    -------
    request: In, stream    requests of the load port.
    response: Out, stream  its answers.
    i: In, stream          events in.
    o: Out, stream         events out.
    tick: In(1)            a high cycle asks for a tick.
    busy: Out(1)           from the edge that takes a tick or a command until it is done and its
                           last event has left.
    clk: In(1)             clock.
    rst: In(1)             synchronous reset.
    working: Out(1)        on a chip of two banks: as ``busy``, without requests on their way in.
    """

    def __init__(self, chip: Chip):
        self.chip = chip
        self.core = Core(chip)
        super().__init__(
            {
                "request": In(stream.Signature(request_layout(self.core.map.address_bits))),
                "response": Out(stream.Signature(BUS_BITS)),
                "i": In(stream.Signature(layout(event_record(chip)))),
                "o": Out(stream.Signature(layout(output_record(chip)))),
                "tick": In(1),
                "busy": Out(1),
                "clk": In(1),
                "rst": In(1),
                **working(chip),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        reset, tick = pins(m, self)
        m.submodules.core = core = self.core
        m.submodules.events_in = events_in = Skid(layout(event_record(self.chip)))
        m.submodules.requests = requests = Skid(request_layout(core.map.address_bits))
        m.submodules.responses = responses = Skid(BUS_BITS)
        wiring.connect(m, wiring.flipped(self.i), events_in.i)
        wiring.connect(m, events_in.o, core.i)
        wiring.connect(m, wiring.flipped(self.request), requests.i)
        wiring.connect(m, requests.o, core.request)
        wiring.connect(m, core.response, responses.i)
        wiring.connect(m, responses.o, wiring.flipped(self.response))
        wiring.connect(m, core.o, wiring.flipped(self.o))

        run, clear, zero, waiting, missed = commands(
            m, core.command, tick, core.busy, core.macro_commands()
        )
        m.d.comb += [
            core.missed.eq(missed),
            core.tick.eq(run),
            core.clear.eq(clear),
            core.zero.eq(zero),
            core.wait.eq(waiting.any()),
            self.busy.eq(
                core.busy
                | core.taken
                | waiting.any()
                | tick
                | requests.o.valid
                | events_in.o.valid
                | reset
            ),
        ]
        if self.chip.banks > 1:
            m.d.comb += self.working.eq(core.busy | waiting.any() | tick | reset)
        return m


def working(chip: Chip) -> dict:
    """The pin ``working`` of chips of two banks.

    While words stream into the bank at rest, ``busy`` says nothing of ticks.
    """
    return {"working": Out(1)} if chip.banks > 1 else {}


def pins(m: Module, top: wiring.Component) -> tuple[Signal, Signal]:
    """The clock domains of a top; its reset, one cycle longer, and its tick, as registers."""
    m.domains.pin = pin = ClockDomain("pin", reset_less=True)
    m.domains.sync = sync = ClockDomain("sync")
    # A domain that sleeps is reset a cycle behind (hdl/core/domains.py), and all must end together.
    reset, again, tick = Signal(init=1), Signal(init=1), Signal()
    m.d.comb += [pin.clk.eq(top.clk), sync.clk.eq(top.clk), sync.rst.eq(reset)]
    m.d.pin += [reset.eq(top.rst | again), again.eq(top.rst), tick.eq(top.tick)]
    return reset, tick


def commands(
    m: Module, command: Value, tick: Value, busy: Value, macros: Mapping[int, Value] = {}
) -> tuple[Signal, Signal, Signal, Signal, Signal]:
    """Commands wait until nothing is busy: first zero and clear, then the tick.

    Of each command one waits. A tick asked for while one waits is missed, and so is one of two that
    register and pin ask for in the same cycle.

    Parameters
    ----------
    m: module of the top.
    command: bits written to the control register in this cycle.
    tick: a tick is asked for at the pin.
    busy: a command must wait.
    macros: by its bit of the control register, the strobe of each command of a macro in front of
        the core. They are taken before the tick, in this order.

    Returns tick, clear and zero, each high in the cycle in which it is taken, the commands that
    wait, and whether a tick was missed since the last zero.
    """
    waiting, asked, taken = Signal(len(command)), Signal(len(command)), Signal(len(command))
    run, clear, zero = Signal(), Signal(), Signal()
    first, done = CONTROL_CLEAR, run * CONTROL_TICK | clear * CONTROL_CLEAR | zero * CONTROL_ZERO
    for bit, strobe in macros.items():
        wanted = (waiting & bit).any() & ~(waiting & first).any()
        m.d.comb += strobe.eq(wanted & ~busy)
        first, done = first | bit, done | strobe * bit
    m.d.comb += [
        asked.eq(command | tick * CONTROL_TICK),
        zero.eq((waiting & CONTROL_ZERO).any() & ~busy),
        clear.eq((waiting & CONTROL_CLEAR).any() & ~busy),
        run.eq((waiting & CONTROL_TICK).any() & ~(waiting & first).any() & ~busy),
        taken.eq(done),
    ]
    m.d.sync += waiting.eq((waiting & ~taken) | asked)
    missed = Signal()
    both = (command & CONTROL_TICK).any() & tick
    with m.If((waiting & ~taken & asked & CONTROL_TICK).any() | both):
        m.d.sync += missed.eq(1)
    with m.Elif(zero):
        m.d.sync += missed.eq(0)
    return run, clear, zero, waiting, missed
