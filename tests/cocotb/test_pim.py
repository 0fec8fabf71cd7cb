"""The PIM macro alone on both simulators (bench_pim.py)."""

import json
from pathlib import Path

import pytest

from spikeloop.cosim.benches.runner import build, run
from spikeloop.cosim.macros.pim import PIM
from tests.make.pim_cases import MACROS


@pytest.mark.slow
@pytest.mark.parametrize("macro", MACROS)
@pytest.mark.parametrize(
    "simulator", ["verilator", pytest.param("icarus", marks=pytest.mark.icarus)]
)
def test_macro(macro: str, simulator: str, tmp_path: Path, seed: int) -> None:
    built = build(simulator, [PIM.verilog(MACROS[macro])], "pim", optimize="-O0")
    environment = {
        "SPIKELOOP_SEED": str(seed),
        "SPIKELOOP_PIM": json.dumps(MACROS[macro].to_dict()),
    }
    assert (
        len(run(built, "tests.cocotb.benches.pim", environment=environment, folder=tmp_path))
        == 4 + 2
    )
