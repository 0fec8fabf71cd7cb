"""What all sources of a chip have in common. A source is the net in the macro in front of a core.

Right before each of the first ``runs`` ticks of a sample the host runs the macro. Then it lets the
macro send its events, once for each group of axons that :meth:`Source.sent` names.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from spikeloop.pysim.common.memory import LoadMemory
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.mapping.placement import InputPlace

__all__ = ["Played", "Source", "chunks_of"]


class Played(NamedTuple):
    """What a source does in a sample.

    lines:  uint8 0/1 ``[step, line]``: the spikes of the input
    values: int32 ``[value]``: the last state, as a trace keeps it
    counts: int64 ``[run]`` by counter, without the cycles of sendings
    """

    lines: np.ndarray
    values: np.ndarray
    counts: dict[str, np.ndarray]


class Source(ABC):
    """The net of an image. Its macro has memories ``memories``, in the order of its load port.

    runs: ticks before which it runs
    size: lines
    """

    runs: int
    size: int
    memories: list[LoadMemory]

    def __init__(self, image: Image) -> None:
        assert image.source_head and image.chip.front
        self.image, self.input = image, image.source_head.input
        self.prefix = image.chip.front.prefix

    @property
    def places(self) -> list[InputPlace]:
        """The axon groups of the input."""
        return [place for place in self.image.placement.inputs if place.name == self.input]

    @abstractmethod
    def begin(self, start: np.ndarray) -> np.ndarray:
        """What is written before a sample: uint32 ``[chunk, 4]``, memory, row, index, data.

        start: a row of the stimulus's starts. The addresses do not depend on it.
        """

    @property
    @abstractmethod
    def read(self) -> np.ndarray:
        """What is read behind a sample: int64 ``[chunk, 3]``, memory, row, index."""

    @abstractmethod
    def values(self, words: np.ndarray) -> np.ndarray:
        """The last state as a trace keeps it, int32 ``[value]``, from the words that were read."""

    @abstractmethod
    def play(self, start: np.ndarray) -> Played:
        """The model: all steps of a sample."""

    @abstractmethod
    def begins(self, place: InputPlace) -> tuple[int, int]:
        """The first tick before which events go to a group of axons, and their delay."""

    def sent(self, tick: int) -> list[tuple[int, int]]:
        """Axon of line 0 and delay of each sending right before ``tick``."""
        found = []
        for place in self.places:
            first, delay = self.begins(place)
            if first <= tick < first + self.image.steps:
                found.append((place.first_axon, delay))
        return found

    def numbers(self) -> dict[str, int]:
        """Number of each memory."""
        return {memory.name: number for number, memory in enumerate(self.memories)}


def chunks_of(number: int, rows: int, chunks: int) -> list[tuple[int, int, int]]:
    """All chunks of the first rows of a memory."""
    return [(number, row, chunk) for row in range(rows) for chunk in range(chunks)]
