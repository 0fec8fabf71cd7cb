"""The studies of MNIST: their tables and tests of agreement; and a small run of each."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeloop.cosim.digits.study import Plan
from spikeloop.cosim.studies.digits import optimise, ratios, seeds
from spikeloop.golden.data.datasets import Dataset
from spikeloop.pysim.common.errors import InputError
from tests.cosim.digits.test_digits import bars  # noqa: F401

PLAN = Plan(train=40, label=40, test=20)


def test_means_agree_within_a_point_and_two_standard_errors() -> None:
    reals, near, far = np.array([80.0, 82.0]), np.array([81.0, 82.0]), np.array([60.0, 62.0])
    apart, most = seeds.agree(reals, near)
    assert apart == 0.5 and most == pytest.approx(1 + 2 * np.sqrt((2 + 0.5) / 2))
    assert abs(seeds.agree(reals, far)[0]) > seeds.agree(reals, far)[1]


def test_seeds_are_run_once(bars: Dataset, tmp_path: Path) -> None:  # noqa: F811
    said: list[str] = []
    for _ in range(2):
        rows = seeds.run(["alsa"], bars, PLAN, 10, 2, tmp_path, said.append)
    assert len(rows) == len(said) == 4
    text = seeds.table(rows)
    assert text.count("| alsa |") == 3 and "agree" in text.splitlines()[-1]
    with pytest.raises(InputError, match="must be of this study"):
        seeds.run(["alsa"], bars, PLAN, 12, 2, tmp_path, said.append)


def test_ranks_have_the_sign_that_they_have() -> None:
    rows: list[dict[str, Any]] = [
        {"kind": "log", "ratio": r, "index": -r, "gap": g, "test": 0.5}
        for r, g in ((2.1, 1.0), (1.7, 3.0), (1.2, 3.0), (0.9, 4.0))
    ]
    found = ratios.ranks(rows)["log"]
    assert found["ratio, index"] == (-1.0, 4)
    # ranks 4, 3, 2, 1 and 1, 2.5, 2.5, 4: the value of scipy.stats.spearmanr
    assert found["ratio, gap"][0] == pytest.approx(-0.9486832980505138)
    assert np.isnan(found["ratio, test"][0]) and np.isnan(
        ratios.ranks(rows)["add"]["ratio, gap"][0]
    )
    rows[0]["index"] = float("nan")
    assert ratios.ranks(rows)["all"]["ratio, index"] == (-1.0, 3)


def test_the_rules_of_the_study_share_their_slopes() -> None:
    log, mult = (ratios.stdp_layer(kind, 10).rule.scaling for kind in ("log", "mult"))
    assert log.depression(0.3) == pytest.approx(mult.depression(0.3)) == 0.18
    assert log.depression(0.9) < mult.depression(0.9)
    assert [len(rows) for rows in ratios.PUBLISHED.values()] == [len(ratios.RATIOS)] * 3


def test_a_ratio_is_measured_and_kept(
    bars: Dataset,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ratios, "KINDS", ("log",))
    monkeypatch.setattr(ratios, "LAST", 20)
    said: list[str] = []
    for _ in range(2):
        rows = ratios.run(bars, PLAN, 10, 1, tmp_path, said.append)
    assert len(rows) == len(said) == 4 and [row["ratio"] for row in rows] == [*ratios.RATIOS]
    assert all(0 < row["pooled"] < 3 and 0 <= row["test"] <= 1 for row in rows)
    assert rows[0]["pooled"] != rows[1]["pooled"]
    assert ratios.table(rows).count("| log |") == 4


def test_the_table_takes_three_nets_of_the_front() -> None:
    trials = [
        {**optimise.BEFORE, "index": 1.2, "test": 0.7},
        {**optimise.BEFORE, "s": 9, "index": 0.9, "test": 0.3},
        {**optimise.BEFORE, "s": 8, "index": 1.1, "test": 0.75},
        {**optimise.BEFORE, "s": 7, "index": 1.3, "test": 0.8},
    ]
    assert [values["s"] for values in optimise.chosen(trials).values()] == [3, 9, 8, 7]
    rows = {"before": [{"index": 1.0, "gap": 0.01, "test": 0.7}]}
    text = optimise.table(rows, {"before": optimise.BEFORE})
    assert (
        "| before | 3 | 45 | 0.500 | 0.450 | 1.000 (0.000) | 1.00 (0.00) | 70.00 (0.00) |" in text
    )
    assert text.endswith("90.65 |")


def test_a_search_goes_on_where_it_was(bars: Dataset, tmp_path: Path) -> None:  # noqa: F811
    if importlib.util.find_spec("optuna") is None:
        with pytest.raises(InputError, match="package optuna is missing: pip install"):
            optimise.search(bars, PLAN, 10, 1, tmp_path, print)
        pytest.skip("package optuna is not installed: pip install -e '.[optimise]'")
    said: list[str] = []
    first = optimise.search(bars, PLAN, 10, 2, tmp_path, said.append)
    again = optimise.search(bars, PLAN, 10, 3, tmp_path, said.append)
    assert len(said) == len(again) == 3 and again[:2] == first
    assert {key: first[0][key] for key in optimise.BEFORE} == optimise.BEFORE
    with pytest.raises(InputError, match="must be of the same plan, data and sources"):
        optimise.search(bars, PLAN, 12, 3, tmp_path, said.append)
