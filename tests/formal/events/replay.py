"""Event list: a replay yields the entries of the scan, in order, each in its own cycle."""

from amaranth.hdl import Cat, Signal

from spikeloop.cosim.audit.bench import Bench
from spikeloop.hdl.events.list import EventList
from spikeloop.pysim.chip.params import Chip
from tests.campaigns.fault_list.fault import Fault
from tests.formal.case import Case

__all__ = ["CASES"]


def replays(axons: int) -> Bench:
    """One entry, chosen freely, is followed through lists and replays without end."""
    chip = Chip(axons=axons, columns=16, lanes=2, membrane_bits=8)
    d = chip.derived
    bench, part = Bench(), EventList(chip)
    m = bench.m
    m.submodules.part = part
    begin, found, replay = (bench.free(1, name) for name in ("begin", "found", "replay"))
    hit, axon = bench.free(1, "hit"), bench.free(d.axon_bits, "axon")
    m.d.comb += [
        part.begin.eq(begin),
        part.scan_valid.eq(found),
        part.scan_hit.eq(hit),
        part.scan_axon.eq(axon),
        part.replay.eq(replay),
    ]
    begun, replaying = Signal(), Signal()  # a list has begun; a replay runs
    entries, hits = Signal(d.count_bits), Signal(d.count_bits)
    number, entry = bench.constant(d.count_bits, "number"), Signal(d.axon_bits + 1)
    cycle = Signal(d.count_bits + 1)  # of the replay
    bench.assume(~begin | ~replaying)
    bench.assume(~found | (begun & ~begin & (entries != d.axon_lines) & ~replaying & ~replay))
    bench.assume(~replay | (begun & ~begin & ~replaying))
    with m.If(begin):
        m.d.sync += [begun.eq(1), entries.eq(0), hits.eq(0)]
    with m.If(found):
        m.d.sync += [entries.eq(entries + 1), hits.eq(hits + hit)]
        with m.If(entries == number):
            m.d.sync += entry.eq(Cat(axon, hit))
    with m.If(replaying):
        m.d.sync += [cycle.eq(cycle + 1), replaying.eq(~part.last)]
    with m.If(replay):
        m.d.sync += [replaying.eq(1), cycle.eq(0)]

    yielded = Cat(part.axon, part.hit)
    bench.check("scan passes", ~found | (part.valid & (yielded == Cat(axon, hit))))
    bench.check("hits", ~begun | (part.hits == hits))
    bench.check("a cycle an entry", ~replaying | (part.valid == (cycle != 0)))
    followed = replaying & (cycle == number + 1) & (number < entries)
    bench.check("entry", ~followed | (yielded == entry))
    bench.check("n + 1 cycles", ~replaying | (part.last == (cycle == entries)))
    bench.check("silent", replaying | found | ~part.valid)
    bench.check("awake", part.awake == replaying)
    return bench


CASES = [
    Case(
        "list",
        "a replay yields each entry in its cycle, and ends after n + 1",
        f"{axons} axons",
        lambda a=axons: replays(a),
        Fault(
            "replay-short",
            "events/list.py",
            "running & (at == entries)",
            "running & (at + 1 == entries)",
            "a replay leaves out the last entry",
        ),
        fast=axons == 4,
    )
    for axons in (4, 8)
]
