"""Axon ring: D_MAX + 1 slots of axon bits, their scanner, and the writer of events.

An event (axon, delay) sets its axon in the slot ``delay`` ticks after the current one. A scan
yields the axons of the current slot one per cycle and clears the slot behind itself. It skips
silent axons; in dense mode it yields all.

Events are taken while no scan runs, one per cycle: read the chunk, set the bit, write it back. An
event on the chunk that is being written sees the new bits (forwarding), so that none is lost.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.events.scanner import Scanner
from spikeloop.hdl.lib.layout import layout
from spikeloop.hdl.lib.ram import RAM
from spikeloop.pysim.chip.params import BUS_BITS, SCAN_BITS, Chip
from spikeloop.pysim.chip.records import event_record

__all__ = ["AxonRing"]


class AxonRing(wiring.Component):
    """The ring of one core.

    Members
    -------
    i: In, stream        events (axon, delay).
    slot: In             number of the current slot.
    writing: Out(1)      an event is on its way into the ring.
    dropped: Out(1)      the event taken now names no axon or no slot.
    awake: Out(1)        something is under way. The ring's clock must run with ``awake``, ``start``
                         or ``i.valid``.
    start: In(1)         scan the current slot.
    dense: In(1)         yield silent axons too.
    extension: In        a slot has axons << ``extension`` axons.
    valid: Out(1)        the scan yields an axon.
    hit: Out(1)          this axon is set.
    axon: Out            its number.
    last: Out(1)         last cycle of the scan.
    clear: In(1)         hold it to empty the ring.
    cleared: Out(1)      the last row is being emptied.
    bus_read: In(1)      the load port reads.
    bus_row: In          row that the load port reads or writes.
    bus_index: In(1)     half of this row.
    bus_write: In(1)     the load port writes.
    bus_data: In         what it writes.
    bus_chunk: Out       what it read, one cycle later.
    """

    def __init__(self, chip: Chip, memory):
        self.chip, d = chip, chip.derived
        self.ram = RAM("ring", width=SCAN_BITS, rows=memory.rows)
        self.scanner = Scanner(rows=1, bits=chip.axons, sizes=d.extensions)
        self.slot_bits = max(1, (d.slots - 1).bit_length())
        super().__init__(
            {
                "i": In(stream.Signature(layout(event_record(chip)))),
                "slot": In(self.slot_bits),
                "writing": Out(1),
                "dropped": Out(1),
                "awake": Out(1),
                "start": In(1),
                "dense": In(1),
                "extension": In(d.extension_bits),
                "valid": Out(1),
                "hit": Out(1),
                "axon": Out(d.axon_bits),
                "last": Out(1),
                "clear": In(1),
                "cleared": Out(1),
                "bus_read": In(1),
                "bus_row": In(self.ram.row_bits),
                "bus_index": In(1),
                "bus_write": In(1),
                "bus_data": In(BUS_BITS),
                "bus_chunk": Out(BUS_BITS),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        chip, d = self.chip, self.chip.derived
        m.submodules.ring_memory = ram = self.ram
        m.submodules.scanner = scanner = self.scanner
        chunk_bits = (d.axon_chunks - 1).bit_length()

        def row(slot, chunk):
            return Cat(chunk[:chunk_bits], slot) if chunk_bits else slot

        m.d.comb += [
            scanner.start.eq(self.start),
            scanner.dense.eq(self.dense),
            scanner.size.eq(self.extension),
            scanner.step.eq(1),
            scanner.data.eq(ram.r_data),
            self.valid.eq(scanner.valid),
            self.hit.eq(scanner.hit),
            self.axon.eq(scanner.index),
            self.last.eq(scanner.last),
        ]
        scanning = Signal()
        with m.If(self.start):
            m.d.sync += scanning.eq(1)
        with m.Elif(scanner.last):
            m.d.sync += scanning.eq(0)

        # An event: read now, write back next cycle.
        target, sum_ = Signal(self.slot_bits), Signal(self.slot_bits + 1)
        m.d.comb += [
            sum_.eq(self.slot + self.i.p.delay),
            target.eq(Mux(sum_ >= d.slots, sum_ - d.slots, sum_)),
        ]
        accept, pending = Signal(), Signal()
        bit, at, onehot = Signal(6), Signal(ram.row_bits), Signal(SCAN_BITS)
        m.d.comb += [
            self.i.ready.eq(~scanning & ~self.start & ~self.clear),
            accept.eq(self.i.valid & self.i.ready),
            self.writing.eq(accept | pending),
            self.dropped.eq(
                accept
                & (
                    (self.i.p.axon >= chip.axons << self.extension)
                    | (self.i.p.delay == 0)
                    | (self.i.p.delay > chip.delay_max)
                )
            ),
        ]
        m.d.sync += pending.eq(accept & ~self.dropped)
        with m.If(accept):
            m.d.sync += [
                bit.eq(self.i.p.axon),
                at.eq(row(target, self.i.p.axon[6:] if d.axon_chunks > 1 else Const(0))),
            ]
        m.d.comb += onehot.eq(1 << bit)
        written, written_at, written_data = Signal(), Signal(ram.row_bits), Signal(SCAN_BITS)
        merged = Signal(SCAN_BITS)
        m.d.comb += merged.eq(Mux(written & (written_at == at), written_data, ram.r_data) | onehot)
        m.d.sync += written.eq(pending)
        m.d.comb += self.awake.eq(scanning | pending | written | self.clear)
        with m.If(pending):
            m.d.sync += [written_at.eq(at), written_data.eq(merged)]

        # CLEAR walks the slots and chunks in use.
        wipe_slot, wipe_chunk = Signal(self.slot_bits), Signal(max(1, chunk_bits))
        with m.If(self.clear):
            m.d.sync += wipe_chunk.eq(wipe_chunk + 1)
            with m.If(wipe_chunk == scanner.last_chunk):
                m.d.sync += [
                    wipe_chunk.eq(0),
                    wipe_slot.eq(Mux(wipe_slot == d.slots - 1, 0, wipe_slot + 1)),
                ]
        m.d.comb += self.cleared.eq(
            self.clear & (wipe_chunk == scanner.last_chunk) & (wipe_slot == d.slots - 1)
        )

        m.d.comb += [
            ram.r_en.eq(scanner.read | accept | self.bus_read),
            ram.r_index.eq(self.bus_index),
            self.bus_chunk.eq(ram.r_chunk),
            ram.r_row.eq(
                Mux(
                    self.bus_read,
                    self.bus_row,
                    Mux(
                        accept,
                        row(target, self.i.p.axon[6:] if d.axon_chunks > 1 else Const(0)),
                        row(self.slot, scanner.chunk),
                    ),
                )
            ),
            ram.w_en.eq(pending | scanner.loaded | self.clear),
            ram.w_row.eq(
                Mux(
                    self.clear,
                    row(wipe_slot, wipe_chunk),
                    Mux(pending, at, row(self.slot, scanner.load_chunk)),
                )
            ),
            ram.w_data.eq(Mux(pending & ~self.clear, merged, 0)),
            ram.c_en.eq(self.bus_write),
            ram.c_row.eq(self.bus_row),
            ram.c_index.eq(self.bus_index),
            ram.c_data.eq(self.bus_data),
        ]
        return m
