"""What the docs show works: code runs, commands and their options exist, the site builds."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

import spikeloop
from spikeloop.cosim.cli import app
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXECUTED = {
    "api.md": "here",
    "training.md": "here",
    "benches.md": "tests/cocotb/test_docs_bench.py",
    "tutorial.md": "tests/house/test_examples.py",
}


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


def run(folder: Path, *arguments: object, status: int = 0) -> str:
    """Stdout of Python with these arguments, which must end with ``status``."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_every_block_is_executed_somewhere() -> None:
    assert {page.name for page in PAGES if blocks(page)} == set(EXECUTED)


@pytest.mark.slow
def test_blocks_of_the_page_run_with_the_fixture(tmp_path: Path) -> None:
    """As a user's test file with the conftest.py that the page names."""
    page = ROOT / "docs" / "api.md"
    plugin = re.search(r"`(pytest_plugins = .*?)`", page.read_text())[1]
    (tmp_path / "conftest.py").write_text(f"{plugin}\n")
    (tmp_path / "test_api.py").write_text("\n".join(blocks(page)))
    printed = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_api.py")
    assert "1 passed" in printed


@pytest.mark.slow
def test_the_page_on_training_runs(tmp_path: Path) -> None:
    page = ROOT / "docs" / "training.md"
    (tmp_path / "train.py").write_text("\n".join(blocks(page)))
    run(tmp_path, "train.py")


def test_names_of_the_page_are_the_public_names() -> None:
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert names == set(spikeloop.__all__) <= set(dir(spikeloop))
    assert all(getattr(spikeloop, name) is not None for name in names)
    with pytest.raises(AttributeError, match="attribute nothing"):
        spikeloop.nothing  # noqa: B018


def test_import_loads_neither_torch_nor_amaranth(tmp_path: Path) -> None:
    heavy = "{'torch', 'amaranth'} & set(sys.modules)"
    code = f"import sys, spikeloop; spikeloop.Network, spikeloop.Core; print({heavy})"
    assert run(tmp_path, "-c", code).strip() == "set()"


@pytest.mark.slow
def test_the_example_goes_from_snntorch_to_equal_rtl(tmp_path: Path) -> None:
    pytest.importorskip(
        "snntorch", reason="package snntorch is not installed: pip install -e '.[test]'"
    )
    out = run(tmp_path, ROOT / "examples" / "snntorch_to_rtl.py")
    equal = r"neuron-ticks compared, 0 different; [\d,]+ counter values compared, 0 different"
    assert len(re.findall(equal, out)) == 2
    scores = re.search(r"snnTorch ([\d.]+)%, integer ([\d.]+)%, RTL ([\d.]+)%", out).groups()
    theirs, integer, rtl = map(float, scores)
    assert theirs > 50 and abs(theirs - integer) < 8 and integer == rtl


@pytest.mark.slow
def test_the_example_learns_on_the_chip(tmp_path: Path) -> None:
    out = run(tmp_path, ROOT / "examples" / "learn_on_chip.py")
    assert len(re.findall(r"[\d,]{6,} weight updates, .* compared, 0 different", out)) == 3
    score = re.search(r"right answers +([\d.]+)% of 1,000", out)
    assert score and float(score[1]) > 60


def commands() -> list[tuple[str, str]]:
    """Lines ``spikeloop ...`` of indented code blocks, with their page."""
    return [
        (page.name, line)
        for page in PAGES
        for line in re.findall(r"^    spikeloop (.+)$", page.read_text(), re.MULTILINE)
    ]


def unknown(line: str) -> list[str]:
    """Words of a command that the command line does not know."""
    command: Any = typer.main.get_command(app)
    wrong: list[str] = []
    text = re.sub(r"[|\[\]]", " ", line.partition("  ")[0])
    for word in shlex.split(text, comments=True):
        if getattr(command, "commands", None):
            if word not in command.commands:
                return [word]
            command = command.commands[word]
        elif word.startswith("-") and not re.fullmatch(r"-?[\d.]+", word):
            options = [(*p.opts, *p.secondary_opts) for p in command.params]
            wrong += [word] if word not in {"--help", *sum(options, ())} else []
    return wrong


def test_commands_in_the_docs_exist() -> None:
    assert len(commands()) > 30
    assert {(page, line): words for page, line in commands() if (words := unknown(line))} == {}


@pytest.mark.parametrize(
    "line, words",
    [
        ("compare IMAGE --resume -o RUN", []),
        ("compar IMAGE", ["compar"]),
        ("compare IMAGE --resum", ["--resum"]),
        ("import nir x.nir --from norse", []),
        ("import tvm x", ["tvm"]),
        ("import nir x --grid 3", ["--grid"]),
    ],
)
def test_a_wrong_command_is_seen(line: str, words: list[str]) -> None:
    assert unknown(line) == words


def test_site_builds_without_a_warning(tmp_path: Path) -> None:
    for package in ("mkdocs", "material", "mkdocstrings_handlers"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install -e '.[docs]'")
    site = tmp_path / "site"
    run(ROOT, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", site)
    assert all((site / page.with_suffix(".html").name).is_file() for page in PAGES[1:])
    index, reference = ((site / f"{name}.html").read_text() for name in ("index", "reference"))
    elsewhere = r"<script[^>]*src=\"https?:|<link[^>]*rel=\"stylesheet\"[^>]*href=\"https?:"
    assert not re.search(elsewhere, index + reference)
    assert "content.code.copy" in index and (site / "search" / "search_index.json").is_file()
    names = set(re.findall(r'<h2 id="spikeloop\.(\w+)"', reference))
    assert names == set(spikeloop.__all__) - {
        "import_snntorch"
    }  # a second name, no text of its own
