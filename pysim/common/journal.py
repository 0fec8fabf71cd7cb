"""A journal: JSON lines, each on disk before the next begins, so that broken-off work can go on.

The first line says what the work is. :meth:`Journal.open` refuses to go on with a journal of other
work. A last line that was not written whole, because the process was killed, is cut off.

Each line ends with its digest, entry ``digest``: the SHA-256 of the digest of the line before it
and of the line without the entry. A line that was changed, left out or moved is refused.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import check_output
from spikeloop.pysim.common.reading import read_file

__all__ = ["Journal", "Rows"]

DIGEST = "digest"
"""The entry of the digest, the last one of a line."""
MAX_JOURNAL = 1 << 31
"""Bytes of the longest journal that is read."""


class Journal:
    """The journal in file ``path``.

    head:  what the work is. It is the first line of the file, written together with the first of
           ``lines``, so that refused work leaves nothing
    lines: the other lines, those read and those added; None: the journal begins anew
    """

    def __init__(
        self, path: Path, head: dict[str, Any], lines: list[dict[str, Any]] | None = None
    ) -> None:
        self.path, self.head, self.lines = path, head, lines or []
        self._fresh, self._tidy = lines is None, False
        self._last = ""  # digest of the last line
        for line in (head, *self.lines):
            self._last = _digest(self._last, line)

    @classmethod
    def open(cls, path: Path, head: dict[str, Any], what: str) -> "Journal":
        """Go on with ``path``, or begin it if nothing is there.

        InputError unless its first line is ``head``; ``what`` (run, sweep) names the work in it.
        """
        journal = cls.read(path)
        if journal is None:
            return cls(path, head)
        last = journal.head
        if last != head:
            other = [key for key in {**head, **last} if head.get(key) != last.get(key)]
            raise InputError(
                f"journal {str(path)!r} must be of this {what} ({_short(head, other)}), "
                f"not of another ({_short(last, other)}): name another folder"
            )
        return journal

    @classmethod
    def read(cls, path: Path) -> "Journal | None":
        """The journal in ``path``; None if there is no file, or no whole line in it."""
        if not os.path.lexists(path):
            return None
        data = read_file(path, "journal", "name another folder", most=MAX_JOURNAL)
        whole = data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]
        if not whole:
            return None
        try:
            lines = [json.loads(line) for line in whole]
        except (ValueError, RecursionError):
            lines = [None]
        if not all(isinstance(line, dict) for line in lines):
            raise InputError(
                f"journal must be lines of JSON as spikeloop wrote them, not {str(path)!r}: "
                "name another folder"
            )
        last = ""
        for number, (line, text) in enumerate(zip(lines, whole, strict=True), 1):
            said, last = line.pop(DIGEST, None), _digest(last, line)
            if said != last or _line(line, last) != text + b"\n":
                raise InputError(
                    f"line {number} of journal {str(path)!r} is damaged or was edited "
                    "(its digest is another): name another folder, or run it without --resume"
                )
        return cls(path, lines[0], lines[1:])

    def append(self, line: dict[str, Any]) -> None:
        """Add a line; it is on disk when this returns."""
        check_output(self.path, file=True)
        digest = _digest(self._last, line)
        try:
            if self._fresh:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("wb" if self._fresh else "r+b") as file:
                if self._fresh:
                    file.write(_line(self.head, self._last))
                elif not self._tidy:
                    file.truncate(self.path.read_bytes().rfind(b"\n") + 1)
                file.seek(0, os.SEEK_END)
                file.write(_line(line, digest))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(
                f"journal must be writable, not {str(self.path)!r} ({error.strerror})"
            ) from None
        self._fresh, self._tidy, self._last = False, True, digest
        self.lines.append(line)


class Rows:
    """The journal of a study in file ``path``, each line of it a row with a name.

    of:     what the rows depend on; its ``repr`` names the study
    resume: go on with the rows that are there; False: the journal begins anew

    InputError as of :meth:`Journal.open`.
    """

    def __init__(self, path: Path, of: object, *, resume: bool = True) -> None:
        check_output(path, file=True)  # now, not when the first row is there
        head = {"study": hashlib.sha256(repr(of).encode()).hexdigest()}
        self._journal = Journal.open(path, head, "study") if resume else Journal(path, head)
        self._rows = {line["name"]: line["row"] for line in self._journal.lines}

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self._rows[name]

    def add(self, name: str, row: dict[str, Any]) -> None:
        """Keep a row; it is on disk when this returns."""
        self._journal.append({"name": name, "row": row})
        self._rows[name] = row

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All rows, the oldest first."""
        return list(self._rows.values())


def _digest(before: str, line: dict[str, Any]) -> str:
    """The digest of a line behind the one with digest ``before`` ("" for the first)."""
    return hashlib.sha256((before + json.dumps(line)).encode()).hexdigest()


def _line(value: dict[str, Any], digest: str) -> bytes:
    return json.dumps({**value, DIGEST: digest}).encode() + b"\n"


def _short(head: dict[str, Any], keys: list[str]) -> str:
    return ", ".join(f"{key} {head.get(key)!r}"[:80] for key in keys[:3])
