"""The neuron step: bit planes == integers, proved for all inputs at once.

Inputs are sums, membranes, parameters and counts. Both forms get the same inputs and are unrolled
until the two pipeline registers hold what the inputs were. The SAT solver of Yosys (pyosys) then
finds no input on which any output differs. Three leak terms at once are beyond the solver in a
minute; tests/cocotb/test_neuron.py benches them, form by form, against the independent model.
"""

import pytest
from amaranth.hdl import DomainRenamer, Module, Signal
from amaranth.lib import wiring

from spikeloop.cosim.audit.yosys import equivalent
from spikeloop.hdl.lib.lanes import everywhere
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
}


class Strict(FireStage):
    """Fires at u > v_th."""

    def _update(self, m, total, clear, p):
        p["v_th"] = p["v_th"].increment(everywhere(1, self.chip.lanes))
        super()._update(m, total, clear, p)


def same(*steps: NeuronStep | FireStage) -> bool:
    """Whether two neuron steps, or two of their stages, give the same outputs for all inputs."""
    m, inputs, outputs = Module(), [], []
    for number, step in enumerate(steps):
        m.submodules[f"step{number}"] = DomainRenamer({"leak": "sync", "fire": "sync"})(step)
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
    return equivalent(m, inputs, *outputs, steps=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", GEOMETRIES)
def test_planes_are_integers(name: str) -> None:
    chip = GEOMETRIES[name]
    assert same(NeuronStep(chip), NeuronStep(chip.replace(sliced=False)))


@pytest.mark.slow
def test_the_proof_sees_a_difference() -> None:
    assert not same(FireStage(SMALL), Strict(SMALL))
