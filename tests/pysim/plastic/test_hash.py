"""The keyed hash: three writings agree, and its numbers are as random as the rule needs."""

import numpy as np
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


def test_bytes_are_flat_and_neighbours_are_independent() -> None:
    """2^20 draws over ticks, neurons and axons. Bounds are 4 standard errors, 5 for chi^2."""
    ticks, neurons, axons = 64, 64, 256
    words = np.stack(
        [
            np.stack([hash_words(1, t, np.arange(axons), n, 1) for n in range(neurons)])
            for t in range(ticks)
        ]
    )
    other = np.stack([hash_words(1, t, np.arange(axons), 0, 3) for t in range(ticks)])
    for shift in (0, 8, 16, 24):
        seen = np.bincount((words.reshape(-1) >> np.uint32(shift)) & 255, minlength=256)
        chi = ((seen - words.size / 256) ** 2 / (words.size / 256)).sum()
        assert abs(chi - 255) < 5 * np.sqrt(2 * 255), shift
    height = words.view(np.uint8).reshape(*words.shape, 4).sum(-1).astype(float) - 510
    assert abs(height.mean()) < 4 * 147.8 / np.sqrt(words.size)
    assert abs(height.std() - 147.8) < 0.6
    real = words / 2.0**32 - 0.5
    pairs = {
        axis: (real.take(range(1, n), axis), real.take(range(n - 1), axis))
        for axis, n in enumerate(words.shape)
    }
    pairs["use"] = (real[:, 0], other / 2.0**32 - 0.5)
    for what, (a, b) in pairs.items():
        assert abs((a * b).mean() * 12) < 4 / np.sqrt(a.size), what
