"""Oscillators as the source of a chip: a recall right before tick 0 (docs/onn.md, "In a chip")."""

from functools import cached_property

import numpy as np

from spikeloop.pysim.image.image import Image
from spikeloop.pysim.mapping.placement import InputPlace
from spikeloop.pysim.onn import kernel, numba_engine, numpy_engine
from spikeloop.pysim.onn.contents import input_chunks, net_of, state_of
from spikeloop.pysim.onn.cycles import with_cycles
from spikeloop.pysim.onn.memories import memories, state_chunks
from spikeloop.pysim.oscillators.settings import GLOBALS
from spikeloop.pysim.oscillators.source import OnnHead
from spikeloop.pysim.sources.source import Played, Source, chunks_of

__all__ = ["Oscillators"]


class Oscillators(Source):
    """The oscillators in the memories of an image, in macro ``p``."""

    runs = 1

    def __init__(self, image: Image) -> None:
        super().__init__(image)
        assert image.chip.onn
        self.p = image.chip.onn
        self.net, self.memories = net_of(self.p, image.front_rows()), memories(self.p)
        self.size = self.net.size

    @property
    def head(self) -> OnnHead:
        """What a manifest says of the net."""
        return OnnHead(input=self.input, oscillators=self.size, start_max=self.net.start_max)

    def begin(self, start: np.ndarray) -> np.ndarray:
        start = start.astype(np.int64)
        return input_chunks(self.p, self.net, start, self.net.begin(start))

    @cached_property
    def read(self) -> np.ndarray:
        numbers = self.numbers()
        state = chunks_of(numbers["state"], self.size, len(state_chunks(self.p)))
        return np.array([*state, *chunks_of(numbers["globals"], len(GLOBALS), 1)])

    def values(self, words: np.ndarray) -> np.ndarray:
        units, whole = np.split(words, [-len(GLOBALS)])
        return state_of(self.p, self.net, units.reshape(self.size, -1), whole).words()

    def play(self, start: np.ndarray) -> Played:
        engine = numba_engine if kernel.AVAILABLE else numpy_engine
        trace = engine.run(self.net, start.astype(np.int64), record=False)
        trace = with_cycles(self.p, self.net, trace)
        lines = np.repeat((trace.pixels() < 0)[None].astype(np.uint8), self.image.steps, 0)
        names = ("cycles", "steps", "reads", "clips", "crossings")
        counts = {name: np.array([getattr(trace, name)], np.int64) for name in names}
        return Played(lines, trace.state.words(), counts)

    def begins(self, place: InputPlace) -> tuple[int, int]:
        return place.delay, 1
