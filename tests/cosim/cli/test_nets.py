"""`spikeloop import` and `widths`: from a user's file to equal RTL; refusals in one sentence."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from spikeloop.golden.reference.integer import run as golden_run
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.readout import Readout
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.cosim.cli.test_app import refused, spikeloop
from tests.make.images import write_images

pytest.importorskip(
    "snntorch", reason="package snntorch is not installed: pip install -e '.[test]'"
)

NET = """
import snntorch as snn
import torch
from torch import nn

torch.manual_seed(3)

def net():
    made = nn.Sequential(nn.Linear(8, 5), snn.Leaky(0.5, threshold=2.0, init_hidden=True),
                         nn.Linear(5, 3), snn.Leaky(0.5, init_hidden=True, reset_mechanism="zero"))
    for layer in (made[0], made[2]):
        layer.weight.data = torch.randint(-1, 3, layer.weight.shape).float()
        layer.bias.data.zero_()
    return made

number = 3
def broken(): raise ValueError("no\\nnet")
def other(): return nn.Sequential(nn.Linear(8, 6), nn.ReLU())
whole = net()
convolution = nn.Sequential(nn.Conv2d(1, 2, 3), snn.Leaky(0.5, init_hidden=True))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NET)
    return tmp_path / "net.py"


@pytest.mark.parametrize("name", ["net", "whole"])
def test_from_a_python_file_to_equal_rtl(
    file: Path, name: str, rng: np.random.Generator, capfd: pytest.CaptureFixture[str]
) -> None:
    import runpy

    import torch

    folder = file.parent / "out"
    status, out, _ = spikeloop(
        capfd,
        "import",
        "torch",
        f"{file}:{name}",
        "--steps",
        5,
        "--bits",
        8,
        "--chip",
        "tiny",
        "-o",
        folder,
    )
    assert status == 0
    table = re.sub(r"\s+", " ", out)
    assert (
        "reset of n1 late (metadata of the module)" in table
        and "reset of n3 hard (metadata of the module)" in table
    )
    spikes = (rng.random((20, 5, 8)) < 0.5).astype(np.uint8)
    Stimulus.pack({"input": spikes}).save(folder / "stimulus.npz")
    status, out, _ = spikeloop(
        capfd,
        "compare",
        folder,
        "--backends",
        "golden,pysim,verilator",
        "-o",
        folder / "run",
        "--json",
    )
    assert status == 0 and json.loads(out)["different"] == 0
    column = json.loads(out)["floats"]
    assert column["samples"] == 20 and column["accuracy"] is None
    assert [row["different"] for row in column["populations"]] == [0, 0]
    module = runpy.run_path(str(file))["whole"]
    module.eval()
    with torch.no_grad():
        for layer in (module[1], module[3]):
            layer.mem = torch.zeros(0)
        want = np.stack(
            [module(torch.as_tensor(spikes[:, t], dtype=torch.float32)).numpy() for t in range(5)],
            axis=1,
        )
    network = Network.load(folder / "network.safetensors")
    if name == "whole":  # the function draws other weights at its second call
        np.testing.assert_array_equal(
            golden_run(network, {"input": spikes}).spikes[network.output], want
        )
        assert (
            unpack(Stimulus.load(folder / "stimulus.npz").spikes["input"], 8).sum() == spikes.sum()
            and 0 < want.mean() < 1
        )


@pytest.mark.parametrize("kind", ["spikes", "grey", "pixels"])
def test_data_and_labels_become_the_stimulus(
    file: Path, kind: str, rng: np.random.Generator, capfd: pytest.CaptureFixture[str]
) -> None:
    grey = kind != "spikes"
    data, labels = file.parent / "x.npy", file.parent / "y.npy"
    spikes = (rng.random((6, 5, 8)) < 0.5).astype(np.uint8)
    values = rng.integers(0, 4, (6, 8))  # of 2 bits: the planes are those of the numbers
    pixels = (values * 85).astype(np.uint8)
    np.save(data, {"spikes": spikes, "grey": values / 3, "pixels": pixels}[kind])
    np.save(labels, np.arange(6) % 3)
    given = ("--data", data, "--labels", labels, "--check", 4)
    command = ["import", "torch", f"{file}:whole", "--steps", 5, "--chip", "tiny"]
    command += ["--grey", 2] if grey else []
    folder = file.parent / "out"
    status, out, err = spikeloop(capfd, *command, *given, "-o", folder, "--json")
    assert status == 0, err
    assert json.loads(out)["drift"]["samples"] == 4
    stimulus = Stimulus.load(folder / "stimulus.npz")
    assert stimulus.labels is not None and stimulus.labels.tolist() == [0, 1, 2, 0, 1, 2]
    planes = np.concatenate([values & 1, values >> 1], axis=1).astype(np.uint8)
    want = np.repeat(planes[:, None], 5, axis=1) if grey else spikes
    np.testing.assert_array_equal(unpack(stimulus.spikes["input"], want.shape[-1]), want)
    run = ("compare", folder, "--backends", "golden,pysim", "-o", file.parent / "run", "--json")
    status, out, _ = spikeloop(capfd, *run)
    assert status == 0 and json.loads(out)["accuracy"]["float"] is not None


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("net.py",), "must be named as FILE.py:NAME"),
        (("none.py:net",), "Python file 'none.py' of the net is missing"),
        (("net.py:number",), "must be a torch module or a function that makes one, not int"),
        (("net.py:missing",), "must be a torch module or a function that makes one, not NoneType"),
        (("net.py:broken",), "must run and make the net, not end with ValueError: no net"),
        (("net.py:other",), "must hold neurons"),
        (("net.py:convolution",), "begins with Conv2d is missing"),
        (("net.py:convolution", "--shape", "1,a"), "--shape must be"),
        (("net.py:net", "--labels", "y.npy"), "stimulus for --labels or --check is missing"),
        (("net.py:convolution", "--shape", "2,5,5"), "must run on an input of shape (2, 5, 5)"),
        (("net.py:whole", "--bits", 17), "weight bits must be in 2..16, not 17"),
    ],
)
def test_refused(
    file: Path,
    arguments: tuple[object, ...],
    words: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(file.parent)
    status, out, err = spikeloop(capfd, "import", "snntorch", *arguments, "-o", "out")
    assert (status, out) == (2, "") and words in err and "\n" not in err.strip()
    assert not Path("out").exists()


def test_unknown_framework(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    nir = pytest.importorskip("nir")
    nir.write(
        tmp_path / "net.nir",
        nir.NIRGraph.from_list(nir.Linear(np.ones((2, 3))), nir.IF(np.ones(2), np.ones(2))),
    )
    status, _, err = spikeloop(
        capfd, "import", "nir", tmp_path / "net.nir", "--from", "brian", "-o", tmp_path / "out"
    )
    known = "snntorch, spikingjelly, norse, sinabs, rockpool"
    assert status == 2 and f"framework must be one of {known}, not 'brian'" in err
    status, out, _ = spikeloop(
        capfd, "import", "nir", tmp_path / "net.nir", "--from", "sinabs", "-o", tmp_path / "out"
    )
    assert status == 0 and "default of sinabs" in out


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
        (("train", "--device", "abacus"), "device must be one that torch has here (cpu"),
        (("widths", tmp_path / "no"), "is missing: spikeloop train writes one"),
        (("widths", net, "--scale", "x"), "scale must be one of"),
    ):
        status, out, err = spikeloop(capfd, *arguments, "--data", images, "-o", tmp_path / "none")
        assert (status, out) == (2, "") and words in err and "\n" not in err.strip()
        assert not (tmp_path / "none").exists()


def test_groups_of_a_nir_graph(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    nir = pytest.importorskip("nir")
    layer = nir.Linear(np.ones((4, 3)))
    nir.write(tmp_path / "net.nir", nir.NIRGraph.from_list(layer, nir.IF(np.ones(4), np.ones(4))))
    command = ["import", "nir", tmp_path / "net.nir", "-o", tmp_path / "out", "--groups"]
    assert "must be equally large, not 3 groups" in refused(capfd, tmp_path, *command, 3)
    status, _, err = spikeloop(capfd, *command, 2)
    assert status == 0, err
    network = Network.load(tmp_path / "out" / "network.safetensors")
    assert str(Readout.of(network)) == "most spikes of 2 groups of 2 neurons, summed"
