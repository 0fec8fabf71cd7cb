"""The forms of the neuron step that are benched side by side, and the top that holds them."""

from amaranth.hdl import DomainRenamer, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from spikeloop.hdl.neuron.step import NeuronStep
from spikeloop.pysim.chip.params import Chip

__all__ = ["FORMS", "NeuronTop"]

# name: chip whose neuron step is benched; many lanes cost planes little, and integers much
FORMS = {
    "planes24": Chip(axons=32, columns=64, lanes=64),
    "lanes24": Chip(axons=32, columns=64, lanes=4, sliced=False),
    "planes8": Chip(axons=1152, columns=64, lanes=64, membrane_bits=8, refractory_bits=3),
    "planes32": Chip(axons=32, columns=64, lanes=64, membrane_bits=32),
    "bare16": Chip(
        axons=7,
        columns=64,
        lanes=4,
        membrane_bits=16,
        leak_terms=0,
        refractory_bits=0,
        roundings=False,
        bounded=False,
        sliced=False,
    ),
    "states8": Chip(
        axons=32,
        columns=64,
        lanes=64,
        membrane_bits=8,
        refractory_bits=1,
        current_bits=10,
        adaptation_bits=9,
    ),
    "states12": Chip(
        axons=7,
        columns=64,
        lanes=4,
        membrane_bits=12,
        leak_terms=2,
        refractory_bits=0,
        bounded=False,
        sliced=False,
        current_bits=8,
        adaptation_bits=13,
    ),
}
RENAMED = {"current": "sync", "leak": "sync", "fire": "sync"}


class NeuronTop(wiring.Component):
    """All FORMS side by side, each behind ports with its name in front.

    All registers tick with ``clk``.
    """

    def __init__(self):
        self.steps = {name: NeuronStep(chip) for name, chip in FORMS.items()}
        super().__init__({name: Out(one.signature) for name, one in self.steps.items()})

    def elaborate(self, platform) -> Module:
        m = Module()
        for name, one in self.steps.items():
            m.submodules[name] = DomainRenamer(RENAMED)(one)
            for member, description in one.signature.members.items():
                inside, outside = getattr(one, member), getattr(getattr(self, name), member)
                m.d.comb += (
                    inside.eq(outside) if description.flow is wiring.In else outside.eq(inside)
                )
        return m
