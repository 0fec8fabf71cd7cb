"""pysim.cost.work and pysim.cost.turns against the RTL.

Its counters are the model's. Its runs read nothing but what is loaded.
"""

import numpy as np
import pytest

from spikeloop.cosim.verilator.chip import ChipModel
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.bundle.program import Program, compile_program
from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.cost.cycles import breakdown
from spikeloop.pysim.image.loading import load_rows
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.cosim import FAST_BUILD
from tests.pysim.cost.test_work import ZOU, full_core
from tests.pysim.mapping.test_partition import CHIP, conv_network, stimulus


@pytest.mark.slow
@pytest.mark.parametrize("dense", [False, True])
def test_counters_of_the_rtl_equal_the_model(dense: bool, rng: np.random.Generator) -> None:
    """Part by part on one chip; behind the rows that are loaded its memories hold noise."""
    network = conv_network(rng)
    program, stim = compile_program(network, CHIP), stimulus(rng, network)
    assert isinstance(program, Program)
    model = ChipModel(CHIP, FAST_BUILD)
    map_ = MemoryMap(CHIP)
    model.write(map_.registers["dense"].address, dense)
    compared = 0

    def one(i: int, part: Stimulus) -> Trace:
        nonlocal compared
        image = program.parts[i].image
        for memory in map_.loaded:
            view, rows = model.memory(memory.name), load_rows(image, memory)
            noise = rng.integers(0, 256, view.shape, dtype=np.uint8)
            noise[:, memory.width // 8 :] = 0
            view[:] = noise
            view[:rows, : image.rows(memory.name).shape[1]] = image.rows(memory.name)[:rows]
            view[:rows, image.rows(memory.name).shape[1] :] = 0
        model._set(image)
        trace = model.run(image, part)
        found = breakdown(image, part, trace, dense=dense)
        np.testing.assert_array_equal(
            found.total, trace.counters["cycles"] - trace.counters["stalls"], err_msg=f"part {i}"
        )
        if dense:
            assert (
                trace.counters["slots"]
                == image.placement.rows * (CHIP.columns // image.placement.extension)
            ).all()
        compared += found.total.size
        return trace

    try:
        trace = program.run(stim, one)
    finally:
        model.close()
    assert compared == len(program.parts) * stim.samples * network.steps > 100
    golden = run(network, stim.dense(network))
    for p in network.populations:
        np.testing.assert_array_equal(
            trace.membranes[p.name], golden.membranes[p.name], err_msg=p.name
        )


@pytest.mark.slow
@pytest.mark.parametrize("extension", [1, 2])
def test_a_dense_period_of_the_papers_core(extension: int, rng: np.random.Generator) -> None:
    """13,824 cycles that add synapse rows, and the rest apart, in the RTL of zou2021."""
    image = pack(full_core(rng, extension), chip=ZOU)
    stim = Stimulus.pack({"x": (rng.random((2, 1, image.placement.rows)) < 0.1).astype(np.uint8)})
    model = ChipModel(ZOU, FAST_BUILD)
    try:
        model.fill(image)
        model.write(MemoryMap(ZOU).registers["dense"].address, 1)
        trace = model.run(image, stim)
    finally:
        model.close()
    found = breakdown(image, stim, trace, dense=True)
    np.testing.assert_array_equal(found.total, trace.counters["cycles"] - trace.counters["stalls"])
    assert (found.accumulate == 13_824).all() and (trace.counters["slots"] == 1_152 * 1_024).all()
