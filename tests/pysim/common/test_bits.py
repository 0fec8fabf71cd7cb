"""pysim/common/bits.py: packed bits, and the integers that bit planes stand for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spikeloop.pysim.common.bits import integers, pack, strengths, unpack


@given(st.integers(1, 40), st.integers(0, 2**32))
def test_packing(size: int, seed: int) -> None:
    spikes = np.random.default_rng(seed).integers(0, 2, (2, 3, size), dtype=np.uint8)
    packed = pack(spikes)
    assert packed.shape == (2, 3, -(-size // 8))
    np.testing.assert_array_equal(unpack(packed, size), spikes)
    assert all(packed[1, 2, i // 8] >> i % 8 & 1 == spikes[1, 2, i] for i in range(size))


def test_nothing_packs_to_nothing() -> None:
    for shape in ((0, 3, 8), (2, 0, 5), (2, 3, 0)):
        packed = pack(np.zeros(shape, np.uint8))
        assert packed.shape == (*shape[:2], -(-shape[2] // 8))
        assert unpack(packed, shape[2]).shape == shape


@given(st.integers(1, 40), st.booleans(), st.data())
def test_integers_of_bits(width: int, signed: bool, data: st.DataObject) -> None:
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    numbers = np.array(data.draw(st.lists(st.integers(low, high), min_size=1)), np.int64)
    bits = (numbers[:, None] >> np.arange(width) & 1).astype(np.uint8)
    again = integers(bits, signed)
    assert again.dtype == np.int64
    np.testing.assert_array_equal(again, numbers)
    assert strengths(width, signed).sum() == (-1 if signed else (1 << width) - 1)
