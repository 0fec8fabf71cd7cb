"""Files and folders that are written whole or not at all, and the seal of a manifest."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spikeloop.pysim.common.errors import InputError

__all__ = ["check_output", "open_seal", "seal", "writable", "write_atomic", "write_folder"]


def check_output(path: str | Path, *, file: bool = False) -> None:
    """InputError unless files can be written into folder ``path``, which need not exist.

    ``file``: unless ``path`` itself can be written. Makes nothing.
    """
    path = Path(path)
    place = path.parent if file else path
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    reason = None
    if file and path.is_dir():
        reason = errno.EISDIR
    elif file and os.path.lexists(path) and (path.is_symlink() or not path.is_file()):
        raise _no_file(path)
    elif not place.is_dir():
        reason = errno.ENOTDIR
    elif not os.access(place, os.W_OK | os.X_OK):
        reason = errno.EACCES
    if reason:
        what = "file" if file else "folder"
        raise InputError(
            f"output {what} must be writable, not {str(path)!r} ({os.strerror(reason)})"
        )


def write_atomic(path: str | Path, data: bytes) -> Path:
    """Write ``data`` to ``path`` under a temporary name, then rename: never a half-written file.

    InputError unless ``path`` is a regular file or a new name: no link is followed or replaced.
    """
    path = Path(path)
    if path.is_symlink() or (path.exists() and not path.is_file() and not path.is_dir()):
        raise _no_file(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise InputError(
            f"output file must be writable, not {str(path)!r} ({error.strerror})"
        ) from None
    return path


def _no_file(path: Path) -> InputError:
    return InputError(
        f"output file must be a regular file or a new name, not the link or device {str(path)!r}"
    )


def writable(folder: Path) -> Path:
    """Make ``folder``; InputError unless files can be written there."""
    write_atomic(folder / ".writable", b"").unlink()
    return folder


def write_folder(
    folder: str | Path, what: str, marks: tuple[str, ...], fill: Callable[[Path], None]
) -> Path:
    """Write ``folder`` under a temporary name, then rename it: never a half-written one.

    ``fill`` gets the temporary folder and writes its files. ``what`` names the kind of folder in
    messages. An earlier folder is replaced if it is empty or holds one of the files ``marks``;
    InputError for any other.
    """
    folder = Path(folder)
    if folder.is_symlink() or not _replaceable(folder, marks):
        raise InputError(
            f"{what} folder must be new, empty or an earlier {what}, not {str(folder)!r}: "
            "name another"
        )
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        new = temporary / "new"
        new.mkdir()
        fill(new)
        if folder.exists():
            os.rename(folder, temporary / "old")
        os.rename(new, folder)
    except OSError as error:
        raise InputError(
            f"{what} folder must be writable, not {str(folder)!r} ({error.strerror})"
        ) from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _replaceable(folder: Path, marks: tuple[str, ...]) -> bool:
    """Whether the folder is not there, is empty, or holds one of the files ``marks``."""
    if not folder.exists() or any((folder / mark).is_file() for mark in marks):
        return True
    return folder.is_dir() and not any(folder.iterdir())


def _text(manifest: dict[str, Any]) -> bytes:
    return (json.dumps(manifest, sort_keys=True, indent=1) + "\n").encode()


def seal(manifest: dict[str, Any]) -> bytes:
    """The text of ``manifest``; its entry ``sha256`` is the SHA-256 of the text without it."""
    return _text({**manifest, "sha256": hashlib.sha256(_text(manifest)).hexdigest()})


def open_seal(data: bytes, what: str) -> dict[str, Any]:
    """The manifest that :func:`seal` wrote; InputError if a byte was changed since."""
    try:
        manifest = json.loads(data)
        rest = {k: v for k, v in manifest.items() if k != "sha256"}
        if data == seal(rest):
            return rest
    except (ValueError, AttributeError, TypeError, RecursionError):
        pass
    raise InputError(
        f"manifest of {what} must be as spikeloop wrote it, not damaged or edited: "
        "map the network again"
    )
