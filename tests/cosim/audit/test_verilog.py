"""The audit finds nothing in what is generated, and finds what is planted."""

import os
import re
import subprocess
import sys

import pytest
import typer

from spikeloop.cosim.audit import verilog as module
from spikeloop.cosim.audit.text import normalise
from spikeloop.cosim.audit.verilog import Check, audit
from spikeloop.cosim.audit.yosys import yosys
from spikeloop.hdl.neuron import step
from spikeloop.hdl.verilog import generate
from spikeloop.pysim.chip.params import PRESETS
from tests.conftest import ROOT

TINY = PRESETS["tiny"]
CHIPS = {
    "tiny": TINY,
    "integers and enables": TINY.replace(clock_gates=False, sliced=False),
    "bare": TINY.replace(refractory_bits=0, bounded=False, digit_bits=2),
    "slices": TINY.replace(lanes=16),  # of 8 lanes, below
    "whole words": TINY.replace(lanes=32),
    "extension": TINY.replace(extension=4, pages=4),
    "both states": TINY.replace(current_bits=12, adaptation_bits=9),
}
ACCUMULATORS = r"^(module \\chip\.core\.accumulators [^;]*;)"
COUNT = r"^(  always @\(posedge acc_clk\)\n    count_1 <= )([^;]+);"


def findings(checks: list[Check], what: str, tool: str = "") -> list[str]:
    return [
        f
        for check in checks
        if check.what.startswith(what) and tool in check.tool
        for f in check.findings
    ]


@pytest.fixture(scope="module")
def verilog() -> str:
    return generate(TINY)


def planted(verilog: str, pattern: str, replacement: str) -> str:
    changed, count = re.subn(pattern, replacement, verilog, count=1, flags=re.M)
    assert count == 1, f"nothing to plant at {pattern!r}"
    return changed


@pytest.mark.slow
@pytest.mark.parametrize("name", CHIPS)
def test_what_is_generated_is_what_the_parameters_say(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "slices":
        monkeypatch.setattr(step, "SLICE", 8)
    checks = audit(CHIPS[name])
    assert [f for check in checks for f in check.findings] == []
    assert all(check.items > 0 for check in checks)


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["pyverilog", "yosys"])
def test_a_multiply_is_found(verilog: str, tool: str) -> None:
    wrong = planted(verilog, COUNT, r"\g<1>row * counts;")
    found = findings(audit(TINY, wrong), "no multiply", tool)
    assert found and ("core.accumulators" in found[0] or "$mul" in found[0])


@pytest.mark.slow
def test_a_wrong_memory_is_found_by_both(verilog: str) -> None:
    wrong = planted(verilog, r'(\.NAME\("routes"\),\n    \.ROWS\()[^)]+', r"\g<1>32'd100")
    checks = audit(TINY, wrong)
    assert any("routes" in f for f in findings(checks, "memories", "pyverilog"))
    assert any("routes" in f for f in findings(checks, "memories", "yosys"))


@pytest.mark.slow
def test_ports_and_registers_of_another_chip_are_found(verilog: str) -> None:
    checks = audit(TINY.replace(membrane_bits=20, axons=40), verilog)
    assert any("i__payload" in f for f in findings(checks, "ports", "pyverilog"))
    assert any("i__payload" in f for f in findings(checks, "ports", "yosys"))
    assert any("core.step.fire_stage.total_register" in f for f in findings(checks, "registers"))
    assert any("memory v " in f for f in findings(checks, "memories", "yosys"))


@pytest.mark.slow
def test_a_wide_register_in_no_inventory_is_found(verilog: str) -> None:
    wrong = planted(
        verilog,
        ACCUMULATORS,
        r"\1\n  reg [99:0] stowaway;\n"
        r"  always @(posedge acc_clk) stowaway <= row;",
    )
    assert any(
        "register of 100 bits in core.accumulators" in f
        for f in findings(audit(TINY, wrong), "registers")
    )


@pytest.mark.slow
def test_a_combinational_loop_is_found(verilog: str) -> None:
    wrong = planted(
        verilog,
        ACCUMULATORS,
        r"\1\n  wire ring, ring2;\n  assign ring = ~ring2;\n"
        r"  assign ring2 = ring ^ row[0];",
    )
    wrong = planted(wrong, COUNT, r"\g<1>\2 ^ ring;")
    assert any("loop" in f for f in findings(audit(TINY, wrong), "no combinational loop"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments, status", [("--chip tiny", 0), ("--chip nothing", 2), ("--verilog /nowhere.v", 2)]
)
def test_the_command(arguments: str, status: int, capsys) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(module.main)
    with pytest.raises(SystemExit) as ended:
        app(arguments.split())
    assert ended.value.code == status
    output = capsys.readouterr()
    assert ("must be" in output.err) if status else ("no multiply" in output.out)


def test_the_normaliser_keeps_registers_registers() -> None:
    text = "(* init = 1'h1 *)\n  reg [3:0] \\q$1  = 4'h0;\n  always @* begin\n"
    text += "    if (\\$auto$verilog_backend.cc:1:dump$3 ) begin end\n  end\n"
    assert normalise(text).split() == ["reg", "[3:0]", "\\q$1", ";", "always", "@*", "begin", "end"]


def test_yosys_says_what_went_wrong() -> None:
    done, log = yosys("read_verilog /nowhere.v\n")
    assert not done
    assert "nowhere.v" in log


TEXTS = """
import hashlib
from spikeloop.hdl import verilog
from tests.campaigns.macros.dendritic import MACROS as DENDRITES
from tests.campaigns.macros.onn import MACROS as OSCILLATORS
from tests.campaigns.regression.cases import CHIPS
from tests.campaigns.regression.lessons import CORES
for text in (
    verilog.generate(CHIPS["pim"]),
    verilog.generate_plastic(CORES["learns"]),
    verilog.generate_onn(OSCILLATORS["phases"]),
    verilog.generate_dendritic(DENDRITES["dendrites"]),
):
    print(hashlib.sha256(text.encode()).hexdigest())
"""


@pytest.mark.slow
def test_the_text_does_not_depend_on_the_hashes_of_names() -> None:
    """Sets of names have another order for each PYTHONHASHSEED; 0 and 2 told clocks apart once."""
    said = [
        subprocess.run(
            [sys.executable, "-c", TEXTS],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("0", "2")
    ]
    assert len(said[0]) == 4 and said[0] == said[1]
