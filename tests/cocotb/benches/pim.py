"""Inside the simulator: the PIM macro alone through its ports, against pysim.

Pauses of the streams must not matter, and latency must not depend on pixels.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from spikeloop.cosim.benches.streams import (
    PERIOD,
    StreamDriver,
    StreamMonitor,
    always,
    one_in,
    randomly,
    watchdog,
)
from spikeloop.pysim.pim.contents import contents
from spikeloop.pysim.pim.layer import COUNTERS, PimLayer, PimParams
from spikeloop.pysim.pim.memories import memories, stream_word
from spikeloop.pysim.pim.model import run
from tests.make.pim_cases import random_images, random_layer

SEED = int(os.environ.get("SPIKELOOP_SEED", "0"))
PARAMS = (
    PimParams.from_dict(json.loads(os.environ["SPIKELOOP_PIM"]))
    if "SPIKELOOP_PIM" in os.environ
    else PimParams()
)


class PimBench:
    """A macro with a layer in it."""

    def __init__(self, dut: Any, layer: PimLayer) -> None:
        self.dut, self.layer, self.p = dut, layer, layer.params
        self.pixels, self.currents = StreamDriver(dut, "i"), StreamMonitor(dut, "o")

    @classmethod
    async def start(cls, dut: Any, layer: PimLayer, *, clock: bool = True) -> "PimBench":
        bench = cls(dut, layer)
        for name in ("load", "clear", "zero", "stream"):
            getattr(dut, name).value = 0
        dut.kernel_rows.value, dut.channels.value = layer.window.rows, layer.channels
        dut.shift.value, dut.limit.value, dut.sigma.value = layer.shift, layer.limit, layer.sigma
        dut.rst.value = 1
        if clock:
            Clock(dut.clk, PERIOD, "ns").start(start_high=False)
        await bench.wait(4)
        dut.rst.value = 0
        await bench.wait(2)
        return bench

    async def wait(self, cycles: int) -> None:
        for _ in range(cycles):
            await FallingEdge(self.dut.clk)

    async def pulse(self, name: str) -> None:
        getattr(self.dut, name).value = 1
        await self.wait(1)
        getattr(self.dut, name).value = 0

    async def load(self) -> None:
        table, words = memories(self.p), contents(self.layer)
        bits = [
            (len(table) - 1).bit_length(),
            max(1, *((n.rows - 1).bit_length() for n in table)),
            max(1, *((n.chunks - 1).bit_length() for n in table)),
        ]
        for number, memory in enumerate(table):
            for row, chunks in enumerate(words[memory.name]):
                for index, chunk in enumerate(chunks):
                    value, at = 1, 1
                    for part, width in zip(
                        (number, row, index, int(chunk)), (*bits, 32), strict=True
                    ):
                        value, at = value | part << at, at + width
                    self.dut.load.value = value
                    await self.wait(1)
        self.dut.load.value = 0
        await self.wait(2)

    async def begin(self, stream: int = 0) -> None:
        self.dut.stream.value = stream_word(stream)
        await self.pulse("clear")
        while int(self.dut.busy.value):
            await self.wait(1)

    def beats(self, image: np.ndarray) -> Iterator[int]:
        """Row groups of an image in the streaming order."""
        window, p, flat = self.layer.window, self.p, image.ravel()
        for position in range(window.positions):
            at = window.address(position)
            for _ in range(self.layer.passes):
                for first in range(0, window.rows, p.active_rows):
                    yield sum(
                        int(flat[a]) << n * p.pixel_bits
                        for n, a in enumerate(at[first : first + p.active_rows])
                        if a >= 0
                    )

    def results(self) -> np.ndarray:
        """Currents received so far as int64 ``[position, channel]``; they are forgotten then."""
        bits, mask = self.p.current_bits, (1 << self.p.current_bits) - 1
        out = []
        for number, word in enumerate(self.currents.received):
            used = self.layer.words_of(number % self.layer.passes)
            out += [
                (((word >> n * bits) & mask) ^ 1 << bits - 1) - (1 << bits - 1) for n in range(used)
            ]
        self.currents.received.clear()
        return np.array(out, np.int64).reshape(-1, self.layer.channels)

    async def idle(self) -> None:
        while int(self.dut.busy.value) or int(self.dut.o__valid.value):
            await self.wait(1)

    def counters(self) -> dict[str, int]:
        return {name: int(getattr(self.dut, f"count_{name}").value) for name in COUNTERS}


def case(number: int) -> tuple[PimLayer, np.ndarray]:
    """A random layer small enough for a simulator that is driven cycle by cycle."""
    for attempt in range(100):
        rng = np.random.default_rng([SEED, number, attempt])
        layer = random_layer(rng, PARAMS)
        if layer.window.positions * layer.passes * layer.groups <= 60:
            return layer, random_images(rng, layer, 3)
    raise AssertionError("no small layer found")


@cocotb.test()
@cocotb.parametrize(number=range(4))
async def pauses_do_not_matter(dut: Any, number: int) -> None:
    """Three images, two of them with random pauses of both streams: all is as in pysim."""
    layer, images = case(number)
    rng = np.random.default_rng([SEED, number])
    bench, streams = await PimBench.start(dut, layer), [0, 7, 1 << 33]
    await bench.load()
    await bench.pulse("zero")
    want = run(layer, images, np.array(streams))
    for n, image in enumerate(images):
        bench.currents.pattern = (always, randomly(rng, 0.4), one_in(50))[n]
        gaps = iter(lambda: int(rng.integers(0, 40)), -1) if n else None
        with watchdog("image", 100_000):
            await bench.begin(streams[n])
            await bench.pixels.send(bench.beats(image), gaps)
            await bench.idle()
        assert np.array_equal(bench.results(), want.currents[n].T), (
            f"seed {SEED}, case {number}, image {n}: {layer.params}"
        )
    assert bench.counters() == want.counters
    bench.currents.stop()


@cocotb.test()
async def latency_knows_no_data(dut: Any) -> None:
    """From the first pixels taken to the last currents it takes the cycles of the closed form.

    They are the same for dark, full and random images.
    """
    layer, images = case(9)
    bench, cycles = await PimBench.start(dut, layer), []
    await bench.load()
    for image in (
        np.zeros_like(images[0]),
        np.full_like(images[0], (1 << layer.params.pixel_bits) - 1),
        images[0],
    ):
        await bench.begin()
        bench.results()
        task, count = cocotb.start_soon(bench.pixels.send(bench.beats(image))), 0
        while len(bench.currents.received) < layer.window.positions * layer.passes:
            await bench.wait(1)
            count += 1
        await task
        await bench.idle()
        cycles.append(count)
    assert len(set(cycles)) == 1, cycles
    assert 0 <= cycles[0] - layer.counters()["n_cycles"] <= 3
    bench.currents.stop()


@cocotb.test()
async def an_image_broken_off_leaves_no_trace(dut: Any) -> None:
    """After a clear in mid-image, or a reset in mid-evaluation, an image is as without."""
    layer, images = case(5)
    bench = await PimBench.start(dut, layer)
    await bench.load()
    want = run(layer, images[:1]).currents[0].T
    beats = list(bench.beats(images[0]))
    for reset in (False, True):
        await bench.begin()
        await bench.pixels.send(beats[: max(1, len(beats) // 2)])
        if reset:
            await bench.wait(3)
            bench.currents.stop()
            bench = await PimBench.start(dut, layer, clock=False)
        else:
            while int(dut.busy.value):
                await bench.wait(1)
        await bench.begin()
        bench.results()
        with watchdog("image", 100_000):
            await bench.pixels.send(beats)
            await bench.idle()
        assert np.array_equal(bench.results(), want)
    bench.currents.stop()
