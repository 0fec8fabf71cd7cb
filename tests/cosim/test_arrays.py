"""Patterns and sounds that users give as ``.npy``: damaged, hostile or no file, one sentence."""

import io
import os
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.dendrites.run import _sounds
from spikeloop.cosim.oscillators.run import _patterns
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendrites.sounds import MAX_DB
from tests.campaigns.fuzz.mutate import flipped
from tests.cosim.cli.test_app import refused

PATTERNS = np.array([[1, -1, 1], [-1, -1, 1]], np.int8)
SOUNDS = np.linspace(-60, 0, 2 * 2 * 2 * 8).reshape(2, 2, 2, 8)
GIVEN = {"onn": (PATTERNS, "file of patterns"), "dendritic": (SOUNDS, "file of sounds")}
READ = {"onn": _patterns, "dendritic": _sounds}


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header(text: str, body: bytes = b"") -> bytes:
    line = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line + body


def zipped() -> bytes:
    file = io.BytesIO()
    np.savez(file, PATTERNS)
    return file.getvalue()


HOSTILE = {
    "empty": b"",
    "PK": b"PK\x03\x04 and no archive",
    "an archive": zipped(),
    "a pickle": b"\x80\x04K\x01.",
    "of 1 TiB": header("{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776,), }"),
    "objects": header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", bytes(8)),
    "nested": header("(" * 900 + ")" * 900),
    "no bytes each": header("{'descr': '|S0', 'fortran_order': False, 'shape': (9999999999,), }"),
    "another version": b"\x93NUMPY\x07\x00" + bytes(60),
    "cut": npy(PATTERNS)[:-1],
    "more behind": npy(PATTERNS) + b"\0",
}


@pytest.mark.parametrize("command", GIVEN)
@pytest.mark.parametrize("kind", [*HOSTILE, "a pipe"])
def test_what_is_no_array_is_one_sentence(
    command: str, kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "given.npy"
    if kind == "a pipe":
        os.mkfifo(file)
    else:
        file.write_bytes(HOSTILE[kind])
    text = refused(capfd, tmp_path, command, file, "-o", tmp_path / "run")
    wrong = "be a regular" if kind == "a pipe" else "hold one whole array that numpy saved, not"
    assert text.startswith(GIVEN[command][1]) and f"must {wrong}" in text


@pytest.mark.parametrize("command", GIVEN)
def test_flipped_bits_are_refused_or_read(command: str, tmp_path: Path) -> None:
    """Every bit of a file that has no digest: refused in one sentence, or plain numbers."""
    file, (array, _) = tmp_path / "given.npy", GIVEN[command]
    data, refusals = npy(array), 0
    file.write_bytes(data)
    READ[command](str(file))
    for bit in range(8 * len(data)):
        file.write_bytes(flipped(data, bit))
        try:
            READ[command](str(file))
        except InputError as error:
            refusals += 1
            assert "\n" not in str(error)
    assert 8 * len(data) / 4 < refusals < 8 * len(data)


@pytest.mark.parametrize("value", [1e308, -2.0 * MAX_DB, 1j])
def test_sounds_are_decibels(value: complex, tmp_path: Path) -> None:
    wrong = SOUNDS + 0j if isinstance(value, complex) else SOUNDS.copy()
    wrong[0, 0, 0, 0] = value
    (tmp_path / "given.npy").write_bytes(npy(wrong))
    with pytest.raises(InputError, match=r"sounds must be (numbers|within 1,000,000 dB of 0)"):
        _sounds(str(tmp_path / "given.npy"))
