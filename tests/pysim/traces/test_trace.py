"""pysim/traces: stimulus and trace, their checks and their files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.traces import npz
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.make.small import network

BYTES = {"spikes/x": np.zeros((1, 1, 1), np.uint8)}


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
        (lambda: Stimulus({}, count=1).check(network()), "must hold exactly the inputs x"),
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


def test_a_stimulus_without_inputs_knows_its_samples(tmp_path: Path) -> None:
    stimulus = Stimulus.pack({}, count=7)
    assert stimulus.samples == 7
    assert stimulus.take(slice(2, 5)).samples == 3
    assert stimulus.take(np.array([4, 1, 1, 5])).samples == 4
    again = Stimulus.load(stimulus.save(tmp_path / "s.npz"))
    assert (again.samples, again.spikes, again.labels) == (7, {}, None)
    with pytest.raises(InputError, match="count of a stimulus without inputs is missing"):
        _ = Stimulus({}).samples
    with pytest.raises(InputError, match="count of the stimulus must be that of its arrays, 5"):
        Stimulus(example().spikes, count=4).check(network())
    for wrong in ({"samples": np.int64(-1)}, {"samples": np.int64(5), **BYTES}):
        npz.save(tmp_path / "s.npz", wrong)
        with pytest.raises(InputError, match=r"samples of stimulus file .* must be one number"):
            Stimulus.load(tmp_path / "s.npz")


def test_labels_are_whole_numbers(tmp_path: Path) -> None:
    stimulus = Stimulus(example().spikes, np.full(5, 1.7))
    for use in (lambda: stimulus.check(network()), lambda: stimulus.save(tmp_path / "s.npz")):
        with pytest.raises(InputError, match="labels of the stimulus must be integers, not float"):
            use()
    below = Stimulus(example().spikes, np.array([0, 1, -3, 0, -1]))
    file = npz.save(tmp_path / "below.npz", {**BYTES, "labels": below.labels})
    for use in (lambda: below.check(network()), lambda: Stimulus.load(file)):
        with pytest.raises(InputError, match="labels of the stimulus must be at least 0, not -3"):
            use()
    small = Stimulus(example().spikes, np.arange(5, dtype=np.uint8))
    assert Stimulus.load(small.save(tmp_path / "s.npz")).labels.dtype == np.int64
