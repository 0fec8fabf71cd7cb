"""The MNIST net with a PIM first layer on 150 images: every code, current, spike and membrane."""

import numpy as np
import pytest

from spikeloop.cosim.backends import open_backend
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.cosim.flow.pretrained import write_pretrained
from spikeloop.cosim.macros.pim import PimModel
from spikeloop.golden.reference import pim as golden
from spikeloop.pysim.bundle.program import compile_program
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.pim import model as pim
from tests.cosim import FAST_BUILD

IMAGES = 150
CHIP = Chip(axons=1152, columns=1152, lanes=16, delay_max=2, refractory_bits=0, bounded=False)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory):
    """The net and its stimulus: images it was not trained on if there are any, else embedded."""
    return write_pretrained("pim-mnist", None, IMAGES, tmp_path_factory.mktemp("pim"))


@pytest.mark.slow
def test_every_code(net) -> None:
    network, stimulus = net
    layer, images = network.pim.layer, stimulus.pixels[network.pim.name]
    model = PimModel(layer.params)
    model.load(layer)
    ours, chip, want = model.run(images), pim.run(layer, images), golden.run(layer, images)
    model.close()
    assert ours.codes.size == IMAGES * layer.conversions
    for other in (chip, want):
        assert np.array_equal(ours.codes, other.codes)
        assert np.array_equal(ours.currents, other.currents)


@pytest.mark.slow
def test_every_current_spike_and_membrane(net) -> None:
    """Parts of the net take turns on one Verilated core, whose macro runs its first layer."""
    network, stimulus = net
    bundle = compile_program(network, CHIP)
    result = compare(
        Case(network, stimulus),
        ["golden", "pysim", "verilator"],
        workers=1,
        opener=lambda name: open_backend(
            name, network, bundle, **({"options": FAST_BUILD} if name == "verilator" else {})
        ),
    )
    assert result.failures() == []
    assert result.total("pim_cycles", "pysim") == result.total("pim_cycles", "verilator") > 0
    assert result.pairs[1].currents == IMAGES * 1152
    assert result.pairs[1].neuron_ticks == IMAGES * 1674 * 5
