"""The studies of lessons: accuracy in all widths, and the rate of each engine."""

import pytest

from spikeloop.cosim.lessons.accuracy import MODES, READOUTS, measure
from spikeloop.cosim.lessons.rate import main, measured_lesson
from spikeloop.pysim.plastic import numba_engine


@pytest.mark.slow
def test_all_widths_are_measured_on_the_same_trials() -> None:
    said: list[str] = []
    rows = measure(range(2, 3), passes=1, tell=said.append)
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
def test_all_engines_of_the_rate_end_alike(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(1) == 0
    assert capsys.readouterr().out.count("ticks/s") == 4
