"""Generated texts as they are: all modes of Icarus, and Verilator's lint.

``make texts`` does the same with every chip and macro.
"""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from spikeloop import hdl
from spikeloop.cosim.board.virtual import build_board
from spikeloop.cosim.verilator.build import verilog_of
from spikeloop.hdl.verilog import generate
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.chip.wrap import BUSES
from tests.campaigns.texts import MODES, lint, mistakes, undefined
from tests.campaigns.texts import TEXTS as EVERY

TINY = PRESETS["tiny"]
TEXTS: dict[str, Callable[[], str]] = {
    "preset tiny": lambda: verilog_of(TINY).read_text(),
    "board tiny": lambda: build_board(TINY, optimise=False).with_name("board.v").read_text(),
    **{bus: cache(EVERY[bus]) for bus in BUSES},
}


@pytest.mark.icarus
@pytest.mark.slow
@pytest.mark.parametrize("name", TEXTS)
def test_no_output_is_undefined_after_a_reset_in_any_mode(name: str, tmp_path: Path) -> None:
    text = TEXTS[name]()
    assert {mode: undefined(text, mode, tmp_path) for mode in MODES} == {m: [] for m in MODES}


@pytest.mark.icarus
@pytest.mark.slow
def test_a_state_machine_that_nobody_wakes_is_found(tmp_path: Path) -> None:
    asleep = re.sub(
        r"^  reg (\S+ );\n  initial \1 <= 0;$",
        r"  reg \1= 0;",
        verilog_of(TINY).read_text(),
        flags=re.M,
    )
    assert undefined(asleep, "2005", tmp_path) == []
    assert "busy" in undefined(asleep, "2012", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXTS)
def test_lint_says_nothing_and_all_warnings_no_more_than_is_known(
    name: str, tmp_path: Path
) -> None:
    text = TEXTS[name]()
    assert lint(text, tmp_path) == []
    every = lint(text, tmp_path, everything=True)
    assert mistakes(every, name) == []
    assert len(every) > 100


@pytest.mark.slow
def test_sources_name_lines_and_leave_the_logic_as_it_is() -> None:
    text = generate(TINY, sources=True)
    lines = set(re.findall(r'src = "(.*?):(\d+)"', text))
    assert {file.split("/")[0] for file, _ in lines} == {"spikeloop", "amaranth"}
    declared = re.search(
        r'src = "spikeloop/(hdl/core/control.py):(\d+)" \*\)\n  output .*alive', text
    )
    assert declared
    root = Path(hdl.__file__).parents[1]
    line = (root / declared[1]).read_text().splitlines()[int(declared[2]) - 1]
    assert line.strip() == '"alive": Out(d.words),'

    def bare(text: str) -> list[str]:
        return [line for line in re.sub(r"\(\* .*? \*\)\s*", "", text).splitlines() if line.strip()]

    assert bare(text) == bare(verilog_of(TINY).read_text())


@pytest.mark.slow
def test_a_width_that_an_assignment_cuts_is_a_mistake(tmp_path: Path) -> None:
    text = verilog_of(TINY).read_text()
    wrong = text.replace("assign taken = ", "assign taken = 9'h100 & ", 1)
    assert wrong != text
    found = mistakes(lint(wrong, tmp_path, everything=True), "preset tiny")
    cut, *more = found  # the cut, and that its two codes come once more than on this preset
    assert cut.startswith("WIDTHTRUNC: text.v") and len(more) == 2
    assert all(count.endswith(" times") for count in more)
    many = [("UNUSEDSIGNAL", "x")] * 900 + [("LATCH", "x")]
    assert mistakes(many, "preset tiny") == ["LATCH: x", "UNUSEDSIGNAL: 900 times"]
    assert mistakes(many[:900], "board tiny") == []  # which has more of them
