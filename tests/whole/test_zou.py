"""Nets of Zou et al. on many cores: golden, pysim and RTL agree on every neuron.

On the paper's core the 225 parts of the four-spike LeNet go through the load port. Each is loaded
into the bank at rest while another part runs. With its first layer on the chip too, from bit planes
of the pixels, the net is 283 parts of wide cores. On a mesh of 192 cores all parts run at once.

The VGG-Net of one spike has random weights, or those that learnt coloured digits. Both take about
10 CPU-seconds without the build of the chip.
"""

from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.backends import open_backend
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.cosim.compare.result import Result
from spikeloop.cosim.flow.pretrained import write_pretrained
from spikeloop.cosim.verilator.backend import PingPong
from spikeloop.golden.data.datasets import load_mnist
from spikeloop.golden.rules.scatter_gather import whole as scatter_gather_whole
from spikeloop.golden.rules.scatter_gather.net import checkpoint
from spikeloop.pysim.bundle.mesh import MeshImage
from spikeloop.pysim.bundle.open import map_network
from spikeloop.pysim.bundle.program import Program, compile_program
from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.cost.turns import at_pins, jobs, pauses, schedule
from spikeloop.pysim.cost.work import measure
from spikeloop.pysim.image.image import Bundle
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.pysim.mapping.vgg import RATE, random_vgg

BANKED = "zou2021,banks=2"
MESH = "full,extension=4,mesh_width=16,mesh_height=12,chain=4096"


def agree(network: Network, bundle: Bundle, stimulus: Stimulus, *names: str) -> Result:
    """The backends compared in every neuron-tick; none differs."""
    result = compare(
        Case(network, stimulus), names, lambda name: open_backend(name, network, bundle)
    )
    print(
        f"{result.neuron_ticks:,} neuron-ticks compared in each of {len(result.pairs)} pairs, "
        f"{result.different} different; cycles predicted {result.cycles_predicted}, measured "
        f"{result.cycles_measured}; SOPs {result.sops:,}"
    )
    assert result.neuron_ticks == stimulus.samples * sum(p.size for p in network.populations)
    assert not result.failures()
    return result


@pytest.mark.slow
def test_every_spike_and_membrane(tmp_path: Path) -> None:
    network, stimulus = write_pretrained("zou-lenet-4", None, 10, tmp_path)
    program = compile_program(network, preset(BANKED))
    assert isinstance(program, Program) and len(program.parts) == 225
    result = agree(network, program, stimulus, "golden", "pysim", "verilator")
    assert result.cycles_predicted == result.cycles_measured > 0


@pytest.mark.slow
def test_the_lenet_on_a_mesh_of_12_rows_of_16_cores(tmp_path: Path) -> None:
    """All cores run at once, and spikes cross the fabric; about 20 CPU-seconds, without RTL."""
    network, stimulus = write_pretrained("zou-lenet-4", None, 10, tmp_path)
    mesh = map_network(network, preset(MESH))
    assert isinstance(mesh, MeshImage) and len(mesh.cores) == 185
    agree(network, mesh, stimulus, "golden", "pysim")


@pytest.mark.slow
def test_every_layer_on_the_chip() -> None:
    net, images = checkpoint("zou-lenet-4"), load_mnist(None).test_images
    network = scatter_gather_whole.to_network(net)
    program = compile_program(network, preset("full,extension=4"))
    assert isinstance(program, Program) and len(program.parts) == 283
    stimulus = Stimulus.pack(scatter_gather_whole.encode(net, images[:20]))
    agree(network, program, stimulus, "golden", "pysim", "verilator")


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


@pytest.mark.slow
@pytest.mark.parametrize("trained", [False, True])
def test_a_vgg_net_of_150_272_neurons(
    trained: bool, rng: np.random.Generator, tmp_path: Path
) -> None:
    """Random weights, 32 samples; kept weights, whose last layer is on the chip too, 8 images."""
    if trained:
        network, stimulus = write_pretrained("zou-vgg-1", None, 8, tmp_path)
    else:
        network = random_vgg(1, rng)
        spikes = (rng.random((32, 1, network.inputs[0].size)) < RATE).astype(np.uint8)
        stimulus = Stimulus.pack({"image": spikes})
    program = compile_program(network, preset("zou2021"))
    assert isinstance(program, Program) and len(program.parts) == 553 + trained
    result = agree(network, program, stimulus, "golden", "pysim", "verilator")
    share = result.total("spikes_out", "golden") / result.neuron_ticks
    print(f"{share:.1%} of the neurons spike")
    assert result.neuron_ticks == stimulus.samples * (150_272 + 10 * trained)
