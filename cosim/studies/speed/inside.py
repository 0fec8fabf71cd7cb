"""What cosim.studies.speed.cocotb runs inside the simulator.

The variable SPIKELOOP_TASK names the file with the task.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ValueChange

from spikeloop.cosim.benches.streams import PERIOD, StreamDriver
from spikeloop.pysim.chip.memory_map import CONTROL_CLEAR, MemoryMap
from spikeloop.pysim.chip.params import BUS_BITS, Chip


@cocotb.test()
async def drive(dut: Any) -> None:
    """Run all samples and ticks; leave the time they took and the membranes of every tick."""
    task = json.loads(Path(os.environ["SPIKELOOP_TASK"]).read_text())
    chip, folder = Chip.from_dict(task["chip"]), Path(task["folder"])
    registers, bits = MemoryMap(chip).registers, MemoryMap(chip).address_bits
    events: list[list[int]] = [[]]
    for line in (folder / "events.mem").read_text().split():
        word = int(line, 16)
        if word >> 16:
            events.append([])
        else:
            events[-1].append(word | 1 << chip.derived.axon_bits)
    in_bulk = task["way"] == "per_tick"
    core = dut.chip.core if in_bulk else dut.core
    memory = [core.v_memory.ram.mem[word] for word in range(chip.derived.words)]
    recorded = []

    requests = StreamDriver(dut, "request")
    dut.rst.value = 1
    if in_bulk:
        dut.go.value = 0
    else:
        for name in ("tick", "i__valid", "i__payload"):
            getattr(dut, name).value = 0
        dut.o__ready.value = dut.response__ready.value = 1
        Clock(dut.clk, PERIOD, "ns").start(start_high=False)
    cycles = 0
    for level in (1, 0):
        dut.rst.value = level
        for _ in range(4):
            await FallingEdge(dut.clk)

    async def ask(register: str, value: int) -> None:
        await FallingEdge(dut.clk)  # a bulk tick ends at a rising one
        await requests.send([registers[register].address | value << bits | 1 << (bits + BUS_BITS)])
        for _ in range(3):
            await FallingEdge(dut.clk)
        while dut.busy.value:
            await FallingEdge(dut.clk)

    async def tick_per_cycle(index: int) -> None:
        nonlocal cycles
        for event in events[index]:
            dut.i__payload.value = event
            dut.i__valid.value = 1
            taken = False
            while not taken:
                taken = bool(dut.i__ready.value)
                await FallingEdge(dut.clk)
                cycles += 1
        dut.i__valid.value = 0
        dut.tick.value = 1
        await FallingEdge(dut.clk)
        dut.tick.value = 0
        while dut.busy.value:
            if dut.o__valid.value:
                left.append(dut.o__payload.value)
            await FallingEdge(dut.clk)
            cycles += 1

    async def tick_in_bulk(index: int) -> None:
        dut.go.value = 1 - index % 2
        await ValueChange(dut.done)

    left: list[Any] = []
    run_tick = tick_in_bulk if in_bulk else tick_per_cycle
    for name, value in task["settings"].items():
        await ask(name, value)
    seconds, index = 0.0, 0
    for _ in range(task["samples"]):
        await ask("control", CONTROL_CLEAR)
        first = int(dut.cycles.value) if in_bulk else cycles
        begin = time.perf_counter()
        for _ in range(task["ticks"]):
            await run_tick(index)
            recorded += [word.value for word in memory]
            index += 1
        seconds += time.perf_counter() - begin
        cycles = cycles + int(dut.cycles.value) - first if in_bulk else cycles

    size = -(-chip.lanes * chip.membrane_bits // 8)
    mask = (1 << chip.lanes * chip.membrane_bits) - 1  # a row is padded to whole chunks
    (folder / "v.bin").write_bytes(
        b"".join((int(value) & mask).to_bytes(size, "little") for value in recorded)
    )
    (folder / "result.json").write_text(json.dumps({"seconds": seconds, "cycles": cycles}))
