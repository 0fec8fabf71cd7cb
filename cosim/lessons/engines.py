"""Who can run a lesson: golden, the two engines of pysim, and the Verilated plastic core.

An engine gives the trace of some presentations, from the state that the ones before left.
"""

from collections.abc import Sequence

from spikeloop.cosim.macros.engines import Engine, known_engines
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.lessons.lesson import Lesson, LessonState
from spikeloop.pysim.lessons.trace import LessonTrace
from spikeloop.pysim.plastic.cycles import with_cycles
from spikeloop.pysim.plastic.params import PlasticParams

__all__ = ["check_engines", "open_engine"]

LANES = 4
MANY_TICKS = 20_000  # from here on a slow compilation pays


def check_engines(names: Sequence[str]) -> list[str]:
    """The names without repetition; InputError for an unknown one, and for less than two."""
    known = known_engines(names, "engine")
    if len(known) < 2:
        raise InputError(f"engines to compare must be at least 2, not {len(known)}")
    return known


def open_engine(name: str, lesson: Lesson, lanes: int = LANES) -> Engine:
    """The engine ``name`` for a lesson; its arguments are ``run(first, last, state)``.

    lanes: of the plastic core, whose cycles pysim predicts and the RTL counts.
    """
    if name == "verilator":
        return _Verilated(lesson, lanes)
    if name == "golden":
        from spikeloop.golden.reference import plastic as golden

        return Engine(name, lambda *part: golden.run(lesson, *part))
    from spikeloop.pysim.plastic import numba_engine, numpy_engine

    compiled = name == "pysim" and numba_engine.AVAILABLE
    model = numba_engine.run if compiled else numpy_engine.run
    params = PlasticParams.of(lesson.population, lanes)

    def run(first: int, last: int, state: LessonState) -> LessonTrace:
        return with_cycles(params, lesson, model(lesson, first, last, state), state)

    return Engine(name, run)


class _Verilated(Engine):
    """The RTL. It goes on with what it holds, unless it is asked for other presentations."""

    def __init__(self, lesson: Lesson, lanes: int) -> None:
        from spikeloop.cosim.macros.plastic import PlasticModel

        params, long = PlasticParams.of(lesson.population, lanes), len(lesson.spikes) > MANY_TICKS
        self._model = PlasticModel(params, optimise=long)
        self._lesson, self._next = lesson, -1
        super().__init__("verilator", self._run, self._model.close)

    def _run(self, first: int, last: int, state: LessonState) -> LessonTrace:
        fresh = first != self._next
        trace = self._model.run(self._lesson, first, last, state, fresh=fresh)
        self._next = last
        return trace
