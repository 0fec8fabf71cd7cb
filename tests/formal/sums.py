"""Accumulators and join: S is the sum of the digits' weights over a word's events, less the offset.

The bench counts what each lane gets, word after word, exactly. Rows, pauses, and the offset are
free, and the accumulators are never cleared.
"""

from amaranth.hdl import Cat, DomainRenamer, EnableInserter, Mux, Signal

from spikeloop.cosim.audit.bench import Bench
from spikeloop.hdl.core.accumulate import Accumulators, Join
from spikeloop.pysim.chip.params import Chip
from tests.campaigns.fault_list.fault import Fault
from tests.formal.case import Case

__all__ = ["CASES"]

LANES, AXONS = 2, 3


def sums(digit_bits: int, form: str) -> Bench:
    """Words of up to AXONS events, of neurons whose weight is both lanes' digits."""
    chip = Chip(
        axons=AXONS,
        columns=LANES * digit_bits,
        lanes=LANES,
        digit_bits=digit_bits,
        membrane_bits=8,
        sliced=form == "planes",
    )
    d, bits = chip.derived, chip.derived.sum_bits
    bench = Bench()
    m = bench.m
    accumulators, join = Accumulators(chip), Join(chip)
    accumulates, joins = Signal(), Signal()
    for part, domain, enable in ((accumulators, "acc", accumulates), (join, "join", joins)):
        renamed = DomainRenamer({domain: "sync"})(part)
        m.submodules[domain] = EnableInserter({"sync": enable})(renamed)
    event, go = bench.free(1, "event"), bench.free(1, "go")
    row = bench.free(LANES * digit_bits, "row")
    shift, offset = bench.constant(1, "shift"), bench.constant(bits, "offset")

    cycle, over = Signal(range(LANES + 2)), Signal()  # of the join; the word is over
    events = Signal(range(AXONS + 1))
    counts = [Signal(d.accumulator_bits + 1, name=f"count{lane}") for lane in range(LANES)]
    last = cycle == LANES + 1
    m.d.comb += [
        accumulates.eq(event & ~joins),
        accumulators.row.eq(row),
        join.counts.eq(accumulators.counts),
        join.shift.eq(shift),
        join.offset.eq(offset),
        join.last.eq(last),
    ]
    bench.assume(~accumulates | ((events != AXONS) & ~over))
    m.d.sync += over.eq(joins & last)
    with m.If(accumulates):
        m.d.sync += events.eq(events + 1)
        for lane, count in enumerate(counts):
            m.d.sync += count.eq(count + Cat(row[b * LANES + lane] for b in range(digit_bits)))
    with m.If(go & ~joins & ~over & ~event):
        m.d.sync += [joins.eq(1), cycle.eq(0)]
    with m.If(joins):
        m.d.sync += cycle.eq(cycle + 1)
        with m.If(last):
            m.d.sync += joins.eq(0)
    with m.If(over):
        m.d.sync += [events.eq(0), *(count.eq(0) for count in counts)]

    for lane in range(LANES):
        weighed, plain = (
            sum(count << (weight * digit) for digit, count in enumerate(counts[lane:]))
            for weight in (digit_bits, 0)
        )
        expected = Signal(bits, name=f"expected{lane}")
        m.d.comb += expected.eq(Mux(shift | (digit_bits > 1), weighed, plain) + offset)
        got = Cat(join.sum[b * LANES + lane] for b in range(bits))
        bench.check(f"sum of lane {lane}", ~over | (got == expected))
    return bench


FAULT = Fault(
    "difference-less-one",
    "core/accumulate.py",
    "everywhere(1, lanes)), everywhere(1, lanes)",
    "everywhere(1, lanes)), everywhere(0, lanes)",
    "the difference of two readings is one too small",
)
CLAIM = "S = sum of the digits' weights over a word's events - offset, word after word"
CASES = [
    Case(
        "sums",
        CLAIM,
        "2 lanes, 1 bit, 3 axons, planes",
        lambda: sums(1, "planes"),
        FAULT,
        limit=300,
        fast=True,
    ),
    Case(
        "sums",
        CLAIM,
        "2 lanes, 1 bit, 3 axons, integers",
        lambda: sums(1, "integers"),
        FAULT,
        limit=300,
    ),
    Case(
        "sums",
        CLAIM,
        "2 lanes, 2 bits, 3 axons, planes",
        lambda: sums(2, "planes"),
        FAULT,
        cycles=24,
        limit=300,
    ),
]
