"""The port alone, at a chip that does not answer: an access ends, and no answer goes astray."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from amaranth.sim import Simulator

from spikeloop.hdl.wrap.port import Port
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.wrap import END, WrapMap

CHIP = Chip(axons=8, columns=8, lanes=8)
WAIT = 20


async def access(ctx, port: Port, address: int, data: int | None = None, select: int = 15):
    """Answer and error of a read, or of a write of ``data``; and the cycles it took."""
    ctx.set(port.access.address, address)
    ctx.set(port.access.write, data is not None)
    ctx.set(port.access.data, data or 0)
    ctx.set(port.access.select, select)
    ctx.set(port.access.valid, 1)
    cycles, done = 0, False
    while not done:
        assert cycles < 10 * WAIT, "the access does not end"
        *_, done, answer, error = await ctx.tick().sample(
            port.access.done, port.access.answer, port.access.error
        )
        cycles += 1
    ctx.set(port.access.valid, 0)
    await ctx.tick()
    return answer, error, cycles


def simulate(port: Port, *benches: Callable[[Any], Coroutine]) -> None:
    simulator = Simulator(port)
    simulator.add_clock(1e-6)
    for number, bench in enumerate(benches):
        simulator.add_testbench(bench, background=number > 0)
    simulator.run()


@pytest.mark.parametrize("late", [1, 2, 3])
def test_late_answers_are_thrown_away(late: int) -> None:
    port = Port(WrapMap(CHIP, "axi"), WAIT)
    answers: list[int | None] = []

    async def chip(ctx) -> None:
        """Takes every read, and answers those it is told to, in order."""
        ctx.set(port.request.ready, 1)
        while True:
            answer = answers.pop(0) if answers else None
            ctx.set(port.response.payload, answer or 0)
            ctx.set(port.response.valid, answer is not None)
            await ctx.tick()

    async def bus(ctx) -> None:
        for _ in range(late):
            _, error, cycles = await access(ctx, port, 100)
            assert error and WAIT <= cycles <= WAIT + 2
        answers.extend([*range(1, late + 1), 77])  # one of them comes in each cycle
        assert (await access(ctx, port, 100))[:2] == (77, 0)
        # and one that comes while nobody asks
        assert (await access(ctx, port, 100))[1]
        answers.append(8)
        await ctx.tick().repeat(3)
        answers.extend([None, None, 9])
        assert (await access(ctx, port, 100))[:2] == (9, 0)

    simulate(port, bus, chip)


def test_a_write_that_ends_so_was_not_done() -> None:
    port = Port(WrapMap(CHIP, "axi"), WAIT)
    taken: list[int] = []

    async def chip(ctx) -> None:
        async for _, _, valid, ready, data in ctx.tick().sample(
            port.request.valid, port.request.ready, port.request.p.data
        ):
            if valid and ready:
                taken.append(data)

    async def bus(ctx) -> None:
        assert (await access(ctx, port, 100, 5))[1:] == (1, WAIT + 1)
        ctx.set(port.request.ready, 1)
        await ctx.tick().repeat(3)
        assert taken == []
        assert (await access(ctx, port, 100, 6))[1:] == (0, 1)
        assert (await access(ctx, port, 100, 7, select=1))[1:] == (1, 1)
        assert (await access(ctx, port, 100, 8, select=0))[1:] == (0, 1)
        assert taken == [6]

    simulate(port, bus, chip)


def test_the_registers_need_no_chip() -> None:
    """Event and collect answer while the chip takes nothing; addresses above them are empty."""
    map_ = WrapMap(CHIP, "axi")
    port, event, collect = Port(map_, WAIT), *(r.address for r in map_.registers.values())

    async def bus(ctx) -> None:
        assert (await access(ctx, port, event))[:2] == (1 << END, 0)
        ctx.set(port.received.payload, 0x123)
        ctx.set(port.received.valid, 1)
        assert (await access(ctx, port, event))[:2] == (0x123, 0)
        assert (await access(ctx, port, event, 4))[1:] == (1, WAIT + 1)  # nobody takes it
        ctx.set(port.sent.ready, 1)
        assert (await access(ctx, port, event, 4))[1:] == (0, 1)
        assert (await access(ctx, port, collect, 0xFFFF))[1] == 0
        assert (await access(ctx, port, collect))[:2] == (1, 0)
        assert ctx.get(port.collect)

    simulate(port, bus)
