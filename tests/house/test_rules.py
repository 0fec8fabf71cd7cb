"""Rules R3 and R6: what keys are made of, and what a file of the command line does."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = ("pysim", "golden", "hdl", "cosim")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
COMMANDS = sorted((ROOT / "cosim" / "cli").glob("*.py"))

# R3: what is kept under a key. `hdl_key` holds the sources of the RTL, `code` those of any module.
# Builds are kept by `cached`. Stages are kept by cosim/stages/kept.py, which makes the keys itself
# (tests/cosim/stages).
SOURCES_OF_A_KEY = {"hdl_key", "code"}
NO_SOURCE_OF_OURS = {"runtime_of"}  # Verilator's own objects

# R6: libraries that compute, draw or build; a command calls the function that needs them.
NOT_FOR_COMMANDS = ("numpy", "torch", "amaranth", "matplotlib", "hashlib", "subprocess")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(source: str) -> list[ast.FunctionDef]:
    """The functions of a module and the methods of its classes, without those inside functions."""
    tree = ast.parse(source)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    bodies = [tree.body, *(node.body for node in classes)]
    return [node for body in bodies for node in body if isinstance(node, ast.FunctionDef)]


def unkeyed(source: str) -> list[str]:
    """Functions that keep something under a key without the sources it is made from."""
    wrong = []
    for function in functions(source):
        calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        keeps = any(ast.unparse(call.func) == "cached" for call in calls)
        names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
        if keeps and not names & SOURCES_OF_A_KEY and function.name not in NO_SOURCE_OF_OURS:
            wrong.append(function.name)
    return wrong


def lists_of_sources(source: str) -> list[list[str]]:
    """Lists, tuples and sets that name two or more modules: ``("core.py", "axons.py")``."""
    named = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            texts = [item.value for item in node.elts if isinstance(item, ast.Constant)]
            files = [text for text in texts if isinstance(text, str) and is_source(text)]
            named += [files] if len(files) > 1 else []
    return named


def is_source(text: str) -> bool:
    """A file name ``core.py``, a path ``hdl/core/core.py``, or a module ``spikeloop.hdl.core``."""
    return (text.endswith(".py") and text != ".py") or text.startswith("spikeloop.")


def test_what_is_kept_has_its_sources_in_its_key() -> None:
    keepers = {name_of(path): unkeyed(path.read_text()) for path in FILES}
    assert {name: wrong for name, wrong in keepers.items() if wrong} == {}
    calls = sum(path.read_text().count("cached(") for path in FILES)
    assert calls > 6  # the name that this test looks for is the one in use


def test_no_list_of_sources_is_written_by_hand() -> None:
    lists = {name_of(path): lists_of_sources(path.read_text()) for path in FILES}
    assert {name: named for name, named in lists.items() if named} == {}


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("def f():\n    cached(f'chip-{sha(text)}', make)", ["f"]),
        ("def f():\n    cached(hdl_key(text), make)", []),
        ("class A:\n    def f(self):\n        cached(f'chip-{self.key}', make)", ["f"]),
        ("def f():\n    cached(f'bench-{sha(code(__name__))}', make)", []),
    ],
)
def test_a_key_without_sources_is_seen(source: str, wrong: list[str]) -> None:
    assert unkeyed(source) == wrong


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("SOURCES = ('core.py', 'axons.py')", 1),
        ("SOURCES = ['spikeloop.hdl.core', 'spikeloop.hdl.lib']", 1),
        ("code('spikeloop.hdl.verilog', 'spikeloop.hdl.board')", 0),
        ("PATTERN = ('.v', '.cpp')", 0),
    ],
)
def test_a_list_of_sources_is_seen(source: str, count: int) -> None:
    assert len(lists_of_sources(source)) == count


def work(source: str) -> list[str]:
    """What a file of the command line must leave to others.

    That is libraries that compute, and loops in loops within a function.
    """
    tree, wrong = ast.parse(source), []
    in_functions = [n for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in f.body]
    loops = [n for body in in_functions for n in ast.walk(body) if isinstance(n, ast.For)]
    for node in [*(n for n in ast.walk(tree) if not isinstance(n, ast.For)), *loops]:
        if isinstance(node, ast.Import):
            wrong += [a.name for a in node.names if a.name.split(".")[0] in NOT_FOR_COMMANDS]
        elif isinstance(node, ast.ImportFrom) and node.module:
            wrong += [node.module] if node.module.split(".")[0] in NOT_FOR_COMMANDS else []
        elif isinstance(node, ast.While):
            wrong.append(f"while in line {node.lineno}")
        elif isinstance(node, ast.For):
            inner = [n for body in node.body for n in ast.walk(body) if isinstance(n, ast.For)]
            wrong += [f"loop in a loop in line {node.lineno}"] if inner else []
    return wrong


def test_a_file_of_the_command_line_computes_nothing() -> None:
    done = {name_of(path): work(path.read_text()) for path in COMMANDS}
    assert {name: wrong for name, wrong in done.items() if wrong} == {}


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("def f():\n    import numpy as np", 1),
        ("from torch.nn import Linear", 1),
        ("def f():\n    for a in b:\n        for c in d:\n            print(a * c)", 1),
        ("while True:\n    pass", 1),
        ("def f():\n    for row in rows:\n        print(row)", 0),
    ],
)
def test_work_in_a_command_is_seen(source: str, count: int) -> None:
    assert len(work(source)) == count
