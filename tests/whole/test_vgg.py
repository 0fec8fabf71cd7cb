"""A net of the size of the VGG-Net of Zou et al.: golden, pysim and RTL agree on every neuron.

Its weights are random, since no data set of its kind comes with a package. About 10 CPU-seconds
without the build of the chip.
"""

import numpy as np
import pytest

from spikeloop.cosim.backends import open_backend
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.pysim.bundle.program import Program, compile_program
from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.make.vgg import RATE, random_vgg


@pytest.mark.slow
def test_every_spike_and_membrane(rng: np.random.Generator) -> None:
    samples, network = 2, random_vgg(1, rng)
    program = compile_program(network, preset("zou2021"))
    assert isinstance(program, Program) and len(program.parts) == 553
    lines = network.inputs[0].size
    spikes = (rng.random((samples, 1, lines)) < RATE).astype(np.uint8)
    result = compare(
        Case(network, Stimulus.pack({"image": spikes})),
        ["golden", "pysim", "verilator"],
        lambda name: open_backend(name, network, program),
    )
    neurons = sum(p.size for p in network.populations)
    share = result.total("spikes_out", "golden") / (samples * neurons)
    print(
        f"{result.neuron_ticks:,} neuron-ticks compared in each of {len(result.pairs)} pairs, "
        f"{result.different} different; cycles predicted {result.cycles_predicted:,}, measured "
        f"{result.cycles_measured:,}; SOPs {result.sops:,}; {share:.1%} of the neurons spike"
    )
    assert result.neuron_ticks == samples * neurons == samples * 150_272
    assert not result.failures() and 0.15 < share < 0.35
    assert result.cycles_predicted == result.cycles_measured > 0
