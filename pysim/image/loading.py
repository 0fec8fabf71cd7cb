"""The load port's view of an image: the rows that must be loaded, and the words that go in."""

import numpy as np

from spikeloop.pysim.chip.memory_map import Memory
from spikeloop.pysim.chip.records import route_record, unpack_plain
from spikeloop.pysim.image.image import Image

__all__ = ["load_rows", "load_stream", "load_words"]


def load_rows(image: Image, memory: Memory) -> int:
    """Rows of a memory that must be loaded: those that a run of the image reads.

    The rows behind them may hold anything.
    """
    words = len(image.placement.words)
    match memory.name:
        case "words":
            return memory.rows
        case "fanout":
            return image.placement.rows
        case "synapse":
            return len(image.rows("synapse"))
        case "routes":
            return _route_rows(image)
        case "leak" | "fire" | "synaptic" | "adaptive":
            return words * image.chip.pages
    return words


def _route_rows(image: Image) -> int:
    """The rows of the words in use; in a mesh up to the last entry of a chain."""
    lanes = len(image.placement.words) << image.chip.derived.lane_bits
    if image.chip.derived.cores == 1:
        return lanes
    routes = unpack_plain(route_record(image.chip), image.bits("routes"))
    return max([lanes, *(routes["next"][routes["more"] == 1] + 1).tolist()])


def load_words(image: Image) -> int:
    """32-bit words of an image that go through the load port, one a cycle."""
    return sum(load_rows(image, memory) * memory.chunks for memory in image.map.loaded)


def load_stream(image: Image, bank: int) -> tuple[np.ndarray, np.ndarray]:
    """Addresses and words, uint64 ``[load_words]`` each, that put an image into ``bank``."""
    addresses, words = [], []
    for memory in image.map.loaded:
        rows = image.words(memory.name)[: load_rows(image, memory)]
        row = np.arange(len(rows))[:, None] << memory.chunk_bits
        chunk = np.arange(memory.chunks)
        addresses.append((memory.address(0) + image.map.bank_base(bank) + row + chunk).ravel())
        words.append(rows.ravel())
    return np.concatenate(addresses).astype(np.uint64), np.concatenate(words).astype(np.uint64)
