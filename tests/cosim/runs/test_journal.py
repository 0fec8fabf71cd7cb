"""A journal gives back whole lines, drops one that is not, and refuses other work."""

from pathlib import Path

import pytest

from spikeloop.cosim.runs.journal import Journal
from spikeloop.pysim.common.errors import InputError

HEAD = {"of": "this"}


def test_goes_on_after_a_cut_at_any_byte(tmp_path: Path) -> None:
    whole = tmp_path / "whole" / "journal.jsonl"
    first = Journal.open(whole, HEAD, "run")
    assert not whole.exists()  # nothing is left of work that is refused
    for i in range(3):
        first.append({"line": i})
    text = whole.read_bytes()
    for cut in range(len(text) + 1):
        path = tmp_path / "cut.jsonl"
        path.write_bytes(text[:cut])
        journal, lines = Journal.open(path, HEAD, "run"), max(text[:cut].count(b"\n") - 1, 0)
        assert journal.lines == [{"line": i} for i in range(lines)]
        for i in range(lines, 3):
            journal.append({"line": i})
        assert path.read_bytes() == text


@pytest.mark.parametrize(
    "text, words",
    [
        (b'{"of": "that"}\n', "must be of this run"),
        (b"no journal\n", "must be lines of JSON"),
        (b"[1]\n", "must be lines of JSON"),
        (b'{"of": "this"}\n3\n', "must be lines of JSON"),
    ],
)
def test_refused(tmp_path: Path, text: bytes, words: str) -> None:
    (tmp_path / "journal.jsonl").write_bytes(text)
    with pytest.raises(InputError, match=words):
        Journal.open(tmp_path / "journal.jsonl", HEAD, "run")
    assert (tmp_path / "journal.jsonl").read_bytes() == text
