"""Every command with each kind of bad argument: exit status 2, one sentence, nothing written."""

import io
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer.main

from spikeloop.cosim.cli import app, main
from spikeloop.cosim.cli.console import open_streams, write
from tests.cosim.cli.test_app import refused, spikeloop
from tests.cosim.conftest import Small
from tests.make.images import write_images
from tests.make.pim_cases import pim_network

SNNTORCH = "import torch\nnet = torch.nn.Linear(4, 2)\n"
MESH = "tiny,columns=16,mesh_width=2,mesh_height=2"


@pytest.fixture(scope="module")
def files(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of each kind of file: images, a float net, a network, an image, a run, a stimulus."""
    folder = tmp_path_factory.mktemp("arguments") / "files"
    shutil.copytree(small.folder, folder)
    (folder / "data").mkdir()
    write_images(folder / "data")
    (folder / "file").write_text("no folder, no network, no archive")
    (folder / "net.py").write_text(SNNTORCH)
    np.save(folder / "pixels.npy", np.zeros((6, 5, 12), np.uint8))
    pim_network(np.random.default_rng(11)).save(folder / "pim.safetensors")
    (folder / "alone").mkdir()
    shutil.copytree(folder / "image", folder / "alone" / "image")
    train = f"train --config 16-6-2 --epochs 1 --data {folder}/data -o {folder}/float.safetensors"
    compare = f"compare {folder}/image --backends golden,pysim -o {folder}/run"
    mesh = f"map {folder}/network.safetensors --chip {MESH} -o {folder}/mesh"
    for command in (train, compare, mesh):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder.parent)
            with pytest.raises(SystemExit) as end:
                main(shlex.split(command) + ["--json"])
            assert end.value.code == 0, command
    return folder


BELOW = ["-o file/new"]  # below a file nobody can make a folder, not even root

# command with good arguments -> the same with bad ones added, which replace the good
BAD: dict[str, list[str]] = {
    "train --config 16-6-2 --data data": [
        *BELOW,
        "-o data",
        "--config 16",
        "--config 16-x",
        "--config 17-6-2",
        "--config 16-6-1",
        "--data nowhere",
        "--data file",
        "--encoder morse",
        "--steps 0",
        "--steps x",
        "--epochs 0",
        "--seed -1",
    ],
    "quantize float.safetensors --data data": [
        *BELOW,
        "-o data",
        "--data nowhere",
        "--bits 1",
        "--bits 17",
        "--bits 1.5",
        "--scale neuron",
        "--leak-terms 4",
        "--leak-terms -1",
        "--membrane-bits 7",
        "--membrane-bits 33",
        "--target-drop -1",
        "--target-drop nan",
    ],
    "quantize network.safetensors": [*BELOW, "--bits 1", "--bits 17", "--target-drop -1"],
    "quantize file": [""],
    "quantize missing": [""],
    "widths float.safetensors --data data": [*BELOW, "--data nowhere", "--scale neuron"],
    "widths missing --data data": [""],
    "import ranc missing": [""],
    "import ranc data": [*BELOW, "", "--grid 3", "--bus 3", "--steps 0", "--first-tick -1"],
    "import nir file": [*BELOW, "", "--steps 0", "--dt x"],
    "import torch net.py:net --shape 4": [
        *BELOW,
        "--shape x",
        "--data missing",
        "--labels missing",
        "--check 0",
        "--grey 9",
        "--range 1",
        "--steps 0",
        "--bits 17",
        "--chip huge",
    ],
    "import torch net.py": [""],
    "import torch missing.py:net": [""],
    "pretrained zou-lenet-4 --data data": [*BELOW, "--samples 0", "--samples 41", "--data file"],
    "pretrained lenet": [""],
    "stimulus network.safetensors pixels.npy": [
        *BELOW,
        "-o data",
        "--samples 0",
        "--samples 7",
        "--bin x",
        "--labels missing",
        "--labels file",
    ],
    "stimulus missing pixels.npy": [""],
    "stimulus network.safetensors missing": [""],
    "stimulus network.safetensors file": [""],
    "fit network.safetensors": ["--chip huge", "--chip tiny,lanes=0", "--chip tiny,nothing=1"],
    "fit missing": [""],
    "fit file": [""],
    "map network.safetensors --chip tiny": [
        *BELOW,
        "-o .",
        "-o file",
        "--chip huge",
        "--chip tiny,lanes=x",
        "--chip tiny,axons=2",
    ],
    "map missing": [""],
    "map file": [""],
    "cost image --stimulus stimulus.npz": [
        *BELOW,
        "--stimulus missing",
        "--stimulus file",
        "--samples 0",
        "--samples 7",
        "--clock 0",
        "--clock nan",
        "--leakage -1",
        "--leakage nan",
        "--energy-per-sop -1",
    ],
    "cost missing --stimulus stimulus.npz": [""],
    "cost mesh --stimulus stimulus.npz": ["-o new"],
    "verilog image": [*BELOW, "--chip tiny"],
    "verilog": ["", "missing", "--chip huge"],
    "sim --config 16-6-2 --data data --backends golden,pysim": [
        *BELOW,
        "-o file",
        "--config 16",
        "--config 17-6-2",
        "--bits 17",
        "--chip huge",
        f"--chip {MESH}",
        "--data nowhere",
        "--backends golden",
        "--backends golden,golden",
        "--backends golden,nothing",
        "--samples 0",
        "--samples 41",
        "--encoder morse",
        "--steps 0",
        "--epochs 0",
        "--seed -1",
    ],
    "compare image --backends golden,pysim": [
        *BELOW,
        "-o file",
        "--stimulus missing",
        "--stimulus file",
        "--network missing",
        "--network pim.safetensors",
        "--expected missing",
        "--expected file",
        "--backends golden",
        "--backends golden,golden",
        "--backends golden,nothing",
        "--backends golden,board:nowhere",
        "--backends golden,replay:missing",
        "--backends golden,replay:file",
        "--samples 0",
        "--samples 7",
        "--keep 6",
        "--keep x",
        "--record file",
        "--record new",
        "--resume --samples 2 -o run",
        "--scheduler nowhere",
    ],
    "compare missing": [""],
    "compare alone/image": [""],
    "report run": [*BELOW, "-o data"],
    "report missing": [""],
    "report data": [""],
    "waves image --around tick=1": [
        *BELOW,
        "-o file",
        "--around x",
        "--around tick=99",
        "--around core=1,tick=1",
        "--stimulus missing",
        "--sample 6",
        "--sample -1",
        "--before -1",
        "--after -1",
        "--backend pysim",
    ],
    "waves missing --around tick=1": [""],
    "export image --format hex": [*BELOW, "-o file", "--format elf"],
    "export missing --format hex": [""],
    "export alone/image --format nir": [""],
    "board serve tiny": ["--port -1", "--port 65536", "--pins 1"],
    "board serve huge": [""],
    "board serve data": [""],
    "board build": [*BELOW, "-o file", "--target nothing", "--chip huge", "--chip tiny"],
    "board balance": ["--steps 0", "--steps 65537", "--seed -1", "nowhere"],
    "cache clear": ["--older 0", "--older -1", "--older nan", "--older x"],
    "lesson iris --engine numpy,pysim": [
        *BELOW,
        "-o file",
        "--engine nothing,pysim",
        "--engine pysim",
        "--engine pysim,pysim",
        "--fold 5",
        "--fold -1",
        "--seed -1",
        "--passes 0",
        "--passes 101",
        "--bits 7",
        "--bits 17",
    ],
    "lesson mnist --engine numpy,pysim --before 10 --images 2 --tests 2": [
        *BELOW,
        "-o file",
        "--engine nothing,pysim",
        "--engine pysim",
        "--rule bcm",
        "--neurons 9",
        "--seed -1",
        "--bits 7",
        "--before 0",
        "--before 4001",
        "--images 0",
        "--images 3991",
        "--tests 0",
        "--data nowhere",
        "--data data",
    ],
    "learn --images 10 --tests 2": [
        *BELOW,
        "-o file",
        "--rule bcm",
        "--neurons 1",
        "--neurons 4097",
        "--seed -1",
        "--bits 7",
        "--images 0",
        "--images 4001",
        "--tests 0",
        "--tests 1001",
        "--data nowhere",
        "--data data",
    ],
    "lesson missing": [""],
    "lesson file": [""],
    "lesson data": [""],
    "onn digits --backend pysim": [
        *BELOW,
        "-o file",
        "--backend pysim,icarus",
        "--cell ring",
        "--fuzzy 0,x",
        "--fuzzy 61",
        "--samples 0",
        "--seed -1",
        "--beta 2",
        "--factor 2",
        "--periods 0",
        "--settle 256",
    ],
    "onn digits --cell relaxation": ["--beta 0", "--beta nan", "--factor 99", "--periods 1001"],
    "onn missing": [""],
    "onn file": [""],
    "onn pixels.npy": [""],
    "dendritic own --passes 1": [
        *BELOW,
        "-o file",
        "--backend pysim,icarus",
        "--mixtures 0",
        "--mixtures 21",
        "--mixtures 1-2",
        "--mixtures x",
        "--passes -1",
        "--trials 0",
        "--neurons 1",
        "--neurons 17",
        "--seed -1",
    ],
    "dendritic own --figures --passes 1": ["--seeds x", "--mixtures 1-21"],
    "dendritic missing": [""],
    "dendritic file": [""],
    "dendritic pixels.npy": [""],
    "bench": ["--seconds 0", "--seconds -1", "--seconds nan", "--seconds x"],
    "zoo bpsr-mnist --data data": [
        *BELOW,
        "-o file",
        "--backend golden",
        "--samples 0",
        "--samples 41",
        "--data nowhere",
        "--chip huge",
        "lenet",
    ],
    "pim-sweep --data data": [
        *BELOW,
        "-o file",
        "--net missing",
        "--net file",
        "--study nothing",
        "--seeds 0",
        "--images 0",
        "--images 41",
        "--rtl-images 0",
        "--data nowhere",
    ],
}
CASES = [f"{good} {bad}".strip() for good, bads in BAD.items() for bad in bads]


def combined(command: str) -> list[str]:
    """The words of a command, of an option given twice the second alone."""
    words, options = [], {}
    parts = iter(shlex.split(command))
    for part in parts:
        if part in ("--resume", "--figures"):
            words.append(part)
        elif part.startswith("-") and not part[1:].isdecimal():
            options[part] = next(parts)
        else:
            words.append(part)
    return words + [word for pair in options.items() for word in pair]


def everything(folder: Path) -> dict[str, float]:
    """Files and folders with the time of their last change."""
    return {str(path.relative_to(folder)): path.stat().st_mtime for path in folder.rglob("*")}


@pytest.mark.parametrize("command", CASES)
def test_a_bad_argument_changes_nothing(
    command: str, files: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(files)
    before = everything(files)
    refused(capfd, files, *combined(command))
    assert everything(files) == before


def command_names() -> set[str]:
    """Of all commands, as they are typed."""
    group = typer.main.get_command(app)
    found = set()
    for name, command in group.commands.items():
        below = getattr(command, "commands", {"": command})
        found |= {f"{name} {sub}".strip() for sub, known in below.items() if not known.hidden}
    return found


def test_every_command_is_tried() -> None:
    assert {
        name for name in command_names() if any(f"{c} ".startswith(f"{name} ") for c in BAD)
    } == (command_names())


GOOD = (
    "stimulus network.safetensors pixels",
    "quantize float",
    "fit network",
    "map network",
    "cost image",
    "report",
    "export image",
)


@pytest.mark.parametrize("command", [good for good in BAD if good.startswith(GOOD)])
def test_the_good_arguments_are_good(
    command: str,
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Otherwise the bad ones could be refused for another reason."""
    if BAD[command] == [""]:
        return
    work = tmp_path / "files"
    shutil.copytree(files, work)
    monkeypatch.chdir(work)
    assert spikeloop(capfd, *shlex.split(command))[0] == 0


def test_letters_that_a_stream_cannot_take_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path may hold any letter; a terminal may have ASCII alone."""
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, "ascii"))
    open_streams()
    write("page build/é[red]\udcff")
    assert raw.getvalue() == b"page build/\\xe9[red]\\udcff\n"
