"""Every path and module that a page, a docstring or a comment names exists.

Paths begin with a folder of ours: ``pysim/chip/params.py``, ``tests/house``. Modules are dotted
names that begin with a package of ours, perhaps with a name they define:
``golden.reference.integer.run``. A word in capitals stands for any name:
``golden/rules/RULE/train.py``. CHANGELOG.md tells of the past.
"""

import ast
import io
import re
import tokenize
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = "cosim|golden|hdl|pysim|tests"
PATH = re.compile(
    rf"(?<![\w./~-])(?:spikeloop/)?((?:{PACKAGES}|docs|examples|spikeloop)/[\w/.*-]*[\w*]/?)"
)
DOTTED = re.compile(rf"(?<![\w./@-])(?:spikeloop\.)?((?:{PACKAGES})(?:\.[A-Za-z_]\w*)+)(?![\w/])")
NAME_OF_FILE = re.compile(r"`(\w+)`\s+(?:of|in)\s+`([\w/]+\.py)`")
ANY_NAME = re.compile(r"(?<![A-Za-z0-9])[A-Z]+(?![A-Za-z0-9])")

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = sorted(
    path
    for folder in ("cosim", "golden", "hdl", "pysim", "tests", "examples", "spikeloop")
    for path in (ROOT / folder).rglob("*.py")
    if path != Path(__file__).resolve()
)


def absent(text: str) -> list[str]:
    """The paths and modules a text names that do not exist."""
    paths = [name for name in PATH.findall(text) if not path_exists(name)]
    modules = [name for name in DOTTED.findall(text) if not module_exists(name)]
    names = [
        f"{name} of {path}" for name, path in NAME_OF_FILE.findall(text) if not has(path, name)
    ]
    return sorted({*paths, *modules, *names})


def has(path: str, name: str) -> bool:
    """The file defines the name. A file that does not exist is reported by itself."""
    return not (ROOT / path).is_file() or name in defined(ROOT / path)


def path_exists(name: str) -> bool:
    return any(ROOT.glob(ANY_NAME.sub("*", name).rstrip("/")))


def module_exists(name: str) -> bool:
    """A package, a module, or a name that one of them defines."""
    if ANY_NAME.search(name):
        parts = name.replace(".", "/")
        return path_exists(parts) or path_exists(f"{parts}.py")
    here, words = ROOT, name.split(".")
    while words and (here / words[0]).is_dir():
        here /= words.pop(0)
    if words and (here / f"{words[0]}.py").is_file():
        here /= f"{words.pop(0)}.py"
    else:
        here /= "__init__.py"
    return not words or (here.is_file() and words[0] in defined(here))


@cache
def defined(path: Path) -> set[str]:
    """The names a module defines at its top level."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            names |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return names


def prose(source: str) -> str:
    """The docstrings and comments of a module."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    documented = ast.Module | ast.ClassDef | ast.FunctionDef
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, documented)]
    return "\n".join([*comments, *(ast.get_docstring(node) or "" for node in nodes)])


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_names_exists(page: Path) -> None:
    assert absent(page.read_text()) == []


def test_what_has_moved_is_there() -> None:
    """The second column of the table in CHANGELOG.md, from old modules to new."""
    text = (ROOT / "CHANGELOG.md").read_text()
    moved = re.findall(r"^\| `.*` \| (`spikeloop\..*`) \|$", text, re.MULTILINE)
    assert len(moved) > 20
    assert absent("\n".join(moved)) == []


def test_what_docstrings_and_comments_name_exists() -> None:
    named = {name_of(path): absent(prose(path.read_text())) for path in SOURCES}
    assert {path: names for path, names in named.items() if names} == {}


@pytest.mark.parametrize("file", ["Makefile", "pyproject.toml", ".pre-commit-config.yaml"])
def test_what_the_tools_name_exists(file: str) -> None:
    assert absent((ROOT / file).read_text()) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("see `pysim/core.py`", ["pysim/core.py"]),
        ("see pysim/model/core.py.", []),
        ("the folder `hdl/axons/`", ["hdl/axons/"]),
        ("run `python -m golden.rules.bpsr.train`", []),
        ("run `python -m golden.bpsr`", ["golden.bpsr"]),
        ("cosim.verilator.backend.PingPong, spikeloop.cosim.verilator.backend", []),
        ("cosim.verilator.backend.PongPing", ["cosim.verilator.backend.PongPing"]),
        ("`golden/rules/RULE/train.py`, golden.rules.RULE.train", []),
        ("`golden/RULE/trail.py`", ["golden/RULE/trail.py"]),
        ("https://example.org/docs/none.md", []),
        ("subclass `Backend` of `cosim/backend.py`", []),
        ("fill `Backside` in `cosim/backend.py`", ["Backside of cosim/backend.py"]),
    ],
)
def test_an_absent_name_is_seen(text: str, names: list[str]) -> None:
    assert absent(text) == names
