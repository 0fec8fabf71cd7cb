"""Inside the simulator: a hostile host at the chip's host link, which answers afterwards.

The chip holds a network (files of SPIKELOOP_IMAGE) whose neurons spike in every tick. They are more
than the link's queue holds. SPIKELOOP_SEED is the seed. With SPIKELOOP_WATCHDOG=1 the wait of 2^20
cycles runs to its end; it is left out where it takes minutes.
"""

import os
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from spikeloop.cosim.benches.streams import (
    PERIOD,
    StreamDriver,
    StreamMonitor,
    always,
    never,
    watchdog,
)
from spikeloop.pysim.chip import frames
from spikeloop.pysim.chip.frames import (
    BATCH,
    HELLO,
    NAK,
    READ,
    REPLY,
    RUN,
    WAIT_CYCLES,
    WIRE_BYTES,
    WRITE,
    Command,
    open_frame,
    seal,
)
from spikeloop.pysim.chip.memory_map import CONTROL_CLEAR, MemoryMap
from spikeloop.pysim.image.image import Image

IMAGE = Image.load(Path(os.environ["SPIKELOOP_IMAGE"]))
MAP, NEURONS = MemoryMap(IMAGE.chip), IMAGE.placement.populations[0].size
SEED = int(os.environ.get("SPIKELOOP_SEED", "0"))
ANSWER = 20_000  # cycles: the longest frame out and back is some 5,000
VERSION = Command(READ, 1, MAP.registers["fingerprint"].address)
HERE = IMAGE.chip.fingerprint().to_bytes(4, "little")


class Host:
    """One end of the byte streams."""

    def __init__(self, dut) -> None:
        self.dut, self.driver, self.monitor, self.sequence, self.read = (
            dut,
            StreamDriver(dut, "i"),
            StreamMonitor(dut, "o"),
            0,
            0,
        )

    @classmethod
    async def start(cls, dut) -> "Host":
        dut.rst.value = 0
        host = cls(dut)
        Clock(dut.clk, PERIOD, "ns").start(start_high=False)
        await FallingEdge(dut.clk)
        dut.rst.value = 1
        for _ in range(4):
            await FallingEdge(dut.clk)
        dut.rst.value = 0
        await FallingEdge(dut.clk)
        return host

    async def say(self, data: bytes) -> None:
        with watchdog("bytes into the chip", ANSWER):
            await self.driver.send(data)

    async def hear(self, what: str, cycles: int = ANSWER) -> bytes | None:
        """The body of the next frame, None if it is damaged."""
        with watchdog(what, cycles):
            while 0 not in self.monitor.received[self.read :]:
                await FallingEdge(self.dut.clk)
        wire = bytes(self.monitor.received[self.read :])
        end = wire.index(0)
        self.read += end + 1
        return open_frame(wire[:end])

    async def greet(self, sequence: int = 7) -> None:
        """Begins a session, whatever was before.

        The first 0 ends a frame that was left open; this frame is done or refused.
        """
        self.sequence = sequence
        await self.say(b"\0" + seal(bytes((HELLO, sequence))))
        while (got := await self.hear("greeting")) is not None and got[0] in (
            NAK | REPLY,
            BATCH | REPLY,
        ):
            pass
        assert got is not None and got[:2] == bytes((HELLO | REPLY, sequence)), (
            f"{got} is no greeting"
        )

    async def ask(self, *commands: Command, cycles: int = ANSWER) -> tuple[bytes, int, int]:
        """Results, commands done, status of a batch."""
        self.sequence = self.sequence % 255 + 1
        await self.say(
            seal(
                bytes((BATCH, self.sequence)) + b"".join(command.to_bytes() for command in commands)
            )
        )
        got = await self.hear("reply", cycles)
        assert got is not None and got[:2] == bytes((BATCH | REPLY, self.sequence)), (
            f"{got} is no reply to {self.sequence}"
        )
        return got[2:-2], got[-2], got[-1]

    async def alive(self) -> None:
        await self.greet()
        assert await self.ask(VERSION) == (HERE, 1, frames.OK)

    async def prepare(self) -> None:
        """Settings and CLEAR; state gets zeros first, for a simulator that knows "unknown"."""
        await self.greet()
        for memory in MAP.memories.values():
            if not memory.loaded and memory.writable:
                for row in range(memory.rows):
                    await self.ask(
                        Command(WRITE, memory.chunks, memory.address(row), bytes(4 * memory.chunks))
                    )
        registers = {MAP.registers[name].address: value for name, value in IMAGE.settings.items()}
        for address, value in (
            registers | {MAP.registers["control"].address: CONTROL_CLEAR}
        ).items():
            _, done, status = await self.ask(
                Command(WRITE, 1, address, int(value).to_bytes(4, "little"))
            )
            assert (done, status) == (1, frames.OK)


@cocotb.test()
async def a_frame_cut_at_every_byte(dut) -> None:
    host = await Host.start(dut)
    await host.prepare()
    whole = seal(bytes((BATCH, 8)) + VERSION.to_bytes() + Command(RUN, 1).to_bytes())
    for length in range(len(whole)):
        await host.greet()
        await host.say(whole[:length])
        await host.alive()


@cocotb.test()
async def random_bytes_and_frames_without_end(dut) -> None:
    host, rng = await Host.start(dut), np.random.default_rng(SEED)
    for length, low in ((300, 0), (2 * WIRE_BYTES, 1), (WIRE_BYTES - 1, 1), (40, 0)):
        await host.greet()
        await host.say(rng.integers(low, 256, length, np.uint8).tobytes())
        await host.alive()


@cocotb.test()
async def good_frames_of_random_commands(dut) -> None:
    """Random ops, counts and addresses with a right CRC are answered with a status of the table."""
    host, rng, seen = await Host.start(dut), np.random.default_rng(SEED), set()
    await host.prepare()
    for _ in range(60):
        op = int(rng.integers(0, 8))
        data = rng.integers(0, 256, int(rng.integers(0, 40)), np.uint8).tobytes()
        count = int(rng.choice([0, 1, 2, len(data) // 4, 65535]))
        if op in (WRITE, RUN):  # nothing into the image, which later tests use; no run of a second
            count = 65535 if op == WRITE else count % 50
        _, done, status = await host.ask(Command(op, count, int(rng.integers(0, 2**32)), data))
        assert status in frames.STATUS and done <= 1 + len(data) // 7
        seen.add(status)
        if status == frames.PAUSED:
            await host.greet()
    assert len(seen) >= 4, seen
    await host.alive()


@cocotb.test()
async def a_host_that_does_not_read(dut) -> None:
    """The reply waits, and bytes in are held back.

    Everything comes in its order when the host reads again.
    """
    host = await Host.start(dut)
    await host.greet(7)
    host.monitor.pattern = never
    first, second = (seal(bytes((BATCH, number)) + VERSION.to_bytes()) for number in (8, 9))
    sending = cocotb.start_soon(host.driver.send(first + second + b"\1" * 2 * WIRE_BYTES + b"\0"))
    for _ in range(6000):
        await FallingEdge(dut.clk)
    assert not sending.done() and len(host.monitor.received) == host.read
    host.monitor.pattern = always
    for number in (8, 9):
        assert await host.hear("reply") == bytes((BATCH | REPLY, number)) + HERE + bytes(
            (1, frames.OK)
        )
    with watchdog("bytes into the chip", ANSWER):
        await sending
    await host.alive()


@cocotb.test(skip=os.environ.get("SPIKELOOP_WATCHDOG") != "1")
async def a_run_left_alone_ends_a_wait_by_the_watchdog(dut) -> None:
    """A reply full of events pauses a run, and the host reads a memory instead.

    The core would have to be idle for that, and is not: BUSY after 2^20 cycles. When the run goes
    on, it has lost no event.
    """
    host = await Host.start(dut)
    await host.prepare()
    ticks, items, count = 12, [], 0
    results, _, status = await host.ask(Command(RUN, ticks))
    assert status == frames.PAUSED, (status, len(results))
    assert (await host.ask(VERSION))[2] == frames.OK  # a register does not wait
    began = cocotb.utils.get_sim_time("ns")
    _, done, status = await host.ask(
        Command(READ, 1, MAP.memories["v"].address(0)), cycles=2 * WAIT_CYCLES
    )
    waited = (cocotb.utils.get_sim_time("ns") - began) / PERIOD
    assert (done, status) == (0, frames.BUSY) and WAIT_CYCLES <= waited < WAIT_CYCLES + ANSWER, (
        done,
        status,
        waited,
    )
    while True:
        items += [
            int.from_bytes(results[at : at + 4], "little") for at in range(0, len(results), 4)
        ]
        finished = sum(item >> 24 == frames.ITEM_DONE for item in items)
        if finished == ticks:
            break
        results, _, status = await host.ask(Command(RUN, ticks - finished))
        count += 1
        assert count < 20 and status in (frames.OK, frames.PAUSED)
    events = [item & 0xFFFF for item in items if item >> 24 == frames.ITEM_EVENT]
    assert events == list(range(NEURONS)) * ticks
    await host.alive()
