"""The relaxation cell: voltages, devices, ages and phases of all oscillators (docs/onn.md).

    rate, digit by digit --+
    column of couplings  --+--> lane: product, sum --> ROUND --> V --> device --> age, phase, out

A lane is one multiplier of G x (X + 2) bits. It takes the digits of S + b first, the highest before
the others, each subtracted behind a shift of the sum by G. Then it takes a column a cycle. With
more than one pass the voltages stand in a ring that turns by the lanes at the end of each pass: a
lane always finds its oscillator at the head. Each stage lies in the clock domain of its phase
(hdl/onn/macro.py), and reads only registers that sleep as well.
"""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In

from spikeloop.hdl.onn.cell import Cell, row
from spikeloop.pysim.onn.memories import DELAY_BITS, state_chunks
from spikeloop.pysim.onn.params import OnnParams
from spikeloop.pysim.oscillators.settings import RATE_BITS

__all__ = ["Relaxation"]

FULL16 = 0xFFFF


class Relaxation(Cell):
    """The cell. Beside the members of hdl/onn/cell.py:

    sums: In           sums of the couplings of the lanes' oscillators.
    delays: In         their delays.
    """

    def __init__(self, p: OnnParams):
        own = {"sums": In(p.lanes * RATE_BITS), "delays": In(p.lanes * DELAY_BITS)}
        super().__init__(p, p.volt_bits + 34, own)

    def elaborate(self, platform) -> Module:
        m, p = Module(), self.p
        self.v, self.met = row("v", p.volt_bits, p.places), row("met", 1, p.places)
        self.crossed = row("crossed", 1, p.places)
        self.age, self.phase = row("age", 16, p.oscillators), row("phase", 16, p.oscillators)
        self.out = row("out", 1, p.oscillators)
        self.watch_host(m)
        sums = self._lanes(m, self._shown(m))
        self._voltages(m, sums)
        self._devices(m)
        self._read(m)
        self._show(m)
        return m

    def _written(self, i: int, index: int, new: Value, old: Value, at: int = 0) -> Value:
        """``new``; while the host writes, its field of chunk ``index``, or ``old``."""
        held = self.held
        mine = self.writing & (held.row == i) & (held.index == index)
        data = held.data[at : at + len(old)]
        return Mux(held.en, Mux(mine, data, old), new)

    def _shown(self, m: Module) -> Signal:
        """x of the oscillator whose column is fetched: all x are of the step's beginning."""
        p, low = self.p, self.p.v_frac - self.p.x_frac
        shown = [v[low:] for v in self.v[: p.oscillators]]
        if p.passes > 1:
            copies = [
                Signal(p.shown_bits, name=f"x_{i}", reset_less=True) for i in range(p.oscillators)
            ]
            for copy, x in zip(copies, shown, strict=True):
                m.d.fetch += copy.eq(Mux(self.turn == 0, x, copy))
            shown = copies
        x = Signal(p.shown_bits, reset_less=True)
        m.d.column += x.eq(Array(shown)[self.source])
        return x

    def _lanes(self, m: Module, x: Signal) -> list[Signal]:
        """The exact sum of each lane, without its constant."""
        p, s, sums = self.p, self.settings, []
        coupled = Signal(reset_less=True)
        m.d.fetch += coupled.eq(self.step >= s.t_on)
        m.d.comb += self.coupled.eq(coupled)
        for lane in range(p.lanes):
            rate = Signal(p.digits * p.coupling_bits, name=f"rate_{lane}")
            own = self.sums[lane * RATE_BITS : (lane + 1) * RATE_BITS]
            m.d.comb += rate.eq(Mux(coupled, own, 0) + Mux(self.met[lane], s.b_met, s.b_ins))
            digits = [
                rate[at * p.coupling_bits : (at + 1) * p.coupling_bits] for at in range(p.digits)
            ]
            g = self.column[lane * p.coupling_bits : (lane + 1) * p.coupling_bits]
            shown = self.v[lane][p.v_frac - p.x_frac :]
            product = Signal(p.coupling_bits + p.shown_bits, name=f"product_{lane}")
            factor = Mux(self.selfing, Array(digits)[self.digit], g)
            m.d.comb += product.eq(factor * Mux(self.selfing, shown, x))
            acc = Signal(p.sum_bits, name=f"acc_{lane}", reset_less=True)  # modulo 2^sum_bits
            shifted = Cat(Const(0, p.coupling_bits), acc)[: p.sum_bits]
            so_far = Mux(self.selfing, Mux(self.first, 0, shifted), acc)
            m.d.mac += acc.eq(Mux(self.selfing, so_far - product, so_far + product))
            sums.append(acc)
        return sums

    def _voltages(self, m: Module, sums: list[Signal]) -> None:
        """ROUND and UPDATE: the sums move the voltages, which saturate."""
        p, s = self.p, self.settings
        half = Signal(40)
        m.d.comb += half.eq((1 << s.sh)[1:41])
        turned, clipped = self.v[p.lanes :], []
        self.live = []
        for lane, acc in enumerate(sums):
            moved = Signal(signed(p.sum_bits), name=f"moved_{lane}", reset_less=True)
            charge = Mux(self.met[lane], s.a_met, s.a_ins)
            m.d.round += moved.eq((acc + charge + half)[: p.sum_bits].as_signed() >> s.sh)
            live = Signal(name=f"live_{lane}")
            delay = self.delays[lane * DELAY_BITS : (lane + 1) * DELAY_BITS]
            used = self.turn * p.lanes + lane < s.oscillators
            m.d.comb += live.eq((self.step >= delay) & used)
            self.live.append(live)
            v, total = self.v[lane], Signal(signed(p.sum_bits + 1), name=f"total_{lane}")
            m.d.comb += total.eq(v + moved)
            below, high = total < 0, total > (1 << p.volt_bits) - 1
            held = Mux(below, 0, Mux(high, (1 << p.volt_bits) - 1, total))
            turned = [*turned, Mux(live, held[: p.volt_bits], v)]
            clipped.append(live & (below | high))
        for i, (v, new) in enumerate(zip(self.v, turned, strict=True)):
            m.d.update += v.eq(self._written(i, 0, new, v))
        self.clipped = Signal(p.lanes, reset_less=True)
        m.d.update += self.clipped.eq(Cat(clipped))

    def _devices(self, m: Module) -> None:
        """FLAGS: a voltage at a threshold turns its device. The new voltages are the last ones."""
        p, s = self.p, self.settings
        met, crossed = self.met[p.lanes :], self.crossed[p.lanes :]
        for lane in range(p.lanes):
            v, was, live = self.v[p.places - p.lanes + lane], self.met[lane], self.live[lane]
            high = v >= s.v_high
            met = [*met, Mux(live, Mux(was, ~high, v <= s.v_low), was)]
            crossed = [*crossed, live & was & high]
        for i in range(p.places):
            m.d.flags += [
                self.met[i].eq(self._written(i, 2, met[i], self.met[i])),
                self.crossed[i].eq(crossed[i]),
            ]
        count = Signal(range(p.lanes + 1))
        m.d.comb += count.eq(sum(self.clipped))
        m.d.flags += self.clips.eq(self.clips + Mux(self.writing, 0, count))

    def _read(self, m: Module) -> None:
        """READ: ages, and phases when the reference crosses."""
        p, s = self.p, self.settings
        length, reads = Signal(16), Signal()
        before = Array(self.age)[s.reference]
        m.d.comb += [
            reads.eq(Array(self.crossed[: p.oscillators])[s.reference]),
            length.eq(Mux(before == FULL16, FULL16, before + 1)),
        ]
        changed = []
        for i in range(p.oscillators):
            older = Mux(self.age[i] == FULL16, FULL16, (self.age[i] + 1)[:16])
            age = Signal(16, name=f"age_new_{i}")
            m.d.comb += age.eq(Mux(self.crossed[i], 0, older))
            inside = ((age << 2) < length) | ((age << 2) >= 3 * length)
            out = Signal(name=f"out_new_{i}")
            m.d.comb += out.eq(~inside)
            m.d.read += [
                self.age[i].eq(self._written(i, 1, age, self.age[i])),
                self.phase[i].eq(
                    self._written(i, 1, Mux(reads, age, self.phase[i]), self.phase[i], 16)
                ),
                self.out[i].eq(self._written(i, 2, Mux(reads, out, self.out[i]), self.out[i], 1)),
            ]
            changed.append((out != self.out[i]) & (i < s.oscillators))
        count = Signal(range(p.oscillators + 1))
        m.d.comb += [
            self.reads.eq(reads),
            self.length.eq(length),
            self.kept.eq(~Cat(changed).any() & ~self.none),
            count.eq(sum(self.crossed[: p.oscillators])),
        ]
        m.d.read += self.crossings.eq(self.crossings + Mux(self.held.en, 0, count))

    def _show(self, m: Module) -> None:
        """State for who compares, and for the host."""
        words = []
        for i in range(self.p.oscillators):
            value = {name: getattr(self, name)[i] for name in ("v", "met", "age", "phase", "out")}
            m.d.comb += getattr(self, f"unit_{i}").eq(Cat(*value.values()))
            words.append(
                Array([Cat(value[name] for name, *_ in chunk) for chunk in state_chunks(self.p)])[
                    self.held.index
                ]
            )
        m.d.comb += self.word.eq(Array(words)[self.held.row])
