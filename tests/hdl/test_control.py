"""The controller where no campaign comes: at the end of its tick numbers."""

from amaranth.hdl import Module
from amaranth.sim import Simulator

from spikeloop.hdl.core.control import Controller
from spikeloop.pysim.chip.params import PRESETS

LAST = (1 << 24) - 1


def test_no_network_begins_again_when_the_tick_numbers_end() -> None:
    """From 2^24 - 1 on the number stands, and all populations are past their steps."""
    m = Module()
    m.submodules.control = control = Controller(PRESETS["tiny"])
    numbers: list[int] = []
    live = 0

    async def bench(ctx) -> None:
        nonlocal live
        ctx.set(control.steps, 4)
        ctx.set(control.record.used, 1)
        for strobe in ("emptied", "scanned", "replayed", "emitted", "advance"):
            ctx.set(getattr(control, strobe), 1)
        for at_end in (False, True):
            ctx.set(control.clear, 1)
            await ctx.tick()
            ctx.set(control.clear, 0)
            await ctx.tick().until(~control.clearing)
            if at_end:
                ctx.set(control.number, LAST - 3)
            numbers.clear()
            live = 0
            for _ in range(8):
                ctx.set(control.tick, 1)
                await ctx.tick()
                ctx.set(control.tick, 0)
                while ctx.get(control.ticking):
                    live += ctx.get(control.live & control.writing)
                    await ctx.tick()
                numbers.append(ctx.get(control.number))
            if not at_end:
                assert numbers == list(range(1, 9))
                assert live == 4 * PRESETS["tiny"].derived.words  # the bench sees steps

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert numbers == [LAST - 2, LAST - 1, *[LAST] * 6]
    assert live == 0
