"""What the memories of a plastic core hold before a lesson, as the load port writes it."""

import numpy as np

from spikeloop.pysim.common.memory import CHUNK_BITS
from spikeloop.pysim.lessons.lesson import Lesson, LessonState
from spikeloop.pysim.lessons.population import PlasticPopulation
from spikeloop.pysim.plastic.memories import memories, state_fields
from spikeloop.pysim.plastic.params import PlasticParams

__all__ = ["chunks"]


def chunks(p: PlasticParams, lesson: Lesson, state: LessonState | None = None) -> np.ndarray:
    """What the load port writes before a lesson goes on from ``state``: uint32 ``[chunk, 4]``.

    Columns: memory, row, index, data. The settings come first, and K is in first_tick. Give CLEAR
    behind them: it takes K, and would wipe theta.
    """
    state = state or lesson.state
    numbers = {memory.name: at for at, memory in enumerate(memories(p))}
    settings = {**lesson.population.settings, "first_tick": state.ticks}
    parts = [_column(0, np.array([*settings.values()]) & 0xFFFFFFFF)]
    neurons = np.arange(p.neurons)
    axon, neuron = np.meshgrid(np.arange(p.axons), neurons, indexing="ij")
    rows = neuron // p.lanes * p.axons + axon
    parts.append(_rows(numbers["weights"], rows, neuron % p.lanes, state.weights))
    parts += _states(p, numbers["state"], state)
    parts += [
        _column(numbers[name], _segments(lesson.population, name)) for name in ("post", "pre")
    ]
    parts += [_column(numbers[name], getattr(lesson.population, name)) for name in ("near", "far")]
    return np.ascontiguousarray(np.concatenate(parts), np.uint32)


def _segments(population: PlasticPopulation, name: str) -> np.ndarray:
    base, slope = getattr(population, name).T
    return base | (slope & 0xFFFF) << 16


def _states(p: PlasticParams, number: int, state: LessonState) -> list[np.ndarray]:
    """Rows of the neurons' state: theta and dirty; REST writes the rest."""
    parts, at = [], 0
    for name, bits in state_fields(p):
        if name == "theta":
            theta_at = at
        if name == "dirty":
            dirty_at = at
        at += bits
    words = [
        int(theta) << theta_at | int(dirty) << dirty_at
        for theta, dirty in zip(state.theta.tolist(), state.dirty.tolist(), strict=True)
    ]
    rows = np.arange(p.neurons)
    for index in range(-(-at // CHUNK_BITS)):
        data = np.array([word >> CHUNK_BITS * index & 0xFFFFFFFF for word in words])
        parts.append(_rows(number, rows, np.full(p.neurons, index), data))
    return parts


def _rows(memory: int, row: np.ndarray, index: np.ndarray, data: np.ndarray) -> np.ndarray:
    columns = (np.full(row.size, memory), row.reshape(-1), index.reshape(-1), data.reshape(-1))
    return np.stack([column.astype(np.uint32) for column in columns], -1)


def _column(memory: int, data: np.ndarray) -> np.ndarray:
    rows = np.arange(len(data))
    return _rows(memory, rows, np.zeros_like(rows), data)
