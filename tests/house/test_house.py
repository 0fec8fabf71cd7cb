"""The house stands: who may import whom, and what no tracked file may name."""

import ast
import graphlib
import re
import subprocess
from pathlib import Path

import pytest

from spikeloop.cosim.verilator.build import LEAF
from tests.conftest import ROOT

PACKAGES = ("pysim", "golden", "hdl", "cosim")

# package -> modules of ours it may import, itself apart; a name covers its submodules
ARROWS = {
    "pysim": (),
    "golden": ("spikeloop.pysim.network.graph",),
    "hdl": ("pysim",),
    "cosim": ("pysim", "golden", "hdl"),
}

# libraries that would break the layers: pysim runs without torch and Amaranth, the RTL without torch
FOREIGN = {
    "pysim": ("torch", "amaranth"),
    "hdl": ("torch", "cocotb"),
    "golden": ("amaranth", "cocotb"),
}

SOURCES = [
    (package, path) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))
]


def imports(source: str) -> set[str]:
    """Dotted names a module imports, at top level or inside functions; ``from a import b`` counts as ``a.b``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names}
    return found


def within(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


def broken_arrows(package: str, source: str) -> list[str]:
    """Imports of a module of ``package`` that the house does not allow."""
    allowed = (package, *ARROWS[package])
    return sorted(
        name
        for name in imports(source)
        if name.startswith(".")  # relative imports would hide from this walk
        or (any(within(name, p) for p in PACKAGES) and not any(within(name, a) for a in allowed))
        or any(within(name, f) for f in FOREIGN.get(package, ()))
    )


@pytest.mark.parametrize(
    ("package", "path"),
    SOURCES,
    ids=lambda value: str(value.relative_to(ROOT)) if isinstance(value, Path) else "",
)
def test_imports_follow_the_arrows(package: str, path: Path) -> None:
    assert broken_arrows(package, path.read_text()) == []


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("pysim", "import spikeloop.hdl.core.core"),
        ("pysim", "def f():\n    from golden import integer"),
        ("pysim", "import torch.nn"),
        ("golden", "from spikeloop.pysim.chip.params import Chip"),
        ("golden", "from pysim import core"),
        ("golden", "from pysim import params, network"),
        ("golden", "from spikeloop.pysim.pim.model import run"),
        ("golden", "from spikeloop.pysim.pim.layer import PimLayer"),
        ("hdl", "import cosim"),
        ("hdl", "from spikeloop.golden.reference.integer import run"),
        ("golden", "import spikeloop.cosim.backend"),
        ("pysim", "from . import network"),
    ],
)
def test_a_wrong_arrow_is_seen(package: str, source: str) -> None:
    assert broken_arrows(package, source)


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("golden", "from spikeloop.pysim.network.graph import InputError, Network"),
        ("golden", "from pysim import network"),
        ("hdl", "from spikeloop.pysim.chip.params import Chip"),
        (
            "cosim",
            "import spikeloop.golden.reference.integer, spikeloop.hdl.core.core, spikeloop.pysim.model.core",
        ),
        ("pysim", "from spikeloop.pysim.common.errors import InputError"),
        ("pysim", "import numpy"),
    ],
)
def test_a_right_arrow_passes(package: str, source: str) -> None:
    assert broken_arrows(package, source) == []


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import one another in turn, or none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def graph_of(sources: dict[str, str]) -> dict[str, set[str]]:
    """The modules of ``sources`` (dotted name: text) that each of them imports, also inside functions."""
    graph: dict[str, set[str]] = {}
    for module, source in sources.items():
        graph[module] = set()
        for name in imports(source):
            while name and name not in sources:
                name = name.rpartition(".")[0]
            graph[module] |= {name} - {"", module}
    return graph


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for _, path in SOURCES
    ]
    return graph_of(
        {name: path.read_text() for name, (_, path) in zip(names, SOURCES, strict=True)}
    )


def test_imports_have_no_circles(graph: dict[str, set[str]]) -> None:
    assert (
        "spikeloop.pysim.model.numba_engine" in graph["spikeloop.pysim.model.core"]
        and "spikeloop.cosim.icarus.backend" in graph["spikeloop.cosim.backends"]
    )  # the second inside a function
    assert circle(graph) == []


def test_a_circle_is_seen() -> None:
    assert circle(
        graph_of(
            {
                "p.a": "from p import b",
                "p.b": "import p.c",
                "p.c": "def f():\n    from p.a import x",
            }
        )
    )


def test_the_key_of_a_build_holds_all_that_the_rtl_is_made_of(graph: dict[str, set[str]]) -> None:
    """What hdl imports of pysim, at any remove, apart from modules that have no say in the Verilog."""
    found, ahead = set[str](), {name for name in graph if name.startswith("hdl")}
    while ahead:
        found |= ahead
        ahead = set().union(*(graph[name] for name in ahead)) - found
    silent = {
        "pysim",
        *(f"pysim.{name}" for name in ("convolution", "errors", "fields", "names", "pim_source")),
    }
    assert {name for name in found if not name.startswith("hdl")} - silent == {
        f"pysim.{name}" for name in LEAF
    }


def test_every_module_says_what_it_does() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for _, path in SOURCES
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_hdl_has_no_deferred_annotations() -> None:
    """Amaranth reads annotations as signature members; deferred ones are strings to it."""
    deferred = [
        str(path.relative_to(ROOT))
        for package, path in SOURCES
        if package == "hdl" and "__future__.annotations" in imports(path.read_text())
    ]
    assert deferred == []


def tracked() -> list[Path]:
    """Text files of the repository that git tracks; the test is skipped in an unpacked source archive."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode:
        pytest.skip("not a git checkout: no list of tracked files")
    paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    return [p for p in paths if p.is_file() and b"\0" not in p.read_bytes()[:8192]]


# spelled in pieces, so that this file passes its own check
FORBIDDEN = re.compile(
    "|".join(
        [
            r"(?<![\w.])/" + r"work/",
            r"(?<![\w.])/" + r"root/",
            r"(?<![\w.])/" + r"home/\w",
            r"\." + r"library/",
            r"/opt/" + r"pypi",
            r"pythonhosted" + r"\.org",
            r"pypi" + r"\.org",
            r"index" + r"-url",
            r"find" + r"-links",
            r"BEGIN (RSA |EC |OPENSSH )?" + r"PRIVATE KEY",
            r"^(<{7}|>{7}) ",
        ]
    ),
    re.MULTILINE,
)


def test_no_tracked_file_names_this_machine() -> None:
    named = {}
    for path in tracked():
        found = FORBIDDEN.search(path.read_text(errors="replace"))
        if found:
            named[str(path.relative_to(ROOT))] = found.group()
    assert named == {}


@pytest.mark.parametrize(
    "text",
    [
        "see /" + "work/main/x",
        "pip install --index" + "-url X",
        "/ho" + "me/someone/x",
        "<" * 7 + " HEAD",
    ],
)
def test_a_forbidden_name_is_seen(text: str) -> None:
    assert FORBIDDEN.search(text)


def test_what_is_built_is_not_tracked() -> None:
    built = re.compile(r"(^|/)(build|dist|\.venv|__pycache__|sim_build)/")
    assert [str(p) for p in tracked() if built.search(str(p.relative_to(ROOT)))] == []


def test_a_file_stays_one_idea() -> None:
    """A component is one file of 50 to 300 lines; at 400 a file has become two."""
    long = {
        str(path.relative_to(ROOT)): lines
        for _, path in SOURCES
        if (lines := path.read_text().count("\n")) > 400
    }
    assert long == {}
