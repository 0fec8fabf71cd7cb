"""The command line: exit statuses, streams, one sentence for bad input, nothing half-written."""

import json
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from spikeloop.cosim.cli import main
from spikeloop.golden.data.encoders import ENCODERS
from spikeloop.pysim.bundle.open import load_bundle
from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.common.files import seal
from spikeloop.pysim.common.tensors import decode, encode
from spikeloop.pysim.image.export import read
from spikeloop.pysim.image.image import Bundle
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.conftest import ROOT
from tests.cosim.conftest import Small, small_network


@pytest.fixture
def folder(small: Small, tmp_path: Path) -> Path:
    """A copy of the small net's files, to be spoilt."""
    work = tmp_path / "work"
    shutil.copytree(small.folder, work)
    return work


def spikeloop(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit status, stdout, stderr. Anything that would be a traceback fails the test by itself."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments])
    captured = capfd.readouterr()
    return end.value.code, captured.out, captured.err


def listing(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def refused(capfd: pytest.CaptureFixture[str], work: Path, *arguments: object) -> str:
    """The one sentence with which bad input is refused; no file of ``work`` has changed or come."""
    before = listing(work)
    status, out, err = spikeloop(capfd, *arguments)
    assert (status, out) == (2, "")
    sentence = err.strip()
    assert sentence.startswith("spikeloop: ")
    assert "\n" not in sentence
    assert re.search(r" must .*\bnot | is (missing|damaged)\b.*: ", sentence), sentence
    assert listing(work) == before
    return sentence.removeprefix("spikeloop: ")


def compare_arguments(
    work: Path, backends: str = "golden,pysim", *more: object, run: Path | None = None
) -> list[str]:
    """Of a comparison of the files in ``work``; ``run``: its folder, by default one in ``work``."""
    files = ["compare", work / "image", "--stimulus", work / "stimulus.npz"]
    options = ["--backends", backends, "-o", run or work / "difference", *more]
    return [str(word) for word in (*files, *options)]


# -- equal, different ----------------------------------------------------------------------------


def test_equal_is_0_and_the_table_shows_the_denominators(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = spikeloop(capfd, *compare_arguments(folder))
    assert status == 0
    words = " ".join(out.split())
    assert "360 neuron-ticks compared, 0 different" in words
    assert "predicted" in words
    assert not (folder / "difference" / "difference.npz").exists()


def test_json_stands_alone_on_stdout(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status, out, err = spikeloop(
        capfd, *compare_arguments(folder, "golden,pysim", "--samples", 4, "--json")
    )
    summary = json.loads(out)
    assert status == 0
    assert "neuron-ticks" in err
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
    } <= set(summary)
    assert (
        summary["samples"],
        summary["ticks"],
        summary["neuron_ticks"],
        summary["different"],
    ) == (4, 24, 240, 0)
    assert summary["backends"] == ["golden", "pysim"]
    assert set(summary["accuracy"]) == {"float", "integer", "rtl"}
    assert summary["cycles_predicted"] > 0 < summary["sops"]
    assert summary["cycles_measured"] is None


def test_different_is_1_with_the_evidence(
    small: Small, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """pysim with a wrong threshold: the first difference is named; its command shows it again."""
    from spikeloop.cosim import backends

    class Wrong(backends.Pysim):
        def __init__(self, image) -> None:
            super().__init__(image)
            self.core.neurons.p["v_th"][:, 0] += 2

    monkeypatch.setattr(backends, "Pysim", Wrong)
    status, out, err = spikeloop(capfd, *compare_arguments(folder, "golden,pysim", "--json"))
    summary = json.loads(out)
    assert status == 1
    assert summary["different"] > 0
    first = summary["pairs"][0]["first"]
    assert first.keys() == {
        "reference",
        "backend",
        "sample",
        "tick",
        "step",
        "core",
        "population",
        "neuron",
        "field",
        "expected",
        "got",
    }
    assert (first["reference"], first["backend"], first["population"], first["neuron"]) == (
        "golden",
        "pysim",
        "hidden1",
        0,
    )
    assert re.search(
        r"first difference: sample \d+, tick \d+ \(step \d+\), core 0, "
        r"population hidden1, neuron 0: ",
        err,
    )
    command = re.search(r"again: spikeloop (.*)", err).group(1).split()
    assert Stimulus.load(folder / "difference" / "difference.npz").samples == 1
    assert spikeloop(capfd, *command, "-o", folder / "second")[0] == 1


def test_silence_is_3_and_may_be_accepted(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    silent = Stimulus.pack({"pixels": np.zeros((6, 5, 12), np.uint8)})
    silent.save(folder / "stimulus.npz")
    status, _, err = spikeloop(capfd, *compare_arguments(folder))
    # the hidden neurons' bias may make them spike; whatever stays silent is named
    assert status in (0, 3)
    quiet = small_network(v_th=100)
    quiet.save(folder / "network.safetensors")
    assert (
        spikeloop(
            capfd, "map", folder / "network.safetensors", "--chip", "tiny", "-o", folder / "image"
        )[0]
        == 0
    )
    status, out, err = spikeloop(capfd, *compare_arguments(folder))
    assert status == 3 and re.search(r"silent +hidden1, output", out)
    assert "population 'hidden1' must spike at least once in the run, not stay silent" in err
    assert "nothing differs; take more samples, or accept it by --allow-silent" in err
    status, out, err = spikeloop(
        capfd, *compare_arguments(folder, "golden,pysim", "--allow-silent", "--json", "--quiet")
    )
    summary = json.loads(out)
    assert (status, err, summary["verdict"], summary["equal"]) == (0, "", "equal", True)
    assert summary["silent"] == ["hidden1", "output"]


def test_silent_and_different_is_1(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong membrane in a net that never spikes: with --allow-silent too."""
    from spikeloop.cosim import backends

    class Wrong(backends.Pysim):
        def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
            trace = super().run(stimulus, membranes=membranes)
            trace.membranes["output"][:, 2, 1] += 1
            return trace

    small_network(v_th=1 << 20).save(folder / "network.safetensors")
    network = folder / "network.safetensors"
    assert spikeloop(capfd, "map", network, "--chip", "tiny", "-o", folder / "image")[0] == 0
    monkeypatch.setattr(backends, "Pysim", Wrong)
    assert spikeloop(capfd, *compare_arguments(folder))[0] == 1
    assert spikeloop(capfd, *compare_arguments(folder, "golden,pysim", "--allow-silent"))[0] == 1


def test_a_chip_that_hangs_is_3(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from spikeloop.cosim import backends

    class Hangs(backends.Pysim):
        def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
            raise TimeoutError("the tick did not end")

    monkeypatch.setattr(backends, "Pysim", Hangs)
    status, out, err = spikeloop(capfd, *compare_arguments(folder))
    assert (status, out, err) == (3, "", "spikeloop: the tick did not end\n")


def test_map_export_and_verilog_write_their_files(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = spikeloop(
        capfd,
        "map",
        folder / "network.safetensors",
        "--chip",
        "tiny",
        "-o",
        folder / "again",
        "--json",
    )
    assert status == 0
    assert json.loads(out)["use"]["axons"] == 21
    assert listing(folder / "again") == listing(folder / "image")
    status, out, _ = spikeloop(
        capfd, "export", folder / "image", "--format", "hex", "-o", folder / "export", "--json"
    )
    assert status == 0
    assert all(Path(f).is_file() for f in json.loads(out)["files"])
    status, out, _ = spikeloop(capfd, "verilog", "--chip", "tiny", "-o", folder / "rtl", "--json")
    assert status == 0
    assert "module chip" in Path(json.loads(out)["files"][0]).read_text()


def test_export_and_verilog_take_a_network_of_many_cores(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    chip = "tiny,columns=16"
    status, out, _ = spikeloop(
        capfd,
        "map",
        folder / "network.safetensors",
        "--chip",
        chip,
        "-o",
        folder / "program",
        "--json",
    )
    assert status == 0 and (cores := json.loads(out)["cores"]) > 1
    status, out, _ = spikeloop(
        capfd, "export", folder / "program", "--format", "mem", "-o", folder / "parts", "--json"
    )
    files = [Path(f) for f in json.loads(out)["files"]]
    assert status == 0 and {f.parent.name for f in files} == {f"part{i}" for i in range(cores)}
    assert_exported(folder / "parts", load_bundle(folder / "program"))
    status, out, _ = spikeloop(capfd, "verilog", folder / "program", "-o", folder / "rtl", "--json")
    assert status == 0 and json.loads(out)["chip"]["columns"] == 16


def test_help_is_quick_to_import_and_names_every_verb() -> None:
    heavy = ("torch", "amaranth", "matplotlib", "numba")
    code = f"import sys, spikeloop.cosim.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    for verb in ("train", "sim", "compare"):
        done = subprocess.run(
            [sys.executable, "-m", "spikeloop", verb, "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "Usage: spikeloop" in done.stdout


def test_usage_errors_are_2(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        [],
        ["frobnicate"],
        ["compare"],
        ["map", folder / "network.safetensors", "--chp", "tiny"],
        ["sim", "--bits", "x"],
    ):
        status, _, err = spikeloop(capfd, *arguments)
        assert status == 2
        assert "Traceback" not in err


# -- streams -------------------------------------------------------------------------------------


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line of the shell in which $spikeloop is the command; its status is the result's."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "spikeloop": f"{sys.executable} -m spikeloop",
    }
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "command", ["--help", "--version", "fit zou-lenet-4", "fit zou-lenet-4 --json"]
)
@pytest.mark.parametrize(
    "before, stdout, status, sentence",
    [
        ("exec 9> >(true); sleep 0.5;", ">&9", 141, ""),
        ("", "> /dev/full", 2, "spikeloop: standard output must be writable, not refused"),
        ("", ">&-", 0, ""),
    ],
    ids=["gone", "full", "closed"],
)
def test_stdout_that_takes_nothing(
    command: str, before: str, stdout: str, status: int, sentence: str, tmp_path: Path
) -> None:
    """Never status 1, which means different, and never a traceback."""
    done = shell(f"{before} $spikeloop {command} {stdout}", tmp_path)
    assert done.returncode == status and "Traceback" not in done.stderr
    assert sentence in done.stderr and done.stderr.count("spikeloop:") == bool(sentence)
    assert list(tmp_path.iterdir()) == []


def test_a_bug_is_no_difference(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(name: str) -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr("spikeloop.pysim.chip.params.preset", broken)
    status, out, err = spikeloop(capfd, "verilog", "--chip", "tiny")
    assert (status, out) == (70, "") and "ZeroDivisionError: of ours" in err and "is a bug" in err


def test_names_are_no_markup(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A folder named as a tag of rich shows as it is, in tables and in sentences."""
    image = folder / "[red]x"
    network = folder / "network.safetensors"
    status, out, _ = spikeloop(capfd, "map", network, "--chip", "tiny", "-o", image)
    assert status == 0 and str(image) in out
    assert "[red]y" in refused(capfd, folder, "export", folder / "[red]y", "--format", "bin")


def test_quiet_and_verbose(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from spikeloop.cosim.verilator.cache import stage

    def compare(*more: object) -> str:
        status, out, err = spikeloop(capfd, *compare_arguments(folder, "golden,pysim", *more))
        assert status == 0 and "0 different" in out
        with stage("build"):
            pass
        return err + capfd.readouterr().err

    assert compare("--quiet") == ""
    assert re.fullmatch(r"build \.\.\.\nbuild: 0\.0 s\n", compare())
    assert re.search(r"\[ *[\d.]+ s\] build \.\.\.\n", compare("--verbose"))
    _, out, err = spikeloop(capfd, *compare_arguments(folder, "golden,pysim", "-q", "--json"))
    assert json.loads(out)["equal"] and err == ""


def test_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from spikeloop.cosim.verilator.cache import cached

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name, days in (("chip-1", 0), ("board-2", 9)):
        entry = cached(name, lambda folder: (folder / "file").write_bytes(bytes(1_000_000)))
        for path in (entry, *entry.rglob("*")):
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - days * 86400))
    document = json.loads(spikeloop(capfd, "cache", "--json")[1])
    assert [(e["name"], e["kind"], round(e["age_days"])) for e in document["entries"]] == [
        ("chip-1", "chip", 0),
        ("board-2", "board", 9),
    ]
    assert document["bytes"] == sum(e["bytes"] for e in document["entries"]) > 2_000_000
    _, out, _ = spikeloop(capfd, "cache")
    assert re.search(r"board-2 +board, 1\.0 MB, 9\.0 days", out) and "2 builds, 2.0 MB" in out
    _, out, _ = spikeloop(capfd, "cache", "clear", "--older", 5, "--json")
    assert json.loads(out)["removed"] == 1
    assert (tmp_path / "spikeloop" / "chip-1").is_dir()
    assert not (tmp_path / "spikeloop" / "board-2").exists()
    assert json.loads(spikeloop(capfd, "cache", "clear", "--json")[1])["removed"] == 1
    assert json.loads(spikeloop(capfd, "cache", "--json")[1])["entries"] == []


# -- bad input -----------------------------------------------------------------------------------


def spoil_network(work: Path, **tensors: Callable[[np.ndarray], object]) -> Path:
    """Change tensors of the network file behind its checks; its digest is made anew."""
    path = work / "network.safetensors"
    header, read = decode(path.read_bytes(), "spikeloop", "network")
    arrays = {name: array.copy() for name, array in read.items()}
    for name, change in tensors.items():
        change(arrays[name.replace("__", ".")])
    path.write_bytes(encode(header, arrays, "spikeloop", "network"))
    return path


def put(value: int) -> Callable[[np.ndarray], None]:
    def change(array: np.ndarray) -> None:
        array.flat[1] = value

    return change


@pytest.mark.parametrize(
    "tensor, value, message",
    [
        (
            "edge0__weights",
            8,
            "weights of edge pixels->hidden1 must be in -8..7 (4 bits, signed), not 8",
        ),
        (
            "edge1__weights",
            -9,
            "weights of edge hidden1->output must be in -8..7 (4 bits, signed), not -9",
        ),
        (
            "hidden1__bias",
            1 << 23,
            "bias of population 'hidden1' must be in -8388608..8388607, not 8388608",
        ),
        (
            "output__v_th",
            -(1 << 23) - 1,
            "v_th of population 'output' must be in -8388608..8388607, not -8388609",
        ),
        ("hidden1__leak_shift", 25, "leak_shift of population 'hidden1' must be in 0..24, not 25"),
        ("hidden1__refractory", 64, "refractory of population 'hidden1' must be in 0..63, not 64"),
        ("hidden1__reset", 3, "reset of population 'hidden1' must be in 0..2, not 3"),
    ],
)
def test_values_out_of_range(
    folder: Path, capfd: pytest.CaptureFixture[str], tensor: str, value: int, message: str
) -> None:
    path = spoil_network(folder, **{tensor: put(value)})
    assert refused(capfd, folder, "map", path, "--chip", "tiny", "-o", folder / "new") == message
    assert refused(capfd, folder, *compare_arguments(folder)) == message


def _edit_manifest(work: Path, change: Callable[[dict], object]) -> None:
    """As a careful forger would: with the seal set anew."""
    path = work / "image" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    change(manifest)
    path.write_bytes(seal(manifest))


def assert_exported(folder: Path, bundle: Bundle) -> None:
    """The .mem files of an export hold every row of the bundle's images."""
    for name, image in bundle.folders().items():
        for memory in MemoryMap(image.chip).loaded:
            stored = replace(memory, rows=image.placement.used_rows(memory))
            rows = read(folder / name / f"{memory.name}.mem", stored)
            assert np.array_equal(rows, image.rows(memory.name))


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "spoil, message",
    [
        (
            lambda w: _edit_manifest(w, lambda m: m.update(version=99)),
            "must be of version 3, not 99",
        ),
        (lambda w: _edit_manifest(w, lambda m: m["chip"].update(axons=64)), "section"),
        (
            lambda w: _edit_manifest(w, lambda m: m["chip"].update(lanes=0)),
            "chip parameter lanes must be in 1..",
        ),
        (
            lambda w: _edit_manifest(w, lambda m: m["cores"].append(m["cores"][0])),
            "must have 1 core, not 2",
        ),
        (
            lambda w: _edit_manifest(w, lambda m: m["network"].update(sha256="0" * 64)),
            "network must be the one image",
        ),
        (
            lambda w: _flip(w / "image" / "manifest.json", 200),
            "must be as spikeloop wrote it, not damaged or edited",
        ),
        (
            lambda w: _flip(w / "image" / "core0" / "synapse.rows", 77),
            "must have the SHA-256 of its manifest, not another (damaged)",
        ),
        (
            lambda w: _flip(w / "image" / "core0" / "fire.rows", 0),
            "must have the SHA-256 of its manifest, not another (damaged)",
        ),
        (lambda w: os.truncate(w / "image" / "core0" / "leak.rows", 10), "(truncated)"),
        (
            lambda w: (w / "image" / "core0" / "routes.rows").unlink(),
            "is missing: map the network again",
        ),
        (
            lambda w: shutil.rmtree(w / "image"),
            "is missing (no manifest.json): run spikeloop map first",
        ),
        (lambda w: (w / "image" / "manifest.json").write_text("{}"), "not damaged or edited"),
    ],
)
@pytest.mark.parametrize("verb", ["compare", "export"])
def test_images_that_are_not_sound(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    spoil: Callable[[Path], object],
    message: str,
    verb: str,
) -> None:
    if verb == "export" and "network must be" in message:
        return  # export does not see the network
    spoil(folder)
    export = ["export", folder / "image", "--format", "bin", "-o", folder / "out"]
    assert message in refused(
        capfd, folder, *(export if verb == "export" else compare_arguments(folder))
    )


class _Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/spikeloop_was_unpickled",)


def _not_networks(work: Path) -> dict[str, bytes]:
    data = (work / "network.safetensors").read_bytes()
    return {
        "truncated": data[:-20],
        "cut in the header": data[:50],
        "empty": b"",
        "text": b"hello",
        "pickle": pickle.dumps(_Evil()),
        "zip": b"PK\x03\x04" + bytes(100),
        "foreign": save_tensors({"a": np.zeros(3)}),
        "huge header": struct.pack("<Q", 1 << 60) + b"{}",
    }


@pytest.mark.parametrize(
    "kind",
    ["truncated", "cut in the header", "empty", "text", "pickle", "zip", "foreign", "huge header"],
)
def test_files_that_are_no_networks(
    folder: Path, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    path = folder / "network.safetensors"
    path.write_bytes(_not_networks(folder)[kind])
    for arguments in (["map", path, "-o", folder / "new"], compare_arguments(folder)):
        assert "must be a safetensors file written by spikeloop, not this one" in refused(
            capfd, folder, *arguments
        )
    sentence = refused(capfd, folder, "quantize", path, "-o", folder / "q")
    assert "must be a safetensors file written by spikeloop" in sentence
    assert not Path("/tmp/spikeloop_was_unpickled").exists()


@pytest.mark.parametrize("name", ["map", "quantize", "compare"])
def test_files_that_are_missing(folder: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    missing = folder / "nowhere.safetensors"
    compare = compare_arguments(folder, "golden,pysim", "--network", missing)
    arguments = compare if name == "compare" else [name, missing, "-o", folder / "new"]
    assert "is missing: " in refused(capfd, folder, *arguments)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_float_net_that_is_not_finite(
    folder: Path, capfd: pytest.CaptureFixture[str], bad: float
) -> None:
    import torch

    from spikeloop.golden.nets.layers import FloatNet

    net = FloatNet((12, 4, 3), metadata={"dataset": {"source": "x"}, "encoder": {}})
    path = net.save(folder / "float.safetensors")
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    arrays = load_tensors(data)
    arrays["layers.0.weight"] = np.where(np.arange(4) == 2, bad, arrays["layers.0.weight"]).astype(
        np.float32
    )
    path.write_bytes(save_tensors(arrays, json.loads(data[8 : 8 + length])["__metadata__"]))
    assert "must be finite, not " in refused(
        capfd, folder, "quantize", path, "-o", folder / "q.safetensors"
    )
    assert torch is not None


def _stimulus(**arrays: np.ndarray) -> Callable[[Path], object]:
    return lambda work: np.savez(work / "stimulus.npz", **arrays)


GOOD = np.zeros((6, 5, 2), np.uint8)


@pytest.mark.parametrize(
    "spoil, message",
    [
        (
            _stimulus(**{"spikes/pixels": GOOD[:, :4]}),
            "must be of shape (6, 5, 2) (12 lines packed), not (6, 4, 2)",
        ),
        (
            _stimulus(**{"spikes/pixels": np.zeros((6, 5, 12), np.uint8)}),
            "must be of shape (6, 5, 2) (12 lines packed), not (6, 5, 12)",
        ),
        (
            _stimulus(**{"spikes/pixels": GOOD[0]}),
            "must be packed uint8 [sample, step, byte], not uint8 of shape (5, 2)",
        ),
        (
            _stimulus(**{"spikes/pixels": GOOD.astype(np.float32) + 0.5}),
            "must be uint8, not float32",
        ),
        (
            _stimulus(**{"spikes/pixels": GOOD + np.uint8(255)}),
            "padding bits of input 'pixels' must be 0, not set",
        ),
        (
            _stimulus(**{"spikes/others": GOOD}),
            "stimulus must hold exactly the inputs pixels, not others",
        ),
        (
            _stimulus(pixels=GOOD),
            "must hold arrays spikes/NAME, pixels/NAME, starts/NAME, labels, samples, not 'pixels'",
        ),
        (
            _stimulus(**{"spikes/pixels": GOOD, "labels": np.zeros(5, np.int64)}),
            "labels of the stimulus must be of shape (6,), not (5,)",
        ),
        (
            _stimulus(**{"spikes/pixels": GOOD, "labels": np.array([0, 1, 2, 3, 99, 0])}),
            "labels of the stimulus must be whole numbers in 0..2, the classes of output 'output', "
            "not 3",
        ),
        (
            _stimulus(**{"spikes/pixels": GOOD, "labels": np.array([0, 1, 2, -1, 0, 0])}),
            "labels of the stimulus must be at least 0, not -1",
        ),
        (
            _stimulus(**{"spikes/pixels": GOOD, "labels": np.array([0.2, 1.7, 0, 1, 1, 1])}),
            "must be int64, not float64",
        ),
        (
            _stimulus(**{"spikes/pixels": GOOD, "labels": np.eye(6, dtype=np.int64)}),
            "labels of the stimulus must be of shape (6,), not (6, 6)",
        ),
        (_stimulus(**{"spikes/pixels": GOOD[:0]}), "samples to compare must be at least 1, not 0"),
        (_stimulus(**{"spikes/pixels": np.array([_Evil()], object)}), "must be uint8, not object"),
        (
            lambda w: (w / "stimulus.npz").write_bytes(pickle.dumps(_Evil())),
            "is damaged or no .npz archive: write it again",
        ),
        (
            lambda w: os.truncate(w / "stimulus.npz", 60),
            "is damaged or no .npz archive: write it again",
        ),
        (lambda w: (w / "stimulus.npz").unlink(), "is missing: name another"),
    ],
)
def test_stimuli_that_do_not_fit(
    folder: Path, capfd: pytest.CaptureFixture[str], spoil: Callable[[Path], object], message: str
) -> None:
    spoil(folder)
    assert message in refused(capfd, folder, *compare_arguments(folder))
    assert not Path("/tmp/spikeloop_was_unpickled").exists()


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: small_network(pages=8),
            "pages of population 'hidden1' must be at most 4 on this chip, not 8",
        ),
        (lambda: _wide_network(40, 3), "fan-in of layer 'hidden1' must be at most 32 lines"),
        (
            lambda: _wide_network(30, 9, lateral=True),
            "(hidden1) must lie on one core together, because cores that take turns run one after "
            "the other; but axons of network 'wide' must be "
            "at most 32 on this chip, not 39 (pixels 30, hidden1 9)",
        ),
        (
            lambda: _wide_network(12, 17, lateral=True),
            "but words of network 'wide' must be at most 8",
        ),
    ],
)
def test_networks_that_do_not_fit(
    folder: Path, capfd: pytest.CaptureFixture[str], make: Callable[[], Network], message: str
) -> None:
    path = make().save(folder / "network.safetensors")
    assert message in refused(capfd, folder, "map", path, "--chip", "tiny", "-o", folder / "new")


def _wide_network(inputs: int, hidden: int, lateral: bool = False) -> Network:
    from spikeloop.pysim.network.elements import Edge, Input, Population

    edges = [
        Edge(source="pixels", target="hidden1", weights=np.ones((inputs, hidden), np.int32)),
        Edge(source="hidden1", target="output", weights=np.ones((hidden, 3), np.int32)),
    ]
    if lateral:
        edges.append(
            Edge(
                source="hidden1",
                target="hidden1",
                delay=1,
                weights=np.ones((hidden, hidden), np.int32),
            )
        )
    return Network(
        name="wide",
        inputs=(Input(name="pixels", size=inputs),),
        steps=2,
        output="output",
        edges=tuple(edges),
        populations=(
            Population.make("hidden1", hidden, weight_bits=4),
            Population.make("output", 3, start=1, weight_bits=4),
        ),
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["map", "network.safetensors", "--chip", "tiny", "-o", "file/image"],
        ["export", "image", "--format", "mif", "-o", "file/out"],
        ["verilog", "--chip", "tiny", "-o", "file/rtl"],
        ["sim", "-o", "file/sim"],
        ["train", "-o", "file/float.safetensors"],
    ],
)
def test_output_folders_that_cannot_be_written(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    """Below a file nobody can make a folder, not even root."""
    monkeypatch.chdir(folder)
    (folder / "file").write_text("")
    assert "must be writable, not 'file/" in refused(capfd, folder, *arguments)


def test_an_image_does_not_overwrite_other_files(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sentence = refused(
        capfd, folder, "map", folder / "network.safetensors", "--chip", "tiny", "-o", folder
    )
    assert "must be new, empty or an earlier image" in sentence


@pytest.mark.parametrize("backend, package", [("verilator", "g++"), ("icarus", "iverilog")])
def test_a_missing_tool_is_named_with_its_apt_line(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    backend: str,
    package: str,
) -> None:
    monkeypatch.setenv("PATH", str(folder))
    sentence = refused(capfd, folder, *compare_arguments(folder, f"golden,{backend}"))
    assert sentence.endswith(f"sudo apt-get install -y {package}")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--backends", "golden"], "backends to compare must be at least 2, not 1 (golden)"),
        (["--backends", ""], "backends to compare must be at least 2, not 0 (none)"),
        (["--backends", "golden,golden"], "backends to compare must be different ones"),
        (
            ["--backends", "golden,modelsim"],
            "backend must be one of golden, pysim, verilator, icarus",
        ),
        (["--samples", "0"], "samples must be in 1..6 (the stimulus holds as many), not 0"),
        (["--samples", "7"], "samples must be in 1..6 (the stimulus holds as many), not 7"),
        (["--samples", "-1"], "samples must be in 1..6 (the stimulus holds as many), not -1"),
    ],
)
def test_comparisons_that_prove_nothing(
    folder: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert message in refused(capfd, folder, *compare_arguments(folder), *arguments)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["map", "network.safetensors", "--chip", "huge"],
            "chip preset must be one of tiny, default, zou2021, full, ulx3s-85f, hx8k, not 'huge'",
        ),
        (["export", "image", "--format", "elf"], "must be one of"),
        (["verilog"], "chip must be given once, by IMAGE or by --chip, not never"),
        (
            ["verilog", "image", "--chip", "tiny"],
            "chip must be given once, by IMAGE or by --chip, not twice",
        ),
        (
            ["verilog", "--chip", "tiny", "--sources", "--wrap", "axi", "--name", "snn"],
            "Verilog must be written with --sources or with --wrap, not with both",
        ),
        (
            ["sim", "--config", "784"],
            "config must be two or more layer sizes such as 784-100-10, not '784'",
        ),
        (["sim", "--config", "784-x-10"], "config must be two or more layer sizes"),
        (["sim", "--chip", "huge"], "chip preset must be one of"),
        (["sim", "--backends", "golden"], "backends to compare must be at least 2"),
        (
            ["sim", "--backends", "golden,nothing"],
            "backend must be one of golden, pysim, verilator, icarus",
        ),
        (["sim", "--samples", "0"], "samples to compare must be at least 1, not 0"),
        (["sim", "--bits", "99"], "must be in 2..16, not 99"),
        (
            ["sim", "--data", "nowhere"],
            "data folder must be a folder with the four MNIST IDX files",
        ),
        (
            ["sim", "--config", "784-2000-10"],
            "words of network '784-2000-10' must be at most 3 (256 columns in words of 88 lanes, "
            "with axon extension 4) on this chip, not 183",
        ),
        (
            ["sim", "--config", "784-80000-10"],
            "axons of network '784-80000-10' must be at most 73728 on this chip, not 80784",
        ),
        (
            ["sim", "--encoder", "morse"],
            f"encoder must be one of {', '.join(ENCODERS)}, not 'morse'",
        ),
        (["train", "--epochs", "0"], "epochs of the training must be in"),
        (["train", "--steps", "0"], "steps of the encoder must be in"),
    ],
)
def test_choices_that_do_not_exist(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(folder)
    assert message in refused(capfd, folder, *arguments, "-o", "new")
    assert not (folder / "new").exists()


def test_a_net_trained_on_the_60000_is_not_scored_on_the_embedded_images(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from spikeloop.golden.nets.layers import FloatNet

    net = FloatNet(
        (784, 4, 10),
        metadata={
            "dataset": {"source": "idx-60000-10000-00000000"},
            "encoder": {"name": "rank_order", "steps": 8, "threshold": 64, "seed": 0},
        },
    )
    path = net.save(folder / "float.safetensors")
    sentence = refused(capfd, folder, "quantize", path, "-o", folder / "q.safetensors")
    assert (
        "must be trained on 'mnist-embedded-seed0', not on 'idx-60000-10000-00000000'" in sentence
    )
