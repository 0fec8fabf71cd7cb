"""The PIM memories of an image: packed from a network and its placement, and read back into the layer that the macro runs."""

import numpy as np

from spikeloop.pysim.chip.memory_map import PIM, MemoryMap
from spikeloop.pysim.chip.params import BUS_BITS, Chip
from spikeloop.pysim.chip.records import pack_plain, place_record, unpack_plain
from spikeloop.pysim.mapping.placement import Placement
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.pim.front import tables
from spikeloop.pysim.pim.layer import SEGMENTS, PimLayer
from spikeloop.pysim.pim.memories import GAIN_BITS, KEEP_BITS, OFFSET_BITS, contents
from spikeloop.pysim.pim.source import PimHead

__all__ = ["initial_currents", "pack_pim", "places", "settings", "unpack_layer"]


def pack_pim(network: Network, placement: Placement) -> dict[str, np.ndarray]:
    """Bytes uint8 ``[rows, ceil(width / 8)]`` of every PIM memory; 0 throughout for a network without a PIM layer."""
    chip = placement.chip
    map_ = MemoryMap(chip)
    memories = {
        m.name: np.zeros((m.rows, -(-m.width // 8)), np.uint8)
        for m in map_.loaded
        if m.name.startswith(PIM) or m.name == "currents"
    }
    if network.pim is None:
        return memories
    neurons = placement.population(network.pim.target).neurons
    layer = network.pim.layer
    for name, chunks in contents(layer).items():
        memories[PIM + name][:] = chunks.astype("<u4").view(np.uint8)[
            :, : memories[PIM + name].shape[1]
        ]
    for name, numbers in zip(("taps", "windows"), tables(layer.window), strict=True):
        _put(memories[PIM + name], numbers)
    channel, position = np.divmod(network.pim.currents, layer.window.positions)
    fields = {f.name: np.zeros(len(memories[PIM + "places"]), np.int64) for f in place_record(chip)}
    row = position * layer.channels + channel
    fields["used"][row], fields["word"][row], fields["lane"][row] = (
        1,
        neurons // chip.lanes,
        neurons % chip.lanes,
    )
    memories[PIM + "places"] = np.packbits(
        pack_plain(place_record(chip), fields), axis=1, bitorder="little"
    )
    return memories


def _put(rows: np.ndarray, numbers: np.ndarray) -> None:
    rows[: len(numbers)] = numbers.astype("<u4").view(np.uint8).reshape(-1, 4)[:, : rows.shape[1]]


def settings(head: PimHead) -> dict[str, int]:
    """Registers of the memory map that a host sets before a layer runs; ``pim_stream`` it writes before each image."""
    return {
        f"{PIM}kernel_rows": head.window.rows,
        f"{PIM}channels": head.channels,
        f"{PIM}positions": head.window.positions,
        f"{PIM}shift": head.shift,
        f"{PIM}limit": head.limit,
        f"{PIM}sigma": head.sigma,
    }


def places(chip: Chip, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the memory of places: the entries in use, and word * lanes + lane of each."""
    fields = unpack_plain(place_record(chip), np.unpackbits(rows, axis=1, bitorder="little"))
    used = np.flatnonzero(fields["used"])
    return used, (fields["word"] * chip.lanes + fields["lane"])[used]


def unpack_layer(head: PimHead, memories: dict[str, np.ndarray]) -> PimLayer:
    """The layer that the memories of an image hold; of the generators' seeds the manifest tells (``head``)."""
    p = head.params

    def bits(name: str, *shape: int) -> np.ndarray:
        flat = np.unpackbits(memories[PIM + name], axis=1, bitorder="little")
        return flat[:, : int(np.prod(shape[1:]))].reshape(shape).astype(np.int64)

    def numbers(name: str, rows: int, count: int, width: int, signed: bool = False) -> np.ndarray:
        fields = bits(name, rows, count, width)
        strength = 1 << np.arange(width, dtype=np.int64)
        if signed:
            strength[-1] *= -1
        return fields @ strength

    def cells(kind: str) -> np.ndarray:
        """``[banks, rows, words, weight bits]``; in memory units come before rows."""
        some = np.stack(
            [
                bits(f"{kind}{bank}", p.groups, p.units, p.active_rows, p.unit_bits)
                for bank in range(p.banks)
            ]
        )
        return some.transpose(0, 1, 3, 2, 4).reshape(p.banks, p.rows, p.words, p.weight_bits)

    strength = 1 << np.arange(p.weight_bits)
    strength[-1] *= -1
    stored = cells("weights") @ strength  # [banks, rows, words]
    groups = -(-head.window.rows // p.active_rows)
    channel = np.arange(head.channels)
    pass_, (bank, word) = channel // p.capacity, np.divmod(channel % p.capacity, p.words)
    row = (pass_ * groups * p.active_rows)[:, None] + np.arange(head.window.rows)
    stuck = {}
    for kind in ("stuck0", "stuck1"):
        stuck[kind] = np.zeros((p.banks, p.rows, p.columns), bool)
        stuck[kind][:, :, : p.words * p.weight_bits] = cells(f"{kind}_").reshape(
            p.banks, p.rows, -1
        )
    entry = bits("tables", p.share, p.banks * p.converters, GAIN_BITS + OFFSET_BITS)
    offset_strength = 1 << np.arange(OFFSET_BITS)
    offset_strength[-1] *= -1
    gain, offset = (
        entry[:, :, :GAIN_BITS] @ (1 << np.arange(GAIN_BITS)),
        entry[:, :, GAIN_BITS:] @ offset_strength,
    )
    keep = {"keep": numbers("keep", p.groups, SEGMENTS, KEEP_BITS)} if p.ir_drop else {}
    return PimLayer.make(
        p,
        head.window,
        stored[bank[:, None], row, word[:, None]],
        shift=head.shift,
        limit=head.limit,
        sigma=head.sigma,
        seed=head.seed,
        bias=numbers("bias", p.groups, p.capacity, p.current_bits, signed=True).ravel()[
            : head.channels
        ],
        gain=gain.T.reshape(p.banks, p.units),
        offset=offset.T.reshape(p.banks, p.units),
        **keep,
        **stuck,
    )


def initial_currents(chip: Chip, rows: np.ndarray) -> np.ndarray:
    """What the memory of currents holds before any image: int64 ``[word * lanes + lane]``."""
    return rows[:, : chip.lanes * BUS_BITS // 8].copy().view("<i4").astype(np.int64).ravel()
