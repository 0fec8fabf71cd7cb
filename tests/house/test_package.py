"""The built wheel alone is a working spikeloop: harness sources, Verilog primitives and templates are inside.

The wheel goes into an empty environment outside the repository. So that this takes seconds, its dependencies are those
already installed here (the versions of requirements.lock), seen through one ``.pth`` line; of our own packages nothing comes
through it, because editable installs work by ``.pth`` files of their own, which such a line does not follow. The test checks that.
"""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.make.images import write_images

PACKAGES = ("cosim", "golden", "hdl", "pysim")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("package")]


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("PYTHON", "VIRTUAL_ENV", "VERILATOR", "PYTEST", "COV"))
    }
    done = subprocess.run(
        [str(c) for c in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=clean | environment,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        folder,
        ROOT,
        cwd=folder,
    )
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel in it; returns its bin folder."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / "bin" / "python"
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "-q",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-index",
        wheel,
        cwd=folder,
    )
    site = Path(
        run(
            python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder
        ).stdout.strip()
    )
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "dependencies.pth").write_text("".join(f"{path}\n" for path in sorted(here)))
    return folder / "bin"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MNIST's four files with 4 x 4 images of two classes, bright above or bright below: a net of 16-6-2 tells them apart."""
    return write_images(tmp_path_factory.mktemp("images"), gzipped=True)


def test_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    listing = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode:
        pytest.skip("not a git checkout: no list of tracked files")
    tracked = {name for name in listing.stdout.splitlines() if (ROOT / name).is_file()}
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert tracked - inside == set()
    assert {name.split("/")[0] for name in inside} - set(PACKAGES) == {
        next(n for n in inside if n.endswith("/METADATA")).split("/")[0]
    }


def test_packages_come_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    code = f"import {', '.join(PACKAGES)}; print(*(p.__file__ for p in ({', '.join(PACKAGES)})), sep='\\n')"
    files = run(environment / "python", "-c", code, cwd=tmp_path).stdout.split()
    assert len(files) == len(PACKAGES)
    assert all(Path(file).is_relative_to(environment.parent) for file in files)


def test_command_shows_its_help(environment: Path, tmp_path: Path) -> None:
    text = run(environment / "spikeloop", "--help", cwd=tmp_path).stdout
    assert all(
        verb in text
        for verb in ("train", "quantize", "map", "verilog", "sim", "compare", "export", "bench")
    )


def test_small_sim_from_an_empty_folder(environment: Path, images: Path, tmp_path: Path) -> None:
    """Builds the RTL with its own sources: the cache is new, so nothing can come from an earlier build of the repository."""
    cache, work = tmp_path / "cache", tmp_path / "work"
    work.mkdir()
    done = run(
        environment / "spikeloop",
        "sim",
        "--config",
        "16-6-2",
        "--bits",
        "4",
        "--chip",
        "tiny",
        "--data",
        images,
        "--samples",
        "8",
        "--epochs",
        "6",
        "--backends",
        "golden,pysim,verilator",
        "--output",
        "out",
        "--json",
        cwd=work,
        HOME=str(tmp_path),
        XDG_CACHE_HOME=str(cache),
    )
    summary = json.loads(done.stdout)
    assert summary["different"] == 0
    assert summary["samples"] == 8
    assert summary["neuron_ticks"] > 0
    assert summary["cycles_predicted"] == summary["cycles_measured"]
    for name in (
        "network.safetensors",
        "image/manifest.json",
        "stimulus.npz",
        "report.html",
        "summary.json",
    ):
        assert (work / "out" / name).stat().st_size > 0
