"""``spikeloop widths`` and ``quantize --target-drop`` on a net trained for seconds."""

import json
from pathlib import Path

import pytest

from spikeloop.pysim.network.graph import Network
from tests.cosim.cli.test_app import spikeloop
from tests.make.images import write_images


def test_from_a_trained_net(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    images, net = write_images(tmp_path), tmp_path / "float.safetensors"
    assert (
        spikeloop(
            capfd,
            "train",
            "--config",
            "16-6-2",
            "--epochs",
            6,
            "--data",
            images,
            "-o",
            net,
            "--json",
        )[0]
        == 0
    )
    status, out, _ = spikeloop(
        capfd, "widths", net, "--data", images, "-o", tmp_path / "widths", "--json"
    )
    found = json.loads(out)
    assert status == 0 and len(found["rows"]) == 27
    assert json.loads((tmp_path / "widths" / "widths.json").read_text()) == found
    picture = (tmp_path / "widths" / "widths.svg").read_text()
    assert "hidden1 alone" in picture and "columns of the synapses" in picture
    status, out, _ = spikeloop(
        capfd,
        "quantize",
        net,
        "--data",
        images,
        "--target-drop",
        5,
        "--membrane-bits",
        16,
        "-o",
        tmp_path / "n.safetensors",
        "--json",
    )
    assert status == 0 and Network.load(tmp_path / "n.safetensors").membrane_bits == 16
    report = json.loads(out)["report"]
    assert report["accuracy"]["integer"] >= report["accuracy"]["float"] - 0.05
    widths = [p.weight_bits for p in Network.load(tmp_path / "n.safetensors").order()]
    assert (
        widths == (report["bits"] if isinstance(report["bits"], list) else [report["bits"]] * 2)
        and max(widths) <= 8
    )
    for arguments, words in (
        (("quantize", net, "--target-drop", -1), "must be in 0..100 points"),
        (("quantize", net, "--membrane-bits", 40), "membrane_bits must be in 8..32, not 40"),
        (("widths", tmp_path / "no"), "must be readable"),
        (("widths", net, "--scale", "x"), "scale must be one of"),
    ):
        status, out, err = spikeloop(capfd, *arguments, "--data", images, "-o", tmp_path / "none")
        assert (status, out) == (2, "") and words in err and "\n" not in err.strip()
        assert not (tmp_path / "none").exists()
