"""The bench of docs/benches.md does what the page says, on both simulators.

A bench that is wrong fails by name.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spikeloop.cosim.benches.runner import SIMULATORS, build, build_chip, run
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.errors import InputError
from tests.conftest import ROOT

PARAMETERS = ["verilator", pytest.param("icarus", marks=pytest.mark.icarus)]


def bench_of_the_page() -> str:
    return re.search(r"```python\n(.*?)```", (ROOT / "docs" / "benches.md").read_text(), re.DOTALL)[
        1
    ]


@pytest.mark.slow
@pytest.mark.parametrize("simulator", PARAMETERS)
def test_bench_of_the_page(simulator: str, tmp_path: Path) -> None:
    (tmp_path / "my_bench.py").write_text(bench_of_the_page())
    done = subprocess.run(
        [sys.executable, "my_bench.py", simulator],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "['no_spike_is_lost']"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("board.finish()", "board.expect([3])\n    board.finish()"), "spikes: .* items came, not"),
        (("word & 0xFFFF", "(word & 0xFFFF) ^ 1"), "spikes: item 0 is"),
        (
            ('"the whole bench", 100_000', '"the whole bench", 100'),
            "the whole bench: not done after 100 cycles",
        ),
        (("one_in(4)", "never"), "busy: not done after"),
    ],
    ids=["lost", "wrong", "slow", "hung"],
)
def test_a_bench_that_is_wrong_fails_by_name(
    change: tuple[str, str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        bench_of_the_page()
        .replace("import ChipBench", "import never, ChipBench")
        .replace("100_000", "1_000_000")
    )
    change = (change[0].replace("100_000", "1_000_000"), change[1])
    assert change[0] in text
    (tmp_path / "wrong_bench.py").write_text(text.replace(*change))
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(AssertionError, match=says):
        run(build_chip(PRESETS["tiny"], "verilator"), "wrong_bench", folder=tmp_path)


def test_bad_input_of_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.v").write_text("module a (input clk);\nendmodule\n")
    with pytest.raises(InputError, match="simulator must be one of verilator, icarus, not 'ghdl'"):
        build("ghdl", [tmp_path / "a.v"], "a")
    monkeypatch.setenv("PATH", str(tmp_path))
    for simulator in SIMULATORS:
        with pytest.raises(InputError, match=r"is missing: sudo apt-get install"):
            build(simulator, [tmp_path / "a.v"], "a")
