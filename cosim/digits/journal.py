"""Rows of a study, kept line by line: what a killed study has is not run again."""

import json
from pathlib import Path
from typing import Any

from spikeloop.cosim.digits.learner import key_of
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import writable

__all__ = ["Journal"]


class Journal:
    """A file of JSON lines: the key of the study, then a row for each name.

    InputError for a file of another study, or a damaged one. A last line without its end is what a
    killed study was writing, and is dropped.
    """

    def __init__(self, path: Path, of: object) -> None:
        writable(path.parent)
        self._path, self._rows = path, {}  # type: Path, dict[str, dict[str, Any]]
        key = key_of(of)
        if not path.exists():
            path.write_text(json.dumps({"key": key}) + "\n")
            return
        whole = path.read_text().rpartition("\n")[0]
        try:
            head, *rows = [json.loads(line) for line in whole.splitlines()]
            found = head["key"]
            self._rows = {row.pop("name"): row for row in rows}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(f"journal {str(path)!r} is damaged: remove it") from None
        if found != key:
            raise InputError(
                f"journal {str(path)!r} must be of the same study, data and sources, not of "
                "others: name another folder, or remove it"
            )
        path.write_text(whole + "\n")

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self._rows[name]

    def add(self, name: str, row: dict[str, Any]) -> None:
        """Keep a row."""
        with self._path.open("a") as file:
            file.write(json.dumps({"name": name, **row}) + "\n")
        self._rows[name] = row

    @property
    def rows(self) -> list[dict[str, Any]]:
        return list(self._rows.values())
