"""The quick proofs, each with its planted fault; `make formal` runs them all."""

import ast

import pytest

from spikeloop.cosim.audit.proof import bounded
from tests.conftest import ROOT
from tests.formal import CASES
from tests.formal.__main__ import main
from tests.formal.case import Case, find, run
from tests.formal.port import SMALL, answers

SLOW = {"router-all", "router-fair", "scanner"}
"""These two of a router are shown of a fabric of two; the scanner takes half a minute."""


@pytest.mark.slow
@pytest.mark.parametrize("case", [c for c in CASES if c.fast], ids=str)
def test_the_property_holds_and_its_fault_is_found(case: Case) -> None:
    assert run(case).verdict == ("proved" if case.cycles is None else "bounded")
    assert find(case).verdict == "refuted"


def test_each_planted_fault_changes_what_it_names() -> None:
    """An edit of hdl must not disarm a fault that `make test` does not plant."""
    for fault in {case.fault for case in CASES}:
        file = ROOT / "hdl" / fault.file
        text = file.read_text()
        assert text.count(fault.old) == 1, f"{fault.name} in {fault.file}"
        if file.suffix == ".py":
            old, new = (ast.dump(ast.parse(t)) for t in (text, text.replace(fault.old, fault.new)))
            assert old != new, f"{fault.name} in {fault.file}"


def test_the_quick_proofs_are_of_every_property() -> None:
    slow = {case.name for case in CASES} - {case.name for case in CASES if case.fast}
    assert slow == SLOW


def test_names_are_unique_and_an_unknown_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    names = [(case.name, case.configuration) for case in CASES]
    assert len(names) == len(set(names))
    assert main(["nothing"]) == 2
    assert "property must be one of skid" in capsys.readouterr().err


def test_the_load_port_needs_a_receiver_that_waits_for_its_answer() -> None:
    result = bounded(answers(SMALL, waits_for_it=False), 10)
    assert (result.verdict, result.check) == ("refuted", "no lost answer")
