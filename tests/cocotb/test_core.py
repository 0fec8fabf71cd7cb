"""The chip in five forms on both simulators.

Random networks run on all forms (benches/core.py), everything at the ports on tiny
(benches/chip.py).
"""

import json
from pathlib import Path

import pytest

from spikeloop.cosim.benches.runner import build_chip, run
from spikeloop.pysim.chip.params import PRESETS, Chip

SIMULATORS = ["verilator", pytest.param("icarus", marks=pytest.mark.icarus)]
CHIPS = {
    "tiny": PRESETS["tiny"],
    # as for an FPGA: integers, enables instead of gated clocks
    "fpga": PRESETS["tiny"].replace(sliced=False, clock_gates=False, lanes=6, columns=48, pages=2),
    # 4-bit digits on an odd number of lanes, two scan chunks, three words, 64 pages, longest delays
    "digits": Chip(
        axons=100, columns=120, lanes=10, digit_bits=4, membrane_bits=16, pages=64, page_shift=15
    ),
    # more than 64 lanes: two chunks of spikes; the last word has fewer digits than lanes
    "wide": Chip(
        axons=20,
        columns=130,
        lanes=70,
        membrane_bits=12,
        delay_max=3,
        leak_terms=1,
        refractory_bits=3,
        pages=2,
    ),
    # nothing that can be left out
    "bare": Chip(
        axons=65,
        columns=72,
        lanes=3,
        digit_bits=8,
        membrane_bits=8,
        delay_max=1,
        leak_terms=0,
        refractory_bits=0,
        roundings=False,
        bounded=False,
        clock_gates=False,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("name", CHIPS)
def test_chip(name: str, simulator: str, tmp_path: Path, seed: int) -> None:
    chip = CHIPS[name]
    environment = {
        "SPIKELOOP_CHIP": json.dumps(chip.to_dict()),
        "SPIKELOOP_SEED": str(seed),
        "SPIKELOOP_NETWORKS": "2",
    }
    modules = "tests.cocotb.benches.core" + (",tests.cocotb.benches.chip" if name == "tiny" else "")
    ran = run(
        build_chip(chip, simulator, optimize="-O0"),
        modules,
        environment=environment,
        folder=tmp_path,
    )
    assert len(ran) >= (23 if name == "tiny" else 2)
