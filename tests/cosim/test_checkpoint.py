"""cosim/checkpoint.py: what was kept comes back, and all else is one sentence."""

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim import checkpoint
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.traces import npz
from tests.campaigns.fuzz.mutate import flipped

MEMBERS: npz.Members = {"weights": np.uint16, "dirty": np.bool_}
FILE = ("kept lesson", "run without --resume")
DAMAGED = r"kept lesson '[^\n]+' is damaged: run without --resume"
HEAD = {"key": "k", "counts": {"s": 3}}


def arrays() -> npz.Arrays:
    weights = np.random.default_rng(0).integers(0, 1 << 16, (5, 3)).astype(np.uint16)
    return {"weights": weights, "dirty": np.array([True, False, True])}


def test_every_flipped_bit_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    path, refused = checkpoint.save(tmp_path / "kept.npz", HEAD, arrays()), 0
    data = path.read_bytes()
    for bit in range(8 * len(data)):
        path.write_bytes(flipped(data, bit))
        try:
            head, found = checkpoint.load(path, *FILE, MEMBERS)
        except InputError as error:
            refused += 1
            assert "is damaged: run without --resume" in str(error) and "\n" not in str(error)
            continue
        assert head == HEAD
        for name, array in arrays().items():
            assert np.array_equal(found[name], array) and found[name].dtype == array.dtype
    assert refused > 8 * len(data) / 2


def test_other_contents_are_refused(tmp_path: Path) -> None:
    path, good = tmp_path / "kept.npz", arrays()
    whole = {"head": np.frombuffer(json.dumps(HEAD).encode(), np.uint8), **good}
    huge = io.BytesIO()
    with zipfile.ZipFile(huge, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("head.npy", bytes(2 << 20))
    hidden = bytearray(huge.getvalue())
    at = hidden.rindex(b"PK\x01\x02") + 24  # the size that the directory states
    hidden[at : at + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    wrong = [
        {**whole, "head": np.frombuffer(text, np.uint8)}
        for text in (b"", b"[]", b"3", b'{"key"', b"[" * 100_000, b"\xff")
    ]
    wrong += [good, {"head": whole["head"]}, {**whole, "more": good["dirty"]}]
    wrong += [{**whole, "weights": good["weights"].astype(np.int64)}]
    for data in (b"", b"PK", b"PK\x03\x04" + bytes(40), bytes(hidden), *map(npz.encode, wrong)):
        path.write_bytes(data)
        with pytest.raises(InputError, match=DAMAGED):
            checkpoint.load(path, *FILE, MEMBERS)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"kept lesson .* must be a regular file"):
        checkpoint.load(tmp_path / "pipe", *FILE, MEMBERS)
    with pytest.raises(InputError, match=r"kept lesson .* is missing: run without --resume"):
        checkpoint.load(tmp_path / "none", *FILE, MEMBERS)


@pytest.mark.parametrize("counts", [None, [1], {"s": -1}, {"s": 1.0}, {"s": True}, {"s": "1"}])
def test_counts_are_whole_numbers(counts: object) -> None:
    assert checkpoint.check_counts({"s": 0}) == {"s": 0}
    with pytest.raises(ValueError, match="counts must be numbers of at least 0"):
        checkpoint.check_counts(counts)
