"""The UART alone in Amaranth's simulator.

Every byte, other bauds, glitches, breaks, and a receiver that nobody empties.
"""

import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator

from spikeloop.hdl.link.uart import UartReceiver, UartTransmitter


def bits_of(data: bytes) -> list[int]:
    return [bit for byte in data for bit in (0, *(byte >> i & 1 for i in range(8)), 1)]


def received(divisor: int, line: list[int], *, take: bool = True) -> bytes:
    """What comes of a line, one level a cycle."""
    receiver, got = UartReceiver(divisor), bytearray()

    async def bench(ctx) -> None:
        ctx.set(receiver.o.ready, take)
        for level in [1] * 8 + line + [1] * 24 * divisor:
            ctx.set(receiver.rx, level)
            await ctx.tick()
            if ctx.get(receiver.o.valid) and take:
                got.append(ctx.get(receiver.o.payload))
        if not take:
            got.append(ctx.get(receiver.o.payload))

    simulator = Simulator(receiver)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return bytes(got)


@pytest.mark.parametrize("divisor", [4, 7])
def test_every_byte_through_both(divisor: int) -> None:
    m = Module()
    m.submodules.transmitter = transmitter = UartTransmitter(divisor)
    m.submodules.receiver = receiver = UartReceiver(divisor)
    m.d.comb += [receiver.rx.eq(transmitter.tx), receiver.o.ready.eq(1)]
    got: list[int] = []

    async def send(ctx) -> None:
        for byte in range(256):
            ctx.set(transmitter.i.payload, byte)
            ctx.set(transmitter.i.valid, 1)
            await ctx.tick().until(transmitter.i.ready)
        ctx.set(transmitter.i.valid, 0)
        await ctx.tick().repeat(12 * divisor)

    async def take(ctx) -> None:
        async for _, reset, valid, payload in ctx.tick().sample(
            receiver.o.valid, receiver.o.payload
        ):
            if valid and not reset:
                got.append(payload)

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(send)
    simulator.add_process(take)
    simulator.run()
    assert got == list(range(256))


@pytest.mark.parametrize("drift", [-0.03, -0.02, 0.0, 0.02, 0.03])
def test_a_host_of_another_baud(drift: float) -> None:
    data, divisor = b"\x00\xff\x55\xaa\x0f", 16
    length, line = divisor * (1 + drift), []
    for n, bit in enumerate(bits_of(data), 1):
        line += [bit] * (round(n * length) - len(line))
    assert received(divisor, line) == data


@pytest.mark.parametrize("edge", range(7))
def test_a_bit_is_seen_in_its_middle(edge: int) -> None:
    """The line is wrong for ``edge`` of 16 cycles at either end of a bit, and before a stop."""
    data = b"\x00\xff\x55\x5a"
    line = []
    for byte in data:
        line += [0] * 16
        for bit in (byte >> i & 1 for i in range(8)):
            line += [1 - bit] * edge + [bit] * (16 - 2 * edge) + [1 - bit] * edge
        line += [0] * edge + [1] * (16 - edge)
    assert received(16, line) == data


def test_glitch_break_and_framing_error_leave_nothing() -> None:
    data, divisor = b"\x5a", 8
    good = [bit for bit in bits_of(data) for _ in range(divisor)]
    bad = good[:-divisor] + [0] * divisor + [1] * divisor
    assert received(divisor, [0, 0] + [1] * divisor + good) == data
    assert received(divisor, bad + good) == data
    assert received(divisor, [0] * 25 * divisor + [1] * divisor + good) == data
    assert received(divisor, good + good) == data * 2  # the checks above can fail


def test_a_byte_that_nobody_takes_stays() -> None:
    line = [bit for bit in bits_of(b"\x11\x22") for _ in range(4)]
    assert received(4, line, take=False) == b"\x11"
