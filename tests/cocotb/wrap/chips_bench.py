"""Inside the simulator: a wrapped chip of CHIPS, alone, is loaded and run over its bus.

With AXI the events of a tick are a packet of the stream, in and out; with Wishbone they go through
register ``event``. Spikes, states, currents and events out are those of pysim.
"""

import os
from collections.abc import Iterable

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import FallingEdge

from spikeloop.cosim.benches.streams import PERIOD, watchdog
from spikeloop.cosim.compare.diff import Side, diff
from spikeloop.cosim.link import Link, LinkBackend
from spikeloop.hdl.wrap.pins import bus_pins, clock_pins
from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.wrap import END, WrapMap
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from tests.campaigns.regression.mesh.cases import mesh_case
from tests.campaigns.regression.pim_chip import random_case
from tests.cocotb.wrap.chips import CHIPS
from tests.cocotb.wrap.wires import AxiWires, WishboneWires

SEED = int(os.environ.get("SPIKELOOP_SEED", "0"))
BUS = os.environ.get("SPIKELOOP_BUS", "axi")
SAMPLES = 2


class BusLink(Link):
    """The verbs of a link, from a thread, over a bus. ``left`` are the events out of each tick."""

    def __init__(self, wires: AxiWires | WishboneWires, map_: WrapMap) -> None:
        self.wires, self.wrap, self.chip = wires, map_, map_.chip
        self.left: list[list[int]] = []

    def write(self, address: int, value: int) -> None:
        resume(self.wires.write)(self.wrap.byte_address(address), value)

    def read(self, address: int) -> int:
        return resume(self.wires.read)(self.wrap.byte_address(address))

    def word(self, event: tuple[int, ...]) -> int:
        """An event, its core first if it has one, as it goes over the bus."""
        fields = self.wrap.event_in
        *core, axon, delay = event
        word, at = 0, 0
        for field, value in zip(fields, (axon, delay, *core), strict=True):
            word |= value << at
            at += field.bits
        return word

    def send(self, events: Iterable[tuple[int, ...]]) -> None:
        for event in events:
            self.write(self.wrap.registers["event"].address, self.word(event))

    def receive(self) -> list[tuple[int, ...]]:
        words = []
        while not (word := self.read(self.wrap.registers["event"].address)) >> END:
            words.append(word & 0xFFFF)
        self.left.append(words)
        return [(word, 0) for word in words]


class StreamLink(BusLink):
    """Events by the streams; the last word of a packet runs the tick."""

    def __init__(self, wires: AxiWires, map_: WrapMap) -> None:
        super().__init__(wires, map_)
        self.waiting: list[int] = []

    def send(self, events: Iterable[tuple[int, ...]]) -> None:
        self.waiting += [self.word(event) for event in events]

    def tick(self) -> None:
        async def packet(words: list[int]) -> list[int]:
            await self.wires.source.send(words)
            return (await self.wires.sink.recv()).tdata

        words, self.waiting = [*self.waiting, 1 << END], []
        *events, end = resume(packet)(words)
        assert end == 1 << END
        self.left.append([event & 0xFFFF for event in events])

    def receive(self) -> list[tuple[int, ...]]:
        return []


class CoreLink(Link):
    """One core of a mesh behind the link of the whole."""

    def __init__(self, link: BusLink, core: int) -> None:
        self.link, self.chip, self.base = link, link.chip, link.map.core_base(core)

    def write(self, address: int, value: int) -> None:
        self.link.write(self.base + address, value)

    def read(self, address: int) -> int:
        return self.link.read(self.base + address)

    def send(self, events: Iterable[tuple[int, ...]]) -> None:
        raise NotImplementedError

    receive = send  # type: ignore[assignment]


async def start(dut, name: str) -> BusLink:
    """Clock and reset; the link to the wrapped chip."""
    map_ = WrapMap(CHIPS[name], BUS)
    clock, reset = (getattr(dut, pin.name) for pin in clock_pins(BUS))
    on = int(BUS == "wishbone")
    reset.value = on
    for pin in bus_pins(map_):
        if pin.into:
            getattr(dut, pin.name).value = 0
    Clock(clock, PERIOD, "ns").start(start_high=False)
    for _ in range(4):
        await FallingEdge(clock)
    reset.value = 1 - on
    if BUS == "axi":
        return StreamLink(AxiWires(dut, SEED, stalls=0.2), map_)
    return BusLink(WishboneWires(dut, clock, SEED), map_)


@cocotb.test()
async def pim(dut) -> None:
    """The macro is loaded and driven over the bus; the core hears it and the events."""
    link = await start(dut, "pim")
    rng = np.random.default_rng([SEED, 1])
    while True:
        network, stimulus = random_case(rng, link.chip, held=False)
        if network.populations[0].size <= 24:
            break
    image, stimulus = pack(network, chip=link.chip), stimulus.take(slice(0, SAMPLES))
    core = Core(image, "numpy")
    want = core.run(stimulus)
    with watchdog("run", 4_000_000):
        got = await bridge(lambda: LinkBackend(link, image).run(stimulus))()
    # the bus may make the output wait: such cycles are counted apart
    got.counters["cycles"] -= got.counters.pop("stalls")
    del want.counters["stalls"]
    pair = diff(network, Side("pysim", want), Side("RTL", got))
    print(
        f"{pair.neuron_ticks:,} neuron-ticks, {pair.currents:,} currents, "
        f"{pair.counter_values:,} counter values compared"
    )
    assert pair.first is None and pair.currents > 0 and pair.neuron_ticks > 0, pair.first
    assert [address for tick in link.left for address in tick] == [
        int(address) for _, _, address in core.output_events(want)
    ]


@cocotb.test()
async def mesh(dut) -> None:
    """Every core is loaded behind its number; events name it; spikes cross the fabric."""
    link = await start(dut, "mesh")
    case = mesh_case(np.random.default_rng([SEED, 2]), link.chip, SAMPLES)
    stimuli, cores = case.image.stimuli(case.stimulus), case.image.cores
    events = {
        n: model.events(stimuli[n], case.image.ticks) for n, model in case.model.cores.items()
    }

    def run() -> int:
        backends = {n: LinkBackend(CoreLink(link, n), core.image) for n, core in cores.items()}
        for n in set(range(link.chip.derived.cores)) - set(cores):
            words = MemoryMap(link.chip).memories["words"]
            CoreLink(link, n).write_rows(words, np.zeros((words.rows, words.chunks), np.uint32))
        compared = 0
        for sample in range(SAMPLES):
            link.clear()
            for tick in range(case.image.ticks):
                for n, arriving in events.items():
                    axons = np.flatnonzero(arriving[sample, tick]).tolist()
                    link.send((n, axon, 1) for axon in axons)
                link.tick()
                link.receive()
                compared += sum(
                    same_states(backend, case.traces[at], sample, tick)
                    for at, backend in enumerate(backends.values())
                )
        return compared

    with watchdog("run", 8_000_000):
        compared = await bridge(run)()
    print(f"{compared:,} neuron-ticks compared, on {len(cores)} cores")
    assert compared == SAMPLES * case.network.steps * sum(p.size for p in case.network.populations)
    whole, output = case.image.gather(case.traces), case.network.output
    spikes = unpack(whole.spikes[output], case.network.size_of(output))
    first = case.network.start_of(output)
    for sample in range(SAMPLES):
        for tick in range(case.image.ticks):
            step = tick - first
            live = 0 <= step < case.network.steps
            fired = np.flatnonzero(spikes[sample, step]).tolist() if live else []
            assert sorted(link.left[sample * case.image.ticks + tick]) == fired
    assert spikes.any()


def same_states(backend: LinkBackend, trace, sample: int, tick: int) -> int:
    """Membranes and spikes of the core are those of the trace; the neurons that were compared."""
    link, image, memories, compared = backend.link, backend.image, backend.map.memories, 0
    values = backend._values("membranes", link.read_rows(memories["v"], backend.words)[None])[0]
    fired = backend._bytes(memories["spikes"], link.read_rows(memories["spikes"], backend.words))
    lines = unpack(fired, image.chip.lanes).ravel()
    for p in image.placement.populations:
        if 0 <= (step := tick - p.start) < image.steps:
            assert np.array_equal(values[p.neurons], trace.membranes[p.name][sample, step])
            spikes = unpack(trace.spikes[p.name][sample, step], p.size)
            assert np.array_equal(lines[p.neurons], spikes)
            compared += p.size
    return compared
