"""Input lines: a bit for each axon and each teacher line, and their scan.

Spikes for the coming tick come one by one, each read, set and written back in two cycles. The scan
of a tick yields the axons that spiked, ascending, one a cycle, and clears what it has seen. Teacher
spikes go into a memory of one bit a neuron, from which the neuron step takes them.
"""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.events.scanner import Scanner
from spikeloop.hdl.lib.ram import RAM
from spikeloop.pysim.plastic.params import LINE_CHUNK, PlasticParams

__all__ = ["Lines"]

BIT = (LINE_CHUNK - 1).bit_length()


class Lines(wiring.Component):
    """The lines of a core.

    Members
    -------
    i: In, stream    lines with a spike in the coming tick; others are dropped.
    waiting: In(1)   no command begins or is under way.
    writing: Out(1)  a line is on its way into its memory: a scan would miss it.
    start: In(1)     scan.
    valid: Out(1)    the scan yields an axon.
    axon: Out        this axon.
    last: Out(1)     last cycle of the scan.
    take: In(1)      take the teacher spike of neuron ``neuron``.
    neuron: In       this neuron.
    taught: Out(1)   its teacher spike, one cycle later; it is then cleared.
    wipe: In(1)      empty row ``place`` of both memories.
    place: In        this row.
    """

    def __init__(self, p: PlasticParams):
        self.p = p
        self.lines = RAM("plastic_lines", width=LINE_CHUNK, rows=p.line_rows, chunk=LINE_CHUNK)
        self.teach = RAM("plastic_teach", width=1, rows=p.neurons, chunk=1)
        super().__init__(
            {
                "i": In(stream.Signature(p.line_bits)),
                "waiting": In(1),
                "writing": Out(1),
                "start": In(1),
                "valid": Out(1),
                "axon": Out(p.axon_bits),
                "last": Out(1),
                "take": In(1),
                "neuron": In(p.neuron_bits),
                "taught": Out(1),
                "wipe": In(1),
                "place": In(range(max(p.axons, p.neurons) + 1)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        p = self.p
        m.submodules.lines_memory = lines = self.lines
        m.submodules.teach_memory = teach = self.teach
        m.submodules.scanner = scanner = Scanner(rows=1, bits=p.lines)
        accept, pending, line = Signal(), Signal(), Signal(p.line_bits)
        m.d.comb += [
            self.writing.eq(pending),
            self.i.ready.eq(self.waiting & ~pending),
            accept.eq(self.i.valid & self.i.ready & (self.i.payload < p.lines)),
            lines.r_en.eq(accept | scanner.read),
            lines.r_row.eq(Mux(scanner.read, scanner.chunk, self._row(self.i.payload))),
            lines.w_en.eq(pending | scanner.loaded),
            lines.w_row.eq(Mux(pending, self._row(line), scanner.load_chunk)),
            lines.w_data.eq(Mux(pending, lines.r_data | (1 << line[:BIT]), 0)),
            scanner.start.eq(self.start),
            scanner.step.eq(1),
            scanner.data.eq(lines.r_data),
            self.valid.eq(scanner.valid & (scanner.index < p.axons)),
            self.axon.eq(scanner.index),
            self.last.eq(scanner.last),
        ]
        m.d.sync += pending.eq(accept)
        with m.If(accept):
            m.d.sync += line.eq(self.i.payload)

        was, taken = Signal(p.neuron_bits), Signal()
        m.d.sync += [was.eq(self.neuron), taken.eq(self.take)]
        m.d.comb += [
            teach.r_en.eq(self.take),
            teach.r_row.eq(self.neuron),
            self.taught.eq(teach.r_data),
            teach.w_en.eq(taken | (scanner.valid & (scanner.index >= p.axons))),
            teach.w_row.eq(Mux(taken, was, scanner.index - p.axons)),
            teach.w_data.eq(~taken),
        ]
        with m.If(self.wipe):
            for ram, rows in ((lines, p.line_rows), (teach, p.neurons)):
                m.d.comb += ram.w_en.eq(self.place < rows)
                m.d.comb += [ram.w_row.eq(self.place), ram.w_data.eq(0)]
        return m

    def _row(self, line):
        """Row of the memory of lines that holds ``line``."""
        return line[BIT:] if self.p.line_bits > BIT else Const(0, 1)
