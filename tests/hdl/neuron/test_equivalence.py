"""The neuron step: bit planes == integers, proved for all inputs at once.

Inputs are sums, states, parameters and counts. Both forms get the same inputs and are unrolled
until the two or three pipeline registers hold what the inputs were. The SAT solver of Yosys
(pyosys) then finds no input on which any output differs. Three leak terms at once are beyond the
solver in a minute; tests/cocotb/test_neuron.py benches them, form by form, against the independent
model.
"""

import pytest
from amaranth.hdl import DomainRenamer, Module, Signal
from amaranth.lib import wiring

from spikeloop.cosim.audit.yosys import equivalent
from spikeloop.hdl.lib.lanes import everywhere
from spikeloop.hdl.neuron.adaptation import AdaptationStage
from spikeloop.hdl.neuron.current import CurrentStage
from spikeloop.hdl.neuron.fire import FireStage
from spikeloop.hdl.neuron.step import NeuronStep
from spikeloop.pysim.chip.params import Chip

SMALL = Chip(
    axons=1,
    columns=16,
    lanes=2,
    membrane_bits=8,
    leak_terms=0,
    refractory_bits=2,
    roundings=False,
    bounded=False,
)
GEOMETRIES = {
    "fire": SMALL,
    "lower bound": SMALL.replace(bounded=True),
    "no refractory": SMALL.replace(refractory_bits=0, bounded=True),
    "one floor leak": SMALL.replace(leak_terms=1),
    "one leak, all roundings": SMALL.replace(leak_terms=1, roundings=True, bounded=True, lanes=1),
    "current": SMALL.replace(current_bits=8, lanes=1),
    "adaptation": SMALL.replace(adaptation_bits=8, lanes=1),
    "both states": SMALL.replace(current_bits=8, adaptation_bits=9, lanes=1),
}
DECAYING = SMALL.replace(current_bits=9, adaptation_bits=8, leak_terms=1, roundings=True, lanes=1)
RENAMED = {"current": "sync", "leak": "sync", "fire": "sync"}


class Strict(FireStage):
    """Fires at u > v_th."""

    def _update(self, m, total, clear, p):
        p["v_th"] = p["v_th"].increment(everywhere(1, self.chip.lanes))
        super()._update(m, total, clear, p)


class Rounded(CurrentStage):
    """Has no roundings."""

    def __init__(self, chip):
        super().__init__(chip)
        self.chip = chip.replace(roundings=False)


def same(*steps: wiring.Component) -> bool:
    """Whether two neuron steps, or two of their stages, give the same outputs for all inputs."""
    m, inputs, outputs = Module(), [], []
    for number, step in enumerate(steps):
        m.submodules[f"step{number}"] = DomainRenamer(RENAMED)(step)
        outputs.append(
            [
                getattr(step, name)
                for name, member in step.signature.members.items()
                if member.flow is wiring.Out
            ]
        )
    for name, member in steps[0].signature.members.items():
        if member.flow is wiring.In:
            inputs.append(pin := Signal(member.shape, name=name))
            m.d.comb += [getattr(step, name).eq(pin) for step in steps]
    return equivalent(m, inputs, *outputs, steps=4 if steps[0].chip.current_bits else 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", GEOMETRIES)
def test_planes_are_integers(name: str) -> None:
    chip = GEOMETRIES[name]
    assert same(NeuronStep(chip), NeuronStep(chip.replace(sliced=False)))


@pytest.mark.slow
@pytest.mark.parametrize("stage", [CurrentStage, AdaptationStage])
def test_planes_of_a_stage_that_decays_are_integers(stage: type[wiring.Component]) -> None:
    """One term in all roundings."""
    assert same(stage(DECAYING), stage(DECAYING.replace(sliced=False)))


@pytest.mark.slow
def test_the_proof_sees_a_difference() -> None:
    assert not same(FireStage(SMALL), Strict(SMALL))
    assert not same(CurrentStage(DECAYING), Rounded(DECAYING))
