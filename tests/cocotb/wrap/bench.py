"""Inside the simulator: wrapped cores at their buses, by cocotbext-axi and by a Wishbone master.

Image, events and ticks give the events and membranes of pysim, with random stalls everywhere.
"""

import ctypes
import os

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import FallingEdge, RisingEdge
from cocotbext.axi import AxiResp

from spikeloop.cosim.benches.streams import PERIOD, watchdog
from spikeloop.pysim.chip.memory_map import CHIP_ID, CONTROL_CLEAR
from spikeloop.pysim.chip.wrap import END, WAIT_CYCLES, WrapMap
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.image.loading import load_stream
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.traces.trace import Trace
from tests.cocotb.wrap.cores import CORES, NEURONS, random_image
from tests.cocotb.wrap.wires import AxiWires, WishboneWires

SEED = int(os.environ.get("SPIKELOOP_SEED", "0"))
END_WORD = 1 << END
LONGEST_MS = 4  # a test ends within 1.5 ms of simulated time, or hangs
INPUTS = ("s_axi_awaddr", "s_axi_awprot", "s_axi_awvalid", "s_axi_wdata", "s_axi_wstrb")
INPUTS += ("s_axi_wvalid", "s_axi_bready", "s_axi_araddr", "s_axi_arprot", "s_axi_arvalid")
INPUTS += ("s_axi_rready", "s_axis_tdata", "s_axis_tlast", "s_axis_tvalid", "m_axis_tready")
INPUTS += ("wb_adr_i", "wb_dat_i", "wb_sel_i", "wb_we_i", "wb_cyc_i", "wb_stb_i")


async def start(dut) -> None:
    """Clock and reset; every input is 0."""
    for name in ("aresetn", *INPUTS):
        getattr(dut, name).value = 0
    Clock(dut.aclk, PERIOD, "ns").start(start_high=False)
    for _ in range(4):
        await FallingEdge(dut.aclk)
    dut.aresetn.value = 1


class Host:
    """What a processor does, over any bus that reads and writes words."""

    def __init__(self, bus: str, seed: int) -> None:
        self.map = WrapMap(CORES[bus][1], bus)
        self.image, self.stimulus = random_image(bus, seed)
        self.core = Core(self.image, engine="numpy")
        self.expected = self.core.run(self.stimulus)
        self.inputs = self.core.events(self.stimulus)

    async def write(self, address: int, value: int) -> None:
        raise NotImplementedError

    async def read(self, address: int) -> int:
        raise NotImplementedError

    async def set(self, register: str, value: int) -> None:
        await self.write(self.address(register), value)

    async def get(self, register: str) -> int:
        return await self.read(self.address(register))

    def address(self, register: str) -> int:
        """Byte address of a register of chip or wrapper."""
        known = self.map.chip_map.registers | self.map.registers
        return self.map.byte_address(known[register].address)

    async def load(self) -> None:
        """Image, settings, zeros in what a simulator would take as unknown, and CLEAR."""
        for address, word in zip(*load_stream(self.image, 0), strict=True):
            await self.write(self.map.byte_address(int(address)), int(word))
        for name in ("ring", "v", "refractory"):
            memory = self.map.chip_map.memories[name]
            for row, chunk in np.ndindex(memory.rows, memory.chunks):
                await self.write(self.map.byte_address(memory.address(row, chunk)), 0)
        for name, value in self.image.settings.items():
            await self.set(name, value)
        await self.command(CONTROL_CLEAR)

    async def command(self, bits: int) -> None:
        await self.set("control", bits)
        while await self.get("status"):
            pass

    def events(self, sample: int, tick: int) -> list[int]:
        """Words of the events into a tick."""
        delay = 1 << self.map.event_in[0].bits
        return [int(axon) | delay for axon in np.flatnonzero(self.inputs[sample, tick])]

    def leaving(self, sample: int, tick: int) -> list[int]:
        """Addresses of the events that pysim sends in a tick."""
        rows = self.core.output_events(self.expected)
        return [int(a) for s, t, a in rows if (s, t) == (sample, tick)]

    async def membranes(self) -> list[int]:
        """Bit planes of the membranes, as 32-bit words."""
        memory = self.map.chip_map.memories["v"]
        return [
            await self.read(self.map.byte_address(memory.address(row, chunk)))
            for row in range(len(self.image.placement.words))
            for chunk in range(memory.chunks)
        ]

    def compare(self, words: list[int], sample: int) -> None:
        """Membranes at the end of a sample; both chips keep neurons in bit planes of one word."""
        lanes, bits = self.map.chip.lanes, self.map.chip.membrane_bits
        rows = np.array(words, "<u4").reshape(-1, self.map.chip_map.memories["v"].chunks)
        planes = np.unpackbits(rows.view(np.uint8), axis=1, bitorder="little")[:, : bits * lanes]
        weights = (1 << np.arange(bits)) * np.where(np.arange(bits) == bits - 1, -1, 1)
        got = np.einsum("rbl,b->rl", planes.reshape(len(rows), bits, lanes), weights).ravel()
        p = self.image.placement.populations[0]
        trace: Trace = self.expected
        assert np.array_equal(got[p.neurons], trace.membranes[p.name][sample, -1])


class AxiHost(AxiWires, Host):
    """By cocotbext-axi; ``stalls`` draws from all channels."""

    def __init__(self, dut, seed: int, *, stalls: float = 0.0) -> None:
        Host.__init__(self, "axi", seed)
        AxiWires.__init__(self, dut, seed, stalls=stalls)


class WishboneHost(WishboneWires, Host):
    """A classic master; waits a random while between strobes."""

    def __init__(self, dut, seed: int) -> None:
        Host.__init__(self, "wishbone", seed)
        WishboneWires.__init__(self, dut, dut.aclk, seed)


@cocotb.test(timeout_time=LONGEST_MS, timeout_unit="ms")
async def streams_with_stalls(dut) -> None:
    """Load, events by AXI4-Stream, a tick a packet; every channel stalls at random."""
    await start(dut)
    host = AxiHost(dut, SEED, stalls=0.3)
    with watchdog("load", 400_000):
        await host.load()
    for sample in range(host.stimulus.samples):
        await host.command(CONTROL_CLEAR)
        for tick in range(host.image.ticks):
            words = host.events(sample, tick)
            # the last event may end the tick, or a word without an event
            await host.source.send([*words, END_WORD] if tick % 2 or not words else words)
        with watchdog("ticks", 100_000):
            for tick in range(host.image.ticks):
                *events, end = (await host.sink.recv()).tdata
                assert end == END_WORD
                assert [e & 0xFFFF for e in events] == host.leaving(sample, tick)
        host.compare(await host.membranes(), sample)
    assert host.sink.empty()


@cocotb.test(timeout_time=LONGEST_MS, timeout_unit="ms")
async def strobes_and_empty_addresses(dut) -> None:
    await start(dut)
    host = AxiHost(dut, SEED)
    steps = host.address("steps")
    await host.write(steps, 77)
    assert (await host.master.write(steps, b"\x01\x02")).resp == AxiResp.SLVERR
    assert (await host.master.write(steps + 1, b"\x01")).resp == AxiResp.SLVERR
    assert await host.read(steps) == 77
    last = (1 << host.map.byte_bits) - 4
    await host.write(last, 5)
    assert await host.read(last) == 0
    assert await host.get("id") == CHIP_ID
    # both cores answer for themselves
    other = WishboneHost(dut, SEED)
    assert await other.get("fingerprint") == other.map.chip.fingerprint()
    assert (
        await host.get("fingerprint") == host.map.chip.fingerprint() != other.map.chip.fingerprint()
    )


@cocotb.test(timeout_time=LONGEST_MS, timeout_unit="ms")
async def the_first_edge_after_reset(dut) -> None:
    """A master may ask in the first cycle after reset, and ready and valid are low in reset."""
    await start(dut)
    await FallingEdge(dut.aclk)
    dut.aresetn.value = 0
    for _ in range(3):
        await FallingEdge(dut.aclk)
    for name in ("awready", "wready", "bvalid", "arready", "rvalid"):
        assert dut[f"s_axi_{name}"].value == 0, name
    assert dut.s_axis_tready.value == 0 and dut.m_axis_tvalid.value == 0
    dut.aresetn.value = 1
    dut.s_axi_araddr.value, dut.s_axi_arvalid.value = 0, 1
    dut.s_axi_rready.value = 1
    with watchdog("answer", 50):
        while not dut.s_axi_arready.value:
            await FallingEdge(dut.aclk)
        await FallingEdge(dut.aclk)
        dut.s_axi_arvalid.value = 0
        while not dut.s_axi_rvalid.value:
            await FallingEdge(dut.aclk)
    assert dut.s_axi_rdata.value == CHIP_ID and dut.s_axi_rresp.value == 0


class CHost:
    """The C driver, compiled, whose reads and writes are those of a host in the simulation."""

    READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32)
    WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)

    def __init__(self, host: Host) -> None:
        self.lib = ctypes.CDLL(os.environ["SPIKELOOP_DRIVER"] + f"/{host.map.bus}.so")
        self.failures: list[BaseException] = []  # of the calls, of which C hears nothing
        # kept: C holds no reference to them
        self.calls = (
            self.READ(lambda core, offset: self._call(host.read, offset) or 0),
            self.WRITE(lambda core, offset, value: self._call(host.write, offset, value)),
        )
        self.lib.use(*self.calls)
        self.lib.counter.restype = ctypes.c_uint64

    def _call(self, access, *arguments: int) -> int | None:
        try:
            return resume(access)(*arguments)
        except Exception as error:
            self.failures.append(error)
            return None

    def run(self, host: Host) -> tuple[list[list[int]], int]:
        """Runs in a thread: the output of every tick of all samples, and the cycles counted."""
        assert self.lib.load(1) == -3  # an image for another chip
        assert self.lib.load(0) == 0
        before, ticks = self.lib.counter(), []
        for sample in range(host.stimulus.samples):
            self.lib.clear()
            for tick in range(host.image.ticks):
                axons = np.flatnonzero(host.inputs[sample, tick]).astype(np.uint32)
                out = np.zeros(host.image.placement.populations[0].size + 1, np.uint32)
                count = self.lib.tick(
                    axons.ctypes.data_as(ctypes.c_void_p),
                    len(axons),
                    out.ctypes.data_as(ctypes.c_void_p),
                    len(out),
                )
                ticks.append(out[:count].tolist())
        return ticks, self.lib.counter() - before

    def counts(self, host: Host) -> list[int]:
        """Runs in a thread: the function of docs/soc.md, spikes by output neuron of sample 0."""
        line = unpack(host.stimulus.spikes["x"], host.image.placement.inputs[0].size)[0]
        line = np.ascontiguousarray(line, np.uint8)
        count = np.zeros(host.image.placement.populations[0].size, np.uint32)
        self.lib.run_sample(
            line.ctypes.data_as(ctypes.c_void_p), count.ctypes.data_as(ctypes.c_void_p)
        )
        return count.tolist()


async def run_driver(host: Host) -> None:
    driver = CHost(host)
    ticks, cycles = await bridge(driver.run)(host)
    samples, steps = host.stimulus.samples, host.image.ticks
    assert ticks == [host.leaving(s, t) for s in range(samples) for t in range(steps)]
    stalls = await host.get("stalls")  # while the queue is full; nothing is lost
    assert cycles == int(host.expected.counters["cycles"].sum()) + stalls
    host.compare(await host.membranes(), samples - 1)
    counts = np.bincount(
        [n for tick in ticks[:steps] for n in tick], minlength=NEURONS[host.map.bus]
    )
    assert await bridge(driver.counts)(host) == counts.tolist()
    assert not driver.failures


@cocotb.test(timeout_time=LONGEST_MS, timeout_unit="ms")
async def driver_of_the_axi_core(dut) -> None:
    """Its net has ticks of more events than the queue holds."""
    await start(dut)
    host = AxiHost(dut, SEED + 1)
    assert await host.get("event") == END_WORD
    assert await host.get("collect") == 0
    await run_driver(host)
    assert await host.get("stalls") and await host.get("collect") == 1
    assert host.sink.empty()


@cocotb.test(timeout_time=LONGEST_MS, timeout_unit="ms")
async def driver_of_the_wishbone_core(dut) -> None:
    await start(dut)
    host = WishboneHost(dut, SEED + 2)
    await host.set("collect", 0)
    assert await host.get("collect") == 1  # there is no stream
    await run_driver(host)
    steps = host.address("steps")
    assert (await host.cycle(steps, 1, select=3))[1]
    assert await host.get("steps") == host.image.steps


class PinHost(Host):
    """AXI4-Lite and AXI4-Stream at the pins: little Python in each cycle, for a long wait."""

    def __init__(self, dut, seed: int) -> None:
        super().__init__("axi", seed)
        self.dut = dut

    async def write(self, address: int, value: int) -> None:
        dut = self.dut
        dut.s_axi_awaddr.value, dut.s_axi_wdata.value, dut.s_axi_wstrb.value = address, value, 15
        await self.hand_over("s_axi_aw")
        await self.hand_over("s_axi_w")
        assert await self.answer("s_axi_b") == AxiResp.OKAY

    async def read(self, address: int) -> int:
        assert await self.ask(address) == AxiResp.OKAY
        return int(self.dut.s_axi_rdata.value)

    async def ask(self, address: int) -> AxiResp:
        self.dut.s_axi_araddr.value = address
        await self.hand_over("s_axi_ar")
        return await self.answer("s_axi_r")

    async def hand_over(self, channel: str) -> None:
        valid, ready = (getattr(self.dut, f"{channel}{part}") for part in ("valid", "ready"))
        valid.value, taken = 1, False
        while not taken:
            taken = bool(ready.value)
            await FallingEdge(self.dut.aclk)
        valid.value = 0

    async def answer(self, channel: str) -> AxiResp:
        """The answer of a channel; what came with it stays at the pins for the caller."""
        valid, ready = (getattr(self.dut, f"{channel}{part}") for part in ("valid", "ready"))
        if not valid.value:
            await RisingEdge(valid)
            await FallingEdge(self.dut.aclk)
        answer = AxiResp(int(getattr(self.dut, f"{channel}resp").value))
        ready.value = 1
        await FallingEdge(self.dut.aclk)
        ready.value = 0
        return answer

    async def send(self, words: list[int]) -> None:
        for at, word in enumerate(words):
            self.dut.s_axis_tdata.value = word
            self.dut.s_axis_tlast.value = int(at == len(words) - 1)
            await self.hand_over("s_axis_t")

    async def receive(self) -> list[int]:
        """The packet of a tick."""
        self.dut.m_axis_tready.value, words, last = 1, [], False
        while not last:
            if self.dut.m_axis_tvalid.value:
                words.append(int(self.dut.m_axis_tdata.value))
                last = bool(self.dut.m_axis_tlast.value)
            await FallingEdge(self.dut.aclk)
        self.dut.m_axis_tready.value = 0
        return words


@cocotb.test(timeout_time=LONGEST_MS, timeout_unit="ms")
async def an_access_ends_though_nobody_takes_the_spikes(dut) -> None:
    """The tick waits for a receiver, a read of a memory for the tick: it ends with SLVERR."""
    await start(dut)
    host = PinHost(dut, SEED)
    await host.load()
    membranes = host.map.byte_address(host.map.chip_map.memories["v"].base)
    for tick in range(host.image.ticks):
        await host.send([*host.events(0, tick), END_WORD])
        leaving = host.leaving(0, tick)
        if len(leaving) > 4:  # more than the buffers of the stream hold
            await RisingEdge(dut.m_axis_tvalid)
            await FallingEdge(dut.aclk)
            with watchdog("SLVERR", WAIT_CYCLES + 200):
                assert await host.ask(membranes) == AxiResp.SLVERR
        assert [word & 0xFFFF for word in (await host.receive())[:-1]] == leaving
        # the late answer is thrown away, and the next one is right
        assert await host.get("id") == CHIP_ID
        if len(leaving) > 4:
            break
    else:
        raise AssertionError("no tick had spikes enough")
