"""What goes through the load port is all that a run reads, whatever states the neurons have."""

from dataclasses import replace

import numpy as np
import pytest

from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.image.loading import load_rows, load_stream, load_words
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.traces.trace import STATES
from tests.make.networks import random_network, random_stimulus

TINY = PRESETS["tiny"]


@pytest.mark.parametrize(
    "chip", [TINY, TINY.replace(current_bits=12, adaptation_bits=9)], ids=["plain", "states"]
)
def test_no_row_beyond_the_loaded_ones_is_read(chip, rng: np.random.Generator) -> None:
    """Behind them lies garbage, and the chip model does not see it."""
    spoilt = 0
    for _ in range(6):
        network = random_network(rng, chip, pages=4)
        stimulus, image = random_stimulus(rng, network, 2, 0.2), pack(network, chip=chip)
        memories = {}
        for memory in MemoryMap(chip).loaded:
            rows, first = image.rows(memory.name).copy(), load_rows(image, memory)
            rows[first:] = rng.integers(0, 256, rows[first:].shape, np.uint8)
            spoilt += len(rows) - first
            memories[memory.name] = rows
        traces = [Core(i).run(stimulus) for i in (image, replace(image, memories=memories))]
        for part in ("spikes", "counters", *STATES):
            right, got = (getattr(trace, part) for trace in traces)
            assert right.keys() == got.keys()
            for name in right:
                np.testing.assert_array_equal(right[name], got[name], err_msg=f"{part} of {name}")
        addresses, _ = load_stream(image, 0)
        assert len(addresses) == load_words(image) == len(np.unique(addresses))
    assert spoilt > 100
