"""Bad lessons at the command line: one sentence, exit status 2, nothing written."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeloop.pysim.common import tensors as files
from spikeloop.pysim.lessons.file import encode
from spikeloop.pysim.lessons.lesson import Lesson
from tests.cosim.cli.test_app import refused
from tests.make.lessons.random import SIZES, random_lesson

Tensors = dict[str, np.ndarray]


@pytest.fixture
def lesson() -> Lesson:
    made = random_lesson(np.random.default_rng(1), SIZES["small"])
    return made.with_(population=made.population.changed(w_teach=5, w_max=60000))


def setting(**values: int) -> Callable[[dict, Tensors], None]:
    return lambda header, _: header["settings"].update(values)


def entry(name: str, place: tuple, value: int) -> Callable[[dict, Tensors], None]:
    def change(_: dict, tensors: Tensors) -> None:
        tensors[name][place] = value

    return change


def reals(_: dict, tensors: Tensors) -> None:
    tensors["weights"] = tensors["weights"] / 65536


def long(_: dict, tensors: Tensors) -> None:
    tensors["ticks"] = np.array([65536])
    for name in ("spikes", "teacher"):
        tensors[name] = np.zeros((65536, tensors[name].shape[1]), np.uint8)
    for name in ("learn", "adapt", "normalise", "labels"):
        tensors[name] = tensors[name][:1]


def no_teacher(_: dict, tensors: Tensors) -> None:
    tensors["teacher"] = tensors["teacher"][:, :0]


def unheard(header: dict, tensors: Tensors) -> None:
    header["settings"]["w_teach"] = 0
    tensors["teacher"][0, 0] = 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (entry("weights", (0, 0), 65535), "weights of a lesson must be in 8385..60000, not 65535"),
        (reals, "tensor 'weights' of lesson file .* must be uint16, not float64"),
        (entry("post", (3,), (65535, 5)), "values of table post must be in 0..65535, not 65540"),
        (entry("pre", (3,), (65535, -40000)), "slopes of table pre must be in -32768..32767"),
        (entry("near", (0,), 65536), "values of table near must be in 0..65535, not 65536"),
        (setting(shift_post=7), "setting shift_post of .* must be in 8..32, not 7"),
        (setting(shift_pre=33), "setting shift_pre of .* must be in 8..32, not 33"),
        (long, "ticks of a presentation must be in 1..65535, not 65536"),
        (entry("ticks", (0,), 0), "ticks of a presentation must be in 1..65535, not 0"),
        (unheard, "setting w_teach of a lesson with teacher spikes must be above 0, not 0"),
        (entry("teacher", (0, 0), 0x80), r"teacher of .* must be on lines 0..4, not on others"),
        (entry("spikes", (0, 1), 0x82), r"spikes of .* must be on lines 0..8, not .*\(2 spikes"),
        (no_teacher, r"teacher of lesson file .* must be packed lines, not \(66, 0\)"),
    ],
)
def test_a_bad_lesson_is_refused(
    change: Callable[[dict[str, Any], Tensors], None],
    message: str,
    lesson: Lesson,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    header, tensors = files.decode(encode(lesson), "spikeloop", "lesson")
    tensors = {name: np.array(tensor) for name, tensor in tensors.items()}
    change(header, tensors)
    bad = tmp_path / "bad"
    bad.write_bytes(files.encode(header, tensors, "spikeloop", "lesson"))
    command = ("lesson", bad, "--engine", "numpy,pysim", "-o", tmp_path / "out")
    assert re.match(message, refused(capfd, tmp_path, *command))


@pytest.mark.parametrize("command", ["map", "fit"])
def test_no_chip_without_a_plastic_core_takes_a_lesson(
    command: str, lesson: Lesson, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    good = lesson.save(tmp_path / "good")
    sentence = refused(capfd, tmp_path, command, good)
    assert re.match("network file .* must be a network, not a lesson", sentence)
