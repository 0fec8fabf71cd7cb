"""Inside the simulator: the macro of oscillators alone through its ports, against pysim.

Every value of every step of a recall, its cycles, and what the load port reads. Pins change right
after the rising edge, since the clock gates take their enables at the falling one.
"""

import json
import os
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from spikeloop.cosim.benches.streams import PERIOD, watchdog
from spikeloop.pysim.onn import numpy_engine
from spikeloop.pysim.onn.contents import input_chunks, net_chunks, state_words
from spikeloop.pysim.onn.cycles import run_cycles
from spikeloop.pysim.onn.memories import memories
from spikeloop.pysim.onn.params import OnnParams
from spikeloop.pysim.oscillators.settings import GLOBALS
from tests.make.onn.random import Case, random_case

SEED = int(os.environ.get("SPIKELOOP_SEED", "0"))
PARAMS = (
    OnnParams.from_dict(json.loads(os.environ["SPIKELOOP_ONN"]))
    if "SPIKELOOP_ONN" in os.environ
    else OnnParams()
)
STEPS = 40


class OnnBench:
    """A macro with a net in it."""

    def __init__(self, dut: Any, case: Case) -> None:
        self.dut, self.case, self.net, self.p = dut, case, case.net, PARAMS
        table = memories(PARAMS)
        self.bits = (
            (len(table) - 1).bit_length(),
            max(1, *((n.rows - 1).bit_length() for n in table)),
            max(2, *((n.chunks - 1).bit_length() for n in table)),
        )
        bits = {"v": PARAMS.volt_bits, "age": 16, "phase": 16}
        bits |= {"phi": PARAMS.phase_bits, "new": PARAMS.phase_bits}
        self.fields = [bits.get(name, 1) for name in self.net.units]

    @classmethod
    async def start(cls, dut: Any, case: Case) -> "OnnBench":
        bench = cls(dut, case)
        dut.load.value, dut.start.value, dut.rst.value = 0, 0, 1
        Clock(dut.clk, PERIOD, "ns").start(start_high=False)
        await bench.wait(4)
        dut.rst.value = 0
        await bench.wait(2)
        return bench

    async def wait(self, cycles: int = 1) -> None:
        for _ in range(cycles):
            await RisingEdge(self.dut.clk)

    def access(self, write: bool, memory: int, row: int, index: int, data: int = 0) -> int:
        """The value of port ``load``."""
        value, at = 1 | write << 1, 2
        for part, width in zip((memory, row, index, data), (*self.bits, 32), strict=True):
            value, at = value | part << at, at + width
        return value

    async def load(self) -> None:
        start = self.case.start
        state = self.case.state or self.net.begin(start)
        parts = (
            net_chunks(self.p, self.net),
            input_chunks(self.p, self.net, self.case.start, state),
        )
        for memory, row, index, data in np.concatenate(parts).tolist():
            self.dut.load.value = self.access(True, memory, row, index, data)
            await self.wait()
        self.dut.load.value = 0
        await self.wait(3)

    async def read(self, name: str, row: int, index: int = 0) -> int:
        number = [memory.name for memory in memories(self.p)].index(name)
        await self.wait()
        self.dut.load.value = self.access(False, number, row, index)
        await self.wait()
        self.dut.load.value = 0
        await self.wait(2)
        await FallingEdge(self.dut.clk)
        return int(self.dut.read.value)

    def units(self) -> np.ndarray:
        """What the ports show: int64 ``[field, oscillator]``."""
        rows = []
        for i in range(self.net.size):
            value, row = int(getattr(self.dut, f"unit_{i}").value), []
            for bits in self.fields:
                row.append(value & (1 << bits) - 1)
                value >>= bits
            rows.append(row)
        return np.array(rows).T

    def whole(self) -> list[int]:
        return [int(getattr(self.dut, name).value) for name in GLOBALS]


@cocotb.test()
async def every_step_is_that_of_pysim(dut: Any) -> None:
    case = random_case(np.random.default_rng([SEED, 4]), PARAMS, STEPS)
    first = case.state.step if case.state else 0
    net = case.net.with_(steps_max=min(case.net["steps_max"], first + STEPS))
    case = Case(net, case.start, case.state, None)
    want = numpy_engine.run(net, case.start, state=case.state)
    bench = await OnnBench.start(dut, case)
    await bench.load()
    before = int(dut.count_cycles.value)
    dut.start.value = 1
    await bench.wait()
    dut.start.value = 0
    steps, busy = 0, True
    with watchdog("recall", 60_000):
        while busy:
            await FallingEdge(dut.clk)
            busy = bool(int(dut.busy.value))
            if int(dut.step_valid.value):
                assert np.array_equal(bench.units(), want.units[steps]), f"step {first + steps}"
                assert bench.whole() == want.whole[steps].tolist(), f"step {first + steps}"
                steps += 1
    assert steps == want.steps > 0
    assert int(dut.count_cycles.value) - before == run_cycles(PARAMS, net, first, steps)
    words = state_words(PARAMS, net, want.state)
    for row, chunk in np.ndindex(words.shape):
        assert await bench.read("state", row, chunk) == words[row, chunk]
    assert [await bench.read("globals", row) for row in range(4)] == want.state.whole.tolist()
    assert int(dut.out.value[net.size - 1 : 0]) == sum(
        int(out) << i for i, out in enumerate(want.state.units[-1])
    )
