"""Commands READ and WRITE of the host link: neighbouring words at the core's load port.

Requests to read run ahead of the answers; an answer waits until the reply has room for it.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.bus.loadport import request_layout
from spikeloop.hdl.lib.skid import Skid
from spikeloop.hdl.link.handshake import ITEM, command, replying, taking
from spikeloop.pysim.chip import frames
from spikeloop.pysim.chip.params import BUS_BITS

__all__ = ["Words"]


class Words(wiring.Component):
    """Reads and writes words at the load port.

    Members
    -------
    command: Out           the command to do.
    bytes: Out             the frame's body: the words to write.
    reply: Out             bytes of the reply: the words that were read.
    request: Out, stream   requests of the load port.
    response: In, stream   its answers.
    """

    def __init__(self, address_bits: int):
        super().__init__(
            {
                "command": Out(command()),
                "bytes": Out(taking()),
                "reply": Out(replying()),
                "request": Out(stream.Signature(request_layout(address_bits))),
                "response": In(stream.Signature(BUS_BITS)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.answers = answers = Skid(BUS_BITS)
        wiring.connect(m, wiring.flipped(self.response), answers.i)
        to_ask, to_do = Signal(16), Signal(16)  # words to request, to read or write in the end
        place, word, gathered = Signal(32), Signal(BUS_BITS), Signal(range(ITEM + 1))
        request = self.request
        m.d.comb += [request.p.address.eq(place), request.p.data.eq(word)]

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [
                    to_ask.eq(self.command.count),
                    to_do.eq(self.command.count),
                    place.eq(self.command.address),
                    gathered.eq(0),
                ]
                with m.If(self.command.start):
                    with m.Switch(self.command.op):
                        with m.Case(frames.READ):
                            m.next = "READ"
                        with m.Case(frames.WRITE):
                            m.next = "WRITE"
            with m.State("READ"):
                m.d.comb += [request.valid.eq(to_ask != 0), answers.o.ready.eq(self.reply.free)]
                with m.If(request.valid & request.ready):
                    m.d.sync += [to_ask.eq(to_ask - 1), place.eq(place + 1)]
                with m.If(answers.o.valid & self.reply.free):
                    m.d.comb += [self.reply.value.eq(answers.o.payload), self.reply.count.eq(ITEM)]
                    m.d.sync += to_do.eq(to_do - 1)
                with m.If(to_do == 0):
                    m.d.comb += self.command.done.eq(1)
                    m.next = "IDLE"
            with m.State("WRITE"):
                with m.If(to_do == 0):
                    m.d.comb += self.command.done.eq(1)
                    m.next = "IDLE"
                with m.Elif(gathered != ITEM):
                    m.d.comb += self.bytes.take.eq(1)
                    m.d.sync += [word.eq(Cat(word[8:], self.bytes.byte)), gathered.eq(gathered + 1)]
                with m.Else():
                    m.d.comb += [request.valid.eq(1), request.p.write.eq(1)]
                    with m.If(request.ready):
                        m.d.sync += [gathered.eq(0), place.eq(place + 1), to_do.eq(to_do - 1)]
        return m
