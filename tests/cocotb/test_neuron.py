"""The neuron step alone (benches/neuron.py).

It runs at an eighth of the corners in Verilator and a thirtieth in Icarus, drawn with the seed.
``make formal`` proves the step for all inputs.
"""

from pathlib import Path

import pytest

from spikeloop.cosim.benches.runner import build, run
from spikeloop.cosim.verilator.build import hdl_key
from spikeloop.cosim.verilator.cache import cached
from spikeloop.hdl.verilog import convert
from tests.cocotb.benches.step import forms
from tests.cocotb.benches.step.forms import FORMS, NeuronTop


def verilog() -> Path:
    """The Verilog of all forms, kept like that of a chip."""
    key = hdl_key(Path(forms.__file__).read_text())[:24]
    made = cached(
        f"verilog-{key}",
        lambda folder: (folder / "neuron_bench.v").write_text(convert(NeuronTop(), "neuron_bench")),
    )
    return made / "neuron_bench.v"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("simulator", "share"), [("verilator", 8), pytest.param("icarus", 30, marks=pytest.mark.icarus)]
)
def test_corners_of_the_neuron_step(simulator: str, share: int, tmp_path: Path, seed: int) -> None:
    built = build(simulator, [verilog()], "neuron_bench", optimize="-O0")
    ran = run(
        built,
        "tests.cocotb.benches.neuron",
        environment={"SPIKELOOP_SEED": str(seed), "SPIKELOOP_SHARE": str(share)},
        folder=tmp_path,
    )
    assert len(ran) == 2 * len(FORMS)
