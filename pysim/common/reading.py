"""Files read without trust: regular ones of bounded size, at once; all else is one sentence.

A pipe is not waited for, a device is not read, and a file is not read beyond what it may hold.
"""

import errno
import os
import stat
import zlib
from pathlib import Path

from spikeloop.pysim.common.errors import InputError

__all__ = ["MAX_BYTES", "check_file", "gunzip", "read_file", "unreadable"]

MAX_BYTES = 1 << 30
"""Bytes that a file may take, and what is unpacked from it."""


def unreadable(what: str, path: str | Path, error: OSError, remedy: str) -> InputError:
    """What to raise if a file cannot be read. ``remedy``: what helps if it is not there."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{what} {str(path)!r} is missing: {remedy}")
    return InputError(f"{what} must be readable, not {str(path)!r} ({error.strerror})")


def read_file(
    path: str | Path, what: str, remedy: str, *, most: int = MAX_BYTES, links: bool = True
) -> bytes:
    """The bytes of a regular file.

    what:   kind of the file, for messages ("network file"); remedy: what helps if it is missing.
    most:   bytes that it may have.
    links:  whether a symbolic link is followed.
    InputError for anything else.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | (0 if links else os.O_NOFOLLOW)
    if "\0" in str(path):  # no name of a file has one
        raise InputError(f"{what} {str(path)!r} is missing: {remedy}")
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:  # a folder: EISDIR
            size = _check(os.fstat(file.fileno()), f"{what} {str(path)!r}", most)
            data = file.read(size + 1)
    except OSError as error:
        raise unreadable(what, path, error, remedy) from None
    if len(data) != size:
        raise InputError(f"{what} {str(path)!r} must be at rest, not written while it is read")
    return data


def check_file(path: str | Path, what: str, remedy: str, *, most: int = 1 << 40) -> None:
    """InputError unless ``path`` is a regular file of at most ``most`` bytes."""
    try:
        _check(os.stat(path), f"{what} {str(path)!r}", most)
    except OSError as error:
        raise unreadable(what, path, error, remedy) from None


def gunzip(data: bytes, what: str, *, most: int = MAX_BYTES) -> bytes:
    """What is packed in ``data`` by gzip, at most ``most`` bytes of it in memory.

    InputError if it is more, or damaged. ``what`` names the file.
    """
    parts, size = [], 0
    try:
        while data:  # a file may have several members
            member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            part = member.decompress(data, most + 1 - size)
            size += len(part)
            if size > most:
                raise _large(f"contents of {what}", most, None)
            if not member.eof:
                raise zlib.error("truncated")
            parts.append(part)
            data = member.unused_data.lstrip(b"\0")
    except zlib.error:
        raise InputError(f"{what} is damaged (gzip): copy it again") from None
    return b"".join(parts)


def _check(status: os.stat_result, name: str, most: int) -> int:
    """The size of a regular file of at most ``most`` bytes."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{name} must be a regular file, not a folder, pipe or device")
    if status.st_size > most:
        raise _large(name, most, status.st_size)
    return status.st_size


def _large(name: str, most: int, size: int | None) -> InputError:
    given = f"{size:,}" if size else "more"
    return InputError(f"{name} must be at most {most:,} bytes, not {given}")
