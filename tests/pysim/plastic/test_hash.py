"""The keyed hash: three writings agree, and its numbers are as random as the rule needs."""

import numpy as np
import pytest
import torch

from spikeloop.golden.reference.plastic import hash32
from spikeloop.pysim.plastic.kernel import _hash
from spikeloop.pysim.plastic.numpy_engine import hash_words
from tests.witness.plastic import keyed


def test_four_writings_agree(rng: np.random.Generator) -> None:
    for seed, tick in rng.integers(0, 1 << 32, (50, 2)).tolist():
        n, use = int(rng.integers(4096)), int(rng.integers(4))
        axons = rng.integers(0, 4096, 4)
        want = [keyed(seed, tick, int(a), n, use) for a in axons]
        assert hash_words(seed, tick, axons, n, use).tolist() == want
        assert hash32(seed, tick, torch.from_numpy(axons), torch.tensor(n), use).tolist() == want
        assert [_hash(seed, tick, int(a), n, use) for a in axons] == want


@pytest.mark.parametrize(
    "shape",
    [(64, 64, 256), pytest.param((100, 100, 1000), marks=pytest.mark.slow)],
    ids=["a million draws", "ten million"],
)
def test_bytes_are_flat_and_neighbours_are_independent(shape: tuple[int, int, int]) -> None:
    """Draws over ticks, neurons and axons. Bounds are 4 standard errors, 5 for chi^2.

    Each byte is flat, and so are the 16 high bits, which round a change. The height of the noise
    has the mean 0 and the deviation of four flat bytes, 147.8.
    """
    ticks, neurons, axons = shape
    words = np.empty(shape, np.uint32)
    for t in range(ticks):
        for n in range(neurons):
            words[t, n] = hash_words(1, t, np.arange(axons), n, 1)
    other = np.stack([hash_words(1, t, np.arange(axons), 0, 3) for t in range(ticks)])
    for shift, bits in ((0, 8), (8, 8), (16, 8), (24, 8), (16, 16)):
        classes = 1 << bits
        seen = np.bincount((words.reshape(-1) >> np.uint32(shift)) % classes, minlength=classes)
        chi = ((seen - words.size / classes) ** 2 / (words.size / classes)).sum()
        assert abs(chi - (classes - 1)) < 5 * np.sqrt(2 * (classes - 1)), (shift, bits)
    height = words.view(np.uint8).reshape(-1, 4).sum(-1, dtype=np.int64) - 510
    sigma = np.sqrt(4 * (256**2 - 1) / 12)
    assert abs(height.mean()) < 4 * sigma / np.sqrt(words.size)
    kurtosis = -0.3  # of four flat numbers, excess
    assert abs(height.var() / sigma**2 - 1) < 4 * np.sqrt((kurtosis + 2) / words.size)
    real = words / 2.0**32 - 0.5
    for axis, n in enumerate(shape):
        a, b = real.take(range(1, n), axis), real.take(range(n - 1), axis)
        assert abs((a * b).mean() * 12) < 4 / np.sqrt(a.size), axis
    product = (real[:, 0] * (other / 2.0**32 - 0.5)).mean() * 12
    assert abs(product) < 4 / np.sqrt(other.size), "use"
