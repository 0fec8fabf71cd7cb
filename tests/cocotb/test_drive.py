"""The two drives of the bench do the same work: every membrane at every tick as pysim has it."""

import numpy as np
import pytest

from spikeloop.cosim.studies.speed.cocotb import drive
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from tests.make.networks import random_network, random_stimulus


@pytest.mark.slow
@pytest.mark.parametrize("way", ["per_tick", "per_cycle"])
def test_membranes_of_every_tick(way: str, rng: np.random.Generator) -> None:
    network = random_network(rng, PRESETS["tiny"])
    image, stimulus = pack(network, chip=PRESETS["tiny"]), random_stimulus(rng, network, 1, 0.2)
    expected, did = Core(image).run(stimulus), drive(way, image, stimulus, optimize="-O0")
    assert did.ticks == image.ticks
    for p in image.placement.populations:
        assert np.array_equal(
            did.membranes[:, p.start : p.start + image.steps, p.neurons], expected.membranes[p.name]
        ), p.name
    assert did.cycles > expected.counters["cycles"].sum()
    assert did.ticks_per_s > 0


def test_bad_way() -> None:
    with pytest.raises(InputError, match="per_cycle or per_tick, not 'fast'"):
        drive("fast", None, None)
