"""Events and spike times of every number type: what is binned, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeloop.cosim.stimuli.events import bin_events, read_spike_times
from spikeloop.pysim.common.errors import InputError

STEPS = 5
SHAPE = (2, 2, 3)
FIELDS = {"t": "f8", "x": "i2", "y": "i2", "p": "i1"}


def events(rows: list[tuple[Any, ...]], **kinds: str) -> np.ndarray:
    return np.array(rows, dtype=list((FIELDS | kinds).items()))


@pytest.mark.parametrize("late", [1e18, 1e19, 1e30, 1.7e308])
def test_an_event_far_behind_the_last_step_is_late(late: float) -> None:
    """A step number beyond int64 must not wrap around to the first steps."""
    rows = [(-late, 0, 0, 0), (-late, 1, 1, 1), (late, 2, 0, 0)]
    spikes, merged, behind = bin_events(events(rows), 1e-3, STEPS, SHAPE)
    want = np.zeros((STEPS, *SHAPE), np.uint8)
    want[0, 0, 0, 0] = want[0, 1, 1, 1] = 1
    assert np.array_equal(spikes, want.reshape(STEPS, -1)) and (merged, behind) == (0, 1)


def test_a_spike_far_behind_the_last_step_is_late(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="package h5py is not installed: pip install h5py")
    with h5py.File(tmp_path / "shd.h5", "w") as file:
        file["spikes/times"], file["spikes/units"] = [[0.0, 1e300]], [[3, 4]]
        file["labels"] = [0.5]
    got = read_spike_times(tmp_path / "shd.h5", 1e-3, STEPS, 12, None)
    assert got.spikes.sum() == got.spikes[0, 0, 3] == 1 and (got.merged, got.late) == (0, 1)
    assert got.labels is not None and got.labels.tolist() == [0.5]  # refused by who uses them


@pytest.mark.parametrize("what", ["group", "type", "long"])
def test_spike_times_that_are_none_are_one_sentence(what: str, tmp_path: Path) -> None:
    """Something else in place of a data set; a sample that says it has 2^29 spikes."""
    h5py = pytest.importorskip("h5py", reason="package h5py is not installed: pip install h5py")
    path, count = tmp_path / "shd.h5", 4321
    with h5py.File(path, "w") as file:
        for name, kind in (("spikes/times", "f4"), ("spikes/units", "u2")):
            if what == "group":
                file.create_group(name)
            elif what == "type":
                file[name] = np.dtype(kind)
            else:
                file.create_dataset(name, (1,), dtype=h5py.vlen_dtype(kind))
                file[name][0] = np.zeros(count, kind)
    data, length = path.read_bytes(), count.to_bytes(4, "little")
    assert (length in data) == (what == "long")
    path.write_bytes(data.replace(length, (1 << 29).to_bytes(4, "little"), 1))
    with pytest.raises(InputError, match="is damaged") as error:
        read_spike_times(path, 1e-3, STEPS, 12, None)
    assert ("HDF5 cannot read it" in str(error.value)) == (what == "long")


@pytest.mark.parametrize("kinds", [{}, {"t": "u8", "x": "f4", "p": "?"}, {"y": "u8", "p": "f8"}])
def test_any_type_of_number(kinds: dict[str, str]) -> None:
    spikes, *_ = bin_events(events([(7, 2, 1, 1), (9, 0, 0, 0)], **kinds), 1, STEPS, SHAPE)
    assert np.flatnonzero(spikes).tolist() == [11, 2 * 12]


NAN = float("nan")
BAD: dict[str, tuple[Any, str]] = {
    "text": (events([(0, 0, 0, 0)], x="U3"), "x of the events must be one number an event, not <U"),
    "several": (
        events([(0, 0, 0, (0, 0))], p="2i1"),
        r"p of the events must be one number an event, not int8 of shape \(1, 2\)",
    ),
    "fraction": (np.array([[0, 0, 0.5, 0]]), "y of the events must be whole numbers, not 0.5"),
    "NaN": (np.array([[0, NAN, 0, 0]]), "x of the events must be finite, not NaN or infinite"),
    "infinite": (
        events([(np.inf, 0, 0, 0)]),
        "t of the events must be finite, not NaN or infinite",
    ),
    "large": (np.array([[0, 0, 0, 2.0**64]]), r"p of the events must be in 0..1, not 1\.8"),
    "negative": (np.array([[0, -1, 0, 0]]), r"x of the events must be in 0..2, not -1..-1"),
    "fields": (np.zeros(2, [("t", "f8"), ("x", "i2")]), "must have the fields t, x, y, p, not"),
    "one": (events([(0, 0, 0, 0)])[0:1].reshape(()), "one number an event"),
    "columns": (np.zeros((3, 5)), r"four columns of numbers, not the shape \(3, 5\)"),
    "texts": (np.full((3, 4), "a"), r"four columns of numbers, not the shape \(3, 4\) of <U1"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_events_are_one_sentence(name: str) -> None:
    data, words = BAD[name]
    with pytest.raises(InputError, match=words):
        bin_events(data, 1.0, STEPS, SHAPE)
