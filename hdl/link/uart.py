"""UART, 8 data bits, no parity, one stop bit, no flow control: bytes as they lie on two pins.

A bit lasts ``divisor`` clock cycles. The receiver starts at a falling edge and looks at the middle
of every bit. It drops a byte without a stop bit (framing error, break), and a byte that comes while
the one before still waits. The frames above notice a lost byte.
"""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["UartReceiver", "UartTransmitter"]


class UartReceiver(wiring.Component):
    """The receiver. ``divisor``: clock cycles of a bit, >= 4.

    Members
    -------
    rx: In(1)       the pin.
    o: Out, stream  bytes.
    """

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__({"rx": In(1, init=1), "o": Out(stream.Signature(8))})

    def elaborate(self, platform) -> Module:
        m = Module()
        early, pin = Signal(init=1), Signal(init=1)  # the pin knows nothing of our clock
        m.d.sync += [early.eq(self.rx), pin.eq(early)]
        wait = Signal(range(self.divisor))  # cycles to the next look
        bits = Signal(8)  # seen so far
        left = Signal(range(8))  # bits that follow
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        m.d.sync += wait.eq(wait - 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += wait.eq(self.divisor // 2 - 1)
                with m.If(~pin):
                    m.next = "START"
            with m.State("START"):
                with m.If(wait == 0):
                    m.d.sync += [wait.eq(self.divisor - 1), left.eq(7)]
                    with m.If(pin):  # a glitch
                        m.next = "IDLE"
                    with m.Else():
                        m.next = "BITS"
            with m.State("BITS"):
                with m.If(wait == 0):
                    m.d.sync += [
                        wait.eq(self.divisor - 1),
                        left.eq(left - 1),
                        bits.eq(Cat(bits[1:], pin)),
                    ]
                    with m.If(left == 0):
                        m.next = "STOP"
            with m.State("STOP"):
                with m.If(wait == 0):
                    with m.If(pin & ~self.o.valid):
                        m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(bits)]
                    m.next = "ENDED"
            with m.State("ENDED"):  # a break lasts until the pin is high
                with m.If(pin):
                    m.next = "IDLE"
        return m


class UartTransmitter(wiring.Component):
    """The transmitter. ``divisor``: clock cycles of a bit.

    Members
    -------
    i: In, stream  bytes.
    tx: Out(1)     the pin.
    busy: Out(1)   a byte is on its way.
    """

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1), "busy": Out(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        wait, bits, left = Signal(range(self.divisor)), Signal(10), Signal(range(11))
        m.d.comb += [self.busy.eq(left != 0), self.i.ready.eq(left == 0)]
        m.d.sync += self.tx.eq(~self.busy | bits[0])
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                bits.eq(Cat(Const(0, 1), self.i.payload, Const(1, 1))),
                left.eq(10),
                wait.eq(self.divisor - 1),
            ]
        with m.Elif(self.busy):
            m.d.sync += wait.eq(wait - 1)
            with m.If(wait == 0):
                m.d.sync += [
                    wait.eq(self.divisor - 1),
                    bits.eq(Cat(bits[1:], Const(1, 1))),
                    left.eq(left - 1),
                ]
        return m
