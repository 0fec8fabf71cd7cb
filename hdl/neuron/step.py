"""The neuron step: one step of all neurons of a word, docs/arithmetic.md in gates.

    current stage     on chips with synaptic currents: what the sum becomes       domain "current"
    leak stage        what is left of the membranes, and what comes in            domain "leak"
    fire stage        spikes, resets, next membranes                              domain "fire"
    adaptation stage  on chips with adaptations: what raises the thresholds       domain "fire"

There is one register before each stage, so that each is evaluated once per word. Results are stable
after the edge of "fire". There is no multiplier; shifts are barrel shifters by an amount of each
neuron's own. Neurons do not look at each other. So a wide core has each stage as instances of one
module of ``SLICE`` lanes, which hdl/verilog.py writes once and the simulator's compiler reads once.

Source: Yan et al. 2022 (BPSR), Eqs 1-2 and section 2.5, generalised by docs/arithmetic.md.
"""

from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from amaranth.hdl import Cat, ClockSignal, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.names import ADAPTATION_MODULE, CURRENT_MODULE, FIRE_MODULE, LEAK_MODULE
from spikeloop.hdl.neuron.adaptation import AdaptationStage
from spikeloop.hdl.neuron.current import CurrentStage
from spikeloop.hdl.neuron.fire import FireStage
from spikeloop.hdl.neuron.leak import LeakStage
from spikeloop.pysim.chip.params import Chip

__all__ = ["NeuronStep", "SLICE", "Stage", "slice_of", "stages"]

SLICE = 256  # lanes of one instance in a wide core
BETWEEN = ("total", "drive", "raises", "lowers")  # from one stage to another
CLIPPED = ("current_clipped", "adaptation_clipped")  # what the second states add to ``saturated``


class Stage(NamedTuple):
    """A stage: its component, its clock domain, and its module in a wide core."""

    name: str
    component: Any
    domain: str
    module: str


def stages(chip: Chip) -> list[Stage]:
    """The stages of the neuron step of ``chip``."""
    every = [
        Stage("leak", LeakStage, "leak", LEAK_MODULE),
        Stage("fire", FireStage, "fire", FIRE_MODULE),
    ]
    if chip.current_bits:
        every.append(Stage("current", CurrentStage, "current", CURRENT_MODULE))
    if chip.adaptation_bits:
        every.append(Stage("adaptation", AdaptationStage, "fire", ADAPTATION_MODULE))
    return every


def slice_of(chip: Chip) -> Chip | None:
    """The chip whose stages a wide core instantiates side by side; None for other cores."""
    if chip.clock_gates and chip.lanes > SLICE and chip.lanes % SLICE == 0:
        return chip.replace(lanes=SLICE, columns=SLICE * chip.digit_bits)
    return None


class NeuronStep(wiring.Component):
    """One step of ``chip.lanes`` neurons.

    It has the members of all stages, but for those that go from one stage to another. ``saturated``
    is the mask of the lanes in which any clip changed a value.
    """

    def __init__(self, chip: Chip):
        self.chip = chip
        members = {}
        for stage in stages(chip):
            for name, member in stage.component.members(chip).items():
                if name not in (*BETWEEN, *CLIPPED) and name not in members:
                    members[name] = member
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        if (part := slice_of(self.chip)) is None:
            self._whole(m)
        else:
            self._sliced(m, part)
        return m

    def _whole(self, m: Module) -> None:
        """One instance of each stage."""
        chip, outer = self.chip, self.signature.members
        parts = {stage.name: stage.component(chip) for stage in stages(chip)}
        for name, part in parts.items():
            m.submodules[f"{name}_stage"] = part
        made = {}  # by name, what one stage makes and another takes
        for part in parts.values():
            for name, member in part.members(chip).items():
                if member.flow is Out:
                    made[name] = getattr(part, name)
        clipped = [made[name] for name in CLIPPED if name in made]
        for part in parts.values():
            for name, member in part.members(chip).items():
                if member.flow is In and name in made:
                    m.d.comb += getattr(part, name).eq(made[name])
        for part in parts.values():
            for name, member in part.members(chip).items():
                if name in outer:
                    inner, own = getattr(part, name), getattr(self, name)
                    if member.flow is In and name not in made:
                        m.d.comb += inner.eq(own)
                    elif member.flow is Out:
                        more = clipped if name == "saturated" else []
                        m.d.comb += own.eq(reduce(or_, more, inner))

    def _sliced(self, m: Module, part: Chip) -> None:
        """Instances of one module of SLICE lanes for each stage."""
        chip, lanes, clipped = self.chip, self.chip.lanes, []
        outputs: dict[str, list] = {}
        for first in range(0, lanes, SLICE):
            nets: dict[str, Any] = {}  # between the stages of these lanes
            for stage in stages(chip):
                for name, member in stage.component.members(part).items():
                    if member.flow is Out:
                        nets[name] = Signal(member.shape, name=f"{name}_{first}")
            for stage in stages(chip):
                ports = {
                    f"i_{stage.domain}_clk": ClockSignal(stage.domain),
                    f"i_{stage.domain}_rst": ResetSignal(stage.domain),
                }
                for name, member in stage.component.members(part).items():
                    planes = member.shape // SLICE
                    if name in nets:
                        value = nets[name]
                    elif name == "clear":
                        value = self.clear
                    else:
                        value = Cat(
                            getattr(self, name)[b * lanes + first : b * lanes + first + SLICE]
                            for b in range(planes)
                        )
                    ports[f"{'i' if member.flow is In else 'o'}_{name}"] = value
                m.submodules[f"{stage.name}_{first}"] = Instance(stage.module, **ports)
            for name in self.signature.members:
                if name in nets:
                    outputs.setdefault(name, []).append(nets[name])
            clipped.append(reduce(or_, [nets[name] for name in CLIPPED if name in nets], 0))
        for name, parts in outputs.items():
            planes = len(parts[0]) // SLICE
            whole = Cat(part[b * SLICE : (b + 1) * SLICE] for b in range(planes) for part in parts)
            if name == "saturated" and len(stages(chip)) > 2:
                whole = whole | Cat(clipped)
            m.d.comb += getattr(self, name).eq(whole)
