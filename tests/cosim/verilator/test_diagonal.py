"""A population whose neurons feed themselves alone, cut over cores: golden = pysim = RTL."""

import numpy as np
import pytest

from spikeloop.cosim.backends import open_backend
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.pysim.bundle.open import map_network
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.cosim import FAST_BUILD
from tests.make.small import diagonal_network
from tests.pysim.mapping.test_partition import CHIP


@pytest.mark.parametrize(
    ("kind", "chip"),
    [("program", CHIP), ("mesh", CHIP.replace(mesh_width=3, mesh_height=2, chain=256))],
    ids=["program", "mesh"],
)
@pytest.mark.parametrize("conv", [False, True], ids=["matrix", "convolution"])
def test_a_cut_diagonal(kind: str, chip, conv: bool, rng: np.random.Generator) -> None:
    network = diagonal_network(rng, 50, conv=conv)
    bundle = map_network(network, chip)
    assert bundle.kind == kind and bundle.cores_of()["own"] > 1
    spikes = (rng.random((4, network.steps, 20)) < 0.4).astype(np.uint8)
    result = compare(
        Case(network, Stimulus.pack({"x": spikes})),
        ["golden", "pysim", "verilator"],
        lambda name: open_backend(
            name, network, bundle, **({"options": FAST_BUILD} if name == "verilator" else {})
        ),
    )
    assert result.different == 0, result.first
    assert result.pairs[1].neuron_ticks == 4 * network.steps * 54
    assert result.total("spikes_out", "verilator") > 100
