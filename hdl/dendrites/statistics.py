"""Running mean and variance of a soma, and how many deviations it lies above its mean.

    u --> mean --> d --> var --> root, a bit a cycle --> quotient, a bit a cycle --> place in L

The quotient z is only looked up: places 0 and 1,023 stand for all that lie beyond. So ten bits of
z + 384 are enough, of a dividend that is not negative (docs/dendritic.md, "A step", 5 and 6).
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.dendrites.arithmetic import PLACE_BITS
from spikeloop.hdl.dendrites.layouts import phase_layout, settings_layout, write_layout
from spikeloop.pysim.dendrites.settings import UNITS
from spikeloop.pysim.dendritic.params import DendriticParams

__all__ = ["Statistics"]

U_BITS, MEAN_BITS, VAR_BITS = (UNITS[name].bits for name in ("u", "mean", "var"))
DISTANCE_BITS = 17
ROOT_BITS = VAR_BITS // 2
REST_BITS = ROOT_BITS + PLACE_BITS + 1  # below twice the divisor, which stands at the last place


class Statistics(wiring.Component):
    """mean and var of a neuron, in domain "tail".

    Members
    -------
    settings: In       as loaded.
    phase: In          what is done.
    write: In          what the host writes into the neuron.
    u: In(21)          the soma behind its step.
    mean: Out(26)      signed.
    var: Out(36)       variance.
    place: Out(10)     where the table has L(z), behind ``divide``.
    """

    def __init__(self, p: DendriticParams):
        super().__init__(
            {
                "settings": In(settings_layout()),
                "phase": In(phase_layout(p)),
                "write": In(write_layout(p)),
                "u": In(signed(U_BITS)),
                "mean": Out(signed(MEAN_BITS)),
                "var": Out(VAR_BITS),
                "place": Out(PLACE_BITS),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        self._average(m)
        self._search(m)
        return m

    def _average(self, m: Module) -> None:
        s, phase, write = self.settings, self.phase, self.write
        k = self.u >> 6
        distance = Signal(signed(DISTANCE_BITS), reset_less=True)
        apart, square = Signal(signed(MEAN_BITS + 1)), Signal(signed(VAR_BITS + 1))
        m.d.comb += [
            apart.eq((k << 10) - self.mean),
            square.eq(((distance * distance) << 4) - self.var),
        ]
        self.varied = Signal(VAR_BITS)
        m.d.comb += self.varied.eq(self.var + (square >> s.stat_shift))
        with m.If(phase.mean):
            m.d.tail += self.mean.eq(self.mean + (apart >> s.stat_shift))
        with m.If(phase.part):
            m.d.tail += distance.eq(k - (self.mean >> 10))
        with m.If(phase.vary):
            m.d.tail += self.var.eq(self.varied)
        with m.If(write.state):
            with m.Switch(write.index):
                with m.Case(1):
                    m.d.tail += self.var[32:].eq(write.data[16:])
                with m.Case(2):
                    m.d.tail += self.mean.eq(write.data)
                with m.Case(3):
                    m.d.tail += self.var[:32].eq(write.data)

    def _search(self, m: Module) -> None:
        """Root and quotient share the rest and the answer that grows bit by bit."""
        phase = self.phase
        rest, answer = Signal(REST_BITS, reset_less=True), Signal(ROOT_BITS, reset_less=True)
        left = Signal(VAR_BITS, reset_less=True)  # bits of the variance that are to come
        divisor = Signal(ROOT_BITS, reset_less=True)
        outside = Signal(2, reset_less=True)

        brought, trial, fits = Signal(REST_BITS), Signal(REST_BITS), Signal()
        m.d.comb += [
            brought.eq(Mux(phase.root, Cat(left[-2:], rest), rest)),
            trial.eq(Mux(phase.root, Cat(Const(1, 2), answer), divisor << PLACE_BITS - 1)),
            fits.eq(brought >= trial),
        ]
        after = Mux(fits, brought - trial, brought)
        with m.If(phase.vary):
            m.d.tail += [left.eq(self.varied), rest.eq(0), answer.eq(0)]
        with m.If(phase.root):
            m.d.tail += [left.eq(left << 2), rest.eq(after)]
        with m.If(phase.divide):
            m.d.tail += rest.eq(after << 1)
        with m.If(phase.root | phase.divide):
            m.d.tail += answer.eq(Cat(fits, answer))

        deviation, dividend = Signal(ROOT_BITS), Signal(signed(REST_BITS + 1))
        m.d.comb += [
            deviation.eq(Mux(answer == 0, 1, answer)),
            dividend.eq(
                (self.u << 4) - self.mean + (deviation << 8) + (deviation << 7)  # 384 of them
            ),
        ]
        with m.If(phase.compare):
            m.d.tail += [
                divisor.eq(deviation),
                rest.eq(dividend),
                answer.eq(0),
                outside.eq(Cat(dividend < 0, dividend >= deviation << PLACE_BITS)),
            ]
        inside = Mux(outside[1], (1 << PLACE_BITS) - 1, answer[:PLACE_BITS])
        m.d.comb += self.place.eq(Mux(outside[0], 0, inside))
