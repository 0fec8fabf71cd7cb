"""Each form of the package is a working spikeloop, and gives one top-level name.

The forms are the wheel and an editable install; the source archive makes the same wheel. Each goes
into an empty environment outside the repository. Its dependencies are those already installed here
(the versions of requirements.lock), seen through one ``.pth`` line: no download. Nothing of ours
comes through that line, because Python does not follow the ``.pth`` files of a folder it adds.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import spikeloop
from tests.campaigns.faults import compiled_yosys
from tests.conftest import ROOT
from tests.make.images import write_images

PACKAGES = ("cosim", "golden", "hdl", "pysim")

pytestmark = pytest.mark.slow

PROBE = """
import importlib, importlib.metadata, json, os, sysconfig
from pathlib import Path
import spikeloop

def file_of(name):
    try:
        return str(importlib.import_module(name).__file__)
    except ImportError as error:
        return type(error).__name__

folder = Path(spikeloop.__file__).parent
beside = {*folder.parent.iterdir(), *Path(sysconfig.get_path("purelib")).iterdir()}
print(json.dumps({
    "folder": str(folder),
    "beside": sorted({p.stem for p in beside if p.stem.isidentifier() and p.suffix != ".pth"}),
    "files": [os.path.relpath(os.path.join(root, file), folder)
              for root, _, files in os.walk(folder, followlinks=True) for file in files],
    "metadata": str(importlib.metadata.distribution("spikeloop").locate_file("")),
    "versions": [spikeloop.__version__, importlib.metadata.version("spikeloop")],
    "names": {name: getattr(spikeloop, name).__module__ for name in spikeloop.__all__},
    "dir": dir(spikeloop),
    "bare": {name: file_of(name) for name in ("cosim", "golden", "hdl", "pysim")},
}))
"""


class Installed(NamedTuple):
    """One form, installed into an environment of its own."""

    home: Path
    """The folder that ``spikeloop`` must come from: the environment, or the tree if editable."""
    bin: Path
    archive: Path


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints, without the variables of this environment."""
    foreign = ("PYTHON", "VIRTUAL_ENV", "VERILATOR", "PYTEST", "COV")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=clean | environment,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(form: str, source: Path, folder: Path) -> Path:
    """The archive of a form ("wheel", "sdist", "editable"): made by the backend, as pip asks it."""
    code = f"import build; print(build.ProjectBuilder('.').build({form!r}, {str(folder)!r}))"
    return Path(run(sys.executable, "-c", code, cwd=source).splitlines()[-1])


def environment(wheel: Path, folder: Path) -> Path:
    """A new environment with the wheel in it and the dependencies in sight; returns its ``bin``."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run(*pip, "install", "-q", "--no-deps", "--no-index", wheel, cwd=folder)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(run(python, "-c", code, cwd=folder).strip())
    here = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    (site / "dependencies.pth").write_text("".join(f"{path}\n" for path in here))
    return folder / "bin"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(build("sdist", ROOT, folder)) as archive:
        archive.extractall(folder, filter="data")
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    return source


@pytest.fixture(scope="module", params=["wheel", "editable"])
def installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    folder = tmp_path_factory.mktemp(request.param)
    archive = build(request.param, ROOT, folder)
    binaries = environment(archive, folder / "environment")
    home = ROOT if request.param == "editable" else binaries.parent
    return Installed(home, binaries, archive)


@pytest.fixture(scope="module")
def probe(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a program in the environment sees."""
    folder = tmp_path_factory.mktemp("elsewhere")
    seen: dict[str, Any] = json.loads(run(installed.bin / "python", "-c", PROBE, cwd=folder))
    return seen


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MNIST's four files with images of 4 x 4 and two classes: a net of 16-6-2 tells them apart."""
    return write_images(tmp_path_factory.mktemp("images"), gzipped=True)


def test_spikeloop_is_the_one_name(installed: Installed, probe: dict[str, Any]) -> None:
    assert probe["beside"] == ["spikeloop"]
    assert Path(probe["folder"]).is_relative_to(installed.home)
    assert probe["bare"] == dict.fromkeys(PACKAGES, "ModuleNotFoundError")


def test_the_version_is_that_of_the_metadata(installed: Installed, probe: dict[str, Any]) -> None:
    assert Path(probe["metadata"]).is_relative_to(installed.bin.parent)
    assert probe["versions"] == [spikeloop.__version__] * 2


def test_public_names_load(probe: dict[str, Any]) -> None:
    assert set(probe["names"]) == set(spikeloop.__all__) <= set(probe["dir"])
    assert all(module.startswith("spikeloop.") for module in probe["names"].values())


def test_every_file_is_inside(probe: dict[str, Any]) -> None:
    listing = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode:
        pytest.skip("not a git checkout: no list of tracked files")
    tracked = {name for name in listing.stdout.splitlines() if (ROOT / name).is_file()}
    assert {name.rpartition(".")[2] for name in tracked} >= {"py", "v", "cpp", "html", "js", "gz"}
    assert tracked | {"py.typed", "__init__.pyi"} <= set(probe["files"])


def test_type_checkers_see_the_classes(installed: Installed, tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed: pip install -e '.[dev]'")
    (tmp_path / "user.py").write_text(
        "from spikeloop import Network, verify\nreveal_type(Network)\nreveal_type(verify)\n"
    )
    foreign = ("torch", "numpy", "amaranth", "matplotlib", "rich", "typer", "jinja2")
    skipped = "".join(f"[mypy-{name}.*]\nfollow_imports = skip\n" for name in foreign)
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nignore_missing_imports = true\n{skipped}")
    python = f"--python-executable={installed.bin / 'python'}"
    printed = run(sys.executable, "-m", "mypy", python, "user.py", cwd=tmp_path)
    assert "spikeloop.pysim.network.graph.Network" in printed
    assert "spikeloop.cosim.compare.result.Result" in printed


def test_the_command_shows_help_and_version(installed: Installed, tmp_path: Path) -> None:
    text = run(installed.bin / "spikeloop", "--help", cwd=tmp_path)
    verbs = ("train", "quantize", "map", "verilog", "sim", "compare", "export", "bench")
    assert all(verb in text for verb in verbs)
    version = run(installed.bin / "python", "-m", "spikeloop", "--version", cwd=tmp_path)
    assert version.split() == ["spikeloop", spikeloop.__version__]


@pytest.mark.parametrize("installed", ["wheel"], indirect=True)
def test_the_source_archive_makes_the_same_wheel(
    installed: Installed, unpacked: Path, tmp_path: Path
) -> None:
    with (
        zipfile.ZipFile(installed.archive) as here,
        zipfile.ZipFile(build("wheel", unpacked, tmp_path)) as there,
    ):
        assert {i.filename: i.CRC for i in here.infolist()} == {
            i.filename: i.CRC for i in there.infolist()
        }


@pytest.mark.parametrize("installed", ["wheel"], indirect=True)
def test_small_sim_from_an_empty_folder(installed: Installed, images: Path, tmp_path: Path) -> None:
    """The RTL is built from the installed sources: the cache holds Yosys alone."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "wasmtime").symlink_to(compiled_yosys())
    net = ["--config", "16-6-2", "--bits", "4", "--chip", "tiny", "--epochs", "6"]
    rest = ["--backends", "golden,pysim,verilator", "--samples", "8", "--output", "out", "--json"]
    printed = run(
        installed.bin / "spikeloop",
        *("sim", "--data", images, *net, *rest),
        cwd=tmp_path,
        HOME=str(tmp_path),
        XDG_CACHE_HOME=str(tmp_path / "cache"),
    )
    summary = json.loads(printed)
    assert (summary["different"], summary["samples"]) == (0, 8)
    assert summary["neuron_ticks"] > 0
    assert summary["cycles_predicted"] == summary["cycles_measured"]
    for name in ("network.safetensors", "image/manifest.json", "stimulus.npz", "report.html"):
        assert (tmp_path / "out" / name).stat().st_size > 0


def test_an_unpacked_archive_can_be_edited(unpacked: Path, tmp_path: Path) -> None:
    """It holds no links; the hook of hatch_build.py makes them."""
    python = environment(build("editable", unpacked, tmp_path), tmp_path / "environment") / "python"
    code = "import spikeloop.pysim.chip.params as module; print(module.__file__)"
    assert Path(run(python, "-c", code, cwd=tmp_path).strip()).is_relative_to(unpacked)
