"""The report of a lesson: it loads nothing, and its tiles are the weights before and after."""

import base64
import io
import re
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from spikeloop.cosim.lessons import run as command
from spikeloop.cosim.lessons.page import MOST, tile, write
from spikeloop.pysim.plastic import numba_engine
from tests.make.lessons.random import SIZES, random_lesson

IMAGE = re.compile(
    r'alt="weights of neuron (\d+) (before|after)" src="data:image/png;base64,(.*?)"'
)


def pixels(code: str) -> np.ndarray:
    """Grey values of a PNG, 0..255."""
    image = matplotlib.image.imread(io.BytesIO(base64.b64decode(code)), format="png")
    return np.rint(image[..., 0] * 255).astype(int)


def test_tiles_are_the_weights(seed: int, tmp_path: Path) -> None:
    lesson = random_lesson(np.random.default_rng([seed, 1]), SIZES["narrow"])
    lesson = lesson.with_(population=lesson.population.changed(fire=1, w_teach=(1 << 24) - 1))
    trace = numba_engine.run(lesson)
    file = lesson.with_(name="<b>").save(tmp_path / "lesson")
    document, rows = command.run(str(file), ("pysim", "numpy"), folder=tmp_path / "out")
    text = Path(rows["report"]).read_text()
    found = {(int(n), when): pixels(code) for n, when, code in IMAGE.findall(text)}
    p, top = lesson.population, max(lesson.weights.max(), trace.state.weights.max())
    assert len(found) == 2 * p.neurons and document["first"] is None
    for when, weights in (("before", lesson.weights), ("after", trace.state.weights)):
        for neuron in range(p.neurons):
            got = found[neuron, when].reshape(-1)
            assert np.abs(got[: p.axons] - weights[:, neuron] * 255 / top).max() <= 1
            assert not got[p.axons :].any()
    assert "&lt;b&gt;, 4 presentations" in text and "<b>, 4" not in text
    assert "0 different" in text and not re.search(r'(src|href)="(?!data:)|url\(|<script', text)


def test_few_of_many_neurons_are_drawn_and_a_difference_is_said(tmp_path: Path) -> None:
    weights, spikes = np.zeros((9, MOST + 5), int), np.arange(MOST + 5)
    text = write(
        tmp_path / "page", "big", {}, weights, weights, spikes, first="tick 3 is wrong"
    ).read_text()
    assert len(IMAGE.findall(text)) == 2 * MOST and f"{MOST} of {MOST + 5} neurons" in text
    assert IMAGE.findall(text)[0][0] == str(MOST + 4)
    assert "<strong>different</strong>" in text and "tick 3 is wrong" in text


@pytest.mark.parametrize(("axons", "shape"), [(1, (1, 1)), (784, (28, 28)), (48, (7, 7))])
def test_tiles_are_near_a_square(axons: int, shape: tuple[int, int]) -> None:
    assert pixels(tile(np.zeros(axons), 1).partition(",")[2]).shape == shape
    assert pixels(tile(np.zeros(48), 1, (4, 12)).partition(",")[2]).shape == (4, 12)
