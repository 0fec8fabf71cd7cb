"""What a host writes, reads and asks of a chip's source for a sample (docs/onn.md, dendritic.md).

It writes starts and the first state. Before each tick it runs the macro and lets it send its
events, as the source says. Behind the sample it reads the last state.
"""

from functools import cached_property

import numpy as np

from spikeloop.pysim.sources.source import Source
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["Traffic"]


class Traffic:
    """Addresses and words of the load port for the samples of a stimulus.

    written: uint32 ``[write]``, addresses that are written before a sample
    words:   uint32 ``[sample, write]``, what is written there
    """

    def __init__(self, source: Source, stimulus: Stimulus) -> None:
        self.source = source
        chunks = [source.begin(start) for start in stimulus.starts[source.input]]
        every = np.array(chunks, np.uint32).reshape(len(chunks), -1, 4)
        first = every[0] if chunks else np.zeros((0, 4), np.uint32)
        self.written = self._addresses(first[:, :3])
        self.words = np.ascontiguousarray(every[:, :, 3])

    @cached_property
    def read(self) -> np.ndarray:
        """uint32 ``[read]``, addresses that are read behind a sample."""
        return self._addresses(self.source.read)

    def values(self, words: np.ndarray) -> np.ndarray:
        """``ends`` of a trace, int32 ``[sample, value]``, from words that were read."""
        rows = [self.source.values(row) for row in words]
        return np.array(rows, np.int32).reshape(len(rows), -1)

    def _addresses(self, places: np.ndarray) -> np.ndarray:
        """places: ``[place, 3]``, memory, row and chunk."""
        map_, prefix = self.source.image.map, self.source.prefix
        table = [map_.memories[f"{prefix}{m.name}"] for m in self.source.memories]
        base = np.array([m.base for m in table])
        shift = np.array([m.chunk_bits for m in table])
        memory, row, chunk = places.astype(np.int64).T
        return (base[memory] + (row << shift[memory]) + chunk).astype(np.uint32)
