"""The end of a run's waiting, which no tick of a small chip is long enough to reach."""

import pytest
from amaranth.sim import Simulator

from spikeloop.hdl.link.events import Ticks
from spikeloop.pysim.chip import frames
from spikeloop.pysim.chip.params import PRESETS


@pytest.mark.parametrize("idle", [False, True])
def test_a_run_waits_no_longer_for_a_tick_that_has_not_ended(idle: bool) -> None:
    """Late, a tick under way pauses the run; one that has ended is told as done."""
    ticks, seen = Ticks(PRESETS["tiny"]), list[tuple[int, bool]]()

    async def bench(ctx) -> None:
        for signal, value in (
            (ticks.reply.still, 1),
            (ticks.reply.fits, 1),
            (ticks.empty, 1),
            (ticks.command.op, frames.RUN),
            (ticks.command.count, 1),
            (ticks.command.start, 1),
        ):
            ctx.set(signal, value)
        await ctx.tick()
        ctx.set(ticks.command.start, 0)
        assert ctx.get(ticks.tick)
        for _ in range(20):
            await ctx.tick()
            assert not ctx.get(ticks.reply.count)  # it waits
        ctx.set(ticks.late, 1)
        ctx.set(ticks.idle, idle)
        assert ctx.get(ticks.reply.count) == 4
        seen.append((ctx.get(ticks.reply.value) >> 24, bool(ctx.get(ticks.paused))))

    simulator = Simulator(ticks)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == [(frames.ITEM_DONE, False) if idle else (frames.ITEM_PAUSED, True)]
