"""What a result was made from: the sources, packages, files and processor that its key must hold.

The sources of a result follow from the import graph. :func:`code` starts at the module that makes the
result and takes in every module of ours it imports, at any remove. No list of files is written by hand.
"""

import ast
import hashlib
import importlib.metadata
import importlib.util
import platform
from functools import lru_cache
from pathlib import Path

__all__ = ["code", "cpu", "modules", "packages", "sha256", "version"]

OURS = "spikeloop"
DATA = (".v", ".cpp", ".html", ".js")
"""Files beside a module that count as its sources."""


@lru_cache
def code(*roots: str) -> str:
    """SHA-256 of the sources of ``roots`` (dotted module names) and of all they import of ours."""
    digest = hashlib.sha256()
    found = modules(*roots)
    files = {path for path in found.values()}
    files |= {
        file for path in found.values() for file in path.parent.iterdir() if file.suffix in DATA
    }
    root = _root()
    for name, file in sorted((str(file.relative_to(root)), file) for file in files):
        digest.update(f"{name}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def modules(*roots: str) -> dict[str, Path]:
    """The modules of ours that ``roots`` import, at any remove and also inside functions: name to file."""
    found: dict[str, Path] = {}
    ahead = list(roots)
    while ahead:
        name = ahead.pop()
        if name in found:
            continue
        path = _file(name)
        if path is None:
            raise ModuleNotFoundError(f"no module {name!r} in {_root()}")
        found[name] = path
        ahead += imported(path.read_text())
    return found


def imported(source: str) -> list[str]:
    """The modules of ours that a source imports by name, and the packages they lie in."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in names if name.startswith(f"{OURS}.")]
    every = {".".join(part[:n]) for part in parts for n in range(2, len(part) + 1)}
    return sorted(name for name in every if _file(name))


def _root() -> Path:
    spec = importlib.util.find_spec(OURS)
    assert spec and spec.origin
    return Path(spec.origin).parent


@lru_cache(maxsize=None)
def _file(name: str) -> Path | None:
    """The file of a module or package of ours, or None."""
    path = _root().joinpath(*name.split(".")[1:])
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def sha256(path: Path) -> str | None:
    """Of a file, or of all files of a folder with their names; None if there is none."""
    if path.is_dir():
        lines = [
            f"{p.relative_to(path)} {sha256(p)}" for p in sorted(path.rglob("*")) if p.is_file()
        ]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else None
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def packages(*names: str) -> str:
    """Their versions, as one string for a key."""
    return " ".join(f"{name} {version(name)}" for name in names)


def version(package: str) -> str:
    """Of an installed package, or "none"."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"


@lru_cache
def cpu() -> str:
    """What ``-march=native`` means here: the machine, and on Linux the processor's model and features."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("model name", "flags", "Features", "CPU part")
    found = {line.partition(":")[0].strip(): line.partition(":")[2].strip() for line in lines}
    return " ".join([platform.machine(), *(found[key] for key in wanted if key in found)])
