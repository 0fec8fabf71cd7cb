"""``spikeloop zoo``: every kept net runs, a killed zoo goes on, a difference fails it."""

import gzip
import json
import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim import backends
from spikeloop.cosim.flow.pretrained import load
from spikeloop.cosim.runs.folder import Run
from spikeloop.cosim.studies.zoo import chip_for, row, train, write_page
from spikeloop.golden.data.datasets import load_mnist
from spikeloop.golden.nets.files import CHECKPOINTS, kept_files
from spikeloop.pysim.bundle.open import load_bundle
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.mapping.place import place
from spikeloop.pysim.mapping.placement import Placement
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.cosim.cli.test_app import refused, spikeloop
from tests.make.small import network

# have tests of their own
ELSEWHERE = ("zou-lenet-4", "zou-vgg-1", "pim-mnist", "indian-pines")
ON_RTL = ("grad-r-mnist", "bpsr-mnist-4bit")


@pytest.mark.parametrize("name", kept_files())
def test_every_kept_net_says_what_it_is(name: str) -> None:
    net = load(name)
    assert find_spec(net.command[0]), net.command
    assert net.rule and 0.5 < net.accuracy["integer"] <= 1
    assert net.metadata["dataset"]["test"] == (6_150 if net.load_data else 10_000)
    if net.load_data:
        pytest.importorskip("tensorly", reason="it carries Indian Pines")
    stimulus = net.stimulus(net.load_data() if net.load_data else load_mnist(), 2)
    stimulus.check(net.network)
    # the embedded images were trained on
    assert (stimulus.labels is None) == (net.load_data is None)
    chip = chip_for(net.network)
    assert chip.pages >= max(p.v_th.shape[0] for p in net.network.populations)


def test_the_chip_has_the_pages_that_a_net_needs() -> None:
    net = network(out={"pages": 49, "page_shift": 4}, membrane_bits=24)
    chip = chip_for(net)
    assert (chip.pages, chip.page_shift) == (64, 4)
    assert isinstance(place(net, chip), Placement)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in kept_files() if name not in ELSEWHERE])
def test_every_kept_net_runs(name: str, tmp_path: Path) -> None:
    """All of them on the RTL: spikeloop zoo (docs/results.md)."""
    r = row(
        load(name),
        load_mnist(),
        20,
        ["golden", "pysim", *(["verilator"] if name in ON_RTL else [])],
        tmp_path,
    )
    assert not r["failures"] and r["neuron_ticks"] == 20 * r["steps"] * r["neurons"]


def test_kept_nets_are_small() -> None:
    assert sum(path.stat().st_size for path in CHECKPOINTS.iterdir()) <= 20 << 20


def test_names_and_zipped_files(tmp_path: Path) -> None:
    assert load("zou-lenet-4").name == "zou-lenet-4"
    with pytest.raises(InputError, match=r"net must be one of .*pim-mnist.*, not 'lenet'"):
        load("lenet")
    file = tmp_path / "net.safetensors.gz"
    file.write_bytes(gzip.compress(b"not a network"))
    with pytest.raises(InputError, match="must be a safetensors file written by spikeloop"):
        load("net", file)
    nameless = tmp_path / "nameless.safetensors"
    network().save(nameless)
    with pytest.raises(InputError, match=r"metadata of net .* must be those of a trained net"):
        load("net", nameless)


def zoo(capfd: pytest.CaptureFixture[str], folder: Path, *more: object) -> tuple[int, dict, str]:
    status, out, err = spikeloop(
        capfd,
        "zoo",
        "pim-mnist",
        "--backend",
        "pysim",
        "--samples",
        6,
        "-o",
        folder,
        "--json",
        *more,
    )
    return status, json.loads(out), " ".join(err.split())


def test_a_zoo_and_one_that_was_killed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, found, err = zoo(capfd, tmp_path)
    (r,) = found["rows"]
    assert status == 0 and r["different"] == 0 and not r["failures"]
    assert (
        r["neuron_ticks"] == 6 * 1674 * 5
        and r["synapses"] > 10_000
        and min(r["spikes"], r["sops"], r["cycles"]) > 0
    )
    assert r["energy"] == pytest.approx(0.57e-12 * r["sops"])
    assert sum(
        r["rates"][p.name] * p.size * 5 for p in load("pim-mnist").network.populations
    ) == pytest.approx(r["spikes"])
    assert "pim-mnist q-stdb 99.10% 99.04%" in err
    page = (tmp_path / "zoo.html").read_text()
    assert (
        page.count("<svg") == 2
        and "pim-mnist" in page
        and not re.search(r"(src|href)=", page.replace('xlink:href="#', ""))
    )

    (journal,) = tmp_path.glob("pim-mnist-*/journal.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 3  # the head, a chunk for each of two workers
    journal.write_bytes(b"".join(lines[:2]) + lines[2][:40])  # killed while the second was written
    ran: list[int] = []
    add = Run.add
    monkeypatch.setattr(Run, "add", lambda run, chunk: (ran.append(chunk.start), add(run, chunk)))
    assert zoo(capfd, tmp_path)[1]["rows"] == [r] and ran == [3]
    assert zoo(capfd, tmp_path)[1]["rows"] == [r] and ran == [3]
    for module in ("runs.folder", "studies.zoo"):  # chunks of other sources say nothing of these
        monkeypatch.setattr(f"spikeloop.cosim.{module}.sources", lambda: "others")
    assert zoo(capfd, tmp_path)[1]["rows"] == [r] and ran == [3, 0, 3]


def test_a_difference_is_1(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(backends.Pysim):
        def run(self, stimulus, *, membranes: bool = True) -> Trace:  # type: ignore[no-untyped-def]
            trace = super().run(stimulus, membranes=membranes)
            if stimulus.pixels and stimulus.pixels["pixels"][0].tobytes() == first:
                next(iter(trace.membranes.values()))[0, 3, 7] += 1
            return trace

    first = load_mnist().test_images[0].tobytes()
    monkeypatch.setattr(backends, "Pysim", Wrong)
    status, found, err = zoo(capfd, tmp_path)
    assert (
        status == 1
        and found["rows"][0]["different"] == 2
        and "pim-mnist: golden against pysim" in err
    ), err
    assert 'class="bad">2<' in (tmp_path / "zoo.html").read_text()
    (folder,) = tmp_path.glob("pim-mnist-*")
    assert Stimulus.load(folder / "difference.npz").samples == 1
    assert f"again: spikeloop compare {folder / 'image'}" in err
    load_bundle(folder / "image")


def test_a_net_whose_data_are_missing_is_left_out(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all kept nets; asked for by name, it is refused."""

    def missing(seed: int) -> None:
        raise InputError("package tensorly is missing: install it")

    two = {
        name: path for name, path in kept_files().items() if name in ("pim-mnist", "indian-pines")
    }
    monkeypatch.setattr("spikeloop.cosim.flow.pretrained.load_indian_pines", missing)
    monkeypatch.setattr("spikeloop.cosim.studies.zoo.kept_files", lambda: two)
    options = ("--backend", "pysim", "--samples", 2, "-o", tmp_path / "out", "--json")
    status, out, err = spikeloop(capfd, "zoo", *options)
    assert status == 0 and [r["name"] for r in json.loads(out)["rows"]] == ["pim-mnist"]
    assert "indian-pines is left out: package tensorly is missing" in err
    assert "tensorly is missing" in refused(capfd, tmp_path, "zoo", "indian-pines", *options)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["zoo", "lenet"], "net must be one of .*, not 'lenet'"),
        (
            ["zoo", "--backend", "golden"],
            "backend of the zoo must be one of verilator, icarus, pysim, not 'golden'",
        ),
        (["zoo", "pim-mnist", "--samples", "0"], r"samples must be in 1\.\.1000"),
        (["zoo", "--data", "nowhere"], "data folder must be"),
        (
            ["zoo", "pim-mnist", "--backend", "pysim", "--chip", "huge"],
            "chip preset must be one of",
        ),
        (["pretrained", "lenet"], "net must be one of .*, not 'lenet'"),
    ],
)
def test_bad_input(
    arguments: list[str], words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert re.search(words, refused(capfd, tmp_path, *arguments, "-o", tmp_path / "out"))


def test_a_net_is_trained_anew(tmp_path: Path) -> None:
    """By the command of its metadata; a net that is there is not trained again."""
    net = replace(
        load("pim-mnist"),
        name="small",
        metadata={
            "command": {
                "rule": "grad_r",
                "arguments": [
                    *("--alpha", "0.05", "--data", "FOLDER"),
                    *("--epochs", "1", "--hidden", "4", "--seed", "3"),
                ],
            }
        },
    )
    file = train(net, None, tmp_path)
    made = load("small", file)
    assert (
        made.rule == "grad-r"
        and made.metadata["training"]["seed"] == 3
        and [p.size for p in made.network.populations] == [4, 10]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["small.safetensors"]
    before = file.stat().st_mtime_ns
    assert train(net, None, tmp_path) == file and file.stat().st_mtime_ns == before
    r = row(made, load_mnist(), 4, ["golden", "pysim"], tmp_path / "runs")
    assert r["different"] == 0 and r["accuracy"]["integer"] is not None  # these images are its own
    assert r["synapses"] == np.count_nonzero(made.network.edges[0].weights) + np.count_nonzero(
        made.network.edges[1].weights
    )
    write_page([r, r], tmp_path / "page.html")
    with pytest.raises(
        InputError, match="training of 'other' must end with a net, not with exit status 1"
    ):
        train(
            replace(net, name="other", metadata={"command": {"rule": "nothing", "arguments": []}}),
            None,
            tmp_path,
        )
