"""The memories of a plastic core, in the order in which its load port numbers them; their contents.

RTL and host share this table. Memory 0 is the settings' registers, a row each.
"""

from dataclasses import dataclass

import numpy as np

from spikeloop.pysim.lessons.lesson import Lesson, LessonState
from spikeloop.pysim.lessons.population import PlasticPopulation
from spikeloop.pysim.lessons.settings import SETTINGS
from spikeloop.pysim.lessons.tables import AGES, SEGMENTS
from spikeloop.pysim.plastic.params import PlasticParams

__all__ = ["STATE", "TRACE", "PlasticMemory", "chunks", "memories", "state_fields"]

CHUNK_BITS = 32
TRACE = (("x", 16), ("t", 16))
"""Fields of a pre trace."""


@dataclass(frozen=True)
class PlasticMemory:
    """A memory of ``rows`` words of ``width`` bits, which the load port sees in chunks."""

    name: str
    rows: int
    width: int
    chunk: int = CHUNK_BITS

    @property
    def chunks(self) -> int:
        """Chunks of a word."""
        return -(-self.width // self.chunk)


def state_fields(p: PlasticParams) -> list[tuple[str, int]]:
    """Fields of a neuron's state and their bits, the first in the lowest bits."""
    return [("v", p.membrane_bits), *STATE]


STATE = (("ge", 24), ("gi", 24), ("theta", 24), ("c", 6), ("y", 16), ("own", 1), ("dirty", 1))
"""Fields of a neuron's state behind its membrane."""


def memories(p: PlasticParams) -> list[PlasticMemory]:
    """All memories of a core that the load port reaches."""
    return [
        PlasticMemory("settings", len(SETTINGS), CHUNK_BITS),
        PlasticMemory("weights", p.weight_rows, p.lanes * p.weight_bits, p.weight_bits),
        PlasticMemory("state", p.neurons, sum(bits for _, bits in state_fields(p))),
        PlasticMemory("traces", p.axons, sum(bits for _, bits in TRACE)),
        PlasticMemory("post", SEGMENTS, 32),
        PlasticMemory("pre", SEGMENTS, 32),
        PlasticMemory("near", AGES, 16),
        PlasticMemory("far", AGES, 16),
    ]


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
