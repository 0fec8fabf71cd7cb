"""Networks with a PIM layer through the command line: map, compare, verdicts, bad input."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim import backends
from spikeloop.pysim.common.tensors import decode, encode
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.pim.source import PimHead
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.cosim.cli.test_app import refused, spikeloop
from tests.make.pim_cases import pim_network, pim_stimulus

CHIP = "tiny,columns=256,axons=64"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of spikes and pixels, and one of pixels alone, each with its stimulus."""
    folder, rng = tmp_path_factory.mktemp("pim"), np.random.default_rng(11)
    network = pim_network(rng)
    stimulus = pim_stimulus(rng, network, 6)
    network.save(folder / "network.safetensors")
    replace(stimulus, labels=np.arange(6) % 3).save(folder / "stimulus.npz")
    replace(network, inputs=(), edges=network.edges[1:]).save(folder / "pixels.safetensors")
    Stimulus({}, None, stimulus.pixels).save(folder / "pixels.npz")
    return folder


@pytest.mark.parametrize("name", ["network", "pixels"])
def test_map_and_compare(
    name: str, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    network, stimulus = (
        folder / f"{name}.safetensors",
        folder / ("stimulus.npz" if name == "network" else "pixels.npz"),
    )
    for chip, what in ((CHIP, "core"), (CHIP.replace("256", "96"), "cores")):
        image = tmp_path / what
        assert spikeloop(capfd, "map", network, "--chip", chip, "-o", image)[0] == 0
        status, out, err = spikeloop(
            capfd,
            "compare",
            image,
            "--network",
            network,
            "--stimulus",
            stimulus,
            "--backends",
            "golden,pysim",
            "-o",
            tmp_path,
            "--json",
        )
        summary = json.loads(out)
        assert (
            status,
            summary["equal"],
            summary["different"],
            summary["pairs"][0]["currents"],
        ) == (0, True, 0, 6 * 32)
        assert "192 currents compared, 0 different" in " ".join(err.split())


@pytest.mark.parametrize("name", ["network", "pixels"])
def test_a_wrong_current_is_1_and_is_shown_again(
    name: str,
    folder: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Wrong(backends.Pysim):
        def __init__(self, image: Image) -> None:
            super().__init__(image)
            self.core._layer.bias[1] += 1

    monkeypatch.setattr(backends, "Pysim", Wrong)
    network, stimulus = (
        folder / f"{name}.safetensors",
        folder / ("stimulus.npz" if name == "network" else "pixels.npz"),
    )
    assert spikeloop(capfd, "map", network, "--chip", CHIP, "-o", tmp_path / "image")[0] == 0
    status, out, _ = spikeloop(
        capfd,
        "compare",
        tmp_path / "image",
        "--network",
        network,
        "--stimulus",
        stimulus,
        "--backends",
        "golden,pysim",
        "-o",
        tmp_path,
        "--json",
    )
    first = json.loads(out)["pairs"][0]["first"]
    assert (status, first["field"], first["population"], first["neuron"], first["tick"]) == (
        1,
        "current",
        "first",
        16,
        0,
    )
    again = Stimulus.load(tmp_path / "difference.npz")
    again.check(Network.load(network))
    assert again.samples == 1 and not any(spikes.any() for spikes in again.spikes.values()), (
        "currents need no spike"
    )


def other(network: Network, head: dict | None = None, **tensors: np.ndarray) -> bytes:
    """The network's file with other entries of its PIM layer, which PimLayer would not make."""
    graph, arrays = decode(network.to_bytes(), "spikeloop", "network")
    for key, value in (head or {}).items():
        graph["pim"][key] = {**graph["pim"][key], **value} if isinstance(value, dict) else value
    arrays |= {f"pim.{k}": v for k, v in tensors.items()}
    return encode(graph, arrays, "spikeloop", "network")


@pytest.mark.parametrize(
    "head, tensors, sentence",
    [
        (
            None,
            {"weights": np.full((2, 9), 8, np.int8)},
            r"weights of a PIM layer of 4 bits must be in -8\.\.7, not 8",
        ),
        (
            {"params": {"rows": 8}},
            {
                "stuck0": np.zeros((1, 8, 16), bool),
                "stuck1": np.zeros((1, 8, 16), bool),
                "keep": np.full((1, 8), 256, np.int16),
            },
            r"rows of a PIM layer must be at most 8, not 16",
        ),
        (
            {"params": {"share": 3}},
            {},
            "PIM parameter share must divide the 4 words of a bank, not 3",
        ),
        ({"window": {"kernel": [9, 9]}}, {}, "kernel of a PIM layer must fit"),
    ],
)
def test_bad_layers(
    head: dict | None,
    tensors: dict,
    sentence: str,
    folder: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(other(Network.load(folder / "network.safetensors"), head, **tensors))
    assert re.search(
        sentence, refused(capfd, tmp_path, "map", bad, "--chip", CHIP, "-o", tmp_path / "image")
    )


def test_bad_pixels(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    network = Network.load(folder / "network.safetensors")
    head: PimHead = network.pim.head
    layer = replace(
        network.pim.layer, params=replace(head.params, pixel_bits=4, pulse_bits=4), limit=100
    )
    few = replace(network, pim=replace(network.pim, layer=layer))
    few.save(tmp_path / "few.safetensors")
    assert (
        spikeloop(
            capfd, "map", tmp_path / "few.safetensors", "--chip", CHIP, "-o", tmp_path / "image"
        )[0]
        == 0
    )
    plain = Stimulus(Stimulus.load(folder / "stimulus.npz").spikes).save(tmp_path / "plain.npz")
    for stimulus, sentence in (
        (folder / "stimulus.npz", r"pixels of 'pixels' must be in 0\.\.15, not \d+"),
        (plain, "pixels of the stimulus must be those of pixels, not missing"),
    ):
        assert re.search(
            sentence,
            refused(
                capfd,
                tmp_path,
                "compare",
                tmp_path / "image",
                "--network",
                tmp_path / "few.safetensors",
                "--stimulus",
                stimulus,
                "--backends",
                "golden,pysim",
                "-o",
                tmp_path / "difference",
            ),
        )


def test_the_chip_of_an_image_in_a_wrapper(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The macro needs clock gates: nobody is told to leave them out."""
    network, image = folder / "network.safetensors", tmp_path / "image"
    assert spikeloop(capfd, "map", network, "--chip", CHIP, "-o", image)[0] == 0
    wrap = ("--wrap", "axi", "--name", "snn", "-o", tmp_path / "rtl")
    status, out, err = spikeloop(capfd, "verilog", image, *wrap)
    assert status == 0 and (tmp_path / "rtl" / "snn.v").stat().st_size > 10_000
    said = " ".join((out + err).split())
    assert "not this chip: its macro needs clock gates" in said
    assert "clock_gates=false" not in said
