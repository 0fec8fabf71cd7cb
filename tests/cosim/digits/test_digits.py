"""MNIST on the plastic core: training goes on where it was, lessons are what was learnt."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeloop.cosim.digits import learn, lesson, study
from spikeloop.cosim.digits.learner import IntegerCore, open_core, train
from spikeloop.cosim.digits.study import Plan, learnt, score
from spikeloop.cosim.digits.teaching import taught
from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.rules.digits.layer import PIXELS, layer
from spikeloop.golden.rules.digits.output import first_weights
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.plastic import numba_engine

LAYER = replace(layer("alsa", 10), ticks=120)


@pytest.fixture(scope="module")
def bars() -> Dataset:
    """Two classes: a bright bar above or below, 60 images to train and 20 to test."""
    rng = np.random.default_rng(0)

    def drawn(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count) % 2
        images = rng.integers(0, 40, (count, PIXELS)).astype(np.uint8)
        images[labels == 0, 140:250] = 250
        images[labels == 1, 500:610] = 250
        return images, labels

    (train_images, train_labels), (test_images, test_labels) = drawn(60), drawn(20)
    return Dataset(
        source="bars",
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
    )


PLAN = Plan(train=60, label=60, test=20)


@pytest.mark.parametrize("bits", [16, None])
def test_a_killed_training_goes_on_as_if_nothing_had_been(
    bars: Dataset, bits: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "STEP", 20)
    plan, file = replace(PLAN, bits=bits), tmp_path / "layer.npz"
    want, whole = learnt(LAYER, plan, bars)

    class Killed(Exception):
        pass

    def kill(core: Any, course: Any) -> None:
        if course.images == 40:
            raise Killed

    with pytest.raises(Killed):
        learnt(LAYER, plan, bars, file=file, at=kill)
    done: list[int] = []
    got, course = learnt(LAYER, plan, bars, file=file, progress=done.append)
    assert done == [20] + [1] * 40
    assert np.array_equal(got.weights, want.weights) and np.array_equal(got.theta, want.theta)
    assert vars(course) == vars(whole) and course.images == 60
    with pytest.raises(InputError, match="must be of the same layer, seed, images and sources"):
        learnt(LAYER, replace(plan, seed=1), bars, file=file)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match="is damaged: remove it"):
        learnt(LAYER, plan, bars, file=file)


def test_bars_are_told_apart_by_both_read_outs(bars: Dataset, tmp_path: Path) -> None:
    core, _ = learnt(LAYER, PLAN, bars)
    found, labels = score(core, LAYER, PLAN, bars)
    assert found.testing > 0.9 and set(labels) <= {-1, 0, 1} and found.silent == 0
    both = taught(core, LAYER, PLAN, bars, file=tmp_path / "output.npz")
    assert both.vote == found.testing
    again = taught(core, LAYER, PLAN, bars, file=tmp_path / "output.npz")
    assert np.array_equal(again.weights, both.weights) and np.array_equal(again.labels, labels)
    # features of a bar lead to its output more than to the other, and no teacher spoke for digit 5
    moved = both.weights - first_weights(10, 0)
    for bar in (0, 1):
        assert (moved[labels == bar, bar] > moved[labels == bar, 1 - bar]).all()
    assert moved[:, :2].max() > 0.01 and np.abs(moved[:, 5]).max() < 1e-4


def test_an_image_without_an_answer_comes_again(bars: Dataset) -> None:
    """Dim images: rates are lifted until the layer answers; the attempts are kept."""
    dim = bars.train_images[:6] // 12
    core = open_core(LAYER, 0)
    course = train(core, LAYER, dim, 0)
    assert max(course.attempts) == LAYER.attempts and len(course.spikes) == 6
    assert core.ticks == LAYER.ticks * sum(course.attempts)


def test_a_lesson_is_what_the_learner_learns(bars: Dataset) -> None:
    """The packed lesson, run by itself, ends in the same weights and thresholds."""
    core, _ = learnt(LAYER, replace(PLAN, train=30), bars)
    assert isinstance(core, IntegerCore) and core.ticks >= 30 * LAYER.ticks
    one = lesson.learning_lesson(LAYER, core, bars, 30, 10, 0)
    trace = numba_engine.run(one, record=False)
    assert np.array_equal(trace.state.weights, core.weights) and one.population["first_tick"] > 0
    assert np.array_equal(trace.state.theta, core.theta) and trace.state.ticks == core.ticks
    test = lesson.testing_lesson(LAYER, core, bars, 20, 0)
    frozen = numba_engine.run(test, record=False)
    assert len(set(frozen.crc.tolist())) == 1 and frozen.s.sum() > 20
    assert np.array_equal(frozen.state.theta, core.theta)


def given(monkeypatch: pytest.MonkeyPatch, module: Any, bars: Dataset) -> None:
    """The command reads the bars, and its layer has short presentations."""
    monkeypatch.setattr(module, "load_mnist", lambda data: bars)
    monkeypatch.setattr(module, "layer", lambda rule, n: replace(layer(rule, n), ticks=120))


def test_all_engines_learn_mnist_alike(
    bars: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch, lesson, bars)
    arguments: dict[str, Any] = {
        "rule": "log",
        "neurons": 10,
        "before": 20,
        "images": 2,
        "tests": 3,
        "seed": 0,
        "bits": 16,
        "data": None,
        "folder": tmp_path,
    }
    done: list[int] = []
    engines = ["golden", "pysim", "numpy"]
    document, rows = lesson.run(engines, **arguments, progress=done.append)
    assert document["first"] is None and sum(done) >= 25
    for part in ("learning", "testing"):
        for pair in ("golden = pysim", "golden = numpy"):
            compared = document[part]["compared"][pair]
            assert compared["s"] == 1200 * document[part]["presentations"] and compared["crc"] >= 2
            assert sum(document[part]["different"][pair].values()) == 0
    assert document["learning"]["compared"]["golden = pysim"]["updates"] > 1000
    assert document["testing"]["compared"]["golden = pysim"]["updates"] == 0
    assert rows["right by vote"] and Lesson.load(tmp_path / "test.safetensors").presentations == 3
    again, _ = lesson.run(engines, **arguments, resume=True)
    assert again["testing"]["last_crc"] == document["testing"]["last_crc"]


def test_learn_scores_and_draws(
    bars: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch, learn, bars)
    monkeypatch.setattr(learn, "CURVE", Plan(train=1, label=20, test=10, held=True))
    document, rows = learn.run(
        "alsa", neurons=10, train=50, label=50, test=20, folder=tmp_path, seed=2
    )
    assert document["vote"] > 0.8 and [row[0] for row in document["curve"]] == [0, 50]
    assert rows["tested"].startswith("20 test images")
    picture = (tmp_path / "learn.svg").read_text()
    for text in ("weights of 10 of 10 neurons", "right answers by vote", "adaptive thresholds"):
        assert text in picture
    with pytest.raises(InputError, match=r"must be in 1\.\.60, not 61"):
        learn.run("alsa", neurons=10, train=61, label=1, test=1, folder=tmp_path / "none")
    assert not (tmp_path / "none").exists()
