"""A packed network: the memories of a chip that hold it, row by row as docs/architecture.md says, and all a host needs to run it.

On disk it is a folder, the image bundle (pysim/image/folder.py).
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import (
    bound_record,
    fire_record,
    leak_record,
    neuron_record,
    pack_lanes,
    pack_plain,
    route_record,
    word_record,
)
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.limits import LEAK_TERMS
from spikeloop.pysim.image.folder import read_image, write_image
from spikeloop.pysim.image.pim import pack_pim
from spikeloop.pysim.image.pim import settings as pim_settings
from spikeloop.pysim.mapping.place import place
from spikeloop.pysim.mapping.placement import Placement
from spikeloop.pysim.network.convolution import strided
from spikeloop.pysim.network.elements import Edge, Input, LeakRounding, LowBound, Reset
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.pim.source import PimHead

__all__ = ["Bundle", "Image", "pack", "row_bytes", "summary"]


class Bundle:
    """What a host reads of a packed network, whether it is on one core or on many: ``network`` is what the manifest says of it."""

    chip: Chip
    network: dict[str, Any]

    @property
    def name(self) -> str:
        return self.network["name"]

    @property
    def steps(self) -> int:
        """Steps T of one sample."""
        return self.network["steps"]

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """The logical inputs, as the stimulus has them (an input may have several axon groups, or none)."""
        return tuple(Input(name=name, size=size) for name, size in self.network["inputs"])

    @cached_property
    def pim_head(self) -> PimHead | None:
        """Of the PIM layer, if the network has one."""
        return (
            PimHead.from_dict(self.network["pim"], f"image {self.name!r}")
            if "pim" in self.network
            else None
        )


@dataclass(frozen=True, eq=False)
class Image(Bundle):
    """A packed network. ``memories[name]``: uint8 ``[rows, ceil(width / 8)]`` per loaded memory, little-endian within a row; of
    the synapses only the rows of words in use, the others are never read.

    ``network`` is what the manifest says of it: name, sha256, steps, membrane_bits, output, readout, inputs ([name, size] each),
    metadata. A host feeds and reads the chip with this and ``placement`` alone.
    """

    chip: Chip
    placement: Placement
    network: dict[str, Any]
    memories: dict[str, np.ndarray]

    @property
    def ticks(self) -> int:
        """Ticks of one sample: its steps plus the depth of the pipeline."""
        return self.steps + max(p.start for p in self.placement.populations)

    @property
    def settings(self) -> dict[str, int]:
        """Registers of the memory map that a host sets before it runs the image."""
        own = {"steps": self.steps, "extension": self.placement.extension.bit_length() - 1}
        return own | (pim_settings(self.pim_head) if self.pim_head else {})

    @property
    def output(self) -> str:
        """Name of the population that is read out."""
        return self.network["output"]

    def rows(self, name: str) -> np.ndarray:
        """uint8 ``[rows, ceil(width / 8)]`` of a loaded memory, bit 0 of a row = bit 0 of its byte 0."""
        return self.memories[name]

    def words(self, name: str) -> np.ndarray:
        """uint32 ``[rows, chunks]`` of a loaded memory, as the load port sees it."""
        rows, chunks = self.memories[name], MemoryMap(self.chip).memories[name].chunks
        padded = np.zeros((len(rows), 4 * chunks), np.uint8)
        padded[:, : rows.shape[1]] = rows
        return padded.view("<u4")

    def bits(self, name: str) -> np.ndarray:
        """uint8 0/1 ``[rows, width]`` of a loaded memory."""
        width = MemoryMap(self.chip).memories[name].width
        return np.unpackbits(self.memories[name], axis=1, count=width, bitorder="little")

    # -- folder ------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> Path:
        """Write the bundle under a temporary name, then rename it to ``folder``; an earlier image there is replaced."""
        return write_image(folder, self.chip, self.placement, self.network, self.memories)

    @classmethod
    def load(cls, folder: str | Path, chip: Chip | None = None) -> "Image":
        """Read and check a bundle; ``chip``: the chip it must have been packed for, if the caller has one."""
        return cls(*read_image(folder, chip))


def pack(
    network: Network, placement: Placement | None = None, *, chip: Chip | None = None
) -> Image:
    """All loaded memories of ``placement`` (or of ``place(network, chip)``)."""
    if placement is None:
        if chip is None:
            raise InputError("pack must be given a placement or a chip, not neither")
        placement = place(network, chip)
    chip = placement.chip
    memories = {
        "words": row_bytes(_pack_words(placement)),
        "fanout": _pack_fanout(network, placement),
        "routes": row_bytes(_pack_routes(placement)),
        "synapse": row_bytes(_pack_synapses(network, placement)),
        **_pack_parameters(network, placement),
    }
    if chip.pim:
        memories |= pack_pim(
            network, chip, placement.population(network.pim.target).neurons if network.pim else None
        )
    return Image(
        chip,
        placement,
        summary(network),
        {m.name: memories[m.name] for m in MemoryMap(chip).loaded},
    )


def summary(network: Network) -> dict[str, Any]:
    """What a manifest says of a network, as JSON gives it back."""
    return json.loads(
        json.dumps(
            {
                "name": network.name,
                "sha256": network.sha256(),
                "steps": network.steps,
                "membrane_bits": network.membrane_bits,
                "output": network.output,
                "readout": network.readout,
                "inputs": [[n.name, n.size] for n in network.inputs],
                "metadata": network.metadata,
                **({"pim": network.pim.head.to_dict()} if network.pim else {}),
            }
        )
    )


def row_bytes(bits: np.ndarray) -> np.ndarray:
    """Bits uint8 ``[rows, width]`` to bytes uint8 ``[rows, ceil(width / 8)]``, little-endian."""
    if bits.shape[1] % 8:
        return np.packbits(bits, axis=1, bitorder="little")
    return np.packbits(bits, bitorder="little").reshape(
        len(bits), -1
    )  # rows end with a byte: all at once is much faster


# -- memories ------------------------------------------------------------------------------------------------


def _pack_words(placement: Placement) -> np.ndarray:
    values = {
        f.name: np.zeros(placement.chip.derived.words, np.int64)
        for f in word_record(placement.chip)
    }
    for w, word in enumerate(placement.words):
        values["used"][w] = 1
        for key, value in vars(word).items():
            values[key][w] = value
    return pack_plain(word_record(placement.chip), values)


def _pack_routes(placement: Placement) -> np.ndarray:
    d, lanes = placement.chip.derived, placement.chip.lanes
    values = {f.name: np.zeros(d.route_rows, np.int64) for f in route_record(placement.chip)}
    for p in placement.populations:
        rows = (p.neurons // lanes << d.lane_bits) | p.neurons % lanes
        values["kind"][rows] = p.route
        if p.output:
            values["address"][rows] = np.arange(p.size)
        elif p.first_axon is not None and p.delay is not None:
            values["address"][rows] = p.first_axon + np.arange(p.size)
            values["delay"][rows] = p.delay
    return pack_plain(route_record(placement.chip), values)


def _axon_rows(network: Network, placement: Placement) -> list[tuple[int, Edge]]:
    """(first axon, edge) of every edge."""
    first = {(i.name, i.delay): i.first_axon for i in placement.inputs}
    own = {p.name: p.first_axon for p in placement.populations if p.first_axon is not None}
    return [
        (
            first[e.source, e.delay + network.start_of(e.target)]
            if network.is_input(e.source)
            else own[e.source],
            e,
        )
        for e in network.edges
    ]


def _pack_fanout(network: Network, placement: Placement) -> np.ndarray:
    """Row bytes: one number a row."""
    fanout = np.zeros(placement.chip.derived.axon_lines, "<u4")
    for first, edge in _axon_rows(network, placement):
        count = edge.fanout()
        fanout[first : first + count.size] += count.astype("<u4")
    return (
        fanout.view(np.uint8)
        .reshape(-1, 4)[:, : -(-placement.chip.columns.bit_length() // 8)]
        .copy()
    )


def _pack_synapses(network: Network, placement: Placement) -> np.ndarray:
    """Every row of a used lane holds its digit, the excess of weight 0 where there is no synapse."""
    chip, axons = placement.chip, placement.rows
    edges = _axon_rows(network, placement)
    bits = np.zeros((len(placement.words), axons, chip.digit_bits, chip.lanes), np.uint8)
    for p in placement.populations:
        edges_in, word_of = (
            [(first, e) for first, e in edges if e.target == p.name],
            p.neurons // chip.lanes,
        )
        for w in np.unique(word_of):
            word, mine = placement.words[w], np.flatnonzero(word_of == w)
            weights = np.zeros((axons, mine.size), np.int32)
            for first, edge in edges_in:
                lines = network.size_of(edge.source)
                weights[first : first + lines] = (
                    edge.block(np.arange(lines), mine)
                    if edge.conv
                    else edge.weights[:, strided(mine)]
                )
            lane = p.neurons[mine] % chip.lanes
            if word.shift:
                stored = weights + (word.offset << word.offset_shift)
                for digit in range(word.join):
                    for b in range(chip.digit_bits):
                        bits[w, :, b][:, strided(lane + digit)] = (
                            stored >> (digit * chip.digit_bits + b) & 1
                        )
            else:  # ternary on 1-bit digits: lane 0 the inverted -1 column, lane 1 the +1 column
                bits[w, :, 0][:, strided(lane)] = weights != -1
                bits[w, :, 0][:, strided(lane + 1)] = weights == 1
    return bits.reshape(len(placement.words) * axons, -1)


def _pack_parameters(network: Network, placement: Placement) -> dict[str, np.ndarray]:
    """Row bytes of the leak, fire, neuron and bound memories. Only the words and pages in use are worked out, the others are 0."""
    chip, words = placement.chip, len(placement.words)
    pages = max(p.pages for p in network.populations)
    records = {
        "leak": leak_record(chip),
        "fire": fire_record(chip),
        "neuron": neuron_record(chip),
        **({"bound": bound_record(chip)} if chip.bounded else {}),
    }
    leak, fire = (
        {f.name: np.zeros((words, pages, chip.lanes), np.int64) for f in records[m]}
        for m in ("leak", "fire")
    )
    neuron, bound = (
        {f.name: np.zeros((words, chip.lanes), np.int64) for f in records.get(m, ())}
        for m in ("neuron", "bound")
    )

    def put(table: dict[str, np.ndarray], name: str, value: Any) -> None:
        if name in table:  # what the chip lacks, the mapping has checked to be unused
            table[name][at] = value

    for p in network.populations:
        lanes = placement.population(p.name).neurons
        for page in range(p.pages):
            at: tuple[Any, ...] = (lanes // chip.lanes, page, lanes % chip.lanes)
            put(leak, "bias", p.bias[page])
            put(leak, "rectify", p.rectify)
            put(leak, "k0", p.k0[page])
            put(leak, "toward_zero", p.rounding != LeakRounding.FLOOR)
            put(leak, "at_least_one", p.rounding == LeakRounding.AT_LEAST_ONE)
            order = np.argsort(p.leak_sign[page] == 0, axis=0, kind="stable")  # terms in use first
            sign, shift = (
                np.take_along_axis(a[page], order, axis=0) for a in (p.leak_sign, p.leak_shift)
            )
            for r in range(LEAK_TERMS):
                put(leak, f"on{r}", sign[r] != 0)
                put(leak, f"negative{r}", sign[r] < 0)
                put(leak, f"shift{r}", np.where(sign[r] != 0, shift[r], 0))
            put(fire, "v_th", p.v_th[page])
            put(fire, "v_sub", p.v_sub[page])
        at = (lanes // chip.lanes, lanes % chip.lanes)
        put(neuron, "used", 1)
        put(neuron, "fire", p.fire)
        put(neuron, "hard", p.reset == Reset.HARD)
        put(neuron, "soft", p.reset == Reset.SOFT)
        put(neuron, "v_reset", p.v_reset)
        put(neuron, "v_init", p.v_init)
        put(bound, "bounded", p.low != LowBound.NONE)
        put(bound, "low_add", p.low == LowBound.ADD)
        put(bound, "v_low", p.v_low)
        put(
            bound,
            "low_value",
            np.choose(p.low, [np.zeros_like(p.v_low), p.v_low, p.v_low_reset, p.v_low_add]),
        )
        put(neuron, "refractory", p.refractory)
        put(neuron, "hold", p.hold)
    tables: dict[str, dict[str, np.ndarray]] = {
        "leak": leak,
        "fire": fire,
        "neuron": neuron,
        "bound": bound,
    }
    memories = {}
    for m, record in records.items():
        rows = row_bytes(
            pack_lanes(
                record, chip.lanes, {k: v.reshape(-1, chip.lanes) for k, v in tables[m].items()}
            )
        )
        every = (pages, chip.pages) if m in ("leak", "fire") else (1, 1)
        memory = np.zeros((chip.derived.words, every[1], rows.shape[1]), np.uint8)
        memory[:words, : every[0]] = rows.reshape(words, every[0], -1)
        memories[m] = memory.reshape(-1, rows.shape[1])
    return memories
