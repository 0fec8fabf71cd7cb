"""The phase cell: edges of all oscillators, which follow the signs of their sums (docs/onn.md).

    column of couplings --> lane: +g or -g, sum --> sign --> edge in this period --> edge, out

A lane is one adder. With more than one pass ``new`` and ``ref`` stand in rings that turn by the
lanes at the end of each pass. ``phi`` stays until the period ends, so all sums of a step see the
same edges.
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed

from spikeloop.hdl.onn.cell import Cell, row
from spikeloop.pysim.onn.params import OnnParams

__all__ = ["Phase"]


class Phase(Cell):
    """The cell; its ports are those of hdl/onn/cell.py alone."""

    def __init__(self, p: OnnParams):
        super().__init__(p, 2 * p.phase_bits + 2)

    def elaborate(self, platform) -> Module:
        m, p = Module(), self.p
        self.phi, self.out = row("phi", p.phase_bits, p.oscillators), row("out", 1, p.oscillators)
        self.new, self.ref = row("new", p.phase_bits, p.places), row("ref", 1, p.places)
        self.watch_host(m)
        m.d.comb += self.coupled.eq(1)
        self._edges(m, self._lanes(m))
        self._read(m)
        self._show(m)
        return m

    def _written(self, i: int, at: int, new: Value, old: Value) -> Value:
        """``new``, or what the host writes: the field of oscillator i that begins at bit ``at``."""
        mine = self.writing & (self.held.row == i)
        data = self.held.data[at : at + len(old)]
        return Mux(self.held.en, Mux(mine, data, old), new)

    def _lanes(self, m: Module) -> list[Signal]:
        """The exact sum of each lane."""
        p, sums = self.p, []
        after, negative = Signal(p.phase_bits), Signal(reset_less=True)
        m.d.comb += after.eq(self.step - Array(self.phi)[self.source])
        m.d.column += negative.eq(after[-1])  # half a period behind its edge
        for lane in range(p.lanes):
            g = self.column[lane * p.coupling_bits : (lane + 1) * p.coupling_bits].as_signed()
            acc = Signal(signed(p.sum_bits), name=f"acc_{lane}", reset_less=True)
            so_far = Mux(self.first, 0, acc)
            m.d.mac += acc.eq(Mux(negative, so_far - g, so_far + g))
            sums.append(acc)
        return sums

    def _edges(self, m: Module, sums: list[Signal]) -> None:
        """UPDATE: a sum that becomes positive puts the edge of the coming period into this slot."""
        p = self.p
        new, ref = self.new[p.lanes :], self.ref[p.lanes :]
        for lane, acc in enumerate(sums):
            now = Signal(name=f"now_{lane}")
            m.d.comb += now.eq(Mux(acc == 0, self.ref[lane], acc > 0))
            rises = now & ~self.ref[lane]
            new = [*new, Mux(rises, self.step[: p.phase_bits], self.new[lane])]
            ref = [*ref, now]
        for i in range(p.places):
            m.d.update += [
                self.new[i].eq(self._written(i, 8, new[i], self.new[i])),
                self.ref[i].eq(self._written(i, 16, ref[i], self.ref[i])),
            ]

    def _read(self, m: Module) -> None:
        """READ: at the end of a period its edges become those that the others see."""
        p, s, changed = self.p, self.settings, []
        reads, reference = Signal(), Signal(p.phase_bits)
        m.d.comb += [
            reads.eq(self.step[: p.phase_bits].all()),
            reference.eq(Array(self.new[: p.oscillators])[s.reference]),
        ]
        for i in range(p.oscillators):
            phi, apart = self.phi[i], Signal(p.phase_bits, name=f"apart_{i}")
            m.d.comb += apart.eq(self.new[i] - reference)
            out = apart[-1] ^ apart[-2]  # second or third quarter
            m.d.read += [
                phi.eq(self._written(i, 0, Mux(reads, self.new[i], phi), phi)),
                self.out[i].eq(self._written(i, 17, Mux(reads, out, self.out[i]), self.out[i])),
            ]
            changed.append((self.new[i] != phi) & (i < s.oscillators))
        m.d.comb += [self.reads.eq(reads), self.kept.eq(~Cat(changed).any())]

    def _show(self, m: Module) -> None:
        """State for who compares, and for the host."""
        words = []
        for i in range(self.p.oscillators):
            phi, new, ref, out = (row[i] for row in (self.phi, self.new, self.ref, self.out))
            m.d.comb += getattr(self, f"unit_{i}").eq(Cat(phi, new, ref, out))
            gap = 8 - self.p.phase_bits
            words.append(Cat(phi, Signal(gap), new, Signal(gap), ref, out))
        m.d.comb += self.word.eq(Array(words)[self.held.row])
