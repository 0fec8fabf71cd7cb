"""The synapse rows of an image and the fanout of each axon, packed and unpacked.

The layout is that of docs/architecture.md, "Weights". A weight is ``join`` digits on neighbouring
lanes. The digits lie in the row of their axon as bit planes: bit b of all lanes' digits is one
group of ``lanes`` neighbouring bits. A signed weight is stored in excess, so that no digit is
negative. A ternary weight on 1-bit digits is two columns: weight != -1 and weight == 1.
"""

from typing import NamedTuple

import numpy as np

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.bits import integers, pack, unpack
from spikeloop.pysim.mapping.placement import Placement
from spikeloop.pysim.network.convolution import strided
from spikeloop.pysim.network.elements import Edge
from spikeloop.pysim.network.graph import Network

__all__ = [
    "Format",
    "join",
    "pack_fanout",
    "pack_synapses",
    "split",
    "unpack_fanout",
    "unpack_synapses",
]


class Format(NamedTuple):
    """How a word stores weights.

    join:  digits of a weight
    bits:  bits of a digit

    The other fields are those of pysim.chip.records.word_record.
    """

    join: int
    bits: int
    shift: int
    offset: int
    offset_shift: int

    @property
    def excess(self) -> int:
        """What is added to a weight before it is stored."""
        return self.offset << self.offset_shift


def split(weights: np.ndarray, form: Format) -> list[np.ndarray]:
    """Weights int32 ``[...]`` to their ``join`` digits, each int32 ``[...]`` in 0..2^bits - 1."""
    if not form.shift:
        return [(weights != -1).astype(np.int32), (weights == 1).astype(np.int32)]
    stored, mask = weights + form.excess, (1 << form.bits) - 1
    return [stored >> digit * form.bits & mask for digit in range(form.join)]


def join(digits: list[np.ndarray], form: Format) -> np.ndarray:
    """Inverse of :func:`split`: the digits by their strengths, less the excess."""
    total: np.ndarray | int = -form.excess
    for number, digit in enumerate(digits):
        total = total + (digit << number * form.bits * form.shift)
    return np.asarray(total)


# -- synapses ----------------------------------------------------------------------------------


def pack_synapses(network: Network, placement: Placement) -> np.ndarray:
    """Rows uint8 ``[words in use * axons, ceil(width / 8)]``.

    Every row of a used lane holds its digit, the excess of weight 0 where there is no synapse.
    """
    chip, axons = placement.chip, placement.rows
    edges = _first_axons(network, placement)
    bits = np.zeros((len(placement.words), axons, chip.digit_bits, chip.lanes), np.uint8)
    for p in placement.populations:
        into = [(first, e) for first, e in edges if e.target == p.name]
        word_of = p.neurons // chip.lanes
        for w in np.unique(word_of):
            word, neurons = placement.words[w], np.flatnonzero(word_of == w)
            form = Format(word.join, chip.digit_bits, word.shift, word.offset, word.offset_shift)
            weights = _weights(network, into, axons, neurons)
            lane = p.neurons[neurons] % chip.lanes
            for number, digit in enumerate(split(weights, form)):
                at = strided(lane + number)
                for b in range(chip.digit_bits):
                    bits[w, :, b][:, at] = digit >> b & 1
    return pack(bits.reshape(len(placement.words) * axons, -1))


def unpack_synapses(
    chip: Chip, rows: np.ndarray, words: dict[str, np.ndarray], word: np.ndarray, lane: np.ndarray
) -> np.ndarray:
    """Inverse of :func:`pack_synapses`: the weights ``[axon, neuron]`` of some neurons.

    They are int8 if that holds all of them, else int16.

    word, lane: int64 ``[neuron]`` each, where the neurons lie.
    rows: uint8 ``[words in use, axons, bytes]``; words: the fields of the word memory, each
    ``[word]``.
    """
    weights = np.zeros((rows.shape[1], word.size), np.int16)
    for w in np.unique(word):
        last, shift, offset, offset_shift = (
            int(words[name][w]) for name in ("last_digit", "shift", "offset", "offset_shift")
        )
        form = Format(last + 1, chip.digit_bits, shift, offset, offset_shift)
        planes = unpack(rows[w], chip.lanes * chip.digit_bits)
        planes = planes.reshape(len(planes), chip.digit_bits, chip.lanes)
        digits = planes[:, 0].astype(np.int32)
        for b in range(1, chip.digit_bits):
            digits |= planes[:, b].astype(np.int32) << b
        neurons = np.flatnonzero(word == w)
        lanes = lane[neurons]
        weights[:, neurons] = join([digits[:, lanes + n] for n in range(form.join)], form)
    narrow = weights.astype(np.int8)
    return narrow if np.array_equal(narrow, weights) else weights


# -- fanout ------------------------------------------------------------------------------------


def pack_fanout(network: Network, placement: Placement) -> np.ndarray:
    """Rows uint8 ``[axon lines, bytes]``: the number of synapses of each axon that are not 0."""
    fanout = np.zeros(placement.chip.derived.axon_lines, "<u4")
    for first, edge in _first_axons(network, placement):
        count = edge.fanout()
        fanout[first : first + count.size] += count.astype("<u4")
    size = -(-placement.chip.columns.bit_length() // 8)
    return fanout.view(np.uint8).reshape(-1, 4)[:, :size].copy()


def unpack_fanout(bits: np.ndarray) -> np.ndarray:
    """Inverse of :func:`pack_fanout`, from the bits of the rows: int64 ``[axon]``."""
    return integers(bits)


# -- axons -------------------------------------------------------------------------------------


def _first_axons(network: Network, placement: Placement) -> list[tuple[int, Edge]]:
    """(first axon, edge) of every edge."""
    inputs = {(i.name, i.delay): i.first_axon for i in placement.inputs}
    populations = {p.name: p.first_axon for p in placement.populations if p.first_axon is not None}

    def first(edge: Edge) -> int:
        if network.is_input(edge.source):
            return inputs[edge.source, edge.delay + network.start_of(edge.target)]
        return populations[edge.source]

    return [(first(edge), edge) for edge in network.edges]


def _weights(
    network: Network, edges: list[tuple[int, Edge]], axons: int, neurons: np.ndarray
) -> np.ndarray:
    """Weights int32 ``[axon, neuron]`` of neurons of one population, 0 without a synapse."""
    weights = np.zeros((axons, neurons.size), np.int32)
    for first, edge in edges:
        lines = network.size_of(edge.source)
        weights[first : first + lines] = (
            edge.block(np.arange(lines), neurons)
            if edge.conv
            else edge.weights[:, strided(neurons)]
        )
    return weights
