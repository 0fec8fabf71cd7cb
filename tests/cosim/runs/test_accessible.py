"""The page of a run breaks no rule of axe-core, on any tab, in light and in dark colours."""

from pathlib import Path
from typing import Any

import pytest

from tests.cosim.runs.test_page import browser, page, runs, tab

__all__ = ["browser", "page", "runs"]  # fixtures

TABS = ("summary", "activity", "samples", "mapping", "cycles", "answers", "differences")


def broken(page: Any) -> list[str]:
    """The rules of axe-core that the page in sight breaks, with what breaks them."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="axe-playwright-python is not installed: pip install -e '.[test]'",
    )
    found = axe.Axe().run(page).response["violations"]
    return [f"{rule['id']}: {[node['html'][:200] for node in rule['nodes']]}" for rule in found]


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_no_rule_is_broken(page: Any, runs: dict[str, Path], colours: str) -> None:
    page.goto((runs["different"] / "report.html").as_uri())
    page.select_option("#theme-choice", colours)
    found = []
    for name in TABS:
        tab(page, name)
        found += [f"{name}: {rule}" for rule in broken(page)]
    assert not found


def test_a_broken_rule_is_seen(page: Any, runs: dict[str, Path]) -> None:
    page.goto((runs["equal"] / "report.html").as_uri())
    page.evaluate("document.body.append(document.createElement('button'))")
    assert [rule.partition(":")[0] for rule in broken(page)] == ["button-name"]
