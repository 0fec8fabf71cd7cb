"""Weights that the plastic core learnt, on the crossbar core: equal, and as good as the count."""

import numpy as np
import pytest

from spikeloop.cosim.flow.verify import verify
from spikeloop.cosim.lessons.readout import CHIP, crossbar
from spikeloop.golden.rules.alsa.flowers import trains, trial
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.plastic import numba_engine


@pytest.mark.slow
def test_the_crossbar_core_reads_out_what_was_learnt() -> None:
    chosen = trial(0, 1)
    weights = numba_engine.run(chosen.lesson(), record=False).state.weights
    network, stimulus = crossbar(chosen, weights)
    names = ("golden", "pysim", "verilator")
    result = verify(network, pack(network, chip=CHIP), stimulus, names, allow_silent=True)
    assert result.equal and result.different == 0 and result.neuron_ticks == 30 * 1000 * 3
    halves = weights >> 1
    sums = trains(chosen.test_rates, 1000).sum(1) @ halves.astype(np.int64)
    right = float((sums.argmax(1) == chosen.test_species).mean())
    assert result.accuracy == dict.fromkeys(names, right)
    assert right == chosen.counted(halves) > 0.9
