"""The four-spike LeNet of Zou et al. on many cores: golden, pysim and RTL agree on the test images.

On the paper's core its 225 parts go through the load port. Each is loaded into the bank at rest
while another part runs. With its first layer on the chip too, from bit planes of the pixels, the
net is 283 parts of wide cores.
"""

from pathlib import Path

import pytest

from spikeloop.cosim.backends import open_backend
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.cosim.flow.pretrained import write_pretrained
from spikeloop.cosim.verilator.backend import PingPong
from spikeloop.golden.data.datasets import load_mnist
from spikeloop.golden.rules.scatter_gather import whole as scatter_gather_whole
from spikeloop.golden.rules.scatter_gather.net import checkpoint
from spikeloop.pysim.bundle.program import Program, compile_program
from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.cost.turns import at_pins, jobs, pauses, schedule
from spikeloop.pysim.cost.work import measure
from spikeloop.pysim.traces.stimulus import Stimulus

BANKED = "zou2021,banks=2"


@pytest.mark.slow
def test_every_spike_and_membrane(tmp_path: Path) -> None:
    samples = 10
    network, stimulus = write_pretrained("zou-lenet-4", None, samples, tmp_path)
    program = compile_program(network, preset(BANKED))
    assert isinstance(program, Program) and len(program.parts) == 225
    names = ["golden", "pysim", "verilator"]
    result = compare(
        Case(network, stimulus), names, lambda name: open_backend(name, network, program)
    )
    print(
        f"{BANKED}: {result.neuron_ticks:,} neuron-ticks compared in each of "
        f"{len(result.pairs)} pairs, {result.different} different; "
        f"cycles predicted {result.cycles_predicted:,}, measured {result.cycles_measured:,}; "
        f"SOPs {result.sops:,}"
    )
    assert result.neuron_ticks == samples * sum(p.size for p in network.populations)
    assert not result.failures()
    assert result.cycles_predicted == result.cycles_measured > 0


@pytest.mark.slow
def test_every_layer_on_the_chip() -> None:
    net, images, samples = checkpoint("zou-lenet-4"), load_mnist(None).test_images, 20
    network = scatter_gather_whole.to_network(net)
    program = compile_program(network, preset("full,extension=4"))
    assert isinstance(program, Program) and len(program.parts) == 283
    stimulus = Stimulus.pack(scatter_gather_whole.encode(net, images[:samples]))
    result = compare(
        Case(network, stimulus),
        ["golden", "pysim", "verilator"],
        lambda name: open_backend(name, network, program),
    )
    print(
        f"{result.neuron_ticks:,} neuron-ticks compared in each of "
        f"{len(result.pairs)} pairs, {result.different} different"
    )
    assert result.neuron_ticks == samples * sum(p.size for p in network.populations)
    assert not result.failures()


@pytest.mark.slow
def test_the_clock_of_hundreds_of_loads_is_the_schedule_s(tmp_path: Path) -> None:
    network, stimulus = write_pretrained("zou-lenet-4", None, 20, tmp_path)
    program = compile_program(network, preset(BANKED))
    assert isinstance(program, Program) and len(program.parts) == 225
    plan = schedule(jobs(program, at_pins(program, measure(program, stimulus).cycles)), batch=10)
    with PingPong(program, batch=10) as chip:
        chip.run(stimulus)
        print(
            f"{len(plan.turns)} turns of {len(program.parts)} parts, 10 samples a load: "
            f"{chip.clock:,} cycles, {plan.total + pauses(program, plan):,} predicted; "
            f"loads {plan.loading:,}, hidden {plan.hidden:,}"
        )
        assert chip.clock == plan.total + pauses(program, plan)
