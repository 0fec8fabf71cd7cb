"""Two traces compared: all differences counted, the first one by name.

Spikes are compared packed and unpacked only where they differ.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from spikeloop.cosim.compare.pair import Difference, Pair
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.expected import Expected
from spikeloop.pysim.traces.trace import EVERY_COUNTER, STATE_NAMES, Trace, recorded_states

__all__ = ["Side", "against", "array_of", "busy", "diff"]


class Side(NamedTuple):
    """A trace, and the name of the backend that it is of."""

    name: str
    trace: Trace


def diff(
    network: Network,
    reference: Side,
    other: Side,
    *,
    base: int = 0,
    membranes: bool = True,
    between: Sequence[Side] = (),
) -> Pair:
    """Compare two traces of the same samples; ``base`` is the number of the first sample.

    A counter is compared with that of the reference or, if the reference does not have it, of the
    first of ``between`` that does: golden counts no cycles, pysim predicts them. ``stalls`` are not
    compared, since the environment causes them; ``cycles`` are compared without them. InputError
    for a trace that lacks an array or has one of another shape.
    """
    pair = Pair(reference.name, other.name, membranes_compared=membranes)
    firsts = [
        *_ends(pair, network, (reference, other)),
        *_currents(pair, network, (reference, other)),
        *_neurons(pair, network, (reference, other)),
        *_counters(pair, (reference, *between), other),
    ]
    pair.take_firsts(firsts, base)
    return pair


def against(
    network: Network, expected: Expected, trace: Trace, name: str, *, base: int = 0
) -> Pair:
    """Compare the spikes of backend ``name`` with the expected ones.

    Compares only the populations and steps that have expected spikes. ``base`` is the number of
    the first sample.
    """
    pair = Pair("expected", name, membranes_compared=False)
    firsts = []
    for population in map(network.population, expected.spikes):
        spikes = trace.spikes[population.name]
        wrong = expected.wrong(population.name, population.size, spikes)
        count = int(wrong.sum())
        pair.neuron_ticks += wrong[:, expected.first :].size
        pair.neuron_ticks_different += count
        pair.spikes_different += count
        pair.by_population[population.name] = count
        if count:
            at = _first(wrong)
            got = int(unpack(spikes[at[:2]], population.size)[at[2]])
            firsts.append(_at(pair, population, at, "spike", (1 - got, got)))
    pair.take_firsts(firsts, base)
    return pair


def busy(counters: dict[str, np.ndarray]) -> np.ndarray:
    """Cycles of work: the cycle counter without the stalls."""
    return np.asarray(counters["cycles"]) - np.asarray(counters.get("stalls", 0))


def array_of(side: Side, what: str, population: str) -> np.ndarray:
    """The array ``what`` (spikes, membranes, currents) of a population. InputError without one."""
    arrays: dict[str, np.ndarray] = getattr(side.trace, what)
    if population not in arrays:
        raise InputError(
            f"trace of {side.name} must hold the {what} of population {population!r}, "
            f"not only {', '.join(arrays) or 'nothing'}"
        )
    return arrays[population]


# -- what can differ: counts into the pair, and the first differences --------------------------


def _currents(pair: Pair, network: Network, sides: tuple[Side, Side]) -> Iterator[Difference]:
    if not network.pim:
        return
    population = network.population(network.pim.target)
    a, b = _both(sides, "currents", population.name)
    wrong = a != b
    pair.currents, pair.currents_different = a.size, int(wrong.sum())
    if wrong.any():
        at = _first(wrong)
        yield _at(pair, population, at, "current", (int(a[at]), int(b[at])))


def _ends(pair: Pair, network: Network, sides: tuple[Side, Side]) -> Iterator[Difference]:
    """The last states of a source; the input that it feeds stands for a population."""
    if not network.source:
        return
    name = network.source.input
    a, b = _both(sides, "ends", name)
    wrong = a != b
    pair.ends, pair.ends_different = a.size, int(wrong.sum())
    if wrong.any():
        sample, value = at = _first(wrong)
        what, number = network.source.place_of(value)
        where = (sample, 0, 0, 0, name, number)
        yield Difference(pair.reference, pair.backend, *where, what, int(a[at]), int(b[at]))


def _neurons(pair: Pair, network: Network, sides: tuple[Side, Side]) -> Iterator[Difference]:
    for population in network.order():
        a, b = _both(sides, "spikes", population.name)
        shape = (*a.shape[:2], population.size)
        pair.neuron_ticks += math.prod(shape)
        wrong_spike = _wrong_spikes(population, a, b, sides)
        pair.spikes_different += int(wrong_spike.sum())
        wrong = wrong_spike
        if pair.membranes_compared:
            states = _states(network, population, sides, shape)
            for part, (v, w) in states.items():
                wrong_state = v != w
                wrong = wrong | wrong_state
                count = int(wrong_state.sum())
                if part == "membranes":
                    pair.membranes_different += count
                else:
                    pair.states_different[part] = pair.states_different.get(part, 0) + count
        different = int(np.broadcast_to(wrong, shape).sum())
        pair.by_population[population.name] = different
        if not different:
            continue
        pair.neuron_ticks_different += different
        at = _first(wrong)
        if wrong_spike.any() and wrong_spike[at]:
            expected = int(unpack(a[at[:2]], population.size)[at[2]])
            yield _at(pair, population, at, "spike", (expected, 1 - expected))
        else:
            # the current drives the membrane, and the adaptation its threshold
            order = ("synaptic", "membranes", "adaptations")
            part = next(p for p in order if p in states and states[p][0][at] != states[p][1][at])
            v, w = states[part]
            yield _at(pair, population, at, STATE_NAMES[part], (int(v[at]), int(w[at])))


def _states(
    network: Network, population: Population, sides: tuple[Side, Side], shape: tuple[int, ...]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Both sides' states of a population, by part of a trace."""
    states = {part: _both(sides, part, population.name) for part in recorded_states(network, True)}
    for part, (v, _) in states.items():
        if v.shape != shape:
            raise InputError(
                f"{part} of population {population.name!r} must be of shape {shape}, not {v.shape}"
            )
    return states


def _counters(pair: Pair, references: Sequence[Side], other: Side) -> Iterator[Difference]:
    for name in EVERY_COUNTER:
        known = [side for side in references if name in side.trace.counters]
        if name == "stalls" or name not in other.trace.counters or not known:
            continue
        sides = (known[0], other)
        a, b = (_counter(side, name) for side in sides)
        _same_shape(a, b, f"counter {name!r}", sides)
        wrong = a != b
        pair.counter_values += a.size
        pair.counters_different[name] = int(wrong.sum())
        if wrong.any():
            sample, tick = at = _first(wrong)
            values = (int(a[at]), int(b[at]))
            names = (known[0].name, other.name)
            yield Difference(*names, sample, tick, None, 0, None, None, name, *values)


# -- parts -------------------------------------------------------------------------------------


def _both(sides: tuple[Side, Side], what: str, population: str) -> tuple[np.ndarray, np.ndarray]:
    a, b = (array_of(side, what, population) for side in sides)
    _same_shape(a, b, f"{what} of population {population!r}", sides)
    return a, b


def _same_shape(a: np.ndarray, b: np.ndarray, what: str, sides: tuple[Side, Side]) -> None:
    if a.shape != b.shape:
        raise InputError(
            f"{what} must be of one shape in {sides[0].name} and {sides[1].name}, "
            f"not {a.shape} and {b.shape}"
        )


def _wrong_spikes(
    population: Population, a: np.ndarray, b: np.ndarray, sides: tuple[Side, Side]
) -> np.ndarray:
    """bool ``[sample, step, size]`` where spikes differ; ``[1, 1, 1]`` if none does."""
    if np.array_equal(a, b):
        return np.zeros((1, 1, 1), bool)
    wrong = unpack(a ^ b, population.size).astype(bool)
    if not wrong.any():
        raise InputError(
            f"padding bits of the spikes of population {population.name!r} must be 0, "
            f"not set in one of {sides[0].name} and {sides[1].name}"
        )
    return wrong


def _counter(side: Side, name: str) -> np.ndarray:
    counters = side.trace.counters
    return busy(counters) if name == "cycles" else np.asarray(counters[name])


def _first(wrong: np.ndarray) -> tuple[int, ...]:
    """Index of the first True."""
    return tuple(int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))


def _at(
    pair: Pair, population: Population, at: tuple[int, ...], field: str, values: tuple[int, int]
) -> Difference:
    """The difference at ``at`` (sample, step, neuron); ``values``: expected, got."""
    sample, step, neuron = at
    tick, names = step + population.start, (pair.reference, pair.backend)
    return Difference(*names, sample, tick, step, 0, population.name, neuron, field, *values)
