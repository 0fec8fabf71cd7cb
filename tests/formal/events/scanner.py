"""Scanner: yields every set position once, in order, and no other; holds while it may not step."""

from amaranth.hdl import Cat, Const, Mux, Signal

from spikeloop.cosim.audit.bench import Bench
from spikeloop.hdl.events.scanner import Scanner
from spikeloop.pysim.chip.params import SCAN_BITS
from tests.campaigns.fault_list.fault import Fault
from tests.formal.case import Case

__all__ = ["CASES"]


def scans(rows: int, bits: int) -> Bench:
    """One position, chosen freely, of a memory whose other bits are free at each read."""
    bench, part = Bench(), Scanner(rows=rows, bits=bits)
    m = bench.m
    m.submodules.part = part
    start, step, fetched = bench.free(1, "start"), bench.free(1, "step"), bench.free(64, "fetched")
    dense, is_set = bench.constant(1, "dense"), bench.constant(1, "is_set")
    row, index = bench.constant(part.row_bits, "row"), bench.constant(part.index_bits, "index")
    bench.assume((row < rows) & (index < bits))
    busy = Signal()
    with m.If(start):
        m.d.sync += busy.eq(1)
    with m.Elif(part.last):
        m.d.sync += busy.eq(0)
    bench.assume(~(start & busy))

    # the memory: its output holds until the next read
    fresh, read_row, read_chunk = Signal(), Signal(part.row_bits), Signal(part.chunk_bits)
    data, held = Signal(SCAN_BITS), Signal(SCAN_BITS)
    m.d.sync += [fresh.eq(part.read), held.eq(data)]
    m.d.comb += data.eq(Mux(fresh, fetched, held))
    with m.If(part.read):
        m.d.sync += [read_row.eq(part.row), read_chunk.eq(part.chunk)]
    chunk = index[6:] if part.chunks > 1 else Const(0, 1)
    there = fresh & (read_row == row) & (read_chunk == chunk)
    bench.assume(~there | (data.bit_select(index[:6], 1) == is_set))
    if tail := bits % SCAN_BITS:  # a row's end is 0 in memory
        bench.assume(~(fresh & (read_chunk == part.chunks - 1)) | (data[tail:] == 0))
    m.d.comb += [part.start.eq(start), part.step.eq(step), part.dense.eq(dense)]
    m.d.comb += part.data.eq(data)

    yields = part.valid & step
    here, before = Signal(), Signal()
    m.d.comb += here.eq(yields & (part.index_row == row) & (part.index == index))
    with m.If(start):
        m.d.sync += before.eq(0)
    with m.Elif(here):
        m.d.sync += before.eq(1)
    bench.check("once", ~(here & before))
    bench.check("only what is set", ~here | is_set | dense)
    bench.check("hit", ~here | (part.hit == is_set))
    bench.check("all that is set", ~part.last | ((before | here) == (is_set | dense)))
    bench.check("inside", ~yields | ((part.index < bits) & (part.index_row < rows)))
    bench.check("silent", busy | (~part.valid & ~part.last))
    place, latest, any_ = Cat(part.index, part.index_row), Signal(12), Signal()
    with m.If(start):
        m.d.sync += any_.eq(0)
    with m.Elif(yields):
        m.d.sync += [any_.eq(1), latest.eq(place)]
    bench.check("in order", ~(yields & any_) | (place > latest))
    stalled = bench.past(part.valid & ~step & busy, "stalled")
    offered = bench.past(place, "offered")
    bench.check("holds", ~stalled | (part.valid & (place == offered)))
    return bench


FAULT = Fault(
    "top-lost",
    "events/scanner.py",
    "without.eq(rest & (rest - 1))",
    "without.eq(rest & (rest - 1) & ~(1 << 63))",
    "the last position of a chunk is lost unless it stands alone",
)
CLAIM = "every set position once, in order, and no other, at any pace; dense too"
CASES = [
    Case("scanner", CLAIM, "1 x 64", lambda: scans(1, 64), FAULT, limit=300),
    Case("scanner", CLAIM, "2 x 100", lambda: scans(2, 100), FAULT, cycles=24, limit=400),
]
