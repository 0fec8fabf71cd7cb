"""Clock domains that sleep: each ticks only when its stage works.

A sleeping domain is a gated clock in simulation and on an ASIC. On an FPGA it is the core's own
clock, and its registers have enables (``chip.clock_gates``). A module that is generated once and
instantiated many times gets its clocks by ports.
"""

from collections.abc import Sequence

from amaranth.hdl import ClockDomain, ClockSignal, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring

from spikeloop.hdl.names import CLOCK_GATE_MODULE

__all__ = ["add_domain", "clocks_by_ports"]


def add_domain(m: Module, stage: str, enable: Signal, *, clock_gates: bool) -> None:
    """Adds the clock domain ``stage`` to ``m``: gated by ``enable``, or the core's own clock.

    The domain's reset is a copy that the domain registers itself, so that nothing that sleeps
    looks at a signal that is awake.
    """
    domain = ClockDomain(stage, local=True)
    early = ClockDomain(f"{stage}_reset", reset_less=True, local=True)
    m.domains += [domain, early]
    domain.rst = Signal(name=f"{stage}_rst", init=1)
    m.d.comb += early.clk.eq(domain.clk)
    m.d[early.name] += domain.rst.eq(ResetSignal())
    if clock_gates:
        m.submodules[f"{stage}_gate"] = Instance(
            CLOCK_GATE_MODULE,
            i_clk=ClockSignal(),
            i_enable=enable | ResetSignal() | domain.rst,
            o_gated=domain.clk,
        )
    else:
        m.d.comb += domain.clk.eq(ClockSignal())


def clocks_by_ports(m: Module, component: wiring.Component, domains: Sequence[str]) -> None:
    """Adds domains whose clocks are the ports ``<domain>_clk`` of ``component``, without a reset.

    Without them Amaranth would make the ports, in the order of a set, and a reset with each.
    """
    for name in domains:
        domain = ClockDomain(name, reset_less=True, local=True)
        domain.clk = getattr(component, f"{name}_clk")
        m.domains += domain
