"""The PIM memories of an image: packed from a network and its placement, and read back."""

from collections.abc import Mapping

import numpy as np

from spikeloop.pysim.chip.memory_map import PIM, MemoryMap
from spikeloop.pysim.chip.params import BUS_BITS, Chip
from spikeloop.pysim.chip.records import pack_plain, place_record, unpack_plain, width
from spikeloop.pysim.common.bits import pack, unpack
from spikeloop.pysim.mapping.placement import Placement
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.pim.contents import contents, layer_of
from spikeloop.pysim.pim.front import tables
from spikeloop.pysim.pim.layer import PimLayer
from spikeloop.pysim.pim.source import PimHead, PimSource

__all__ = ["initial_currents", "pack_pim", "settings", "unpack_layer", "unpack_places"]


def pack_pim(network: Network, placement: Placement) -> dict[str, np.ndarray]:
    """Rows uint8 ``[rows, ceil(width / 8)]`` of every PIM memory.

    All 0 for a network without a PIM layer.
    """
    chip = placement.chip
    memories = {
        m.name: np.zeros((m.rows, -(-m.width // 8)), np.uint8)
        for m in MemoryMap(chip).loaded
        if m.name.startswith(PIM) or m.name == "currents"
    }
    if network.pim is None:
        return memories
    for name, chunks in contents(network.pim.layer).items():
        memories[PIM + name][:] = _bytes(chunks, memories[PIM + name].shape[1])
    for name, numbers in zip(("taps", "windows"), tables(network.pim.layer.window), strict=True):
        rows = memories[PIM + name]
        rows[: len(numbers)] = _bytes(numbers[:, None], rows.shape[1])
    neurons = placement.population(network.pim.target).neurons
    memories[PIM + "places"] = _pack_places(network.pim, chip, neurons)
    return memories


def _bytes(chunks: np.ndarray, size: int) -> np.ndarray:
    """Chunks of 32 bits ``[rows, chunks]`` as uint8 ``[rows, size]``."""
    return np.ascontiguousarray(chunks, "<u4").view(np.uint8)[:, :size]


def _pack_places(source: PimSource, chip: Chip, neurons: np.ndarray) -> np.ndarray:
    """Rows of the memory of places.

    ``neurons``: word * lanes + lane of each neuron of the target.
    """
    assert chip.pim
    layer, record = source.layer, place_record(chip)
    channel, position = np.divmod(source.currents, layer.window.positions)
    row = position * layer.channels + channel
    fields = {f.name: np.zeros(chip.pim.currents, np.int64) for f in record}
    fields["used"][row] = 1
    fields["word"][row], fields["lane"][row] = np.divmod(neurons, chip.lanes)
    return pack(pack_plain(record, fields))


def unpack_places(chip: Chip, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The entries of the memory of places that are in use, and word * lanes + lane of each."""
    record = place_record(chip)
    fields = unpack_plain(record, unpack(rows, width(record)))
    used = np.flatnonzero(fields["used"])
    return used, (fields["word"] * chip.lanes + fields["lane"])[used]


def unpack_layer(head: PimHead, memories: Mapping[str, np.ndarray]) -> PimLayer:
    """The layer that the memories of an image hold.

    The manifest's ``head`` says the seed of its generators.
    """
    words = {
        name.removeprefix(PIM): rows for name, rows in memories.items() if name.startswith(PIM)
    }
    return layer_of(head, words)


def settings(head: PimHead) -> dict[str, int]:
    """Registers of the memory map that a host sets before a layer runs.

    It writes ``pim_stream`` before each image.
    """
    return {
        f"{PIM}kernel_rows": head.window.rows,
        f"{PIM}channels": head.channels,
        f"{PIM}positions": head.window.positions,
        f"{PIM}shift": head.shift,
        f"{PIM}limit": head.limit,
        f"{PIM}sigma": head.sigma,
    }


def initial_currents(chip: Chip, rows: np.ndarray) -> np.ndarray:
    """What the memory of currents holds before any image: int64 ``[word * lanes + lane]``."""
    return rows[:, : chip.lanes * BUS_BITS // 8].copy().view("<i4").astype(np.int64).ravel()
