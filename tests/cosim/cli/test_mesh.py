"""A network on a mesh through the command line and all backends; differences name their core."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim import backends
from spikeloop.cosim.backend import Backend
from spikeloop.cosim.backends import open_backend
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.cosim.flow.evidence import keep_evidence
from spikeloop.cosim.verilator.chip import MeshChipModel
from spikeloop.pysim.bundle.mesh import MeshImage
from spikeloop.pysim.bundle.open import load_bundle
from spikeloop.pysim.network.elements import Edge
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.conftest import ICARUS
from tests.cosim import FAST_BUILD
from tests.cosim.cli.test_app import assert_exported, refused, spikeloop
from tests.cosim.conftest import small_network

CHIP = "tiny,columns=16,mesh_width=2,mesh_height=2"  # four neurons of four bits on a core


def recurrent() -> Network:
    """12-9-3, every hidden neuron listening to all hidden ones."""
    network = small_network("recurrent")
    weights = np.random.default_rng(5).integers(-4, 6, (9, 9), dtype=np.int32)
    return replace(
        network,
        edges=(*network.edges, Edge(source="hidden1", target="hidden1", weights=weights, delay=1)),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recurrent network, mapped, with a stimulus."""
    folder, rng = tmp_path_factory.mktemp("mesh"), np.random.default_rng(11)
    recurrent().save(folder / "network.safetensors")
    Stimulus.pack(
        {"pixels": (rng.random((6, 5, 12)) < 0.4).astype(np.uint8)}, rng.integers(0, 3, 6)
    ).save(folder / "stimulus.npz")
    return folder


@pytest.fixture
def mapped(folder: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    status, out, _ = spikeloop(
        capfd,
        "map",
        folder / "network.safetensors",
        "--chip",
        CHIP,
        "-o",
        folder / "mesh",
        "--json",
    )
    assert status == 0
    document = json.loads(out)
    assert document["cores_of"] == {"hidden1": 3, "output": 1}
    assert document["reason"].startswith(
        "words of network 'recurrent' must be at most 2 (16 columns "
    )
    assert json.loads((folder / "mesh" / "mesh.json").read_text())["reason"] == document["reason"]
    return folder / "mesh"


def test_compare_of_a_mesh(mapped: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status, out, err = spikeloop(capfd, "compare", mapped, "--backends", "golden,pysim", "--json")
    summary = json.loads(out)
    assert (status, summary["equal"], summary["different"], summary["neuron_ticks"]) == (
        0,
        True,
        0,
        6 * 5 * 12,
    )
    assert "differences" in err and summary["counters"]["pysim"]["spikes_out"] > 30


def test_a_difference_is_1_and_names_its_core(
    mapped: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Wrong(backends.PysimMesh):
        def __init__(self, image: MeshImage) -> None:
            super().__init__(image)
            self.model.cores[2].neurons.p["v_th"][:, 0] += 2  # neuron 8 of the hidden population

    monkeypatch.setattr(backends, "PysimMesh", Wrong)
    status, out, err = spikeloop(
        capfd, "compare", mapped, "--backends", "golden,pysim", "-o", tmp_path, "--json"
    )
    assert status == 1
    first = json.loads(out)["pairs"][0]["first"]
    assert (first["core"], first["population"], first["neuron"]) == (2, "hidden1", 8)
    assert re.search(
        r"first difference: sample \d+, tick \d+ \(step \d+\), core 2, "
        r"population hidden1, neuron 8: ",
        err,
    )
    assert re.search(r"minimal stimulus: .*; there sample 0, tick \d+ \(step \d+\), core 2, ", err)


def test_the_other_verbs(
    mapped: Path, folder: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, out, _ = spikeloop(
        capfd, "export", mapped, "--format", "mem", "-o", tmp_path / "cores", "--json"
    )
    files = [Path(f) for f in json.loads(out)["files"]]
    assert status == 0 and {f.parent.name for f in files} == {"core0", "core1", "core2", "core3"}
    assert_exported(tmp_path / "cores", load_bundle(mapped))
    assert spikeloop(capfd, "verilog", mapped, "-o", tmp_path / "rtl")[0] == 0
    assert "module spikeloop_core" in (tmp_path / "rtl" / "spikeloop.v").read_text()
    assert "must be on one core or on cores that take turns, not on the mesh" in refused(
        capfd, folder, "cost", mapped, "--stimulus", folder / "stimulus.npz"
    )
    assert "must be a single core, not a mesh of 2 x 2" in refused(
        capfd, folder, "sim", "--chip", CHIP, "-o", tmp_path / "sim"
    )
    sentence = refused(
        capfd,
        folder,
        "map",
        folder / "network.safetensors",
        "--chip",
        CHIP.replace("height=2", "height=1"),
    )
    assert sentence.startswith(
        "cores for network 'recurrent' must be at most 2 (2 x 1 mesh), not 4"
    )


def test_damage_is_2(mapped: Path, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (mapped / "core1" / "core0" / "routes.rows").write_bytes(b"0\n")
    sentence = refused(capfd, folder, "compare", mapped, "--backends", "golden,pysim")
    assert sentence.startswith("core0/routes.rows of image") and "truncated" in sentence


def late(delay: int) -> Network:
    network = recurrent()
    return replace(network, edges=(*network.edges[:2], replace(network.edges[2], delay=delay)))


@pytest.mark.parametrize(
    ("network", "chip", "says"),
    [
        (
            late(5),
            "tiny,delay_max=3",
            "physical delay of the edges from population 'hidden1' must be at most 3 on this chip "
            "(delay_max), not 5",
        ),
        (
            late(5),
            CHIP + ",delay_max=3",
            "physical delay of the edges from population 'hidden1' must be in 1..3 on this chip "
            "(delay_max), not 5",
        ),
        (
            recurrent(),
            CHIP + ",axons=20",
            "fan-in of layer 'hidden1' must be at most 20 lines (20 axons, extended 1 times), "
            "not 21 ",
        ),
        (
            recurrent(),
            "tiny,columns=16",
            "populations that feed each other (hidden1) must lie on one core together",
        ),
        (
            recurrent(),
            CHIP + ",chain=2",
            "route entries beyond one per neuron must be at most 2 in a core of this chip (chain)",
        ),
    ],
    ids=["delay", "delay on a mesh", "fan-in", "a circle of parts", "chain"],
)
def test_what_cannot_be_mapped_is_one_sentence(
    network: Network, chip: str, says: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = network.save(tmp_path / "n.safetensors")
    sentence = refused(capfd, tmp_path, "map", file, "--chip", chip, "-o", tmp_path / "new")
    assert sentence.startswith(says)


@pytest.mark.slow
def test_every_backend_and_a_seeded_bit(
    mapped: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All four backends are equal; a synapse bit spoilt in the RTL's core 1 is found there."""
    network, bundle, stimulus = (
        Network.load(folder / "network.safetensors"),
        load_bundle(mapped),
        Stimulus.load(folder / "stimulus.npz"),
    )
    assert isinstance(bundle, MeshImage)

    def opener(name: str) -> Backend:
        return open_backend(
            name, network, bundle, **({"options": FAST_BUILD} if name == "verilator" else {})
        )

    names = ["golden", "pysim", "verilator", *(["icarus"] if ICARUS else [])]
    result = compare(Case(network, stimulus, holders=bundle.holders()), names, opener, workers=1)
    assert result.failures() == [] and result.cycles_measured == result.cycles_predicted
    assert all(pair.neuron_ticks == 6 * 5 * 12 for pair in result.pairs)

    fill = MeshChipModel.fill_mesh

    def spoilt(model: MeshChipModel, image: MeshImage) -> None:
        fill(model, image)
        model.memory("synapse", 1)[:32, 0] ^= (
            1 << 3
        )  # sign of the weights of lane 3: a neuron uses lanes 0 to 3

    monkeypatch.setattr(MeshChipModel, "fill_mesh", spoilt)
    result = compare(
        Case(network, stimulus, holders=bundle.holders()),
        ["golden", "verilator"],
        opener,
        workers=1,
    )
    assert (
        result.first is not None
        and result.first.core == 1
        and result.first.neuron in bundle.cores[1].neurons["hidden1"]
    )
    evidence = keep_evidence(
        Case(network, stimulus, holders=bundle.holders()),
        result.first,
        opener,
        tmp_path,
        image=mapped,
        network=folder / "network.safetensors",
    )
    assert evidence.minimal is not None and evidence.minimal.difference.core == 1
    assert evidence.waves is not None and b" count_spikes_out " in evidence.waves.read_bytes()
