"""The PIM macro alone on both simulators (bench_pim.py)."""

import json
from pathlib import Path

import pytest

from cosim.pim import verilog_of
from cosim.simulate import build, run
from pysim.pim_params import PimParams

MACROS = {
    "merged": PimParams(banks=2, columns=20, rows=12, weight_bits=4, active_rows=4, share=5, adc_bits=6, current_bits=16, ir_drop=True),
    "serial": PimParams(banks=1, columns=16, rows=16, weight_bits=3, pixel_bits=6, pulse_bits=2, active_rows=8, layout="sliced", share=3,
                        adc_bits=5, current_bits=12),
}


@pytest.mark.slow
@pytest.mark.parametrize("macro", MACROS)
@pytest.mark.parametrize("simulator", ["verilator", pytest.param("icarus", marks=pytest.mark.icarus)])
def test_macro(macro: str, simulator: str, tmp_path: Path, seed: int) -> None:
    built = build(simulator, [verilog_of(MACROS[macro])], "pim")
    environment = {"SPIKELOOP_SEED": str(seed), "SPIKELOOP_PIM": json.dumps(MACROS[macro].to_dict())}
    assert len(run(built, "tests.cocotb.bench_pim", environment=environment, folder=tmp_path)) == 4 + 2
