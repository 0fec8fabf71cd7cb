"""The top of a board: one core behind the host link.

The link's bytes lie on the pins of a UART or, in fast simulation, on two streams. Reset is
registered at the edge of the board, as in hdl/chip.py; core and commands are the same as there.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.chip import commands, pins
from spikeloop.hdl.core.core import Core
from spikeloop.hdl.link.hostlink import HostLink
from spikeloop.hdl.link.uart import UartReceiver, UartTransmitter
from spikeloop.pysim.chip.params import Chip

__all__ = ["BoardTop"]


class BoardTop(wiring.Component):
    """The board.

    Parameters
    ----------
    chip: parameters of a chip of one core.
    divisor: clock cycles of a bit of the UART; None: streams of bytes.
    virtual: whether a greeting says that the board is a virtual one.

    Members
    -------
    rx: In(1)       UART's pin in.
    tx: Out(1)      UART's pin out.
    i: In, stream   without a UART: bytes in.
    o: Out, stream  without a UART: bytes out.
    clk: In(1)      clock.
    rst: In(1)      synchronous reset.
    quiet: Out(1)   nothing of a frame and no tick is under way.
    """

    def __init__(self, chip: Chip, *, divisor: int | None = None, virtual: bool = False):
        self.chip, self.divisor, self.virtual, self.tick = chip, divisor, virtual, 0
        if divisor is None:
            wires = {"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))}
        else:
            wires = {"rx": In(1), "tx": Out(1)}
        super().__init__({**wires, "clk": In(1), "rst": In(1), "quiet": Out(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        pins(m, self)
        m.submodules.core = core = Core(self.chip)
        m.submodules.link = link = HostLink(self.chip, virtual=self.virtual)
        sending = Signal()
        if self.divisor is None:
            wiring.connect(m, wiring.flipped(self.i), link.i)
            wiring.connect(m, link.o, wiring.flipped(self.o))
        else:
            m.submodules.receiver = receiver = UartReceiver(self.divisor)
            m.submodules.transmitter = transmitter = UartTransmitter(self.divisor)
            wiring.connect(m, receiver.o, link.i)
            wiring.connect(m, link.o, transmitter.i)
            m.d.comb += [
                receiver.rx.eq(self.rx),
                self.tx.eq(transmitter.tx),
                sending.eq(transmitter.busy),
            ]
        wiring.connect(m, link.request, core.request)
        wiring.connect(m, core.response, link.response)
        wiring.connect(m, link.events, core.i)
        wiring.connect(m, core.o, link.spikes)
        run, clear, zero, waiting, missed = commands(
            m, core.command, link.tick, core.busy, core.macro_commands()
        )
        m.d.comb += [
            core.tick.eq(run),
            core.clear.eq(clear),
            core.zero.eq(zero),
            core.wait.eq(waiting.any()),
            core.missed.eq(missed),
            link.busy.eq(core.busy | core.taken | waiting.any()),
            self.quiet.eq(link.quiet & ~link.busy & ~sending),
        ]
        return m
