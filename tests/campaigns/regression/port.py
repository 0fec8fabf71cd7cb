"""Commands, load port and event streams of a chip of one core, through its pins alone.

An image is written and read back. Every input is an AER event of a random delay, some sent while a
tick runs; the output is under back-pressure.
"""

from collections.abc import Iterator

import numpy as np

from spikeloop.cosim.verilator.chip import ChipModel
from spikeloop.pysim.chip.memory_map import CONTROL_TICK, MemoryMap
from spikeloop.pysim.image.image import Image
from tests.campaigns.regression.cases import Case
from tests.campaigns.regression.pins import pressed_tick, random_delay

__all__ = ["command_differences", "load_port_differences", "stream_differences"]


def command_differences(model: ChipModel) -> Iterator[str]:
    """Constants, counters set to zero, refused events."""
    chip, map_ = model.chip, MemoryMap(model.chip)
    for register in map_.registers.values():
        if register.access == "r" and (got := model.read(register.address)) != register.reset:
            yield f"reset: register {register.name} is {register.reset} in the map, {got} in RTL"
    model.clear()
    bad = [(0, 0), (chip.axons, 1), (0, chip.delay_max + 1)]
    fits = [
        (axon, delay)
        for axon, delay in bad
        if axon < 1 << chip.derived.axon_bits and delay < 1 << chip.derived.delay_bits
    ]
    model.send(fits)
    model.tick()
    expected = {"dropped": len(fits), "ticks": 1, "spikes_in": 0}
    for name, value in expected.items():
        if (got := model.counters()[name]) != value:
            yield (
                f"events that name no axon or slot: {name} is {value} in the contract, {got} in RTL"
            )
    model.zero()
    for name, value in model.counters().items():
        if value:
            yield f"counters set to zero: {name} is 0 in the contract, {value} in RTL"


def load_port_differences(
    model: ChipModel, image: Image, rng: np.random.Generator
) -> Iterator[str]:
    """The image goes in through the load port, and every word of it out again.

    Random words do so in the memories of state.
    """
    map_ = MemoryMap(model.chip)
    model.load(image)
    written: dict[str, np.ndarray] = {}
    for memory in map_.memories.values():
        rows = image.placement.used_rows(memory) if memory.loaded else memory.rows
        words = np.zeros((rows, memory.chunks * 4), np.uint8)
        if memory.loaded:
            words[:, : image.rows(memory.name).shape[1]] = image.rows(memory.name)
        else:
            words = rng.integers(0, 256, words.shape, np.uint8)
        written[memory.name] = words.view("<u4")
        if not memory.loaded:  # the spikes are read only
            for row, chunk in np.ndindex(written[memory.name].shape):
                model.write(memory.address(row, chunk), int(written[memory.name][row, chunk]))
    for name, words in written.items():
        if map_.memories[name].writable:
            yield from _read_back(model, name, words)
    spikes = map_.memories["spikes"]
    yield from _read_back(
        model,
        "spikes",
        model.memory("spikes")[: spikes.rows, : spikes.chunks * 4].copy().view("<u4"),
    )
    nowhere = len(map_.registers)
    if nowhere < min(m.base for m in map_.memories.values()):
        model.write(nowhere, 1)
        if got := model.read(nowhere):
            yield (
                f"load port: address {nowhere:#x}, where nothing lies, is 0 in the contract, "
                f"{got:#x} in RTL"
            )


def _read_back(model: ChipModel, name: str, words: np.ndarray) -> Iterator[str]:
    """The first word of a memory that differs at the load port.

    ``words``: what it must be, uint32 ``[row, chunk]``.
    """
    memory = MemoryMap(model.chip).memories[name]
    for row, chunk in np.ndindex(words.shape):
        mask = (1 << min(32, memory.width - 32 * chunk)) - 1
        expected, got = int(words[row, chunk]) & mask, model.read(memory.address(row, chunk)) & mask
        if got != expected:
            yield (
                f"load port, memory {name}, row {row}, chunk {chunk}: word must be {expected:#x}, "
                f"is {got:#x} in RTL"
            )
            return


def stream_differences(
    model: ChipModel, case: Case, rng: np.random.Generator
) -> tuple[list[str], int]:
    """All samples once more through the pins: events in, events out, back-pressure.

    Returns the first difference, and the cycles stalled.
    """
    chip, image, core = case.image.chip, case.image, case.core
    inputs, outputs = core.events(case.stimulus), core.output_events(case.trace)
    stalls = 0
    for sample in range(case.stimulus.samples):
        blocked = (0.0, 0.5, 0.9)[sample % 3]
        plan: list[list[tuple[int, int]]] = [
            [] for _ in range(image.ticks)
        ]  # events to send before each tick
        for tick, axon in np.argwhere(inputs[sample]):
            delay = random_delay(rng, chip.delay_max, tick)
            plan[tick + 1 - delay].append((int(axon), delay))
        before = model.counters()
        model.clear()
        model.receive()
        for name, value in model.counters().items():
            if value != before[name]:
                return [
                    f"sample {sample}, CLEAR: {name} is {before[name]} in the contract, "
                    f"{value} in RTL"
                ], stalls
        model.send(plan[0])
        for tick in range(image.ticks):
            left = pressed_tick(
                model, rng, blocked, plan[tick + 1] if tick + 1 < image.ticks else None
            )
            due = [
                (int(address), 0)
                for address in outputs[(outputs[:, 0] == sample) & (outputs[:, 1] == tick), 2]
            ]
            if left != due:
                return [
                    f"sample {sample}, tick {tick}: events out are {due} in pysim, {left} in RTL"
                ], stalls
        after = model.counters()
        now = {name: after[name] - before[name] for name in after}
        stalls += now["stalls"]
        now["cycles"] -= now.pop("stalls")
        for name, value in now.items():
            if value != (expected := int(case.trace.counters[name][sample].sum())):
                return [f"sample {sample}: {name} is {expected} in pysim, {value} in RTL"], stalls
    return _while_busy(model), stalls


def _while_busy(model: ChipModel) -> list[str]:
    """A memory asked for while a tick runs answers when the tick is over.

    An address where nothing lies answers at once. Then the load port gives all state as it is.
    """
    map_ = MemoryMap(model.chip)
    v = map_.memories["v"]
    found: list[str] = []
    for _ in range(3):
        model.write(map_.registers["control"].address, CONTROL_TICK)
        got = model.read(v.address(v.rows - 1))
        expected = int(model.memory("v")[v.rows - 1].view("<u4")[0])
        if model.read(map_.registers["status"].address) & 1:
            found.append("load port: a memory was read while the core was busy")
        elif got != expected:
            found.append(
                f"load port, memory v, row {v.rows - 1}, while a tick ran: "
                f"word must be {expected:#x}, is {got:#x} in RTL"
            )
    for memory in map_.memories.values():
        if memory.chunks < 1 << memory.chunk_bits:
            model.write(map_.registers["control"].address, CONTROL_TICK)
            got = model.read(memory.address(0, memory.chunks))
            if not model.read(map_.registers["status"].address) & 1:
                found.append(
                    f"load port: behind a row of memory {memory.name}, where nothing lies, "
                    "a read waits for the tick"
                )
            elif got:
                found.append(
                    f"load port: behind a row of memory {memory.name}, where nothing lies, "
                    f"is 0 in the contract, {got:#x} in RTL"
                )
            model.read(v.address(0))  # which waits for the tick
    for memory in (m for m in map_.memories.values() if not m.loaded):
        words = model.memory(memory.name)[: memory.rows, : memory.chunks * 4].copy().view("<u4")
        found += _read_back(model, memory.name, words)
    return found
