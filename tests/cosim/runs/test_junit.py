"""The verdict as JUnit XML: a case for each pair and population, failures with what differs."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim import backends
from spikeloop.cosim.cli import main
from spikeloop.cosim.runs.folder import SUMMARY
from spikeloop.cosim.runs.junit import document
from spikeloop.golden.reference import integer
from spikeloop.pysim.common.bits import pack
from spikeloop.pysim.traces.expected import Expected
from tests.cosim.conftest import Small


def compare(small: Small, folder: Path, *options: object) -> tuple[int, dict[str, ET.Element]]:
    """Exit status, and the test cases by "classname: name"."""
    line = ["compare", small.folder / "image", "--backends", "golden,pysim", "-o", folder / "run"]
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in (*line, "--junit", folder / "junit.xml", *options)])
    suites = ET.parse(folder / "junit.xml").getroot()
    (suite,) = suites
    cases = {f"{c.get('classname')}: {c.get('name')}": c for c in suite.findall("testcase")}
    failed = [name for name, case in cases.items() if case.find("failure") is not None]
    for element in (suites, suite):
        assert element.get("tests") == str(len(suite)) == str(len(cases))
        assert element.get("failures") == str(len(failed))
    return int(str(end.value.code)), cases


def message(case: ET.Element) -> str | None:
    failure = case.find("failure")
    return None if failure is None else failure.get("message")


def test_each_pair_and_population_is_a_case(small: Small, tmp_path: Path) -> None:
    truth = integer.run(small.network, small.stimulus.dense(small.network)).spikes["output"]
    wrong = np.asarray(truth, np.uint8)
    wrong[3, 2, 1] ^= 1
    wrong[2, 4, 0] ^= 1
    Expected({"output": pack(wrong)}).save(tmp_path / "e.npz")
    status, cases = compare(small, tmp_path, "--expected", tmp_path / "e.npz")
    assert status == 1 and set(cases) == {
        "golden = pysim: hidden1",
        "golden = pysim: output",
        "golden = pysim: counter values",
        "expected = golden: output",
        "expected = pysim: output",
        "run: proof",
    }
    failed = {name: text for name, case in cases.items() if (text := message(case))}
    assert set(failed) == {"expected = golden: output", "expected = pysim: output"}
    place = "sample 2, tick 5 (step 4), core 0, population output, neuron 0"
    first = f"{place}: spike is {wrong[2, 4, 0]}"
    assert all(text.startswith(f"2 different, first at {first} in") for text in failed.values())


def test_every_population_has_its_own_first_difference(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(backends.Pysim):
        def __init__(self, image) -> None:
            super().__init__(image)
            self.core.neurons.p["v_th"][:, 0] += 2

    monkeypatch.setattr(backends, "Pysim", Wrong)
    status, cases = compare(small, tmp_path)
    pair = json.loads((tmp_path / "run" / SUMMARY).read_text())["pairs"][0]
    assert status == 1 and sum(pair["by_population"].values()) == pair["neuron_ticks_different"]
    assert pair["first"] in pair["firsts"].values()
    for name in ("hidden1", "output"):
        text = message(cases[f"golden = pysim: {name}"])
        assert text and text.startswith(f"{pair['by_population'][name]} different, first at ")
        assert f"population {name}," in text
    assert "spikes_out" in str(message(cases["golden = pysim: counter values"]))


def test_what_else_spoils_a_verdict_fails_one_case() -> None:
    reason = "population 'a' must spike at least once in the run, not stay silent"
    suite = document({"pairs": [], "failures": [reason]}, "net")[0]
    assert [message(case) for case in suite] == [reason]


def test_a_file_that_cannot_be_written_is_refused_first(small: Small, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        main(
            ["compare", str(small.folder / "image"), "--junit", str(tmp_path)]
            + ["-o", str(tmp_path / "run")]
        )
    assert end.value.code == 2 and not (tmp_path / "run").exists()
