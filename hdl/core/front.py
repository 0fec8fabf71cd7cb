"""The macro in front of a core whose results are events: clock, commands, memories, events.

    load port <--> macro <-- run, send;   macro --> events --> axon ring

One door for all macros of this kind (pysim/chip/front.py), each behind the driver of
hdl/core/driver.py. Their domain sleeps unless the driver's ``awake`` is high.
"""

from typing import TYPE_CHECKING

from amaranth.hdl import Const, DomainRenamer, Module, Signal
from amaranth.lib import wiring

from spikeloop.hdl.core.driver import Driver
from spikeloop.hdl.dendritic.macro import DendriticMacro
from spikeloop.hdl.domains import add_domain
from spikeloop.hdl.onn.macro import OnnMacro
from spikeloop.pysim.chip.params import Chip

if TYPE_CHECKING:
    from spikeloop.hdl.core.core import Core

__all__ = ["add_front", "commands"]


def macro_of(chip: Chip) -> wiring.Component:
    """The macro in front of a core of ``chip``."""
    if chip.onn:
        return OnnMacro(chip.onn)
    assert chip.dendritic
    return DendriticMacro(chip.dendritic)


def commands(chip: Chip) -> tuple[str, ...]:
    """Ports of a core that strobe a macro in front of it, in the order in which they go first."""
    if chip.pim:
        return ("drive",)
    return ("run", "send") if chip.front else ()


def add_front(m: Module, core: "Core") -> wiring.Component:
    """Adds the macro to the module of a core.

    Sets ``core.begins``, high while a command begins, and ``core.event_delay`` of its events.
    """
    chip, port, front = core.chip, core.port, core.chip.front
    assert front
    core.enable["front"] = Signal(name="front_enable")
    add_domain(m, "front", core.enable["front"], clock_gates=chip.clock_gates)
    driver = Driver(chip, macro_of(chip))
    m.submodules.front = DomainRenamer("front")(driver)
    run, send, core.begins = Signal(), Signal(), Signal()
    core.few.d.control += [run.eq(core.run), send.eq(core.send)]
    first = len(core.map.memories) - len(front.memories)
    m.d.comb += [
        core.begins.eq(run | send),
        driver.run.eq(run),
        driver.send.eq(send),
        driver.zero.eq(core.asked[2]),
        core.enable["front"].eq(driver.awake),
        driver.axon.eq(port.settings[f"{front.prefix}axon"]),
        driver.select.eq(port.select[first:]),
        driver.read.eq(port.read),
        driver.write.eq(port.write),
        driver.row.eq(port.row),
        driver.chunk.eq(port.chunk),
        driver.data.eq(port.data),
        *(getattr(port, name).eq(getattr(driver, name)) for name in front.answers),
        driver.taken.eq(core.ring.i.ready),
    ]
    core.event_delay = Const(1)
    if "delay" in front.settings:
        core.event_delay = port.settings[f"{front.prefix}delay"][: chip.derived.delay_bits]
    m.d.comb += [
        getattr(core, f"count_{name}").eq(getattr(driver, f"count_{name}"))
        for name in front.counters
    ]
    return driver
