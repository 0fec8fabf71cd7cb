"""The macro of oscillators alone on both simulators (benches/onn.py)."""

import json
from pathlib import Path

import pytest

from spikeloop.cosim.benches.runner import build, run
from spikeloop.cosim.macros.onn import ONN
from tests.campaigns.macros.onn import MACROS


@pytest.mark.slow
@pytest.mark.parametrize("macro", ["oscillates-turns", "phases-turns"])
@pytest.mark.parametrize(
    "simulator", ["verilator", pytest.param("icarus", marks=pytest.mark.icarus)]
)
def test_macro(macro: str, simulator: str, tmp_path: Path, seed: int) -> None:
    built = build(simulator, [ONN.verilog(MACROS[macro])], "onn", optimize="-O0")
    environment = {
        "SPIKELOOP_SEED": str(seed),
        "SPIKELOOP_ONN": json.dumps(MACROS[macro].to_dict()),
    }
    tests = run(built, "tests.cocotb.benches.onn", environment=environment, folder=tmp_path)
    assert len(tests) == 1
