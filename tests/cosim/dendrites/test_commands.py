"""Networks with dendritic neurons through the command line: map, compare, bad input."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.source import DendriticSource, starts
from spikeloop.pysim.dendrites.state import fresh
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.cosim.cli.test_app import refused, spikeloop

VALUES = 3 + 9 * 3 + 9 + 2 * 8 + 3 * 8


@pytest.fixture
def network() -> Network:
    """Two neurons that count the spikes of two and of one dendritic neuron."""
    net = DendriticNet.make({"inputs": 8, "neurons": 3, "warm_up": 0, "spike_gain": 30000})
    return Network(
        name="counted",
        inputs=(Input(name="spikes", size=3),),
        populations=(Population.make("counts", 2, weight_bits=2, v_th=1),),
        edges=(
            Edge(
                source="spikes",
                target="counts",
                weights=np.array([[1, 0], [1, 0], [0, 1]], np.int32),
            ),
        ),
        steps=6,
        output="counts",
        dendritic=DendriticSource(input="spikes", net=net, state=fresh(net, 0)),
    )


def test_map_and_compare(
    network: Network, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file, image = network.save(tmp_path / "network.safetensors"), tmp_path / "image"
    given = starts(np.random.default_rng(0).integers(0, 30000, (4, 8)), np.arange(4))
    stimulus = Stimulus.pack({}, np.arange(4) % 2, starts={"spikes": given})
    status, out, _ = spikeloop(capfd, "map", file, "--chip", "tiny", "-o", image, "--json")
    assert status == 0 and json.loads(out)["cores"] == 1
    command = ("compare", image, "--network", file, "--backends", "golden,pysim", "--json")
    path, run = stimulus.save(tmp_path / "stimulus.npz"), tmp_path / "run"
    status, out, err = spikeloop(capfd, *command, "--stimulus", path, "-o", run)
    document = json.loads(out)
    pair = document["pairs"][0]
    assert status == 0 and document["different"] == 0, err
    assert pair["ends"] == 4 * VALUES and pair["ends_different"] == 0
    assert f"{4 * VALUES} last values compared, 0 different" in err.replace("\n", " ")
    short = replace(stimulus, starts={"spikes": given[:, 1:]}).save(tmp_path / "short.npz")
    text = refused(capfd, tmp_path, *command, "--stimulus", short, "-o", tmp_path / "again")
    assert "starts of 'spikes' must be uint16 of shape (4, 9) (sample, seed and inputs)" in text


def test_what_does_not_fit_is_one_sentence(
    network: Network, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = network.dendritic
    wrong = replace(source, net=source.net.with_(g_max=1))
    with pytest.raises(ValueError, match="inhibition must be at most g_max, 1, not 52428"):
        replace(network, dendritic=wrong)
    file = network.save(tmp_path / "network.safetensors")
    mesh = "tiny,mesh_width=2"
    text = refused(capfd, tmp_path, "map", file, "--chip", mesh, "-o", tmp_path / "image")
    assert "network with dendritic neurons must lie on a single core, not on a mesh" in text
