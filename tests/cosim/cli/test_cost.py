"""`spikeloop cost`: its table, its JSON and files, and one sentence for bad input."""

import json
from pathlib import Path

import numpy as np
import pytest

from spikeloop.pysim.bundle.program import Program, compile_program
from spikeloop.pysim.cost.work import measure
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.cosim.cli.test_app import spikeloop
from tests.cosim.conftest import Small
from tests.pysim.mapping.test_partition import CHIP, conv_network, stimulus


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("cost"), np.random.default_rng(0)
    network = conv_network(rng)
    program = compile_program(network, CHIP)
    assert isinstance(program, Program)
    program.save(folder / "program")
    stimulus(rng, network, samples=5).save(folder / "stimulus.npz")
    return folder


def test_a_program(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status, out, err = spikeloop(
        capfd,
        "cost",
        folder / "program",
        "--stimulus",
        folder / "stimulus.npz",
        "--samples",
        3,
        "--leakage",
        "1e-3",
        "--clock",
        "1e6",
        "-o",
        folder / "out",
        "--json",
    )
    document = json.loads(out)
    assert status == 0
    work = measure(
        Program.load(folder / "program"), Stimulus.load(folder / "stimulus.npz").take(slice(3))
    )
    assert document["samples"] == 3 and document["total"]["sops"] == pytest.approx(
        work.sops.sum(axis=0).mean()
    )
    assert [row["layer"] for row in document["layers"]] == ["conv", "pool", "dense", "out"]
    assert all(row["layer"] in err for row in document["layers"])
    for name, plan in document["schedules"].items():
        assert (
            plan["running"] == (work.dense_cycles if plan["mode"] == "dense" else work.cycles).sum()
        )
        seconds = plan["total"] / 3 / 1e6
        assert plan["ms_per_sample"] == pytest.approx(seconds * 1e3)
        leak = 1e-3 * plan["cores"] * seconds
        assert plan["energy_per_sample"] == pytest.approx(
            document["total"]["sops"] * 0.57e-12 + leak
        )
        assert json.loads((folder / "out" / f"{name}.json").read_text())["total"] == plan["total"]
        assert (folder / "out" / f"{name}.txt").is_file()
    assert json.loads((folder / "out" / "cost.json").read_text()) == document


def test_an_image_of_one_core(small: Small, capfd: pytest.CaptureFixture[str]) -> None:
    status, out, _ = spikeloop(
        capfd, "cost", small.folder / "image", "--stimulus", small.folder / "stimulus.npz"
    )
    assert status == 0 and "hidden1" in out and "64 cores" in out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--samples", 9], "samples must be in 1..5 (the stimulus holds as many), not 9"),
        (["--clock", 0], "clock must be above 0 Hz, not 0.0"),
        (["--leakage", "-1"], "leakage must be at least 0 W, not -1.0"),
        (["--energy-per-sop", "nan"], "energy per sop must be at least 0 J, not nan"),
    ],
)
def test_bad_input_is_one_sentence(
    folder: Path, options: list[object], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    status, out, err = spikeloop(
        capfd, "cost", folder / "program", "--stimulus", folder / "stimulus.npz", *options
    )
    assert (status, out, err) == (2, "", f"spikeloop: {says}\n")
