"""Two wrapped cores of different chips in one design, at their buses (bench.py)."""

import subprocess
from pathlib import Path

import pytest

from spikeloop.cosim.benches.runner import run
from spikeloop.cosim.verilator.build import simulator_root
from tests.cocotb.wrap.cores import build_soc, compile_drivers, verilog

SHORT = "wishbone|strobes|reset"  # what Icarus runs in seconds
RUNS = [("verilator", None, 6), pytest.param("icarus", SHORT, 3, marks=pytest.mark.icarus)]


@pytest.mark.slow
@pytest.mark.parametrize(("simulator", "only", "count"), RUNS)
def test_wrapped_cores(
    simulator: str, only: str | None, count: int, tmp_path: Path, seed: int
) -> None:
    (tmp_path / "c").mkdir()
    drivers = compile_drivers(tmp_path / "c", {"axi": seed + 1, "wishbone": seed + 2})
    ran = run(
        build_soc(simulator),
        "tests.cocotb.wrap.bench",
        folder=tmp_path,
        only=only,
        environment={"SPIKELOOP_SEED": str(seed), "SPIKELOOP_DRIVER": str(drivers)},
    )
    assert len(ran) == count


@pytest.mark.slow
def test_two_cores_in_one_design_lint_clean() -> None:
    """No module of one has the name of one of the other, and Verilator has nothing to say."""
    root = simulator_root()
    done = subprocess.run(
        [
            root / "bin" / "verilator_bin",
            "--lint-only",
            "--quiet",
            "--top-module",
            "soc",
            *verilog(),
        ],
        env={"VERILATOR_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    names = [set(_modules(path.read_text())) for path in verilog()]
    assert all(len(n) > 10 for n in names[:2]) and not names[0] & names[1]


def _modules(text: str) -> list[str]:
    return [
        line.split()[1].split("(")[0] for line in text.splitlines() if line.startswith("module ")
    ]
