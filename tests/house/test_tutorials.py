"""The nets of snnTorch's tutorials come to RTL by the commands of examples/tutorials/README.md."""

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.house.test_docs_code import run, unknown

PAGE = ROOT / "examples" / "tutorials" / "README.md"
SMALL = {5: "--first 40", 6: "--first 4 --second 6", 7: "--first 4 --second 6"}


def lines(number: int) -> list[str]:
    """The three commands of a tutorial: train, import, compare."""
    return re.findall(
        rf"^    (.*build/tutorial{number}.*|.*build/chip{number} .*)$", PAGE.read_text(), re.M
    )


@pytest.mark.parametrize("number", SMALL)
def test_a_tutorial_takes_a_training_and_two_commands(number: int) -> None:
    train, *commands = lines(number)
    assert train.startswith("python ") and len(commands) == 2
    assert [unknown(line.removeprefix("spikeloop ")) for line in commands] == [[], []]


@pytest.mark.slow
@pytest.mark.parametrize("number", SMALL)
def test_a_tutorial_net_is_equal_on_rtl(number: int, tmp_path: Path) -> None:
    """With narrow layers, a short training and few images; the rest is as the page says."""
    pytest.importorskip(
        "snntorch", reason="package snntorch is not installed: pip install -e '.[test]'"
    )
    train, imported, compared = (
        shlex.split(line.replace("examples/", f"{ROOT}/examples/")) for line in lines(number)
    )
    train = [word for word in train[1:] if word not in ("--data", "FOLDER")]
    few = f"{SMALL[number]} --updates 40 --batch 32 --test 10"
    run(tmp_path, *train, *few.split())
    facts = json.loads(run(tmp_path, "-m", *imported, "--check", 4, "--json"))
    assumed = {a["what"]: a["value"] for a in facts["assumed"]}
    assert re.search(r"[\d,]{4,} spikes and .* 0 different", assumed["float twin = forward"])
    assert facts["drift"]["samples"] == 4
    result = json.loads(run(tmp_path, "-m", *compared, "--json"))
    (pair,) = result["pairs"]
    assert (pair["backend"], pair["neuron_ticks_different"], result["different"]) == (
        "verilator",
        0,
        0,
    )
    assert pair["neuron_ticks"] > 10_000 and result["samples"] == result["floats"]["samples"] == 10
    scores = result["accuracy"]
    assert scores["integer"] == scores["rtl"] > 0.2 and abs(scores["float"] - scores["rtl"]) < 0.3
