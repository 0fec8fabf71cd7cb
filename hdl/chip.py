"""The chip: one core behind its load port and its two event streams; the top of the generated Verilog.

Reset, tick and every stream are registered at the edge of the chip, so that nothing combinational hangs on a pin.
"""

from amaranth.hdl import ClockDomain, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.bus.loadport import request_layout
from spikeloop.hdl.core.core import Core
from spikeloop.hdl.lib.layout import layout
from spikeloop.hdl.lib.skid import Skid
from spikeloop.pysim.chip.memory_map import CONTROL_CLEAR, CONTROL_PIM, CONTROL_TICK, CONTROL_ZERO
from spikeloop.pysim.chip.params import BUS_BITS, Chip
from spikeloop.pysim.chip.records import event_record, output_record

__all__ = ["ChipTop", "commands", "pins", "working"]


class ChipTop(wiring.Component):
    """Ports of the chip (streams: valid/ready, payloads as records of pysim/chip/records.py, first field lowest).

    request, response: load port. i, o: events in and out. tick: In(1), a high cycle asks for a tick.
    clk, rst: In(1), clock and synchronous reset. busy: Out(1), from the edge that takes a tick or a command until it is done
    and its last event has left. working: Out(1), on a chip of two banks: the same, but for requests on their way in.
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

        run, clear, zero, waiting = commands(
            m, core.command, tick, core.busy, core.drive if self.chip.pim else None
        )
        m.d.comb += [
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
    """The pin of that name, on chips of two banks: while words stream in, ``busy`` says nothing of ticks."""
    return {"working": Out(1)} if chip.banks > 1 else {}


def pins(m: Module, top: wiring.Component) -> tuple[Signal, Signal]:
    """The clock domains of a top; its reset and its tick, as registers."""
    m.domains.pin = pin = ClockDomain("pin", reset_less=True)
    m.domains.sync = sync = ClockDomain("sync")
    reset, tick = Signal(init=1), Signal()
    m.d.comb += [pin.clk.eq(top.clk), sync.clk.eq(top.clk), sync.rst.eq(reset)]
    m.d.pin += [reset.eq(top.rst), tick.eq(top.tick)]
    return reset, tick


def commands(
    m: Module, command: Value, tick: Value, busy: Value, drive: Value | None = None
) -> tuple[Signal, Signal, Signal, Signal]:
    """Commands wait until nothing is busy: first zero and clear, then the tick. Returns tick, clear and zero as they are taken, and
    those that wait. ``drive``: with a PIM macro, the strobe that begins it, before the tick."""
    waiting, asked, taken = Signal(len(command)), Signal(len(command)), Signal(len(command))
    run, clear, zero = Signal(), Signal(), Signal()
    first, done = CONTROL_CLEAR, run * CONTROL_TICK | clear * CONTROL_CLEAR | zero * CONTROL_ZERO
    if drive is not None:
        m.d.comb += drive.eq(
            (waiting & CONTROL_PIM).any() & ~(waiting & CONTROL_CLEAR).any() & ~busy
        )
        first, done = first | CONTROL_PIM, done | drive * CONTROL_PIM
    m.d.comb += [
        asked.eq(command | tick * CONTROL_TICK),
        zero.eq((waiting & CONTROL_ZERO).any() & ~busy),
        clear.eq((waiting & CONTROL_CLEAR).any() & ~busy),
        run.eq((waiting & CONTROL_TICK).any() & ~(waiting & first).any() & ~busy),
        taken.eq(done),
    ]
    m.d.sync += waiting.eq((waiting & ~taken) | asked)
    return run, clear, zero, waiting
