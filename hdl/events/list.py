"""Event list: the axons of a tick, kept while the scan yields them, replayed for each further word.

A replay of n entries takes n + 1 cycles, from the cycle after ``replay`` to that of ``last``. Entry
i leaves in cycle i + 1 of these. In dense mode silent axons are entries too, without ``hit``;
``hits`` counts the others.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.lib.ram import RAM
from spikeloop.pysim.chip.params import Chip

__all__ = ["EventList"]


class EventList(wiring.Component):
    """The list of one core.

    Members
    -------
    begin: In(1)       forget all entries.
    scan_valid: In(1)  the scan yields an axon: an entry.
    scan_hit: In(1)    this axon is set.
    scan_axon: In      its number.
    replay: In(1)      begin a replay.
    valid: Out(1)      there is an entry in this cycle, from scan or replay.
    hit: Out(1)        its axon is set.
    axon: Out          its axon.
    last: Out(1)       final cycle of a replay.
    hits: Out          entries whose axon is set.
    awake: Out(1)      a replay runs. The list's clock must run with ``awake``, ``begin``,
                       ``replay`` or ``scan_valid``.
    """

    def __init__(self, chip: Chip):
        self.chip, d = chip, chip.derived
        super().__init__(
            {
                "begin": In(1),
                "scan_valid": In(1),
                "scan_hit": In(1),
                "scan_axon": In(d.axon_bits),
                "replay": In(1),
                "valid": Out(1),
                "hit": Out(1),
                "axon": Out(d.axon_bits),
                "last": Out(1),
                "hits": Out(d.count_bits),
                "awake": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        d = self.chip.derived
        m.submodules.events_memory = events = RAM(
            "events", width=1 + d.axon_bits, rows=d.axon_lines
        )
        bits = d.count_bits
        entries, at, running, replaying = Signal(bits), Signal(bits), Signal(), Signal()
        m.d.comb += [
            events.w_en.eq(self.scan_valid),
            events.w_row.eq(entries),
            events.w_data.eq(Cat(self.scan_axon, self.scan_hit)),
            events.r_en.eq(running),
            events.r_row.eq(at),
            self.valid.eq(self.scan_valid | replaying),
            self.axon.eq(Mux(replaying, events.r_data[: d.axon_bits], self.scan_axon)),
            self.hit.eq(Mux(replaying, events.r_data[-1], self.scan_hit)),
            self.last.eq(running & (at == entries)),
            self.awake.eq(running),
        ]
        with m.If(self.begin):
            m.d.sync += [entries.eq(0), self.hits.eq(0)]
        with m.If(self.scan_valid):
            m.d.sync += [entries.eq(entries + 1), self.hits.eq(self.hits + self.scan_hit)]
        with m.If(self.replay):
            m.d.sync += [at.eq(0), running.eq(1)]
        with m.If(running):
            m.d.sync += [at.eq(at + 1), replaying.eq(~self.last), running.eq(~self.last)]
        return m
