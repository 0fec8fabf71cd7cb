"""The house stands: rooms and files, imports between them, and what no tracked file may name."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from spikeloop.cosim.provenance import imported
from tests.conftest import ROOT

PACKAGES = ("pysim", "golden", "hdl", "cosim")

# Package -> the places it may import besides itself.
ARROWS = {
    "pysim": (),
    "golden": (
        *("pysim.common", "pysim.network", "pysim.pim", "pysim.lessons", "pysim.oscillators"),
        "pysim.dendrites",
    ),
    "hdl": ("pysim",),
    "cosim": ("pysim", "golden", "hdl"),
}

# Libraries that would break the layers: pysim runs without torch and Amaranth, hdl without torch.
FOREIGN = {
    "pysim": ("torch", "amaranth"),
    "hdl": ("torch", "cocotb"),
    "golden": ("amaranth", "cocotb"),
}

SOURCES = [
    (package, path) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))
]
FOLDERS = sorted(
    {path.parent for _, path in SOURCES}
    | {path.parent for path in (ROOT / "tests").rglob("*.py")} - {ROOT / "tests"}
)


def name_of(path: object) -> str:
    return str(path.relative_to(ROOT)) if isinstance(path, Path) else ""


# -- R1, R2, R4, R5: rooms (R3 and R6: test_rules.py) --------------------------------------------


def rooms(page: str) -> list[str]:
    """The ordered places of docs/architecture.md."""
    table = page.partition("## The rooms")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([\w/.]+)` \|", table, re.MULTILINE)


def place_of(path: str, places: list[str]) -> str | None:
    """The place of a file "pysim/chip/params.py": itself, or its folder."""
    folder = path.rpartition("/")[0]
    return next((place for place in (path, folder) if place in places), None)


def files_without_a_place(paths: list[str], places: list[str]) -> list[str]:
    return [p for p in paths if not p.endswith("__init__.py") and place_of(p, places) is None]


def downward(sources: dict[str, str], places: list[str]) -> list[str]:
    """Imports that lead to a place below: "from -> to". ``sources``: text by path."""
    wrong = []
    for path, text in sources.items():
        here = place_of(path, places)
        for name in imported(text):
            module = name.removeprefix("spikeloop.").replace(".", "/")
            if path.startswith(f"{module}/"):  # the packages that it lies in
                continue
            there = place_of(f"{module}.py", places)
            if here and there and places.index(there) > places.index(here):
                wrong.append(f"{path} -> {name}")
    return wrong


@pytest.fixture(scope="module")
def places() -> list[str]:
    return rooms((ROOT / "docs" / "architecture.md").read_text())


def test_the_page_lists_every_place_and_no_other(places: list[str]) -> None:
    paths = [name_of(path) for _, path in SOURCES]
    assert files_without_a_place(paths, places) == []
    assert [place for place in places if not (ROOT / place).exists()] == []
    assert len(places) == len(set(places)) > 40


def test_the_page_says_of_a_folder_what_the_folder_says(places: list[str]) -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    for place in places:
        if not place.endswith(".py"):
            text = ast.get_docstring(ast.parse((ROOT / place / "__init__.py").read_text()))
            assert text and f"| `{place}` | {' '.join(text.split())} |" in page, place


def test_a_place_imports_only_places_above_it(places: list[str]) -> None:
    assert downward({name_of(path): path.read_text() for _, path in SOURCES}, places) == []


def test_an_import_downwards_is_seen(places: list[str]) -> None:
    source = "def f():\n    from spikeloop.pysim.model.core import Core"
    assert downward({"pysim/chip/params.py": source}, places)
    assert not downward({"pysim/cost/work.py": source}, places)
    assert files_without_a_place(["pysim/nowhere/x.py"], places)


def files(folder: Path) -> list[str]:
    """Files of a folder, without what Python and the system leave there; ``__init__.py`` counts."""
    return [p.name for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")]


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_folder_has_three_to_nine_files(folder: Path) -> None:
    """Fewer will do with sub-folders, and in the tests, which mirror the source tree."""
    has_rooms = any((p / "__init__.py").exists() for p in folder.iterdir())
    least = 1 if has_rooms or ROOT / "tests" in folder.parents else 3
    assert least <= len(files(folder)) <= 9, files(folder)


def stutters(path: str) -> bool:
    """The file's name has the folder's word among others: ``pim/pim_window.py``."""
    folder, file = path.split("/")[-2:]
    words = file.removesuffix(".py").split("_")
    return len(words) > 1 and not {folder, folder.removesuffix("s")}.isdisjoint(words)


def test_a_file_drops_the_word_of_its_folder() -> None:
    assert [name_of(path) for _, path in SOURCES if stutters(name_of(path))] == []
    assert stutters("pysim/pim/pim_window.py") and stutters("golden/layers/pim_layer.py")
    assert not stutters("pysim/pim/window.py") and not stutters("pysim/image/image.py")


def repeated(paths: list[str]) -> list[str]:
    """Stems that two files of one package share though their folders have one name too."""
    seen: dict[tuple[str, str, str], str] = {}
    wrong = []
    for path in paths:
        *folders, file = path.split("/")
        key = (folders[0], folders[-1], file)
        if file != "__init__.py" and key in seen:
            wrong.append(f"{seen[key]}, {path}")
        seen[key] = path
    return wrong


def test_a_stem_stands_twice_only_if_its_folder_says_the_difference() -> None:
    assert repeated([name_of(path) for _, path in SOURCES]) == []
    assert repeated(["golden/rules/bntt/net.py", "golden/rules/bpsa/net.py"]) == []
    assert repeated(["pysim/pim/cost.py", "golden/pim/cost.py"]) == []
    assert repeated(["cosim/pim/cost.py", "cosim/studies/pim/cost.py"])


def test_tests_mirror_the_packages() -> None:
    """Every folder of tests/PACKAGE is one of the package."""
    ours = {name_of(path.parent) for _, path in SOURCES}
    mirrored = {
        name_of(path.parent).removeprefix("tests/")
        for package in PACKAGES
        for path in (ROOT / "tests" / package).rglob("test_*.py")
    }
    assert mirrored - ours == set()


# -- arrows between the packages ---------------------------------------------------------------


def imports(source: str) -> set[str]:
    """Dotted names a module imports, also inside functions; ``from a import b`` is ``a.b``."""
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
    allowed = [f"spikeloop.{name}" for name in (package, *ARROWS[package])]
    return sorted(
        name
        for name in imports(source)
        if name.startswith(".")  # relative imports would hide from this walk
        or any(within(name, p) for p in PACKAGES)  # the bare name loads a second copy
        or (within(name, "spikeloop") and not any(within(name, a) for a in allowed))
        or any(within(name, f) for f in FOREIGN.get(package, ()))
    )


@pytest.mark.parametrize(("package", "path"), SOURCES, ids=name_of)
def test_imports_follow_the_arrows(package: str, path: Path) -> None:
    assert broken_arrows(package, path.read_text()) == []


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("pysim", "import spikeloop.hdl.core"),
        ("pysim", "def f():\n    from spikeloop.golden import integer"),
        ("pysim", "import torch.nn"),
        ("pysim", "from . import network"),
        ("pysim", "import pysim"),
        ("pysim", "from spikeloop import Network"),
        ("golden", "from spikeloop.pysim.chip.params import Chip"),
        ("golden", "from spikeloop.pysim import model"),
        ("golden", "import spikeloop.cosim.backend"),
        ("hdl", "import spikeloop.cosim"),
        ("hdl", "from spikeloop.golden.reference.integer import run"),
    ],
)
def test_a_wrong_arrow_is_seen(package: str, source: str) -> None:
    assert broken_arrows(package, source)


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("golden", "from spikeloop.pysim.network.graph import Network"),
        ("hdl", "from spikeloop.pysim.chip.params import Chip"),
        ("cosim", "import spikeloop.golden.reference.integer, spikeloop.hdl.core.core"),
        ("pysim", "import numpy"),
    ],
)
def test_a_right_arrow_passes(package: str, source: str) -> None:
    assert broken_arrows(package, source) == []


# -- files ---------------------------------------------------------------------------------------


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
    """The text files that git tracks. In an unpacked source archive the test is skipped."""
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
