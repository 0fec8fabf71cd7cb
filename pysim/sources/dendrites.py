"""Dendritic neurons as the source of a chip: a step before each tick (docs/dendritic.md)."""

from functools import cached_property

import numpy as np

from spikeloop.pysim.dendrites.source import DendriticHead
from spikeloop.pysim.dendritic import kernel, numba_engine, numpy_engine
from spikeloop.pysim.dendritic.contents import STATE, input_chunks, net_of, state_of
from spikeloop.pysim.dendritic.cycles import show_cycles
from spikeloop.pysim.dendritic.memories import memories
from spikeloop.pysim.dendritic.params import COUNTERS
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.mapping.placement import InputPlace
from spikeloop.pysim.sources.source import Played, Source, chunks_of

__all__ = ["Dendrites"]

COUNTED = COUNTERS[1:]  # by the engines; cycles are predicted


class Dendrites(Source):
    """The dendritic neurons in the memories of an image, in macro ``p``."""

    def __init__(self, image: Image) -> None:
        super().__init__(image)
        assert image.chip.dendritic
        self.p, self.runs = image.chip.dendritic, image.steps
        self.net, self.state = net_of(self.p, image.front_rows())
        self.size, self.memories = self.net.neurons, memories(self.p)

    @property
    def head(self) -> DendriticHead:
        """What a manifest says of the net."""
        return DendriticHead(input=self.input, neurons=self.size, inputs=self.net.inputs)

    def begin(self, start: np.ndarray) -> np.ndarray:
        seed, thresholds = int(start[0]), start[1:].astype(np.int64)
        return input_chunks(self.p, self.net, thresholds, self.state.seeded(seed))

    @cached_property
    def _rows(self) -> dict[str, tuple[int, int]]:
        """Rows that the net has in each memory of the state, and chunks of a row."""
        chunks = {memory.name: memory.chunks for memory in self.memories}
        rows = {"globals": 2, "weights": self.net.inputs, "synapses": self.net.inputs}
        return {name: (rows.get(name, self.size), chunks[name]) for name in STATE}

    @cached_property
    def read(self) -> np.ndarray:
        numbers = self.numbers()
        parts = [chunks_of(numbers[name], *shape) for name, shape in self._rows.items()]
        return np.array([place for part in parts for place in part])

    def values(self, words: np.ndarray) -> np.ndarray:
        sizes = [rows * chunks for rows, chunks in self._rows.values()]
        parts = np.split(words, np.cumsum(sizes)[:-1])
        read = {n: part.reshape(self._rows[n]) for n, part in zip(STATE, parts, strict=True)}
        return state_of(self.p, self.net, read).words()

    def play(self, start: np.ndarray) -> Played:
        engine = numba_engine if kernel.AVAILABLE else numpy_engine
        state, thresholds = self.state.seeded(int(start[0])), start[1:].astype(np.int64)
        lines = np.zeros((self.runs, self.size), np.uint8)
        counts = {name: np.zeros(self.runs, np.int64) for name in COUNTERS}
        for step in range(self.runs):
            counts["cycles"][step] = show_cycles(self.net, state.age, 1, learn=True, plastic=True)
            trace = engine.show(self.net, thresholds, state, 1, learn=True)
            state, lines[step] = trace.state, trace.field("s")[0]
            for name in COUNTED:
                counts[name][step] = getattr(trace, name)
        return Played(lines, state.words(), counts)

    def begins(self, place: InputPlace) -> tuple[int, int]:
        return 0, 1 + place.delay
