"""Masters of a wrapped chip inside the simulator: AXI by cocotbext-axi, and Wishbone."""

import itertools

import numpy as np
from cocotb.triggers import FallingEdge
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamSink,
    AxiStreamSource,
)


class AxiWires:
    """AXI4-Lite, and AXI4-Stream in ``source`` and ``sink``.

    stalls: share of the time in which each channel pauses.
    """

    def __init__(self, dut, seed: int, *, stalls: float = 0.0) -> None:
        self.master = AxiLiteMaster(
            AxiLiteBus.from_prefix(dut, "s_axi"), dut.aclk, dut.aresetn, reset_active_level=False
        )
        streams = {
            prefix: kind(
                AxiStreamBus.from_prefix(dut, prefix), dut.aclk, dut.aresetn,
                reset_active_level=False, byte_lanes=1,
            )
            for prefix, kind in (("s_axis", AxiStreamSource), ("m_axis", AxiStreamSink))
        }  # fmt: skip
        self.source, self.sink = streams.values()
        rng = np.random.default_rng(seed)
        writes, reads = self.master.write_if, self.master.read_if
        for channel in (
            writes.aw_channel,
            writes.w_channel,
            writes.b_channel,
            reads.ar_channel,
            reads.r_channel,
            self.source,
            self.sink,
        ):
            channel.log.setLevel("WARNING")
            if stalls:
                channel.set_pause_generator(bool(rng.random() < stalls) for _ in itertools.count())
        for part in (writes, reads):
            part.log.setLevel("WARNING")

    async def write(self, address: int, value: int) -> None:
        done = await self.master.write(address, value.to_bytes(4, "little"))
        assert done.resp == AxiResp.OKAY

    async def read(self, address: int) -> int:
        done = await self.master.read(address, 4)
        assert done.resp == AxiResp.OKAY
        return int.from_bytes(done.data, "little")


class WishboneWires:
    """A classic master on ``clock``; waits a random while between strobes."""

    def __init__(self, dut, clock, seed: int) -> None:
        self.dut, self.clock, self.rng = dut, clock, np.random.default_rng(seed)

    async def cycle(self, address: int, value: int | None, select: int = 15) -> tuple[int, bool]:
        """The word read, and whether the slave answered with an error."""
        dut = self.dut
        for _ in range(int(self.rng.integers(0, 3))):
            await FallingEdge(self.clock)
        dut.wb_adr_i.value, dut.wb_sel_i.value = address, select
        dut.wb_we_i.value, dut.wb_dat_i.value = int(value is not None), value or 0
        dut.wb_cyc_i.value = dut.wb_stb_i.value = 1
        while True:
            await FallingEdge(self.clock)
            if dut.wb_ack_o.value or dut.wb_err_o.value:
                break
        answer = int(dut.wb_dat_o.value), bool(dut.wb_err_o.value)
        dut.wb_cyc_i.value = dut.wb_stb_i.value = 0
        await FallingEdge(self.clock)
        assert not dut.wb_ack_o.value and not dut.wb_err_o.value
        return answer

    async def write(self, address: int, value: int) -> None:
        assert not (await self.cycle(address, value))[1]

    async def read(self, address: int) -> int:
        value, error = await self.cycle(address, None)
        assert not error
        return value
