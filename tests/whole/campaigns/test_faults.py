"""A sample of ``make faults``; checks of its list, of bins and exclusions of ``make coverage``."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.campaigns import functional_bins
from tests.campaigns.coverage import NAMES, exclusions, points
from tests.campaigns.fault_list import FAULTS
from tests.campaigns.faults import run_faults, stale
from tests.campaigns.macros.dendritic import MACROS as DENDRITES
from tests.campaigns.macros.onn import MACROS as OSCILLATORS
from tests.campaigns.regression.cases import CHIPS, cases
from tests.campaigns.regression.lessons import CORES
from tests.make.pim_cases import MACROS

SAMPLE = ("threshold-strict", "pulse-weight")  # neuron step, PIM macro


def test_every_fault_applies_to_the_sources_as_they_are() -> None:
    assert len(FAULTS) >= 25
    assert stale(FAULTS) == []
    assert {f.chip for f in FAULTS} <= {*CHIPS, *MACROS, *CORES, *OSCILLATORS, *DENDRITES}
    assert [f.name for f in FAULTS if f.old == f.new] == []


def test_a_stale_fault_is_refused() -> None:
    gone = replace(FAULTS[0], old="this text is nowhere in the sources")
    with pytest.raises(ValueError, match="exactly once, not 0 times"):
        run_faults([gone])
    with pytest.raises(ValueError, match="listed once"):
        run_faults([FAULTS[0], FAULTS[0]])


@pytest.mark.slow
def test_a_sample_of_faults_is_caught_and_what_changes_nothing_survives() -> None:
    sample = [f for f in FAULTS if f.name in SAMPLE]
    (first,) = (f for f in sample if f.name == SAMPLE[0])
    same = replace(first, name="parentheses", new=f"({first.old})")
    outcomes = run_faults([*sample, same], jobs=1)
    assert [(o.fault.name if o.fault else o.chip, o.error) for o in outcomes if o.error] == []
    assert [o.found for o in outcomes if not o.fault] == [None] * len({f.chip for f in sample})
    assert {o.fault.name for o in outcomes if o.fault and o.found} == set(SAMPLE)


def test_coverage_points_are_read(tmp_path: Path) -> None:
    (tmp_path / "chip.v").write_text(
        "module chip;\nreg [3:0] count_dropped;\nif (wen) mem[waddr] <= 0;\n"
    )
    row = (
        "C '\x01f\x02chip.v\x01l\x02{}\x01n\x021\x01t\x02x\x01page\x02{}/chip"
        "\x01o\x02{}\x01h\x02chip.chip.core' {}\n"
    )
    (tmp_path / "coverage.dat").write_text(
        "# SystemC::Coverage-3\n"
        + row.format(2, "v_toggle", "count__024dropped[3]:0->1", 7)
        + row.format(3, "v_branch", "if", 0),
        encoding="latin1",
    )
    toggle, branch = points(tmp_path / "coverage.dat", tmp_path / "chip.v")
    assert (toggle.kind, toggle.where, toggle.name, toggle.bit, toggle.hits) == (
        "toggle",
        "chip.core",
        "count$dropped",
        3,
        7,
    )
    assert (branch.kind, branch.name, branch.text, branch.hits) == (
        "line",
        "if",
        "if (wen) mem[waddr] <= 0;",
        0,
    )
    assert not any(e.excludes(branch) for e in exclusions(CHIPS["cover"]))


@pytest.mark.parametrize("name", [*NAMES, "paged"])
def test_functional_bins_are_met(name: str) -> None:
    """A tenth of the networks of ``make coverage`` meets nearly every bin."""
    met = Counter[str]()
    for case in cases(CHIPS[name], 24):
        met += functional_bins.count(case)
    names = functional_bins.bin_names(CHIPS[name])
    unmet = [bin_ for bin_ in names if not met[bin_]]
    print(f"{name}: {len(names)} bins, {len(unmet)} of them not met: {', '.join(unmet)}")
    assert set(met) <= set(names)
    assert len(unmet) < len(names) / 10
