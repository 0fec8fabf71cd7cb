"""A journal gives back whole lines, drops one that is not, and refuses other work."""

import os
from pathlib import Path

import pytest

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.journal import Journal, Rows
from tests.campaigns.fuzz.mutate import flipped
from tests.make.journals import write_journal

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
        (b'{"of": "this"}\n', "line 1 of journal .* is damaged or was edited"),
        (b"[" * 100_000 + b"\n", "must be lines of JSON"),
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


def test_a_journal_of_other_work_is_refused(tmp_path: Path) -> None:
    write_journal(tmp_path / "journal.jsonl", [{"of": "that"}])
    with pytest.raises(InputError, match="must be of this run"):
        Journal.open(tmp_path / "journal.jsonl", HEAD, "run")


def test_what_was_changed_left_out_or_moved_is_refused(tmp_path: Path) -> None:
    """Every bit of a journal, and lines that were left out, moved or doubled.

    Only the newline at its end may go: a line without one was cut, and is dropped.
    """
    path = tmp_path / "journal.jsonl"
    journal = Journal.open(path, HEAD, "run")
    for i in range(3):
        journal.append({"different": i})
    data = path.read_bytes()
    head, one, two, three = data.splitlines(keepends=True)
    assert Journal.open(path, HEAD, "run").lines == journal.lines
    for other in (head + two + three, head + two + one + three, head + one + one, one + two):
        path.write_bytes(other)
        with pytest.raises(InputError, match="is damaged or was edited"):
            Journal.open(path, HEAD, "run")
    for bit in range(8 * (len(data) - 1)):
        path.write_bytes(flipped(data, bit))
        with pytest.raises(InputError, match=r"journal .*must be lines of JSON|is damaged or was"):
            Journal.open(path, HEAD, "run")


def test_a_journal_is_no_pipe_and_no_link(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="must be a regular file"):
        Journal.open(tmp_path / "pipe", HEAD, "run")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(InputError, match="must be a regular file or a new name"):
        Journal(tmp_path / "link", HEAD).append({"line": 0})
    assert not (tmp_path / "target").exists()


def test_a_study_keeps_its_whole_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    Rows(path, "one").add("a", {"x": 1})
    with path.open("a") as file:
        file.write('{"name": "b", "row"')  # what a killed study was writing
    again = Rows(path, "one")
    assert "a" in again and "b" not in again and again.rows == [{"x": 1}]
    again.add("b", {"x": 2})
    assert Rows(path, "one")["b"] == {"x": 2}
    with pytest.raises(InputError, match="must be of this study"):
        Rows(path, "other")
    Rows(path, "other", resume=False).add("c", {"x": 3})
    assert "a" not in Rows(path, "other")
