"""The studies of lessons: accuracy in all widths, and the rate of each engine."""

import sys
from pathlib import Path

import pytest

from spikeloop.cosim.lessons import accuracy
from spikeloop.cosim.lessons.accuracy import MODES, READOUTS
from spikeloop.cosim.studies.speed import learning, rate
from spikeloop.cosim.studies.speed.learning import told
from spikeloop.cosim.studies.speed.rate import measure, measured_lesson
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.lessons.trace import LessonTrace
from spikeloop.pysim.plastic import numba_engine


@pytest.mark.slow
def test_all_widths_are_measured_on_the_same_trials() -> None:
    said: list[str] = []
    rows = accuracy.measure(range(2, 3), passes=1, tell=said.append)
    assert len(rows) == 1 + len(MODES) and len(said) == 1
    for name, columns in rows.items():
        assert set(columns) >= set(READOUTS[:3]), name
        assert 0.85 < columns[READOUTS[0]][0] <= 1
    far = [rows[name]["max |dw|"][0] for name in rows if name != "float"]
    assert far[0] < 0.002 and far == sorted(far)
    assert abs(rows["float"][READOUTS[0]][0] - rows["16 bits stochastic"][READOUTS[0]][0]) < 0.02


def test_the_measured_lesson_has_the_spikes_it_says() -> None:
    lesson = measured_lesson(2)
    trace = numba_engine.run(lesson)
    assert len(trace.arrivals) / 700 == pytest.approx(5, rel=0.1)
    assert trace.s.sum() >= lesson.of(0)[1].sum() + lesson.of(1)[1].sum()
    assert len(trace.updates) == 784 * trace.s.sum()


@pytest.mark.slow
def test_all_engines_of_the_rate_end_alike() -> None:
    said: list[str] = []
    rows = measure(1, rounds=2, tell=said.append)
    assert [row["way"] for row in rows] == ["RTL", "pysim (numba)", "pysim (numpy)", "golden"]
    assert len(said) == 4 and all(len(row["seconds"]) == 2 for row in rows)


def test_an_engine_with_other_weights_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(lesson: Lesson, first: int, last: int, **_: object) -> LessonTrace:
        return numba_engine.run(lesson.with_(weights=lesson.weights ^ 1), first, last)

    class Model:
        run = staticmethod(wrong)

    monkeypatch.setattr(rate, "PlasticModel", lambda _: Model)
    with pytest.raises(RuntimeError, match="weights of RTL differ from pysim's"):
        measure(1)


def test_brian_is_skipped_refused_or_held_to_the_lesson(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "measure", lambda **_: [])
    rows = told(learning.learning(None))
    assert rows["learning, Brian2 (numpy)"].startswith("skipped: no Python with Brian2")
    with pytest.raises(InputError, match=r"must be a program, not .*nothing"):
        learning.learning(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"Brian2 does not run in .*: ModuleNotFoundError"):
        learning.learning(Path(sys.executable))
    other = tmp_path / "python"  # gives back what it got
    other.write_text(OTHER.format(sys.executable))
    other.chmod(0o755)
    with pytest.raises(InputError, match="weights of Brian2 must be pysim's but for rounding"):
        learning.learning(other)


OTHER = """#!{}
import sys
import numpy as np
given = np.load(sys.argv[2])
np.savez(sys.argv[3], weights=given["weights"], counts=np.zeros(100), seconds=[1.0], version="0")
"""
