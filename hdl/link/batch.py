"""The batch of the host link: the commands of a frame, one after the other, and the reply's tail.

A batch ends with its last byte, or with the first command that cannot be done. The tail says how
many commands were done and why the batch ended (STATUS of pysim/chip/frames.py). A command whose
reply or data does not fit is not begun, so the host can send it again.
"""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.link.handshake import command, replying, taking
from spikeloop.pysim.chip import frames

__all__ = ["Batch"]


class Batch(wiring.Component):
    """Reads the header of each command, checks it, and has it done. ``registers``: the addresses
    below this number are registers, which are read without waiting for the core.

    Members
    -------
    start: In(1)   strobe: a batch begins; kind and sequence number are taken.
    ended: Out(1)  the tail of the reply is on its way.
    bytes: Out     the frame's body.
    reply: Out     bytes of the reply: its tail.
    command: In    the command that is done now.
    paused: In(1)  the command ends in this cycle, but is not done.
    idle: In(1)    the core is idle.
    late: In(1)    wait for the core no longer.
    """

    def __init__(self, registers: int):
        self.registers = registers
        super().__init__(
            {
                "start": In(1),
                "ended": Out(1),
                "bytes": Out(taking()),
                "reply": Out(replying()),
                "command": In(command()),
                "paused": In(1),
                "idle": In(1),
                "late": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        header, header_left = Signal(8 * frames.HEADER_BYTES), Signal(range(frames.HEADER_BYTES))
        done, status = Signal(8), Signal(range(max(frames.STATUS) + 1))
        op = self.command.op
        m.d.comb += Cat(op, self.command.count, self.command.address).eq(header)

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += done.eq(0)
                with m.If(self.start):
                    m.next = "NEXT"
            with m.State("NEXT"):
                with m.If(self.reply.still):
                    with m.If(self.bytes.left == 0):
                        self._ends(m, status, frames.OK)
                    with m.Elif(self.bytes.left < frames.HEADER_BYTES):
                        self._ends(m, status, frames.MALFORMED)
                    with m.Else():
                        m.d.sync += header_left.eq(frames.HEADER_BYTES - 1)
                        m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += self.bytes.take.eq(1)
                m.d.sync += [
                    header.eq(Cat(header[8:], self.bytes.byte)),
                    header_left.eq(header_left - 1),
                ]
                with m.If(header_left == 0):
                    m.next = "CHECK"
            with m.State("CHECK"):
                with m.Switch(op):
                    for code in frames.COMMANDS:
                        with m.Case(code):
                            self._check(m, code, status)
                    with m.Default():
                        self._ends(m, status, frames.UNKNOWN)
            with m.State("AWAIT"):
                with m.If(self.idle):
                    self._begin(m)
                with m.Elif(self.late):
                    self._ends(m, status, frames.BUSY)
            with m.State("DOING"):
                with m.If(self.command.done):
                    m.d.sync += done.eq(done + 1)
                    m.next = "NEXT"
                with m.Elif(self.paused):
                    self._ends(m, status, frames.PAUSED)
            with m.State("TAIL"):
                with m.If(self.reply.free):
                    tail = Cat(done, status, Const(0, 8 - len(status)))
                    m.d.comb += [self.reply.value.eq(tail), self.reply.count.eq(2)]
                    m.d.comb += self.ended.eq(1)
                    m.next = "IDLE"
        return m

    def _check(self, m: Module, code: int, status: Signal) -> None:
        """Begins a command, or waits for the core; or ends the batch: it does not fit."""
        verb, count, address = frames.COMMANDS[code], self.command.count, self.command.address
        if verb.data:
            refused, why = self.bytes.left < verb.data * count, frames.MALFORMED
        elif code == frames.READ:
            refused, why = self.reply.room < verb.reply * count, frames.ROOM
        else:
            refused, why = ~self.reply.fits, frames.ROOM
        with m.If(refused):
            self._ends(m, status, why)
        if code == frames.READ:
            with m.Elif(address + count <= self.registers):
                self._begin(m)
        with m.Else():
            if verb.waits:
                m.next = "AWAIT"
            else:
                self._begin(m)

    def _begin(self, m: Module) -> None:
        m.d.comb += self.command.start.eq(1)
        m.next = "DOING"

    def _ends(self, m: Module, status: Signal, code: int) -> None:
        m.d.sync += status.eq(code)
        m.next = "TAIL"
