"""A chip with a PIM macro and a mesh, wrapped: lint is clean, and the bus runs them (bench)."""

import subprocess
from pathlib import Path

import pytest

from spikeloop.cosim.benches.runner import run
from spikeloop.cosim.verilator.build import simulator_root
from spikeloop.pysim.chip.wrap import BUSES
from tests.cocotb.wrap.chips import CHIPS, TOP, build_wrapped, verilog

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("bus", BUSES),
    pytest.mark.parametrize("name", CHIPS),
]


def test_lint_is_clean(name: str, bus: str) -> None:
    root = simulator_root()
    flags = ["--lint-only", "--quiet", "--top-module", TOP]
    done = subprocess.run(
        [root / "bin" / "verilator_bin", *flags, verilog(name, bus)],
        env={"VERILATOR_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_bus_runs_the_chip(name: str, bus: str, tmp_path: Path, seed: int) -> None:
    ran = run(
        build_wrapped(name, bus),
        "tests.cocotb.wrap.chips_bench",
        folder=tmp_path,
        only=name,
        environment={"SPIKELOOP_SEED": str(seed), "SPIKELOOP_BUS": bus},
    )
    assert len(ran) == 1
