"""The mutants of ``make mutants``: how they are found, drawn and judged."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.campaigns.mutants.__main__ import draw, table
from tests.campaigns.mutants.equivalents import EQUIVALENTS, argument
from tests.campaigns.mutants.sites import KINDS, Mutant, mutants
from tests.campaigns.mutants.worker import baseline, judge, sources
from tests.conftest import ROOT

SOURCE = '''"""Text with 1 and a ~."""

from x import y


class Part:
    def __init__(self, width: int = 8):
        self.width = width

    def elaborate(self, platform) -> Module:
        m = Module()
        m.d.sync += self.a.eq(b + 1)
        m.d.comb += [
            self.c.eq(Mux(~d, e, f)),
        ]
        with m.If(g < h):
            m.next = "END"
        return m
'''
FOUND = {
    "operator": {"+ -> -"},
    "comparison": {"< -> <="},
    "constant": {"1 -> 0", "1 -> 2"},
    "negation": {"~ -> nothing"},
    "condition": {"g < h -> (g < h) == 0", "~d, e, f -> ~d, f, e", "e, f -> f, e"},
    "assignment": {
        "self.a.eq(b + 1) -> []",
        "self.c.eq(Mux(~d, e, f)) -> *()",
        'm.next = "END" -> pass',
    },
}


def test_every_kind_is_found_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "part.py").write_text(SOURCE)
    found = mutants(tmp_path, "part.py")
    for kind in KINDS:
        names = {one.name.partition(": ")[2] for one in found if one.kind == kind}
        assert names <= FOUND[kind] and names, kind
    assert {one.function for one in found} == {("elaborate", 10)}
    for one in found:
        assert one.applied(SOURCE) != SOURCE
        ast.parse(one.applied(SOURCE))


def test_mutants_of_the_sources_apply_and_are_drawn_alike() -> None:
    chosen = draw(60, 3)
    assert chosen == draw(90, 3)[:60] and chosen != draw(60, 4)
    assert len(set(chosen)) == 60 and set(Counter(one.kind for one in chosen)) == set(KINDS)
    for one in chosen:
        ast.parse(one.applied(sources()[one.file]))


def test_every_argument_belongs_to_a_mutant() -> None:
    """An argument whose line is gone says nothing."""
    known = {file: mutants(ROOT / "hdl", file) for file in {e.file for e in EQUIVALENTS}}
    argued = [
        one for file in known for one in known[file] if argument(one, sources()[file]) is not None
    ]
    assert len(argued) >= len(EQUIVALENTS)
    for entry in EQUIVALENTS:
        assert any(
            argument(one, sources()[entry.file]) == entry.why for one in known[entry.file]
        ), entry


def test_the_table_counts_every_row() -> None:
    rows = [
        {"file": "a.py", "verdict": "killed"},
        {"file": "b.py", "verdict": "survived"},
        {"file": "b.py", "verdict": "killed"},
    ]
    assert [line.split()[:4] for line in table(rows).splitlines()[1:]] == [
        ["a.py", "1", "1", "0"],
        ["b.py", "2", "1", "1"],
        ["all", "3", "2", "1"],
    ]


@pytest.mark.slow
def test_mutants_are_judged(tmp_path: Path) -> None:
    """On the UART alone: one of each verdict. What survives is an equivalent writing."""
    texts = sources()
    base = {"uart": baseline(tmp_path / "base", texts, "uart")}
    assert base["uart"]["end"] == "0"

    def verdict(old: str, new: str) -> str:
        at = texts["link/uart.py"].index(old)
        line = texts["link/uart.py"].count("\n", 0, at) + 1
        functions = {one.line: one.function for one in mutants(ROOT / "hdl", "link/uart.py")}
        one = Mutant("link/uart.py", "constant", line, at, old, new, functions[line])
        return judge(tmp_path / "one", texts, one, base)["verdict"]

    assert verdict("left.eq(7)", "left.eq(6)") == "killed"
    assert verdict("left.eq(7)", "left.eq(6 + 1)") == "same"
    assert verdict("left.eq(7)", "left.eq(nothing)") == "build"
    assert verdict("left != 0", "left >= 1") == "survived"
