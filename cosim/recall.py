"""What a host writes, reads and asks of a chip's oscillators for a sample (docs/onn.md).

It writes starts and the first state, runs the macro, and reads the last state. Before each tick at
which a group of axons hears a step, it lets the macro send its events to this group.
"""

from functools import cached_property

import numpy as np

from spikeloop.pysim.chip.front import ONN
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.mapping.placement import InputPlace
from spikeloop.pysim.onn.contents import input_chunks, state_of
from spikeloop.pysim.onn.memories import memories, state_chunks
from spikeloop.pysim.oscillators.settings import GLOBALS
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["Traffic", "recalled_values", "sent_axons"]


class Traffic:
    """Addresses and words of the load port for the samples of a stimulus.

    written: uint32 ``[write]``, addresses that are written before a recall
    words:   uint32 ``[sample, write]``, what is written there
    read:    uint32 ``[read]``, addresses that are read after it
    places:  the axon groups of the input that the oscillators feed
    """

    def __init__(self, image: Image, stimulus: Stimulus) -> None:
        assert image.onn_head and image.chip.onn
        self.image, self.head, self.p = image, image.onn_head, image.chip.onn
        self.starts = stimulus.starts[self.head.input].astype(np.int64)
        net = image.onn_net
        chunks = [input_chunks(self.p, net, start, net.begin(start)) for start in self.starts]
        every = np.array(chunks, np.uint32).reshape(len(chunks), -1, 4)
        first = every[0] if chunks else np.zeros((0, 4), np.uint32)
        self.written = self._addresses(first[:, 0], first[:, 1], first[:, 2])
        self.words = np.ascontiguousarray(every[:, :, 3])

    @cached_property
    def read(self) -> np.ndarray:
        names = [memory.name for memory in memories(self.p)]
        chunks, whole = range(len(state_chunks(self.p))), range(len(GLOBALS))
        state, values = names.index("state"), names.index("globals")
        rows = [(state, row, chunk) for row in range(self.head.oscillators) for chunk in chunks]
        return self._addresses(*np.array([*rows, *((values, row, 0) for row in whole)]).T)

    @property
    def places(self) -> list[InputPlace]:
        return [place for place in self.image.placement.inputs if place.name == self.head.input]

    def _addresses(self, memory: np.ndarray, row: np.ndarray, chunk: np.ndarray) -> np.ndarray:
        table = [self.image.map.memories[f"{ONN}{m.name}"] for m in memories(self.p)]
        base = np.array([m.base for m in table])
        shift = np.array([m.chunk_bits for m in table])
        at = memory.astype(np.int64)
        return (base[at] + (row.astype(np.int64) << shift[at]) + chunk).astype(np.uint32)


def recalled_values(image: Image, words: np.ndarray) -> np.ndarray:
    """``recalled`` of a trace, int32 ``[sample, value]``, from words that were read."""
    assert image.chip.onn
    p, net = image.chip.onn, image.onn_net
    count = len(state_chunks(p))
    states = [
        state_of(p, net, row[: net.size * count].reshape(net.size, count), row[net.size * count :])
        for row in words
    ]
    rows = [np.concatenate([state.units.ravel(), state.whole]) for state in states]
    return np.array(rows, np.int32).reshape(len(rows), -1)


def sent_axons(image: Image, tick: int) -> list[int]:
    """The axons of line 0 to which the oscillators send events right before ``tick``."""
    head = image.onn_head
    return [
        place.first_axon
        for place in image.placement.inputs
        if head and place.name == head.input and 0 <= tick - place.delay < image.steps
    ]
