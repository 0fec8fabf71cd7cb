"""The neuron step alone, at every corner, on both simulators (bench_neuron.py)."""

from pathlib import Path

import pytest

from cosim.simulate import build, run
from hdl.verilog import convert
from tests.cocotb.neuron_cases import FORMS, NeuronTop

SIMULATORS = ["verilator", pytest.param("icarus", marks=pytest.mark.icarus)]


@pytest.mark.slow
@pytest.mark.parametrize("simulator", SIMULATORS)
def test_corners_of_the_neuron_step(simulator: str, tmp_path: Path, seed: int) -> None:
    source = tmp_path / "neuron_bench.v"
    source.write_text(convert(NeuronTop(), "neuron_bench"))
    ran = run(build(simulator, [source], "neuron_bench"), "tests.cocotb.bench_neuron", environment={"SPIKELOOP_SEED": str(seed)}, folder=tmp_path)
    assert len(ran) == 2 * len(FORMS)
