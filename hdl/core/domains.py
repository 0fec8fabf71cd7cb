"""Clock domains of a core's stages: each ticks only when its stage works (hdl/domains.py)."""

from typing import TYPE_CHECKING

from amaranth.hdl import Cat, Module

from spikeloop.pysim.chip.params import Chip

__all__ = ["sleeping", "wake"]

if TYPE_CHECKING:
    from spikeloop.hdl.core.core import Core


def sleeping(chip: Chip) -> dict[str, tuple[str, ...]]:
    """The domains that sleep, and the memories read in each."""
    first = {"current": ("synaptic", "y", "currents")} if chip.current_bits else {}
    return {
        "control": ("words",),
        "list": (),
        "events": ("fanout", "routes", "spikes"),
        "row": ("synapse",),
        "acc": (),
        "join": (),
        **first,
        "leak": ("leak", "v", *(() if first else ("currents",)), "adaptive", "a"),
        "fire": ("fire", "neuron", "bound", "refractory"),
        "out": (),
    }


def wake(m: Module, core: "Core") -> None:
    """When each domain ticks: its stage works, or the load port reads its memories."""
    chip, control, ring, port = core.chip, core.control, core.ring, core.port
    select, accessed = core.memories.select, core.memories.accessed
    read_by_port = {
        stage: Cat(accessed[name] for name in names if name in accessed).any()
        for stage, names in core.stages.items()
        if names
    }
    asleep = control.waiting
    if chip.pim or chip.front:
        asleep = asleep | core.driver.busy
    awake = ~asleep
    if chip.derived.cores > 1:  # while other cores work, one that is through rests
        working = control.ticking | control.clearing
        awake &= working | core.tick | core.clear | core.zero | core.asked.any()
    arriving = ring.awake | ring.start | core.i.valid | core.arrived | core.local
    asked_by_port = port.write & select["ring"]
    written_by_port = select["v"] | (select["refractory"] if chip.refractory_bits else 0)
    for state in ("y", "a"):
        if state in select:
            written_by_port = written_by_port | select[state]
    enable = core.enable
    m.d.comb += [
        enable["control"].eq(awake | core.request.valid | port.taken),
        enable["list"].eq(control.begin | ring.valid | control.replay | core.events.awake),
        enable["events"].eq(
            arriving
            | accessed["ring"]
            | asked_by_port
            | core.scanner.start
            | control.emitting
            | core.sending
            | read_by_port["events"]
            | core.asked[2]
            | core.fan
            | core.wrote
            | control.settling
        ),
        enable["row"].eq(core.accumulate | accessed["synapse"] | core.synapse_read),
        enable["acc"].eq(core.accumulate),
        enable["join"].eq(control.joining),
        *(
            [enable["current"].eq(control.driving | read_by_port["current"])]
            if chip.current_bits
            else []
        ),
        enable["leak"].eq(control.leaking | read_by_port["leak"]),
        enable["fire"].eq(control.firing | read_by_port["fire"]),
        enable["out"].eq(control.writing | (port.write & written_by_port)),
    ]
