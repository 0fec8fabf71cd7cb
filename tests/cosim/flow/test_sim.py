"""The walk leaves every file, keeps what is unchanged, and writes a page that stands alone."""

import io
import json
import re
import shutil
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from spikeloop.cosim import backends
from spikeloop.cosim.cli import main
from spikeloop.cosim.flow.plan import parse_layers
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.make.images import write_images


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MNIST's four files with 4 x 4 images of two classes, bright above or bright below."""
    return write_images(tmp_path_factory.mktemp("images"))


def sim(images: Path, output: Path, *more: str) -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
        main(
            [
                "sim",
                "--config",
                "16-10-2",
                "--bits",
                "4",
                "--chip",
                "tiny",
                "--data",
                str(images),
                "--backends",
                "golden,pysim",
                "--epochs",
                "100",
                "-o",
                str(output),
                "--json",
                *more,
            ]
        )
    return end.value.code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def first(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sim") / "out"
    status, out, err = sim(images, folder)
    assert status == 0, err
    assert json.loads(out) == json.loads((folder / "summary.json").read_text())
    return folder


@pytest.fixture
def output(first: Path, tmp_path: Path) -> Path:
    """A copy of the first walk's folder."""
    return Path(shutil.copytree(first, tmp_path / "out"))


def test_a_small_walk_leaves_its_files(output: Path) -> None:
    s = json.loads((output / "summary.json").read_text())
    assert {
        "samples",
        "ticks",
        "neuron_ticks",
        "different",
        "backends",
        "accuracy",
        "cycles_predicted",
        "cycles_measured",
        "sops",
        "seconds",
    } <= set(s)
    assert (s["samples"], s["neuron_ticks"], s["different"]) == (40, 40 * 8 * 12, 0)
    assert s["accuracy"]["float"] > 0.8
    assert s["accuracy"]["integer"] == s["accuracy_of"]["golden"] == s["accuracy_of"]["pysim"]
    assert not any(stage["reused"] for stage in s["stages"].values())
    network, image = Network.load(output / "network.safetensors"), Image.load(output / "image")
    assert image.network.sha256 == network.sha256()
    Stimulus.load(output / "stimulus.npz").check(network)
    assert {p.name for p in output.iterdir()} == {
        "float.safetensors",
        "network.safetensors",
        "image",
        "stimulus.npz",
        "report.html",
        "summary.json",
        "origin.json",
        "stages.json",
        "journal.jsonl",
    }


def test_the_report_is_one_page_that_stands_alone(output: Path) -> None:
    page = (output / "report.html").read_text()
    for word in ("3,840", "hidden1", "output", "0 differences", "What quantisation did"):
        assert word in page
    page_of_ours = re.sub(r"/\*! https://github.com/leeoniya/uPlot \(v[\d.]+\) \*/", "", page)
    assert page_of_ours != page  # its banner is the one address
    assert not re.search(r"(src|href)=\"(?!#)|url\((?!#)|@import|https?://", page_of_ours)
    with pytest.raises(SystemExit):
        main(["report", str(output), "-o", str(output / "again.html")])
    assert (output / "again.html").read_text() == page


@pytest.mark.parametrize(
    "more, kept, made",
    [
        ([], {"train", "quantize", "map", "encode"}, set()),
        (["--samples", "8"], {"train", "quantize", "map"}, {"encode"}),
        (["--bits", "3"], {"train"}, {"quantize", "map", "encode"}),
        (["--seed", "1"], set(), {"train", "quantize", "map", "encode"}),
    ],
)
def test_only_what_has_changed_is_made_again(
    images: Path, output: Path, more: list[str], kept: set[str], made: set[str]
) -> None:
    status, out, err = sim(images, output, *more)
    assert status == 0, err
    s = json.loads(out)
    assert {name for name, stage in s["stages"].items() if stage["reused"]} == kept
    assert made | kept == set(s["stages"]) - {"compare"}


def test_a_file_that_was_touched_is_made_again(images: Path, output: Path) -> None:
    with (output / "image" / "core0" / "fire.rows").open("r+b") as file:
        file.write(b"1")
    status, out, err = sim(images, output)
    assert status == 0, err
    s = json.loads(out)
    assert not s["stages"]["map"]["reused"]
    assert s["stages"]["train"]["reused"]


def test_a_difference_leaves_its_evidence_and_its_page(
    images: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(backends.Pysim):
        def __init__(self, image: Image) -> None:
            super().__init__(image)
            self.core.neurons.p["v_th"][:, 0] += 2

    monkeypatch.setattr(backends, "Pysim", Wrong)
    status, out, err = sim(images, output)
    summary = json.loads(out)
    assert status == 1 and summary["different"] > 0 and summary["complete"]
    assert Stimulus.load(output / "difference.npz").samples == 1
    command = f"spikeloop compare {output / 'image'} --network {output / 'network.safetensors'}"
    assert f"again: {command}" in err and command in summary["evidence"]
    assert command in (output / "report.html").read_text()


def test_more_samples_than_there_are(images: Path, output: Path) -> None:
    status, out, err = sim(images, output, "--samples", "41")
    assert (status, out) == (2, "")
    assert "samples must be at most 40 (the test images there are), not 41" in err


@pytest.mark.parametrize("config, layers", [("784-100-10", (784, 100, 10)), ("2-1", (2, 1))])
def test_layers(config: str, layers: tuple[int, ...]) -> None:
    assert parse_layers(config) == layers


@pytest.mark.parametrize(
    "config", ["", "10", "10-", "-10", "10--5", "1e3-4", "0-4", "ten-4", "4-²"]
)
def test_layers_that_are_none(config: str) -> None:
    with pytest.raises(InputError, match="config must be two or more layer sizes"):
        parse_layers(config)
