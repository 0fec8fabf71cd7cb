"""What lessons and layers keep to go on from: damaged, edited or no file, one sentence."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeloop.cosim import checkpoint
from spikeloop.cosim.digits.learner import Course, kept, open_core
from spikeloop.cosim.digits.learner import keep as keep_layer
from spikeloop.cosim.lessons.compare import compare_lesson
from spikeloop.golden.rules.digits.layer import layer
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendrites import file as dendrites
from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.oscillators.hebb import inputs, phase_net
from spikeloop.pysim.oscillators.net import OnnNet
from spikeloop.pysim.traces import npz
from tests.campaigns.fuzz.learning import training
from tests.campaigns.fuzz.mutate import flipped
from tests.make.lessons.random import SIZES, random_lesson

ENGINES = ("pysim", "numpy")
LAYER = layer("alsa", 3)
Change = Callable[[dict[str, Any], npz.Arrays], object]


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    return random_lesson(np.random.default_rng(4), SIZES["small"], presentations=2)


@pytest.fixture(scope="module")
def lesson_file(lesson: Lesson, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("lesson") / "kept.npz"
    assert compare_lesson(lesson, ENGINES, kept=path).equal
    return path.read_bytes()


@pytest.fixture(scope="module", params=[16, None])
def core(request: pytest.FixtureRequest) -> Any:
    return open_core(LAYER, 0, request.param)


@pytest.fixture
def layer_file(core: Any, tmp_path: Path) -> bytes:
    course = Course([1, 2], [5, 6], [[2, 0.0, 1.0, 2.0]])
    counts = np.zeros((2, len(core.weights)), np.int64)
    keep_layer(tmp_path / "layer.npz", "k", core, course, counts=counts)
    return (tmp_path / "layer.npz").read_bytes()


def edited(path: Path, data: bytes, change: Change) -> None:
    """Write the file with other contents, sealed as the archive seals them."""
    path.write_bytes(data)
    with np.load(path) as file:
        arrays = dict(file)
    head = json.loads(arrays.pop("head").tobytes())
    change(head, arrays)
    checkpoint.save(path, head, arrays)


def flips(data: bytes, count: int) -> list[bytes]:
    return [flipped(data, bit) for bit in random.Random(1).sample(range(8 * len(data)), count)]


def test_flipped_bits_of_a_kept_lesson(lesson: Lesson, lesson_file: bytes, tmp_path: Path) -> None:
    path, whole, refused = tmp_path / "kept.npz", compare_lesson(lesson, ENGINES), 0
    for data in flips(lesson_file, 500):
        path.write_bytes(data)
        try:
            found = compare_lesson(lesson, ENGINES, kept=path, resume=True)
        except InputError as error:
            refused += 1
            assert "is damaged: run without --resume" in str(error) and "\n" not in str(error)
            continue
        assert found.crc == whole.crc and np.array_equal(found.state.weights, whole.state.weights)
    assert refused > 250


def test_flipped_bits_of_a_kept_layer(core: Any, layer_file: bytes, tmp_path: Path) -> None:
    path, weights, refused = tmp_path / "layer.npz", core.weights.copy(), 0
    for data in flips(layer_file, 500):
        path.write_bytes(data)
        try:
            assert kept(path, "k", core, 2, "counts")[0].spikes == [5, 6]
        except InputError as error:
            refused += 1
            assert "is damaged: remove it" in str(error) and "\n" not in str(error)
        assert np.array_equal(core.weights, weights)
    assert refused > 250


LESSON_EDITS: dict[str, Change] = {
    "no ticks": lambda head, arrays: head.pop("ticks"),
    "ticks of 33 bits": lambda head, arrays: head.update(ticks=1 << 32),
    "no pairs": lambda head, arrays: head.update(compared={}),
    "counts below 0": lambda head, arrays: head["compared"]["pysim = numpy"].update(s=-1),
    "a list of counts": lambda head, arrays: head.update(different=[]),
    "seconds as text": lambda head, arrays: head.update(seconds={"pysim": "1"}),
    "other weights": lambda head, arrays: arrays.update(weights=arrays["weights"][:1]),
    "high theta": lambda head, arrays: arrays.update(theta=arrays["theta"] + (1 << 24)),
    "no flags": lambda head, arrays: arrays.update(dirty=arrays["dirty"][:0]),
    "too long": lambda head, arrays: arrays.update(crc=np.zeros(99, np.int64)),
    "spikes of less": lambda head, arrays: arrays.update(spikes=arrays["spikes"][:1]),
}


@pytest.mark.parametrize("edit", LESSON_EDITS)
def test_an_edited_lesson(edit: str, lesson: Lesson, lesson_file: bytes, tmp_path: Path) -> None:
    edited(tmp_path / "kept.npz", lesson_file, LESSON_EDITS[edit])
    with pytest.raises(InputError, match=r"kept lesson .* is damaged: run without --resume"):
        compare_lesson(lesson, ENGINES, kept=tmp_path / "kept.npz", resume=True)


LAYER_EDITS: dict[str, Change] = {
    "no attempts": lambda head, arrays: head.pop("attempts"),
    "attempts as text": lambda head, arrays: head.update(attempts="ab"),
    "attempts below 0": lambda head, arrays: head.update(attempts=[1, -1]),
    "spikes of less": lambda head, arrays: head.update(spikes=[5]),
    "thresholds of less": lambda head, arrays: head.update(theta=[[1]]),
    "too many images": lambda head, arrays: (
        head.update(attempts=[1] * 3, spikes=[1] * 3),
        arrays.update(counts=np.zeros((3, len(arrays["weights"])), np.int64)),
    ),
    "counts of less": lambda head, arrays: arrays.update(counts=arrays["counts"][:, :1]),
    "weights of less": lambda head, arrays: arrays.update(weights=arrays["weights"][:, :1]),
    "wrong weights": lambda head, arrays: arrays.update(
        weights=arrays["weights"] * np.float64("nan")
        if arrays["weights"].dtype == np.float64
        else arrays["weights"].astype(np.int64)
    ),
}


@pytest.mark.parametrize("edit", LAYER_EDITS)
def test_an_edited_layer(edit: str, core: Any, layer_file: bytes, tmp_path: Path) -> None:
    edited(tmp_path / "layer.npz", layer_file, LAYER_EDITS[edit])
    with pytest.raises(InputError, match=r"kept layer .* is damaged: remove it"):
        kept(tmp_path / "layer.npz", "k", core, 2, "counts")


@pytest.mark.parametrize(
    "facts",
    [{"passes": -1}, {"passes": "1"}, {"compared": [1]}, {"counters": {"steps": -1}}],
    ids=str,
)
def test_an_edited_training(facts: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    training().train(kept=path)
    net, stimuli, state = dendrites.load(path)
    dendrites.save(path, net.named(**facts), stimuli, state)
    with pytest.raises(InputError, match=r"kept training .* is damaged: run without --resume"):
        training().train(kept=path, resume=True)


def test_metadata_is_an_object() -> None:
    for make in (
        lambda: DendriticNet.make({"inputs": 8, "neurons": 3}, metadata=[1]),
        lambda: OnnNet.make("phase", np.zeros((2, 2)), {}, {}, [1]),
    ):
        with pytest.raises(InputError, match=r"metadata of a .* must be an object"):
            make()
    net = phase_net(np.array([[1, 1, -1], [1, -1, 1]]))
    net.metadata["steps"] = "1"
    with pytest.raises(InputError, match="steps of a free period in the net's metadata must be in"):
        inputs(net, np.ones(3))


def test_a_pipe_is_not_waited_for(core: Any, lesson: Lesson, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"kept layer .* must be a regular file"):
        kept(tmp_path / "pipe", "k", core, 2)
    with pytest.raises(InputError, match=r"kept lesson .* must be a regular file"):
        compare_lesson(lesson, ENGINES, kept=tmp_path / "pipe", resume=True)
