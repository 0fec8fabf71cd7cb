"""The mutants of ``make mutants``: how they are found, drawn and judged."""

import ast
from collections import Counter
from pathlib import Path

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, Module, Mux, Signal

from tests.campaigns.mutants.__main__ import draw, table
from tests.campaigns.mutants.equality import equal
from tests.campaigns.mutants.equivalents import EQUIVALENTS, argument
from tests.campaigns.mutants.sites import KINDS, Mutant, mutants
from tests.campaigns.mutants.worker import baseline, judge, proved, sources
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
    """An argument whose line is gone says nothing; one of two equal lines is of both."""
    known = {file: mutants(ROOT / "hdl", file) for file in {e.file for e in EQUIVALENTS}}
    argued = [
        one for file in known for one in known[file] if argument(one, sources()[file]) is not None
    ]
    lines = {file: [line.strip() for line in text.splitlines()] for file, text in sources().items()}
    assert len(argued) == sum(lines[entry.file].count(entry.line) for entry in EQUIVALENTS)
    for entry in EQUIVALENTS:
        assert any(
            argument(one, sources()[entry.file]) == entry.why for one in known[entry.file]
        ), entry


def test_the_table_counts_every_row() -> None:
    rows = [
        {"file": "a.py", "verdict": "killed"},
        {"file": "b.py", "verdict": "proved"},
        {"file": "b.py", "verdict": "killed"},
    ]
    assert [line.split()[:4] for line in table(rows).splitlines()[1:]] == [
        ["a.py", "1", "1", "0"],
        ["b.py", "2", "1", "1"],
        ["all", "3", "2", "1"],
    ]


@pytest.mark.slow
def test_mutants_are_judged(tmp_path: Path) -> None:
    """On the UART alone: one of each verdict. What survives is proved equal, what is killed not."""
    texts = sources()
    base = {"uart": baseline(tmp_path / "base", texts, "uart")}
    assert base["uart"]["end"] == "0"

    def mutant(old: str, new: str) -> Mutant:
        at = texts["link/uart.py"].index(old)
        line = texts["link/uart.py"].count("\n", 0, at) + 1
        functions = {one.line: one.function for one in mutants(ROOT / "hdl", "link/uart.py")}
        return Mutant("link/uart.py", "constant", line, at, old, new, functions[line])

    def verdict(old: str, new: str, *, argued: bool = False) -> str:
        one = judge(tmp_path / "one", texts, mutant(old, new), base, argued=argued)
        return one["verdict"]

    def how(old: str, new: str) -> str | None:
        return proved(tmp_path / "one", texts, mutant(old, new), ["uart"])[0]

    assert verdict("left.eq(7)", "left.eq(6)") == "killed"
    assert verdict("left.eq(7)", "left.eq(6 + 1)") == "same"
    assert verdict("left.eq(7)", "left.eq(nothing)") == "build"
    assert verdict("left != 0", "left >= 1") == "proved"
    assert verdict("left != 0", "left >= 1", argued=True) == "survived"
    assert how("left != 0", "left >= 1") is not None
    assert how("left.eq(7)", "left.eq(6)") is None


class _Inner(Elaboratable):
    """Counts to ``end``; ``more`` bits too many."""

    def __init__(self, end: int, more: int):
        self.end, self.count = end, Signal(3 + more)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.count.eq(Mux(self.count == self.end, 0, self.count + 1))
        return m


def _text(end: int = 5, more: int = 0, inverted: bool = False) -> dict[str, str]:
    """A counter in a module of its own, of which the top shows whether it is 6 or more."""
    m, high = Module(), Signal(name="high")
    m.submodules.inner = inner = _Inner(end, more)
    m.d.comb += high.eq(~(inner.count < 6) if inverted else inner.count >= 6)
    return {"top": rtlil.convert(m, name="top", ports=[high], emit_src=False)}


def test_equality_is_proved_and_difference_is_not() -> None:
    """By a module alone, by the whole, and for a port that got wider."""
    assert equal(_text(), _text(inverted=True)) == "equal for all inputs: top"
    assert equal(_text(), _text(end=4)) == "equal for all inputs, unfolded: top"
    assert equal(_text(), _text(more=1)) == "equal for all inputs, unfolded: top"
    assert equal(_text(), _text(end=6)) is None
    assert equal(_text(end=6), _text(end=6, inverted=True)) == "equal for all inputs: top"


def _passed(into: int, out: int, value: int = 3) -> dict[str, str]:
    """A register of two bits between an input and an output of the top."""
    m, i, o = Module(), Signal(into, name="i"), Signal(out, name="o")
    m.d.sync += o.eq(i & value)
    return {"top": rtlil.convert(m, name="top", ports=[i, o], emit_src=False)}


@pytest.mark.parametrize("wider", [(3, 2), (2, 3), (5, 4)])
def test_pins_more_than_the_other_has_are_not_read_and_are_0(wider: tuple[int, int]) -> None:
    assert equal(_passed(2, 2), _passed(*wider)) == "equal for all inputs: top"
    assert equal(_passed(*wider), _passed(2, 2)) == "equal for all inputs: top"
    assert equal(_passed(2, 2), _passed(*wider, value=1)) is None


def test_a_pin_more_that_moves_is_a_difference() -> None:
    assert equal(_passed(2, 2), _passed(3, 3, value=7)) is None
