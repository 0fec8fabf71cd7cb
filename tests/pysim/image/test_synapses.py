"""pysim/image/synapses.py: what is packed comes back, weight by weight and axon by axon."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.chip.records import unpack_plain, word_record
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.image.synapses import (
    Format,
    join,
    pack_fanout,
    pack_synapses,
    split,
    unpack_fanout,
    unpack_synapses,
)
from spikeloop.pysim.mapping.place import place
from spikeloop.pysim.mapping.placement import word_of
from spikeloop.pysim.network.elements import Population, WeightFormat, weight_range
from tests.make.networks import random_network

CHIPS = [
    PRESETS["tiny"],
    Chip(axons=70, columns=96, lanes=12, digit_bits=2, membrane_bits=16),
    Chip(axons=40, columns=80, lanes=5, digit_bits=4, membrane_bits=20, extension=4),
]


@given(st.data())
def test_digits_are_the_weight(data: st.DataObject) -> None:
    """Every format at every width: digits fit their columns, and no two weights share them."""
    chip = CHIPS[0].replace(digit_bits=data.draw(st.sampled_from([1, 2, 4, 8])), lanes=8)
    weight_format = data.draw(st.sampled_from(list(WeightFormat)))
    widths = {WeightFormat.BINARY: 1, WeightFormat.TERNARY: 2}
    bits = widths.get(weight_format) or data.draw(st.integers(1, min(16, 8 * chip.digit_bits)))
    word = word_of(Population.make("p", 1, weight_bits=bits, weight_format=weight_format), chip)
    form = Format(word.join, chip.digit_bits, word.shift, word.offset, word.offset_shift)
    low, high = weight_range(weight_format, bits)
    weights = np.arange(low, high + 1, dtype=np.int32)[:, None]
    digits = split(weights, form)
    assert len(digits) == form.join
    assert all(d.min() >= 0 and d.max() < 1 << form.bits for d in digits)
    np.testing.assert_array_equal(join(digits, form), weights)
    assert len(np.unique(np.concatenate(digits, axis=1), axis=0)) == len(weights)


@pytest.mark.parametrize("chip", CHIPS, ids=["tiny", "2-bit digits", "extended"])
@pytest.mark.parametrize("number", range(6))
def test_rows_come_back(seed: int, chip: Chip, number: int) -> None:
    """Weights of every neuron on every axon, built edge by edge, and the fanout of each axon."""
    network = random_network(np.random.default_rng([seed, number]), chip)
    placement = place(network, chip)
    words = unpack_plain(word_record(chip), pack(network, placement).bits("words"))
    rows = pack_synapses(network, placement).reshape(len(placement.words), placement.rows, -1)
    fanout = np.zeros(placement.rows, np.int64)
    first_axon = {(i.name, i.delay): i.first_axon for i in placement.inputs}
    for p in placement.populations:
        expected = np.zeros((placement.rows, p.size), np.int64)
        for e in network.edges:
            if e.target == p.name:
                first = (
                    first_axon[e.source, e.delay + p.start]
                    if network.is_input(e.source)
                    else placement.population(e.source).first_axon
                )
                assert first is not None
                expected[first : first + network.size_of(e.source)] = e.weights
        word, lane = np.divmod(p.neurons, chip.lanes)
        np.testing.assert_array_equal(unpack_synapses(chip, rows, words, word, lane), expected)
        fanout += (expected != 0).sum(axis=1)
    bits = np.unpackbits(pack_fanout(network, placement), axis=1, bitorder="little")
    np.testing.assert_array_equal(unpack_fanout(bits)[: placement.rows], fanout)
