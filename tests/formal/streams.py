"""Skid buffer and queue: every item leaves, in order, unchanged, once, and no other does."""

from typing import NamedTuple

from amaranth.hdl import Signal
from amaranth.lib import wiring

from spikeloop.cosim.audit.bench import Bench
from spikeloop.hdl.lib.queue import Queue
from spikeloop.hdl.lib.skid import Skid
from tests.campaigns.fault_list.fault import Fault
from tests.formal.case import Case

__all__ = ["CASES"]

WIDTH = 2  # bits of an item: the other bits go the same way


class Followed(NamedTuple):
    """What a bench of a stream counts.

    put: an item comes in.
    ready: the item offered may leave.
    inside: items inside.
    followed: one of them is followed.
    ahead: items ahead of that one.
    """

    put: Signal
    ready: Signal
    inside: Signal
    followed: Signal
    ahead: Signal


def passes_on(part: wiring.Component, places: int, wait: int) -> tuple[Bench, Followed]:
    """A bench in which one item, chosen freely, is followed through ``part``.

    places: the most items that may be inside.
    wait: the most cycles in a row in which it may hold an item and offer none.
    Returns the bench, and what it counts.
    """
    bench = Bench()
    m = bench.m
    m.submodules.part = part
    valid, item = bench.free(1, "valid"), bench.free(WIDTH, "item")
    ready, mark = bench.free(1, "ready"), bench.free(1, "mark")
    m.d.comb += [part.i.valid.eq(valid), part.i.payload.eq(item), part.o.ready.eq(ready)]
    put, got = Signal(), Signal()
    m.d.comb += [put.eq(valid & part.i.ready), got.eq(part.o.valid & ready)]

    inside, ahead = Signal(range(places + 2)), Signal(range(places + 2))
    followed, over, kept = Signal(), Signal(), Signal(WIDTH)
    m.d.sync += inside.eq(inside + put - got)
    with m.If(put & mark & ~followed & ~over):
        m.d.sync += [followed.eq(1), kept.eq(item), ahead.eq(inside - got)]
    with m.If(followed & got):
        m.d.sync += ahead.eq(ahead - 1)
        with m.If(ahead == 0):
            m.d.sync += [followed.eq(0), over.eq(1)]
    bench.check("order", ~(followed & part.o.valid & (ahead == 0)) | (part.o.payload == kept))
    bench.check("no ghost", ~part.o.valid | (inside != 0))
    bench.check("places", inside <= places)
    bench.check("ready", part.i.ready | (inside >= places - 1))

    offered = bench.past(part.o.valid & ~ready, "offered")
    before = bench.past(part.o.payload, "before")
    bench.check("stable", ~offered | (part.o.valid & (part.o.payload == before)))
    waited = Signal(range(wait + 2))
    m.d.sync += waited.eq(0)
    with m.If((inside != 0) & ~part.o.valid):
        m.d.sync += waited.eq(waited + 1)
    bench.check("progress", waited <= wait)
    return bench, Followed(put, ready, inside, followed, ahead)


def skid() -> Bench:
    return passes_on(Skid(WIDTH), places=2, wait=0)[0]


def queue(rows: int) -> Bench:
    """The bench knows how the queue lies in its memory, which makes the induction short."""
    part = Queue(WIDTH, rows)
    bench, item = passes_on(part, places=rows + 1, wait=1)
    bench.check("empty", part.empty == (item.inside == 0))
    m, bits = bench.m, part.ram.row_bits
    head, tail, level, row = Signal(bits), Signal(bits), Signal(bits + 1), Signal(bits)
    read = Signal()
    m.d.comb += read.eq((level != 0) & (~part.o.valid | item.ready))
    m.d.sync += [head.eq(head + read), tail.eq(tail + item.put), level.eq(level + item.put - read)]
    with m.If(item.put & ~item.followed):
        m.d.sync += row.eq(tail)
    bench.check("level", item.inside == level + part.o.valid)
    stored = item.followed & ~(part.o.valid & (item.ahead == 0))
    bench.check("row", ~stored | (row == (head + item.ahead - part.o.valid)[:bits]))
    return bench


OVERFULL = Fault(
    "queue-overfull",
    "lib/queue.py",
    "level != ram.rows",
    "level != ram.rows + 1",
    "a full queue takes an item, over its oldest one",
)
CASES = [
    Case(
        "skid",
        "items leave in order, unchanged, once; an offer stands; no item waits",
        "2 places",
        skid,
        Fault(
            "skid-overwrites",
            "lib/skid.v",
            "else if (i_valid & ~full) begin",
            "else if (i_valid) begin",
            "the second place is written while it is full",
        ),
        fast=True,
    ),
    Case(
        "queue",
        "items leave in order, unchanged, once; an offer stands; an item waits one cycle at most",
        "4 rows",
        lambda: queue(4),
        OVERFULL,
        fast=True,
    ),
]
