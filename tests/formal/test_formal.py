"""The quick proofs, each with its planted fault; `make formal` runs them all."""

import pytest

from tests.formal import CASES
from tests.formal.__main__ import main
from tests.formal.case import Case, find, run


@pytest.mark.slow
@pytest.mark.parametrize("case", [c for c in CASES if c.fast], ids=lambda case: case.name)
def test_the_property_holds_and_its_fault_is_found(case: Case) -> None:
    assert run(case).verdict == ("proved" if case.cycles is None else "bounded")
    assert find(case).verdict == "refuted"


def test_names_are_unique_and_an_unknown_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    assert main(["nothing"]) == 2
    assert "property must be one of skid" in capsys.readouterr().err
