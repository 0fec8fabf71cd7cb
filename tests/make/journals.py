"""Journals that somebody edited and sealed again, as a program that is not ours would."""

import hashlib
import json
from pathlib import Path
from typing import Any

__all__ = ["read_journal", "write_journal"]


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal without their digests."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    for line in lines:
        del line["digest"]
    return lines


def write_journal(path: Path, lines: list[dict[str, Any]]) -> None:
    """Write these lines, each with its digest (pysim/common/journal.py)."""
    digest, text = "", ""
    for line in lines:
        digest = hashlib.sha256((digest + json.dumps(line)).encode()).hexdigest()
        text += json.dumps({**line, "digest": digest}) + "\n"
    path.write_text(text)
