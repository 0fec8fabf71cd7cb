"""Benches for proofs: a design, free inputs, what is assumed of them, and what must then hold.

A property is written in Amaranth around the RTL it speaks of. The reset is on in cycle 0 and never
again. A check must hold in every later cycle up to which all assumptions held.
"""

from collections.abc import Sequence
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Cat, ClockDomain, Elaboratable, Fragment, Module, Mux, Signal, Value

__all__ = ["Bench", "Elaborated"]


class Bench:
    """A design ``m`` in domain "sync", whose inputs are free in every cycle.

    combinational: registers pass their input on at once. A check then speaks of one cycle, and no
        input is a reset. This serves stages whose registers only wait for their clock.
    sources: Verilog files of modules that the design instantiates, besides the primitives of
        hdl/lib.
    """

    def __init__(self, *, combinational: bool = False, sources: Sequence[Path] = ()):
        self.m, self.combinational, self.sources = Module(), combinational, tuple(sources)
        self.checks: dict[str, Value] = {}
        self._pins: list[Signal] = []
        self._assumptions: list[Value] = []
        self.clk, self.first = Signal(name="clk"), Signal(init=1, reset_less=True, name="first")
        self.m.domains.sync = domain = ClockDomain("sync")
        self.m.d.comb += domain.clk.eq(self.clk)
        if not combinational:
            self.m.d.comb += domain.rst.eq(self.first)
            self.m.d.sync += self.first.eq(0)

    def free(self, shape, name: str) -> Signal:
        """An input that is free in every cycle."""
        pin = Signal(shape, name=name)
        self._pins.append(pin)
        return pin

    def constant(self, shape, name: str) -> Value:
        """An input that is free once and then keeps its value: "for every"."""
        pin, kept = self.free(shape, name), Signal(shape, name=f"{name}_kept", reset_less=True)
        value = Signal(shape, name=f"{name}_constant")
        self.m.d.comb += value.eq(Mux(self.first, pin, kept))
        self.m.d.sync += kept.eq(value)
        return value

    def past(self, value, name: str) -> Signal:
        """The value one cycle before; 0 in cycle 1, which knows nothing of the reset's cycle."""
        register = Signal(len(Value.cast(value)), name=name)
        self.m.d.sync += register.eq(value)
        return register

    def assume(self, condition) -> None:
        self._assumptions.append(Value.cast(condition).bool())

    def check(self, name: str, condition) -> None:
        assert name not in self.checks, name
        self.checks[name] = Value.cast(condition).bool()

    def text(self) -> str:
        """The bench as RTLIL, its top ``top``, with one bit of ``bad`` for each check in turn."""
        now, bad = Signal(name="assumed"), Signal(len(self.checks), name="bad")
        self.m.d.comb += now.eq(Cat(*self._assumptions).all())
        if not self.combinational:  # one broken assumption excuses all that follows
            so_far = Signal(init=1, reset_less=True, name="assumed_so_far")
            now_and_before = Signal(name="assumed_now_and_before")
            self.m.d.comb += now_and_before.eq(now & so_far)
            self.m.d.sync += so_far.eq(now_and_before)
            now = now_and_before & ~self.first
        self.m.d.comb += bad.eq(Cat(now & ~check for check in self.checks.values()))
        return rtlil.convert(self.m, name="top", ports=[self.clk, *self._pins, bad])


class Elaborated(Elaboratable):
    """A component that is elaborated at once, not when the bench is written."""

    def __init__(self, component):
        self.fragment = Fragment.get(component, None)

    def elaborate(self, platform) -> Fragment:
        return self.fragment
