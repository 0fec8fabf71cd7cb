"""The build cache: one folder per kept entry, made once, digested, and verified when it is opened.

An entry is a folder ``KIND-KEY`` in :func:`cache_folder`. Its builder fills a temporary folder
``.KIND-KEY-XXXX``, writes the SHA-256 of every file into it, and renames it. An entry whose files
are not exactly those of its digest is made again. Builders of one entry wait for each other at the
file ``KIND-KEY.lock``. What a killed builder left is removed before the next build.

Builds take minutes. Each reports its stages to the callback of :func:`on_progress`.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from spikeloop.pysim.common.errors import InputError

__all__ = [
    "Entry",
    "cache_folder",
    "cached",
    "clear",
    "clear_unused",
    "entries",
    "on_progress",
    "stage",
]

DIGEST = ".digest"
"""The file of an entry with a line ``SHA-256  name`` for each of its other files."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""Errors of the disk, which name no file."""

Report = Callable[[str, float | None], None]

_reports: list[Report] = []  # at most one
_verified: dict[Path, dict[str, tuple[int, int, int]]] = {}  # entry to inode, size, time of files


class Entry(NamedTuple):
    """A kept build: its folder's name, what it holds, its size in bytes and when it was last opened
    (seconds since 1970)."""

    name: str
    kind: str
    bytes: int
    used: float


# -- progress ----------------------------------------------------------------------------------


def on_progress(report: Report | None) -> None:
    """Set the callback of this process for stages of builds; None (the default) is silence.

    ``report(stage, None)`` is called when a stage begins, ``report(stage, seconds)`` when it ended.
    Stages nest, and threads may report side by side.
    """
    _reports[:] = [report] if report else []


@contextmanager
def stage(text: str) -> Iterator[None]:
    """Report the beginning and the end of a stage."""
    reports, start = tuple(_reports), time.monotonic()
    for report in reports:
        report(text, None)
    yield
    for report in reports:
        report(text, time.monotonic() - start)


# -- entries -----------------------------------------------------------------------------------


def cache_folder() -> Path:
    """The folder ``spikeloop`` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spikeloop"


def cached(name: str, make: Callable[[Path], object]) -> Path:
    """The entry ``name``. If the cache has no whole one, ``make(temporary folder)`` fills it.

    InputError if the cache cannot be written. Errors of ``make`` pass, and leave nothing behind.
    """
    cache = cache_folder()
    entry = cache / name
    if _whole(entry):
        return entry
    with _writing(cache):
        cache.mkdir(parents=True, exist_ok=True)
        _sweep(cache)
        with _locked(cache, name):
            if not _whole(entry):
                _remove_leftovers(cache, name)
                _fill(entry, make)
    return entry


def entries() -> list[Entry]:
    """All kept builds, the one opened last first."""
    kept = []
    with suppress(FileNotFoundError, NotADirectoryError):
        for folder in cache_folder().iterdir():
            if folder.is_dir() and not folder.name.startswith("."):
                with suppress(FileNotFoundError):  # another process removed it
                    kept.append(_entry(folder))
    return sorted(kept, key=lambda entry: -entry.used)


def clear(names: Iterable[str] | None = None) -> int:
    """Remove the entries of these names (default: all) and what killed builders left.

    Entries that a process is building stay. Returns the bytes set free.
    """
    cache, kept = cache_folder(), {entry.name: entry for entry in entries()}
    chosen = list(kept if names is None else names)
    for name in chosen:
        if name not in kept:
            raise InputError(f"entry must be one of {cache}, not {name!r}")
    freed = 0
    with _writing(cache):
        for name in chosen:
            with suppress(BlockingIOError), _locked(cache, name, wait=False):
                _remove(cache / name)
                freed += kept[name].bytes
        _sweep(cache)
    return freed


def clear_unused(seconds: float) -> tuple[int, int]:
    """Remove the entries not opened for ``seconds``; how many, and the bytes set free."""
    now = time.time()
    old = [entry.name for entry in entries() if now - entry.used >= seconds]
    freed = clear(old)
    left = {entry.name for entry in entries()}
    return sum(name not in left for name in old), freed


def _entry(folder: Path) -> Entry:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    digest = folder / DIGEST
    used = (digest if digest.exists() else folder).stat().st_mtime
    return Entry(folder.name, folder.name.partition("-")[0], size, used)


# -- whole or not ------------------------------------------------------------------------------


def _whole(entry: Path) -> bool:
    """Whether the files of an entry are exactly those of its digest. Marks the entry as used.

    Files that did not change since this process read them are not read again.
    """
    try:
        listed = (entry / DIGEST).read_text()
        stamps = {
            name: (found.st_ino, found.st_size, found.st_mtime_ns)
            for name, path in _files(entry)
            for found in (path.stat(),)
        }
        if _verified.get(entry) != stamps:
            if listed != _digest(entry):
                return False
            _verified[entry] = stamps
    except (OSError, UnicodeDecodeError):
        return False
    with suppress(OSError):  # a cache that others wrote
        os.utime(entry / DIGEST)
    return True


def _files(entry: Path) -> list[tuple[str, Path]]:
    """Names and paths of all files of an entry but its digest, sorted."""
    paths = (path for path in entry.rglob("*") if not path.is_dir())
    named = sorted((str(path.relative_to(entry)), path) for path in paths)
    return [(name, path) for name, path in named if name != DIGEST]


def _digest(entry: Path) -> str:
    """The text of the digest that the files of an entry must have."""
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n" for name, path in _files(entry)
    )


def _fill(entry: Path, make: Callable[[Path], object]) -> None:
    """Make an entry, in place of a damaged one if there is one."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=entry.parent))
    try:
        make(temporary)
        (temporary / DIGEST).write_text(_digest(temporary))
        _remove(entry)
        temporary.rename(entry)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _remove(path: Path) -> None:
    """Remove a folder, a file or a link, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# -- builders ----------------------------------------------------------------------------------


@contextmanager
def _locked(cache: Path, name: str, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of an entry. BlockingIOError if another builder has it and ``wait`` is False.

    The holder removes the lock's file. A builder that waited for a removed file asks anew.
    """
    path = cache / f"{name}.lock"
    file = _lock_file(path, name, wait)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _lock_file(path: Path, name: str, wait: bool) -> IO[bytes]:
    """The lock's file, open and locked."""
    while True:
        file = path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                file.close()
                raise
            with stage(f"wait for the process that builds {name}"):
                fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


def _sweep(cache: Path) -> None:
    """Remove what killed builders left: temporary folders, and locks that nobody holds."""
    temporary = {_entry_of(path) for path in cache.glob(".*-*")}
    for name in temporary | {path.stem for path in cache.glob("*.lock")}:
        with suppress(BlockingIOError), _locked(cache, name, wait=False):
            _remove_leftovers(cache, name)


def _remove_leftovers(cache: Path, name: str) -> None:
    """Remove the temporary folders of an entry whose lock is held: their builders are dead."""
    for path in cache.glob(f".{name}-*"):
        if _entry_of(path) == name:
            _remove(path)


def _entry_of(temporary: Path) -> str:
    """The entry that a temporary folder was to become."""
    return temporary.name[1:].rpartition("-")[0]


@contextmanager
def _writing(cache: Path) -> Iterator[None]:
    """What the disk refuses is one sentence."""
    try:
        yield
    except OSError as error:
        if not _of_cache(error, cache):
            raise
        raise InputError(
            f"cache folder must be a writable folder with free space, not {str(cache)!r} "
            f"({error.strerror}): set XDG_CACHE_HOME to another folder"
        ) from None


def _of_cache(error: OSError, cache: Path) -> bool:
    """Whether an error is about the cache's folder or its disk, not about a source or a tool."""
    if error.errno in FULL or not isinstance(error.filename, str):
        return error.errno in FULL
    path = Path(error.filename)
    return path.is_relative_to(cache) or cache.is_relative_to(path)
