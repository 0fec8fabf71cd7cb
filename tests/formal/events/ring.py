"""Axon ring: an event is yielded by the scan of its slot, once; none is lost, and none appears.

The bench does what the core's controller does: CLEAR, ticks that move the slot and scan it, and
events between them.
"""

from amaranth.hdl import Mux, Signal, Value

from spikeloop.cosim.audit.bench import Bench
from spikeloop.hdl.events.ring import AxonRing
from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.params import Chip
from tests.campaigns.fault_list.fault import Fault
from tests.formal.case import Case

__all__ = ["CASES"]

UNDEFINED, CLEARING, IDLE, MOVED, START, SCANNING = range(6)


def keeps(axons: int, delay_max: int) -> Bench:
    """One bit of the ring, chosen freely, is followed through clears, events and ticks."""
    chip = Chip(axons=axons, columns=16, lanes=2, membrane_bits=8, delay_max=delay_max)
    d = chip.derived
    bench, part = Bench(), AxonRing(chip, MemoryMap(chip).memories["ring"])
    m = bench.m
    m.submodules.part = part
    offered, tick, clear = (bench.free(1, name) for name in ("offered", "tick", "clear"))
    payload = bench.free(len(Value.cast(part.i.payload)), "payload")
    axon, number = bench.constant(d.axon_bits, "axon"), bench.constant(part.slot_bits, "number")
    bench.assume((axon < axons) & (number < d.slots))
    state, slot = Signal(range(6)), Signal(part.slot_bits, init=d.slots - 1)
    m.d.comb += [
        part.i.valid.eq(offered & (state == IDLE)),
        Value.cast(part.i.payload).eq(payload),
        part.slot.eq(slot),
        part.start.eq(state == START),
        part.clear.eq(state == CLEARING),
    ]
    event, taken = part.i.p, part.i.valid & part.i.ready
    at, target = Signal(range(2 * d.slots)), Signal(range(d.slots))
    m.d.comb += [at.eq(slot + event.delay), target.eq(Mux(at >= d.slots, at - d.slots, at))]
    legal = (event.axon < axons) & (event.delay != 0) & (event.delay <= delay_max)
    is_set, yielded, here = Signal(), Signal(), Signal()
    m.d.comb += here.eq(part.valid & part.hit & (part.axon == axon) & (slot == number))
    with m.Switch(state):
        with m.Case(UNDEFINED):
            with m.If(clear):
                m.d.sync += state.eq(CLEARING)
        with m.Case(CLEARING):
            m.d.sync += is_set.eq(0)
            with m.If(part.cleared):
                m.d.sync += state.eq(IDLE)
        with m.Case(IDLE):
            with m.If(taken & legal & (target == number) & (event.axon == axon)):
                m.d.sync += is_set.eq(1)
            with m.If(tick & ~part.writing):
                m.d.sync += [state.eq(MOVED), slot.eq(Mux(slot == d.slots - 1, 0, slot + 1))]
            with m.Elif(clear & ~part.writing):
                m.d.sync += [state.eq(CLEARING), slot.eq(d.slots - 1)]
        with m.Case(MOVED):
            m.d.sync += state.eq(START)
        with m.Case(START):
            m.d.sync += [state.eq(SCANNING), yielded.eq(0)]
        with m.Case(SCANNING):
            m.d.sync += yielded.eq(yielded | here)
            with m.If(part.last):
                m.d.sync += state.eq(IDLE)
                with m.If(slot == number):
                    m.d.sync += is_set.eq(0)
    ends = part.last & (state == SCANNING) & (slot == number)
    bench.check("only what was sent", ~here | is_set)
    bench.check("once", ~(here & yielded))
    bench.check("all that was sent", ~ends | ((yielded | here) == is_set))
    bench.check("dropped", (state != IDLE) | ~taken | (part.dropped == ~legal))
    bench.check("ready", (state != IDLE) | part.i.ready)
    bench.check("silent", (state == SCANNING) | ~part.valid)
    return bench


FAULT = Fault(
    "forwarding-lost",
    "events/ring.py",
    "Mux(written & (written_at == at), written_data, ram.r_data)",
    "ram.r_data",
    "an event on the chunk that is being written overwrites the one before",
)
CLAIM = "an event is yielded by the scan of its slot, once; none is lost, none appears"
CASES = [
    Case("ring", CLAIM, "8 axons, delay 1", lambda: keeps(8, 1), FAULT, limit=300, fast=True),
    Case("ring", CLAIM, "32 axons, delay 2", lambda: keeps(32, 2), FAULT, cycles=24, limit=200),
]
