"""A folder of a run is held while it is written: a second run into it is refused.

The lock is that of the folder itself: no file is made. The system drops it when the process ends,
however it ends.
"""

import errno
import fcntl
import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from spikeloop.pysim.common.errors import InputError

__all__ = ["held", "holds_folder"]

P = ParamSpec("P")
R = TypeVar("R")

WITHOUT = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EBADF)
"""Errors of file systems that have no locks."""

_mine: set[tuple[Path, int]] = set()  # folders that this process holds, with the thread


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold ``folder``, which is made if it is not there, and removed if nothing was written.

    InputError if another run holds it. A walk and the comparison in it may hold it both.
    """
    try:
        new = [p for p in (folder, *folder.parents) if not p.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        key = folder.resolve(), threading.get_ident()
        file = None if key in _mine else _locked(folder)
    except OSError as error:
        raise InputError(
            f"folder of the run must be writable, not {str(folder)!r} ({error.strerror})"
        ) from None
    if file is None:
        yield
        return
    _mine.add(key)
    try:
        yield
    finally:
        _mine.discard(key)
        os.close(file)
        with suppress(OSError):  # not empty
            for path in new:
                path.rmdir()


def holds_folder(work: Callable[P, R]) -> Callable[P, R]:
    """``work``, which holds its keyword argument ``folder`` until it ends."""

    @functools.wraps(work)
    def holding(*arguments: P.args, **named: P.kwargs) -> R:
        folder: Any = named["folder"]
        with held(folder):
            return work(*arguments, **named)

    return holding


def _locked(folder: Path) -> int:
    """The folder, open and locked."""
    while True:
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise InputError(
                f"folder of the run must be free, not {str(folder)!r}, into which another run "
                "writes: name another folder, or wait"
            ) from None
        except OSError as error:
            if error.errno not in WITHOUT:
                os.close(file)
                raise
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), os.stat(folder)):
                return file
        os.close(file)  # the empty folder of a run that has just ended
        folder.mkdir(parents=True, exist_ok=True)
