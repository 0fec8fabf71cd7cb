"""Load port: a read answers what was last written to its address, whatever else goes on.

The bench follows one bit of one address, chosen freely. Behind the port stands one bit of memory,
at the place that the port names for this address. What other places answer is free.
"""

from amaranth.hdl import Cat, Const, Signal, Value

from spikeloop.cosim.audit.bench import Bench
from spikeloop.hdl.bus.loadport import LoadPort
from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.params import BUS_BITS, PRESETS, Chip
from tests.campaigns.fault_list.fault import Fault
from tests.formal.case import Case

__all__ = ["CASES", "answers"]

SMALL = Chip(axons=8, columns=16, lanes=2, membrane_bits=8, pages=2)


def in_memory(map_: MemoryMap, address: Value) -> Value:
    """Whether a memory lies at the address, by the map."""
    there: Value = Const(0)
    for memory in map_.memories.values():
        chunk = address[: memory.chunk_bits]
        row = address[memory.chunk_bits : memory.size_bits]
        here = address[memory.size_bits :] == memory.base >> memory.size_bits
        there |= here & (row < memory.rows) & (chunk < memory.chunks)
    return there


def answers(chip: Chip, *, waits_for_it: bool = True) -> Bench:
    """waits_for_it: what takes the answers does not turn away from one that it was ready for."""
    map_ = MemoryMap(chip)
    bench, part = Bench(), LoadPort(map_)
    m = bench.m
    m.submodules.part = part
    address = bench.constant(map_.address_bits, "address")
    bit = bench.constant(range(BUS_BITS), "bit")
    asks, ready, busy, wait = (bench.free(1, name) for name in ("asks", "ready", "busy", "wait"))
    raw = bench.free(len(Value.cast(part.request.payload)), "request")
    answer = bench.free(BUS_BITS, "answer")
    m.d.comb += [
        part.request.valid.eq(asks),
        Value.cast(part.request.payload).eq(raw),
        part.response.ready.eq(ready),
        part.busy.eq(busy),
        part.wait.eq(wait),
        part.answer.eq(answer),
    ]
    request, response = part.request.p, part.response
    waits = bench.past(asks & ~part.request.ready, "waits")
    bench.assume(~waits | (asks & (raw == bench.past(raw, "asked_for"))))
    if waits_for_it:
        bench.assume(~bench.past(ready & ~response.valid, "was_ready") | ready)

    now, writes = Signal(map_.address_bits), Signal()  # the request being served
    with m.If(part.request.ready):
        m.d.sync += [now.eq(request.address), writes.eq(request.write)]
    ours, memory = now == address, in_memory(map_, address)
    access = part.write | part.read

    # Places: an address has one, and no other address has the same.
    place = Cat(part.select, part.row, part.chunk)
    known, where = Signal(), Signal(len(place))
    with m.If(access & ours):
        m.d.sync += [known.eq(1), where.eq(place)]
    bench.check("no alias", ~(access & known & (place == where)) | ours)
    bench.check("one place", ~(access & known & ours) | (place == where))
    bench.check("one memory", (part.select & (part.select - 1)) == 0)
    bench.check("memories of the map", ~(part.taken & ours) | (part.select.any() == memory))

    # The memory's bit, and what the requests make of it.
    kept, written = Signal(), Signal()
    with m.If(part.write & ours):
        m.d.sync += [written.eq(1), kept.eq(part.data.bit_select(bit, 1))]
    asked = bench.past(part.read & ours, "asked")
    bench.assume(~(asked & written) | (answer.bit_select(bit, 1) == kept))
    expected, sent = Signal(), Signal()
    with m.If(asks & part.request.ready & request.write & (request.address == address)):
        m.d.sync += [sent.eq(1), expected.eq(request.data.bit_select(bit, 1))]
    pending = part.taken & writes & ours
    bench.check("pending", ~pending | (sent & (expected == part.data.bit_select(bit, 1))))
    bench.check("in order", ~(sent & memory) | pending | (written & (kept == expected)))
    bit_answered = response.payload.bit_select(bit, 1)
    bench.check("right answer", ~(asked & sent & response.valid) | (bit_answered == expected))

    bench.check("idle only", ~access | (~busy & ~wait))
    bench.check("one strobe", ~(part.write & part.read))
    bench.check("answers reads", ~response.valid | (part.taken & ~writes))
    bench.check("answer follows", ~asked | response.valid)
    ends = part.taken & part.request.ready
    bench.check("no lost answer", ~(ends & ~writes) | (response.valid & ready))
    stall = Signal(3)
    m.d.sync += stall.eq(0)
    with m.If(part.taken & ~busy & ~wait & ready & ~part.request.ready):
        m.d.sync += stall.eq(stall + 1)
    bench.check("progress", stall < 3)
    return bench


CASES = [
    Case(
        "port",
        "a read answers the last write to its address; no alias; only while idle; no answer lost",
        name,
        lambda c=chip: answers(c),
        Fault(
            "reads-while-busy",
            "bus/loadport.py",
            "idle.eq(~self.busy & ~self.wait)",
            "idle.eq(~self.busy)",
            "memories are accessed while a command is still to be taken",
        ),
        limit=200,
        fast=name == "small",
    )
    for name, chip in (("small", SMALL), ("preset tiny", PRESETS["tiny"]))
]
