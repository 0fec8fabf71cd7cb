"""Inside the simulator: traffic of every kind over the mesh SPIKELOOP_MESH (JSON: width, height).

SPIKELOOP_SEED is the first seed. What must happen comes from pysim/chip/fabric.py and from
counting: every packet arrives once at each core of its rectangle, in the order of its source, and
nothing arrives anywhere else. ``busy`` is checked in every cycle against the copies under way.
"""

import json
import os
from collections import Counter, deque
from collections.abc import Iterator
from functools import partial

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

from spikeloop.cosim.benches.streams import (
    PERIOD,
    Pattern,
    Scoreboard,
    StreamDriver,
    StreamMonitor,
    always,
    never,
    one_in,
    randomly,
    watchdog,
)
from spikeloop.hdl.fabric.router import PORTS
from spikeloop.pysim.chip.fabric import Mesh, Rectangle, hops, latency, path
from spikeloop.pysim.chip.records import pack_plain, packet_record

MESH = Mesh(*json.loads(os.environ["SPIKELOOP_MESH"]))
SEED, SEEDS = (
    int(os.environ.get("SPIKELOOP_SEED", "0")),
    int(os.environ.get("SPIKELOOP_SEEDS", "3")),
)
CORES = list(MESH)
WHOLE = Rectangle(0, 0, MESH.width - 1, MESH.height - 1)
STEPS = {(1, 0): "east", (-1, 0): "west", (0, 1): "north", (0, -1): "south"}


def at(core: tuple[int, int]) -> Rectangle:
    return Rectangle(*core, *core)


def random_rectangle(rng: np.random.Generator) -> Rectangle:
    xs, ys = (np.sort(rng.integers(0, side, 2)).tolist() for side in (MESH.width, MESH.height))
    return Rectangle(xs[0], ys[0], xs[1], ys[1])


def random_core(rng: np.random.Generator) -> Rectangle:
    return at(CORES[rng.integers(len(CORES))])


def patterns(rng: np.random.Generator) -> list[Pattern]:
    """A way to be ready for each core, with a generator of its own: the same on every simulator."""
    return [
        [
            always,
            one_in(2),
            one_in(5),
            one_in(3, first=80),
            randomly(own, 0.5),
            randomly(own, 0.15),
        ][own.integers(6)]
        for own in rng.spawn(len(CORES))
    ]


def pauses(rng: np.random.Generator) -> Iterator[int]:
    """Idle cycles before each packet of a source: none, some, or bursts."""
    kind = rng.integers(3)
    while True:
        yield [0, int(rng.integers(0, 6)), int(rng.random() < 0.1) * 40][kind]


class FabricBench:
    """Drivers and monitors at all cores, and an observer of every cycle.

    There is a scoreboard for each source and destination.
    """

    def __init__(self, dut) -> None:
        self.dut = dut
        self.drivers = [StreamDriver(dut, f"i__{number}") for number in range(len(MESH))]
        self.monitors = [
            StreamMonitor(dut, f"o__{number}", check=partial(self._arrived, number))
            for number in range(len(MESH))
        ]
        self.boards = {
            (source, to): Scoreboard(f"core {CORES[to]}, packets from {CORES[source]}")
            for source in range(len(MESH))
            for to in range(len(MESH))
        }
        self.announced: list[deque[Rectangle]] = [
            deque() for _ in CORES
        ]  # still to enter the fabric
        self.numbers, self.under_way, self.most = [0] * len(CORES), 0, 0
        self.cycle, self.sent, self.delivered, self.fired = (
            0,
            [],
            [],
            [],
        )  # (cycle, core), of fired (cycle, core, port)
        self.look_inside = False
        self.tasks = [cocotb.start_soon(self._observe())]

    @classmethod
    async def start(cls, dut, *, clock: bool = True) -> "FabricBench":
        """Clock (unless it runs already) and reset."""
        if clock:
            Clock(dut.clk, PERIOD, "ns").start(start_high=False)
        await FallingEdge(dut.clk)
        dut.rst.value = 1
        for _ in range(3):
            await FallingEdge(dut.clk)
        bench = cls(dut)
        dut.rst.value = 0
        return bench

    def stop(self) -> None:
        """No part drives or looks any longer."""
        for task in self.tasks:
            task.cancel()
        for monitor in self.monitors:
            monitor.stop()
        for driver in self.drivers:
            driver.valid.value = 0

    async def wait(self, cycles: int) -> None:
        for _ in range(cycles):
            await FallingEdge(self.dut.clk)

    def announce(self, source: int, rectangles: list[Rectangle]) -> list[int]:
        """The words of packets of ``source`` to ``rectangles``; from now on they must arrive."""
        record, words = packet_record(MESH.width, MESH.height), []
        for rectangle in rectangles:
            number, self.numbers[source] = self.numbers[source], self.numbers[source] + 1
            bits = pack_plain(
                record, {f.name: np.array([getattr(MESH.check(rectangle), f.name)]) for f in record}
            )[0]
            words.append(
                int("".join(map(str, bits[::-1])), 2) | (source << 16 | number) << len(bits)
            )
            self.announced[source].append(rectangle)
            for core in rectangle:
                self.boards[source, MESH.number(core)].expect([number])
        return words

    async def traffic(
        self, lists: dict[int, list[Rectangle]], gaps: dict[int, Iterator[int]] | None = None
    ) -> None:
        """Sends the packets of each source, and waits until the fabric is empty again."""
        senders = [
            cocotb.start_soon(
                self.drivers[source].send(self.announce(source, rectangles), gaps and gaps[source])
            )
            for source, rectangles in lists.items()
        ]
        self.tasks += senders
        for sender in senders:
            await sender
        while any(self.announced) or self.under_way:
            await FallingEdge(self.dut.clk)

    def finish(self) -> None:
        for board in self.boards.values():
            board.finish()
        assert int(self.dut.busy.value) == 0

    def _arrived(self, to: int, word: int) -> None:
        self.boards[word >> 16, to].check(word & 0xFFFF)

    async def _observe(self) -> None:
        """Late in each cycle, when all have set their signals for the coming edge."""
        while True:
            await FallingEdge(self.dut.clk)
            await Timer(PERIOD // 4, "ns")
            busy, sent, delivered = (
                int(signal.value) for signal in (self.dut.busy, self.dut.sent, self.dut.delivered)
            )
            assert busy == (self.under_way > 0), (
                f"cycle {self.cycle}: busy is {busy} with {self.under_way} copies under way"
            )
            for number in range(len(CORES)):
                if sent >> number & 1:
                    self.sent.append((self.cycle, number))
                    self.under_way += len(self.announced[number].popleft())
                if delivered >> number & 1:
                    self.delivered.append((self.cycle, number))
                    self.under_way -= 1
            if self.look_inside:
                fired = int(self.dut.fired.value)
                self.fired += [
                    (self.cycle, core, port)
                    for core in range(len(CORES))
                    for i, port in enumerate(PORTS)
                    if fired >> core * len(PORTS) + i & 1
                ]
            self.most = max(self.most, self.under_way)
            self.cycle += 1


@cocotb.test()
async def latency_and_path_of_a_lone_packet(dut) -> None:
    """Every source to every destination, and a hundred multicasts.

    Cycles and routers are those of pysim, port by port.
    """
    bench, rng = await FabricBench.start(dut), np.random.default_rng(SEED)
    bench.look_inside = True
    cases = [(source, at(to)) for source in CORES for to in CORES] + [
        (source, WHOLE) for source in CORES
    ]
    cases += [(CORES[rng.integers(len(CORES))], random_rectangle(rng)) for _ in range(100)]
    measured: dict[int, Counter] = {}
    for source, rectangle in cases:
        for log in (bench.sent, bench.delivered, bench.fired):
            log.clear()
        with watchdog(f"{source} to {rectangle}", 200):
            await bench.traffic({MESH.number(source): [rectangle]})
        start = bench.sent[0][0]
        arrivals = sorted((start + latency(source, to), MESH.number(to)) for to in rectangle)
        assert sorted(bench.delivered) == arrivals, f"{source} to {rectangle}"
        expected = set()
        for to in rectangle:
            for a, b in zip((way := path(source, to)), [*way[1:], None], strict=True):
                port = STEPS[b[0] - a[0], b[1] - a[1]] if b else "local"
                expected.add((start + 1 + hops(source, a), MESH.number(a), port))
            measured.setdefault(hops(source, to), Counter())[
                next(c for c, n in bench.delivered if n == MESH.number(to)) - start
            ] += 1
        assert sorted(bench.fired) == sorted(expected), f"{source} to {rectangle}"
    bench.finish()
    cocotb.log.info(f"cycles by hops: { {h: dict(c) for h, c in sorted(measured.items())} }")


@cocotb.test()
async def one_packet_per_cycle(dut) -> None:
    """From corner to corner, and to all at once, without a gap."""
    bench = await FabricBench.start(dut)
    for rectangle in (at(CORES[-1]), WHOLE):
        bench.sent.clear()
        bench.delivered.clear()
        with watchdog(f"a stream to {rectangle}", 500):
            await bench.traffic({0: [rectangle] * 50})
        assert bench.delivered[-1][0] - bench.sent[0][0] == 49 + latency(CORES[0], CORES[-1])
    bench.finish()


@cocotb.test()
@cocotb.parametrize(kind=["unicast", "multicast", "mixed"], seed=range(SEED, SEED + SEEDS))
async def random_traffic(dut, kind: str, seed: int) -> None:
    """Random destinations, gaps and back-pressure at all ports."""
    bench, rng = await FabricBench.start(dut), np.random.default_rng([seed, len(kind)])
    for monitor, pattern in zip(bench.monitors, patterns(rng), strict=True):
        monitor.pattern = pattern
    share = {"unicast": 0.0, "multicast": 1.0, "mixed": 0.3}[kind]
    lists = {
        source: [
            random_rectangle(rng) if rng.random() < share else random_core(rng) for _ in range(40)
        ]
        for source in range(len(CORES))
    }
    with watchdog(f"{kind} traffic of seed {seed}", 20_000):
        await bench.traffic(lists, dict(enumerate(map(pauses, rng.spawn(len(CORES))))))
    bench.finish()
    cocotb.log.info(
        f"{kind}, seed {seed}: {len(bench.sent)} packets, {len(bench.delivered)} copies, "
        f"at most {bench.most} under way, {bench.cycle} cycles"
    )


@cocotb.test()
@cocotb.parametrize(sinks=["slow", "shut"], seed=range(SEED, SEED + SEEDS))
async def all_flood_all(dut, sinks: str, seed: int) -> None:
    """Every source sends to every core and to all at once, as fast as it can.

    The cores are slow, or shut for long. There is no deadlock.
    """
    bench, rng = await FabricBench.start(dut), np.random.default_rng([seed, 7])
    for monitor, own in zip(bench.monitors, rng.spawn(len(CORES)), strict=True):
        monitor.pattern = randomly(own, 0.4) if sinks == "slow" else never
    targets = [*map(at, CORES), WHOLE, WHOLE]
    lists = {
        source: [targets[i] for i in rng.permutation(len(targets))] * 2
        for source in range(len(CORES))
    }
    with watchdog(f"flood of seed {seed}", 20_000):
        task = cocotb.start_soon(bench.traffic(lists))
        if sinks == "shut":
            await bench.wait(50 + 10 * len(CORES))
            assert not bench.delivered
            full = len(bench.sent)
            await bench.wait(50)
            assert len(bench.sent) == full < 2 * len(CORES) * len(targets), "the fabric is not full"
            for monitor in bench.monitors:
                monitor.pattern = always
        await task
    bench.finish()
    cocotb.log.info(
        f"{sinks}, seed {seed}: {len(bench.sent)} packets, "
        f"at most {bench.most} copies under way, {bench.cycle} cycles"
    )


@cocotb.test()
async def ports_take_turns(dut) -> None:
    """All flood one core: each port of its router delivers one packet in turn while all wait."""
    bench, sink = await FabricBench.start(dut), CORES[len(CORES) // 2]
    bench.monitors[MESH.number(sink)].pattern = one_in(1, first=60)
    with watchdog("all to one", 5_000):
        await bench.traffic({source: [at(sink)] * 30 for source in range(len(CORES))})
    ports = [[sink, *path(core, sink)][-2] for core in CORES]  # the neighbour it comes through
    order = [ports[word >> 16] for word in bench.monitors[MESH.number(sink)].received]
    count = len(set(ports))
    for start in range(25 * count):
        assert len(set(order[start : start + count])) == count, (
            f"deliveries {start}..: {order[start : start + count]}"
        )
    bench.finish()


@cocotb.test()
async def reset_empties_the_fabric(dut) -> None:
    """Full of packets, some forks half served: after a reset it is empty and works."""
    bench = await FabricBench.start(dut)
    for number, monitor in enumerate(bench.monitors):
        monitor.pattern = never if number % 2 == 0 else always
    task = cocotb.start_soon(bench.traffic({source: [WHOLE] * 6 for source in range(len(CORES))}))
    await bench.wait(60)
    assert int(dut.busy.value) == 1
    task.cancel()
    bench.stop()
    bench = await FabricBench.start(dut, clock=False)
    with watchdog("traffic after a reset", 2_000):
        await bench.traffic({source: [WHOLE, at(CORES[source])] for source in range(len(CORES))})
    bench.finish()
