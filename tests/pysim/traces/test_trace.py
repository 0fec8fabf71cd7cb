"""pysim/traces/trace.py: packing, checks, and files without pickles."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.traces.trace import Stimulus, Trace, pack, unpack
from tests.make.small import network


@given(st.integers(1, 40), st.integers(0, 2**32))
def test_packing(size: int, seed: int) -> None:
    spikes = np.random.default_rng(seed).integers(0, 2, (2, 3, size), dtype=np.uint8)
    packed = pack(spikes)
    assert packed.shape == (2, 3, -(-size // 8))
    np.testing.assert_array_equal(unpack(packed, size), spikes)
    assert all(packed[1, 2, i // 8] >> i % 8 & 1 == spikes[1, 2, i] for i in range(size))


def example(labels: bool = True) -> Stimulus:
    spikes = np.random.default_rng(0).integers(0, 2, (5, 4, 3), dtype=np.uint8)
    return Stimulus.pack({"x": spikes}, np.arange(5) if labels else None)


@pytest.mark.parametrize("labels", [True, False])
def test_stimulus_file(tmp_path: Path, labels: bool) -> None:
    stimulus = example(labels)
    again = Stimulus.load(stimulus.save(tmp_path / "s.npz"))
    again.check(network())
    np.testing.assert_array_equal(again.spikes["x"], stimulus.spikes["x"])
    assert (again.labels is None) == (not labels)
    assert again.take(slice(1, 3)).samples == 2


def test_trace_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    trace = Trace(
        {"a": rng.integers(0, 255, (2, 3, 1), np.uint8)},
        {"a": rng.integers(-9, 9, (2, 3, 5), np.int32)},
        {"cycles": rng.integers(0, 99, (2, 3))},
    )
    again = Trace.load(trace.save(tmp_path / "t.npz"))
    for part in ("spikes", "membranes", "counters"):
        for name, value in getattr(trace, part).items():
            np.testing.assert_array_equal(getattr(again, part)[name], value)
            assert getattr(again, part)[name].dtype == value.dtype
    twice = Trace.concatenate([trace, again])
    assert twice.membranes["a"].shape == (4, 3, 5)


@pytest.mark.parametrize("value", [2, -1, 0.5, float("nan")])
def test_not_binary(value: float) -> None:
    with pytest.raises(InputError, match="stimulus of input 'x' must be binary, not"):
        Stimulus.pack({"x": np.array([[[0, 1, value]]])})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Stimulus.pack({"x": np.zeros((4, 3))}),
            r"must be \[sample, step, line\], not of shape \(4, 3\)",
        ),
        (lambda: Stimulus({}).check(network()), "must hold exactly the inputs x"),
        (
            lambda: Stimulus({**example().spikes, "z": example().spikes["x"]}).check(network()),
            "must hold exactly the inputs x, not x, z",
        ),
        (
            lambda: Stimulus({"x": np.zeros((2, 3, 1), np.uint8)}).check(network()),
            r"must be of shape \(2, 4, 1\)",
        ),
        (
            lambda: Stimulus({"x": np.zeros((2, 4, 2), np.uint8)}).check(network()),
            r"must be of shape \(2, 4, 1\)",
        ),
        (
            lambda: Stimulus({"x": np.full((2, 4, 1), 255, np.uint8)}).check(network()),
            "padding bits of input 'x' must be 0",
        ),
        (
            lambda: Stimulus(example().spikes, np.arange(4)).check(network()),
            r"labels of the stimulus must be of shape \(5,\), not \(4,\)",
        ),
    ],
)
def test_wrong_shapes(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_hostile_files(tmp_path: Path) -> None:
    good = example().save(tmp_path / "good.npz").read_bytes()
    path = tmp_path / "bad.npz"
    for data in (
        b"",
        b"hello",
        pickle.dumps({"spikes/x": 1}),
        good[: len(good) // 2],
        good[:-1],
        b"\x89HDF\r\n\x1a\n" + bytes(99),
    ):
        path.write_bytes(data)
        for kind in (Stimulus, Trace):
            with pytest.raises(
                InputError, match=r"must be an \.npz archive without pickles, not this one"
            ):
                kind.load(path)
    np.savez(path, **{"spikes/x": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(InputError, match="without pickles"):
        Stimulus.load(path)
    np.savez(path, other=np.zeros(1))
    with pytest.raises(InputError, match=r"must hold arrays spikes/<input> .*, not other"):
        Stimulus.load(path)
    with pytest.raises(
        InputError, match="must hold spikes/, membranes/, counters/ and currents/, not 'other'"
    ):
        Trace.load(path)
    np.savez(path, **{"counters/luck": np.zeros(1)})
    with pytest.raises(InputError, match="not 'counters/luck'"):
        Trace.load(path)
    with pytest.raises(InputError, match="stimulus file must be readable, not"):
        Stimulus.load(tmp_path / "none.npz")
