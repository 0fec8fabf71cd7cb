"""`spikeloop fit` and `cost`: tables, JSON, files, and one sentence for what does not fit."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloop.pysim.bundle.program import Program, compile_program
from spikeloop.pysim.common.tensors import decode, encode
from spikeloop.pysim.cost.work import measure
from spikeloop.pysim.mapping.published import NAMES
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.cosim.cli.test_app import spikeloop
from tests.cosim.conftest import Small
from tests.pysim.mapping.test_partition import CHIP, conv_network, stimulus


def dense(*sizes: int) -> Network:
    names = ["x", *(f"p{i}" for i in range(1, len(sizes)))]
    return Network(
        name="net",
        inputs=(Input(name="x", size=sizes[0]),),
        steps=3,
        output=names[-1],
        populations=tuple(
            Population.make(names[i], sizes[i], start=i - 1) for i in range(1, len(sizes))
        ),
        edges=tuple(
            Edge(source=s, target=t, weights=np.zeros((a, b), np.int32))
            for s, t, a, b in zip(names, names[1:], sizes, sizes[1:], strict=False)
        ),
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_net_by_name_as_json(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    status, out, err = spikeloop(capfd, "fit", name, "--chip", "zou2021", "--json")
    document = json.loads(out)
    view = document["dense_periods"]
    assert status == 0 and view["lacks"] is None and document["mapped"] is None
    for row in view["layers"]:
        assert {
            "name",
            "patch_in",
            "patch_out",
            "f",
            "cores",
            "axons",
            "columns",
            "density_axon",
            "density_neuron",
            "density_synapse",
            "periods",
            "latency_ms",
        } <= set(row)
        assert row["name"] in err  # the table
    assert view["totals"]["cores"] == sum(row["cores"] for row in view["layers"] if row["on_chip"])


def test_the_table_for_people(capfd: pytest.CaptureFixture[str]) -> None:
    status, out, _ = spikeloop(capfd, "fit", "zou-lenet-4")
    assert status == 0
    words = [" ".join(line.split()) for line in out.splitlines()]
    assert "1 16C5 6*6*16 2*2*16 2 144 2,304 1,024 1.00 1.00 0.69 3 0.1646" in words
    assert "6 10FC 1*1*256 1*1*10 1 1 1,024 80 0.89 0.08 0.07 off chip" in words
    assert words[-3:] == [
        "cores (paper) 224, the layers on chip",
        "latency (paper) 0.3840 ms a sample (2,604.2/s), 7 periods a tick",
        "ticks (paper) 5 a sample, as a pipeline",
    ]
    assert max(map(len, out.splitlines())) <= 140


def test_a_network_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = dense(1500, 300, 10).save(tmp_path / "net.safetensors")
    status, out, _ = spikeloop(capfd, "fit", file, "--json")
    assert status == 0
    document = json.loads(out)
    first, second = document["dense_periods"]["layers"]
    assert (first["patch_in"], first["patch_out"], first["f"], first["cores"]) == (
        [1, 1, 1500],
        [1, 1, 64],
        2,
        5,
    )  # 8 bits: 1024 / 16
    assert (second["axons"], second["columns"], second["ticks"]) == (300, 80, 3)


def test_what_does_not_fit_is_one_sentence_after_the_layers_that_do(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = dense(73729, 2, 3).save(tmp_path / "net.safetensors")
    status, out, err = spikeloop(capfd, "fit", file, "--json")
    document = json.loads(out)
    assert status == 2
    view = document["dense_periods"]
    assert [row["name"] for row in view["layers"]] == ["p2"]
    assert err.strip().splitlines()[-1] == f"spikeloop: {view['lacks']}"
    assert view["lacks"].startswith(
        "fan-in of layer 'p1' must be at most 73,728 lines (1,152 axons, extended 64 times), "
        "not 73,729 "
    )


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "zou-lenet-3",
            f"network must be a network file or one of {', '.join(NAMES)}, not 'zou-lenet-3'",
        ),
        (
            "missing.safetensors",
            "network file 'missing.safetensors' is missing: "
            "spikeloop quantize and spikeloop import write one",
        ),
    ],
)
def test_bad_input(
    name: str,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert spikeloop(capfd, "fit", name, "--json") == (2, "", f"spikeloop: {sentence}\n")


def test_a_file_that_is_none_of_ours(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net"
    file.write_bytes(b"nothing")
    status, out, err = spikeloop(capfd, "fit", file)
    assert (status, out) == (2, "") and "must be a safetensors file written by spikeloop" in err


def test_an_unknown_chip(capfd: pytest.CaptureFixture[str]) -> None:
    status, out, err = spikeloop(capfd, "fit", "zou-lenet-1", "--chip", "zou")
    assert (status, out) == (2, "") and "chip preset must be one of tiny" in err


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


@pytest.mark.parametrize(
    ("state", "value", "chip", "words"),
    [
        ("current", 0, "tiny", "must be 0 on this chip (it was built without), not 10: choose a "
         "chip with current_bits=10"),
        ("adaptation", 0, "tiny", "choose a chip with adaptation_bits=10"),
        ("gain", 10, "tiny,current_bits=10", "gain of population 'p1' must be in 0..9, not 10"),
        ("current_shift", 11, "tiny,current_bits=10", "must be in 0..10, not 11"),
        ("adaptation_step", 1024, "tiny,adaptation_bits=10", "must be in 0..1023, not 1024"),
        ("current", 0, "tiny,current_bits=7", "current_bits must be in 8..32, not 7"),
    ],
)  # fmt: skip
def test_states_that_do_not_fit(
    state: str, value: int, chip: str, words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file whose parameter is ``value``, where that is not 0, and the chip it is mapped to."""
    kind = "adaptation" if state.startswith("adaptation") else "current"
    network = dense(3, 4)
    (population,) = network.populations
    population = replace(population, **{kind: np.ones(4, np.uint8)})
    network = replace(network, populations=(population,), **{f"{kind}_bits": 10})
    header, arrays = decode(network.to_bytes(), "spikeloop", "network")
    if value:
        arrays[f"p1.{state}"] = np.full_like(arrays[f"p1.{state}"], value)
    (tmp_path / "net.safetensors").write_bytes(encode(header, arrays, "spikeloop", "network"))
    image = tmp_path / "image"
    status, out, err = spikeloop(
        capfd, "map", tmp_path / "net.safetensors", "--chip", chip, "-o", image
    )
    assert (status, out) == (2, "") and words in err and err.count("\n") == 1
    assert not image.exists()
