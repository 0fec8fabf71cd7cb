"""Inside the simulator: the chip at its ports.

Memory map, commands, back-pressure, resets, ticks of every kind.
"""

import itertools

import cocotb
import numpy as np

from spikeloop.cosim.benches.chip import ChipBench
from spikeloop.cosim.benches.streams import (
    Scoreboard,
    StreamMonitor,
    always,
    one_in,
    randomly,
    watchdog,
)
from spikeloop.pysim.chip.memory_map import CONTROL_CLEAR, CONTROL_TICK, COUNTERS
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.cocotb.benches.core import CHIP, SEED, differences, leaving, random_image

SIZE = 20  # neurons of the talkative network


def talkative(seed: int, samples: int = 1) -> tuple[Image, Stimulus, Core]:
    """A network whose every neuron spikes at about half of its steps, straight out of the chip.

    So back-pressure has much to hold up.
    """
    rng = np.random.default_rng(seed)
    lines = min(CHIP.axons, 24)
    network = Network(
        name="talkative",
        inputs=(Input(name="x", size=lines),),
        steps=6,
        output="out",
        membrane_bits=CHIP.membrane_bits,
        populations=(Population.make("out", SIZE, v_th=3, weight_bits=1, weight_format=1),),
        edges=(
            Edge(
                source="x", target="out", weights=rng.integers(0, 2, (lines, SIZE), dtype=np.int32)
            ),
        ),
    )
    image = pack(network, chip=CHIP)
    stimulus = Stimulus.pack({"x": (rng.random((samples, 6, lines)) < 0.3).astype(np.uint8)})
    return image, stimulus, Core(image, engine="numpy")


PATTERNS = {
    "always": lambda: always,
    "one in 3": lambda: one_in(3),
    "one in 7": lambda: one_in(7),
    "blocked, then one in 2": lambda: one_in(2, first=300),
    "random tenth": lambda: randomly(np.random.default_rng(SEED), 0.1),
    "random half": lambda: randomly(np.random.default_rng(SEED), 0.5),
}


@cocotb.test()
@cocotb.parametrize(pattern=list(PATTERNS))
async def back_pressure(dut, pattern: str) -> None:
    """Nothing lost, doubled or out of order; cycles = predicted + stalls."""
    image, stimulus, core = talkative(SEED, samples=2)
    expected = core.run(stimulus)
    events = leaving(core, expected)
    assert len(events) > 60, "the network must talk"
    board = Scoreboard(f"output events, {pattern}")
    board.expect(events)
    bench = await ChipBench.start(dut, CHIP)
    bench.outputs.check = lambda word: board.check(word & 0xFFFF)
    bench.outputs.pattern = PATTERNS[pattern]()
    await bench.load(image)
    trace = await bench.run(image, stimulus)
    board.finish()
    assert differences(expected, trace, stalled=True) == []
    stalls = int(trace.counters["stalls"].sum())
    assert (stalls == 0) == (pattern == "always"), f"{stalls} stalls"


@cocotb.test()
@cocotb.parametrize(pattern=["one in 3", "random tenth"])
async def slow_answers(dut, pattern: str) -> None:
    """Under back-pressure the load port answers every read once, in order, with the same values."""
    bench = await ChipBench.start(dut, CHIP)
    rng = np.random.default_rng(SEED)
    memory = bench.map.memories["words"]
    rows = rng.integers(0, 256, (memory.rows, 4), np.uint8)
    await bench.write_memory("words", rows)
    bench.responses.pattern = PATTERNS[pattern]()
    order = rng.integers(0, memory.rows, 40)
    values = await bench.read_all(
        address
        for row in order
        for address in (memory.address(int(row)), bench.map.registers["id"].address)
    )
    expected = [
        value
        for row in order
        for value in (int(rows[row].view("<u4")[0]), bench.map.registers["id"].reset)
    ]
    assert values == expected


@cocotb.test()
async def registers(dut) -> None:
    """Registers have their reset values, and only those that may be written keep what is written.

    Addresses of nothing read 0.
    """
    bench = await ChipBench.start(dut, CHIP)
    for name, register in bench.map.registers.items():
        assert await bench.get(name) == register.reset, name
    for name, register in bench.map.registers.items():
        if register.access == "r":
            await bench.set(name, 0xFFFF_FFFF)
    for name, register in bench.map.registers.items():
        assert await bench.get(name) == register.reset, (
            f"{name} after writes to read-only registers"
        )
    for steps, dense in ((1, 1), (0xFFFF, 0), (0x5555, 1), (0, 0)):
        await bench.set("steps", steps)
        await bench.set("dense", dense)
        assert (await bench.get("steps"), await bench.get("dense")) == (steps, dense)
    used = {r.address for r in bench.map.registers.values()} | {
        m.address(row, chunk)
        for m in bench.map.memories.values()
        for row in range(m.rows)
        for chunk in range(m.chunks)
    }
    free = [address for address in range(1 << bench.map.address_bits) if address not in used]
    some = sorted(
        {free[0], free[-1], *(int(a) for a in np.random.default_rng(SEED).choice(free, 60))}
    )
    for address in some:
        await bench.write(address, 0xDEAD_BEEF)
    assert await bench.read_all(some) == [0] * len(some)
    for name, register in bench.map.registers.items():
        assert await bench.get(name) == register.reset, (
            f"{name} after writes to addresses of nothing"
        )


@cocotb.test()
async def memories(dut) -> None:
    """Every word of every memory that may be written keeps its own value.

    All words are written before any is read.
    """
    bench = await ChipBench.start(dut, CHIP)
    rng = np.random.default_rng(SEED)
    wrote = {}
    for name, memory in bench.map.memories.items():
        if memory.writable:
            bits = rng.integers(0, 2, (memory.rows, memory.width), np.uint8)
            wrote[name] = np.packbits(bits, axis=1, bitorder="little")
            await bench.write_memory(name, wrote[name])
    for name, rows in wrote.items():
        got = await bench.read_memory(name)
        wrong = np.argwhere((got != rows).any(axis=1))[:, 0]
        assert wrong.size == 0, (
            f"{name}: {wrong.size} of {len(rows)} rows, "
            f"first {wrong[0]}: {got[wrong[0]]}, not {rows[wrong[0]]}"
        )


@cocotb.test()
async def spikes_memory_is_read_only(dut) -> None:
    image, stimulus, core = talkative(SEED)
    bench = await ChipBench.start(dut, CHIP)
    await bench.load(image)
    trace = await bench.run(image, stimulus)
    memory = bench.map.memories["spikes"]
    words = range(-(-SIZE // CHIP.lanes))
    before = await bench.spikes(words)
    for word in words:
        for value in (0, 0xFFFF_FFFF):
            await bench.write(memory.address(word), value)
            assert (await bench.spikes(words)).tolist() == before.tolist()
    place = image.placement.populations[0]
    assert before[place.neurons].tolist() == unpack(trace.spikes["out"][0, -1], SIZE).tolist()
    assert differences(core.run(stimulus), trace) == []


@cocotb.test()
@cocotb.parametrize(kind=["no", "every", "dense no", "dense some", "dense every"])
async def activity(dut, kind: str) -> None:
    """No axon is active in any tick, or every one, or some; event-driven and dense.

    The cycles of a dense tick do not depend on the events.
    """
    image, stimulus, core = random_image(SEED + 100)
    if not kind.endswith("some"):
        ones = kind.endswith("every")
        stimulus = Stimulus.pack(
            {i.name: np.full((1, image.steps, i.size), int(ones), np.uint8) for i in image.inputs}
        )
    bench = await ChipBench.start(dut, CHIP)
    await bench.load(image)
    dense = kind.startswith("dense")
    trace = await bench.run(image, stimulus, dense=dense)
    assert differences(core.run(stimulus, dense=dense), trace) == []
    assert kind.endswith("some") or bool(trace.counters["spikes_in"].any()) >= kind.endswith(
        "every"
    )


@cocotb.test()
async def counters(dut) -> None:
    """Every counter moves that a healthy chip can move; CLEAR keeps them, ZERO zeroes them.

    The tick register counts.
    """
    image, stimulus, core = random_image(SEED + 200, populations=2)
    bench = await ChipBench.start(dut, CHIP)
    await bench.load(image)
    bench.outputs.pattern = one_in(4)
    trace = await bench.run(image, stimulus)
    assert differences(core.run(stimulus), trace, stalled=True) == []
    totals = {name: int(array.sum()) for name, array in trace.counters.items()}
    assert await bench.counters() == totals
    assert await bench.get("tick") == image.ticks
    await bench.clear()
    assert await bench.counters() == totals, "CLEAR keeps the counters"
    assert await bench.get("tick") == 0
    await bench.zero()
    assert await bench.counters() == dict.fromkeys(COUNTERS, 0)


@cocotb.test()
async def clear(dut) -> None:
    """After CLEAR in mid-sample membranes are v_init, refractory counts are 0, the ring is empty.

    The next sample is as the first.
    """
    image, stimulus, core = random_image(SEED + 300)
    bench = await ChipBench.start(dut, CHIP)
    await bench.load(image)
    initial, order = await bench.membranes(), np.argsort(core.neurons.place)
    assert initial[core.neurons.place[order]].tolist() == core.neurons.p["v_init"][order].tolist()
    rng = np.random.default_rng(SEED)
    for _ in range(3):
        axons, delays = (
            rng.integers(0, CHIP.axons, 40).tolist(),
            rng.integers(1, CHIP.delay_max + 1, 40).tolist(),
        )
        await bench.send(zip(axons, delays, strict=True))
        await bench.tick()
    assert (await bench.membranes()).tolist() != initial.tolist(), "nothing happened"
    assert (await bench.read_memory("ring")).any(), "events of later ticks wait in the ring"
    await bench.clear()
    assert (await bench.membranes()).tolist() == initial.tolist()
    assert not (await bench.read_memory("ring")).any()
    if CHIP.refractory_bits:
        assert not (await bench.read_memory("refractory")).any()
    bench.received()
    assert differences(core.run(stimulus), await bench.run(image, stimulus)) == []


@cocotb.test()
@cocotb.parametrize(after=[1, 3, 9, 20, 45, 77])
async def reset_in_mid_tick(dut, after: int) -> None:
    """Wherever a tick is cut off, reset gives the registers of power-up.

    A reloaded chip runs as ever.
    """
    image, stimulus, core = talkative(SEED + 1)
    bench = await ChipBench.start(dut, CHIP)
    await bench.load(image)
    bench.outputs.pattern = one_in(5)
    await bench.send((axon, 1) for axon in range(image.placement.inputs[0].size))
    dut.tick.value = 1
    await bench.wait(1)
    dut.tick.value = 0
    await bench.wait(after)
    bench.outputs.stop()  # a reset may take back what was offered
    await bench.reset()
    bench.outputs = StreamMonitor(dut, "o")
    for name, register in bench.map.registers.items():
        assert await bench.get(name) == register.reset, name
    await bench.load(image)
    expected = core.run(stimulus)
    assert differences(expected, await bench.run(image, stimulus)) == []
    assert [address for address, _ in bench.received()] == leaving(core, expected)


@cocotb.test()
@cocotb.parametrize(by=["pin", "register"])
async def back_to_back(dut, by: str) -> None:
    """Ticks asked for while the one before still runs give the same spikes, with no cycle between.

    Their events are sent meanwhile.
    """
    image, stimulus, core = talkative(SEED + 2)
    expected = core.run(stimulus)
    bench = await ChipBench.start(dut, CHIP)
    await bench.load(image)
    lines = unpack(stimulus.spikes["x"], image.inputs[0].size)[0]
    events = [[(int(axon), 1) for axon in np.flatnonzero(step)] for step in lines]
    await bench.send(events[0])
    asked = 0
    with watchdog("back-to-back ticks", 20_000):
        for following in [*events[1:], []]:
            if by == "pin":
                dut.tick.value = 1
                await bench.wait(1)
                dut.tick.value = 0
            else:
                await bench.set("control", CONTROL_TICK)
            asked += 1
            while (
                await bench.get("tick") < asked
            ):  # registers answer while the core runs; once a tick runs, delay 1 means the next
                pass
            await bench.send(following)
    await bench.idle()
    assert await bench.counters() == {
        name: int(array.sum()) for name, array in expected.counters.items()
    }
    assert [address for address, _ in bench.received()] == leaving(core, expected)
    v = await bench.membranes()
    assert (
        v[image.placement.populations[0].neurons].tolist()
        == expected.membranes["out"][0, -1].tolist()
    )


@cocotb.test()
async def commands_wait_their_turn(dut) -> None:
    """CLEAR and a tick asked for in one write: first the clear, then the tick."""
    image, _, _ = talkative(SEED + 3)
    bench = await ChipBench.start(dut, CHIP)
    await bench.load(image)
    await bench.tick()
    await bench.tick()
    await bench.set("control", CONTROL_CLEAR | CONTROL_TICK)
    await bench.wait(3)
    await bench.idle()
    assert await bench.get("tick") == 1
    assert await bench.get("ticks") == 3


@cocotb.test()
async def events_to_nowhere_are_counted(dut) -> None:
    """Events of no axon, without a delay, or with one beyond the ring set nothing.

    They count as dropped; all others arrive.
    """
    image, _, _ = talkative(SEED + 4)
    bench = await ChipBench.start(dut, CHIP)
    await bench.load(image)
    delays = [
        delay for delay in range(1 << CHIP.derived.delay_bits) if not 1 <= delay <= CHIP.delay_max
    ]
    axons = range(CHIP.axons, min(1 << CHIP.derived.axon_bits, CHIP.axons + 5))
    bad = [(3, delay) for delay in delays] + [(axon, 1) for axon in axons]
    good = [
        (axon, delay)
        for axon, delay in itertools.product((0, 5, CHIP.axons - 1), (1, CHIP.delay_max))
    ]
    await bench.send(
        [event for pair in itertools.zip_longest(bad, good) for event in pair if event is not None]
    )
    await bench.wait(4)
    await bench.idle()
    assert await bench.get("dropped") == len(bad) > 0
    ring = await bench.read_memory("ring")
    assert int(np.unpackbits(ring).sum()) == len(good)


@cocotb.test()
async def one_event_twice_is_one(dut) -> None:
    """An axon set twice for the same tick is one event.

    Neighbours sent one cycle after the other are all there.
    """
    image, _, _ = talkative(SEED + 5)
    bench = await ChipBench.start(dut, CHIP)
    await bench.load(image)
    await bench.send((axon, 1) for axon in [*range(CHIP.axons), *range(CHIP.axons), 7, 7, 7])
    await bench.tick()
    assert await bench.get("spikes_in") == CHIP.axons
