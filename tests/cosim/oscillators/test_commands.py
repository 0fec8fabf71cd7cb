"""Networks with oscillators through the command line: map, compare, verdicts, bad input."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.oscillators.hebb import inputs, phase_net
from spikeloop.pysim.oscillators.net import OnnNet
from spikeloop.pysim.oscillators.source import OnnSource
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.campaigns.macros.sources import CHIPS
from tests.cosim.cli.test_app import refused, spikeloop
from tests.make.onn.random import random_net

PATTERNS = np.array([[1, 1, -1, -1, 1, -1, 1, -1], [1, -1, 1, -1, 1, 1, -1, -1]])


def network_of(net: OnnNet) -> Network:
    """Two neurons that count the events of half the oscillators each."""
    weights = np.zeros((net.size, 2), np.int32)
    weights[::2, 0], weights[1::2, 1] = 1, 1
    return Network(
        name="counted",
        inputs=(Input(name="pixels", size=net.size),),
        populations=(Population.make("halves", 2, weight_bits=2, v_th=1),),
        edges=(Edge(source="pixels", target="halves", weights=weights),),
        steps=2,
        output="halves",
        onn=OnnSource(input="pixels", net=net),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with its stimulus."""
    folder, net = tmp_path_factory.mktemp("onn"), phase_net(PATTERNS)
    network_of(net).save(folder / "network.safetensors")
    starts = np.array([inputs(net, PATTERNS[i % 2]) for i in range(4)], np.uint16)
    Stimulus.pack({}, np.arange(4) % 2, starts={"pixels": starts}).save(folder / "stimulus.npz")
    return folder


def test_map_and_compare(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    network, image = folder / "network.safetensors", tmp_path / "image"
    status, out, _ = spikeloop(capfd, "map", network, "--chip", "tiny", "-o", image, "--json")
    assert status == 0 and json.loads(out)["cores"] == 1
    command = ("compare", image, "--network", network, "--stimulus", folder / "stimulus.npz")
    run = ("--backends", "golden,pysim", "--junit", tmp_path / "x.xml", "-o", tmp_path / "run")
    status, out, err = spikeloop(capfd, *command, *run, "--json")
    document = json.loads(out)
    pair = document["pairs"][0]
    assert status == 0 and document["different"] == 0, err
    assert pair["ends"] == 4 * (4 * 8 + 4) and pair["ends_different"] == 0
    assert "144 last values compared, 0 different" in err.replace("\n", " ")
    assert 'name="last values"' in (tmp_path / "x.xml").read_text()
    assert spikeloop(capfd, "report", tmp_path / "run")[0] == 0


def test_a_stimulus_without_starts_is_refused(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "image"
    assert (
        spikeloop(capfd, "map", folder / "network.safetensors", "--chip", "tiny", "-o", image)[0]
        == 0
    )
    Stimulus.pack({"pixels": np.zeros((2, 2, 8), np.uint8)}).save(tmp_path / "spikes.npz")
    command = ("compare", image, "--network", folder / "network.safetensors", "--stimulus")
    text = refused(capfd, tmp_path, *command, tmp_path / "spikes.npz", "-o", tmp_path / "run")
    assert "stimulus must hold exactly the inputs none, not pixels" in text


def spoilt(name: str) -> OnnNet:
    """A net that OnnNet.make would refuse."""
    net, rng = phase_net(PATTERNS), np.random.default_rng(0)
    wave = random_net(rng, CHIPS["relaxation"].onn)
    g, top = net.couplings.copy(), (4 << 20) - 1
    if name == "overflow":
        g[0, 1] = g[1, 0] = 16
        return replace(net, couplings=g)
    if name == "asymmetric":
        g[0, 1] += 1
        return replace(net, couplings=g)
    if name == "own":
        g[2, 2] = 1
        return replace(net, couplings=g)
    if name == "threshold":
        return replace(wave, settings={**wave.settings, "v_high": top + 1})
    if name == "order":
        return replace(wave, settings={**wave.settings, "v_low": wave["v_high"]})
    if name == "large":
        return replace(net, couplings=np.zeros((257, 257), np.int64))
    return replace(net, settings={**net.settings, "reference": 8})


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("overflow", "couplings of 5 bits must be in -16..15, not 16"),
        ("asymmetric", "couplings must be symmetric, not"),
        ("own", "couplings of an oscillator with itself must be 0, not 1"),
        ("threshold", "threshold v_high must be in 0..4194303, not 4194304"),
        ("order", "threshold v_low must be below v_high"),
        ("large", "couplings must be a square of 2 to 256 oscillators, not (257, 257)"),
        ("reference", "setting reference must be in 0..7, not 8"),
    ],
)
def test_a_spoilt_net_is_one_sentence(
    name: str, sentence: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = network_of(spoilt(name)).save(tmp_path / "network.safetensors")
    assert sentence in refused(
        capfd, tmp_path, "map", file, "--chip", "tiny", "-o", tmp_path / "image"
    )
    assert not (tmp_path / "image").exists()


def test_a_net_beyond_macro_or_core_is_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    large = phase_net(np.where(np.random.default_rng(0).random((2, 60)) < 0.5, -1, 1))
    file = network_of(large).save(tmp_path / "network.safetensors")
    text = refused(capfd, tmp_path, "map", file, "--chip", "tiny", "-o", tmp_path / "image")
    assert "network with oscillators must fit one core: axons of network" in text
    mesh = "tiny,mesh_width=2"
    text = refused(capfd, tmp_path, "map", file, "--chip", mesh, "-o", tmp_path / "image")
    assert "network with oscillators must lie on a single core, not on a mesh" in text
    patterns = tmp_path / "patterns.npy"
    np.save(patterns, np.ones((2, 300), int))
    text = refused(capfd, tmp_path, "onn", patterns, "-o", tmp_path / "out")
    assert "patterns must be an array [pattern, pixel] of 2 to 256 pixels" in text
