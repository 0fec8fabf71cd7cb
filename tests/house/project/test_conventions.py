"""What hosts and tools read: metadata, citation, workflows, templates of issues, container."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import spikeloop
from tests.conftest import ROOT

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: pip install -e '.[docs]'")
tomllib = pytest.importorskip("tomllib", reason="tomllib is of Python 3.11 and newer")

GITHUB = ROOT / ".github"


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def commands(job: dict[str, Any]) -> str:
    return "\n".join(step.get("run", "") for step in job["steps"])


def test_versions_of_python_are_those_that_ci_runs(project: dict[str, Any]) -> None:
    named = [
        words[-1]
        for words in (line.split(" :: ") for line in project["classifiers"])
        if words[:2] == ["Programming Language", "Python"] and re.fullmatch(r"3\.\d+", words[-1])
    ]
    matrix = load(GITHUB / "workflows/ci.yml")["jobs"]["check"]["strategy"]["matrix"]
    assert named == matrix["python"] == ["3.10", "3.11", "3.12", "3.13"]
    assert project["requires-python"] == f">={named[0]}"


def test_licences_of_what_is_inside_are_named(project: dict[str, Any]) -> None:
    assert project["license"] == "Apache-2.0 AND MIT"
    for name in project["license-files"]:
        assert "icen" in (ROOT / name).read_text()
    folder = ROOT / "cosim/runs/templates/uplot"
    version = re.search(r"uPlot \(v[\d.]+\)", (folder / "uplot.js").read_text())
    assert version and (folder / "LICENSE").read_text().startswith("The MIT License")


def test_the_citation_is_of_this_version(project: dict[str, Any]) -> None:
    cited = load(ROOT / "CITATION.cff")
    assert (cited["title"], cited["version"]) == (project["name"], spikeloop.__version__)
    assert cited["cff-version"] == "1.2.0" and cited["type"] == "software"
    assert cited["authors"] == [{"name": "spikeloop contributors"}]
    assert project["license"].startswith(cited["license"])


def test_a_release_is_checked_and_stays_a_draft() -> None:
    jobs = load(GITHUB / "workflows/release.yml")["jobs"]
    build = commands(jobs["build"])
    assert "make wheel sbom" in build and "install dist/*.whl" in build
    assert "dist/*" in commands(jobs["attach"])  # both, and the bill of materials
    assert "--draft" in commands(jobs["attach"]) and jobs["attach"]["needs"] == "build"
    assert "twine upload" not in commands(jobs["build"]) + commands(jobs["attach"])


def test_verbs_of_workflows_and_container_are_those_of_make() -> None:
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    texts = [path.read_text() for path in (GITHUB / "workflows").glob("*.yml")]
    texts += [
        (ROOT / "Dockerfile").read_text(),
        (ROOT / ".devcontainer/devcontainer.json").read_text(),
    ]
    used = {
        verb
        for text in texts
        for line in re.findall(r"(?:run: |RUN |\")make ([a-z -]+)", text)
        for verb in line.split()
    }
    nightly = load(GITHUB / "workflows/nightly.yml")["jobs"]["campaign"]
    assert "make ${{ matrix.verb }}" in commands(nightly)
    used |= set(nightly["strategy"]["matrix"]["verb"])
    assert used and used <= verbs
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())["build"]
    assert (ROOT / ".devcontainer" / container["dockerfile"]).resolve() == ROOT / "Dockerfile"


@pytest.mark.parametrize("name", ["bug", "difference"])
def test_templates_of_issues_are_forms(name: str) -> None:
    form = load(GITHUB / f"ISSUE_TEMPLATE/{name}.yml")
    assert form["name"] and form["description"]
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids)) > 2
    assert all(field["attributes"]["label"] for field in form["body"])


def test_the_plugin_of_pytest_is_light(project: dict[str, Any]) -> None:
    """Every run of pytest loads it, also those that never ask for a chip."""
    ((name, module),) = project["entry-points"]["pytest11"].items()
    assert name == module  # so that pytest_plugins = [module] does not load it twice
    code = f"import sys, {module}; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "amaranth", "numpy", "numba"} & set(re.findall(r"'(\w+)'", done.stdout))
    assert not heavy and "'pytest'" in done.stdout


def test_what_is_installed_is_fixed_to_its_bytes(tmp_path: Path) -> None:
    """Every line of the lock has a hash, make asks for them, and pip refuses another file."""
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(lines) > 100 and not any(line.startswith("torch==") for line in lines)
    assert [
        line for line in lines if not re.search(r"==[^ ]+ .*--hash=sha256:[0-9a-f]{64}", line)
    ] == []
    assert (ROOT / "torch.lock").read_text().splitlines()[-1].startswith("torch==")
    recipe = (ROOT / "Makefile").read_text()
    assert "--no-deps --require-hashes -r requirements.lock" in recipe
    of = re.findall(r"--python-version ([0-9.]+)", recipe)  # that the lock is made for, and used by
    used = re.findall(r"version_info < \((\d+, \d+, \d+)\)", recipe)
    assert [version.split(".") for version in of] == [version.split(", ") for version in used]
    of_the_lock, rest = recipe.partition("$(STAMP): ")[2].split("else echo", 1)
    assert "$(ITSELF) --no-deps --no-build-isolation" in of_the_lock
    assert "$(ITSELF);" in rest and rest.count("pip install") == 1
    wheel = tmp_path / "other-1-py3-none-any.whl"
    wheel.write_bytes(b"not the file that was locked")
    lock = tmp_path / "lock"
    lock.write_text(f"other @ {wheel.as_uri()} --hash=sha256:{'0' * 64}\n")
    command = "pip install --dry-run --no-deps --require-hashes -r"
    found = subprocess.run(
        [sys.executable, "-m", *command.split(), lock], check=False, capture_output=True, text=True
    )
    assert found.returncode == 1 and "DO NOT MATCH THE HASHES" in found.stderr


def test_the_lock_has_all_that_make_installs(project: dict[str, Any]) -> None:
    """No step resolves what the lock forgot: spikeloop itself goes in without its dependencies."""
    text = (ROOT / "requirements.lock").read_text() + (ROOT / "torch.lock").read_text()
    locked = {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    }
    recipe = re.search(r"^ITSELF := .*'\.\[(.*)\]'", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    extras = [project["optional-dependencies"][extra] for extra in recipe[1].split(",")]
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    wanted = [Requirement(line) for line in sum(extras, project["dependencies"] + build)]
    assert len(wanted) > 40
    versions = [(need, locked.get(canonicalize_name(need.name))) for need in wanted]
    assert [str(n) for n, v in versions if v is None or not n.specifier.contains(v)] == []
