"""Symmetries of patches."""

import numpy as np

from spikeloop.golden.data.patches import UNIT, mirrored, rounded


def test_values_are_rounded_and_clipped() -> None:
    found = rounded(np.array([0.0, 1 / UNIT, 0.51 / UNIT, -2.0, 9.0, -9.0]))
    assert found.dtype == np.int8 and found.tolist() == [0, 1, 1, -64, 127, -128]


def test_mirrored_patches_are_the_eight_symmetries(rng: np.random.Generator) -> None:
    patch = np.arange(5 * 5 * 3).reshape(5, 5, 3)
    made = mirrored(np.repeat(patch.reshape(1, -1), 400, 0), rng, 5)
    want = {
        np.ascontiguousarray(np.rot90(p, turns)).tobytes()
        for p in (patch, patch[::-1])
        for turns in range(4)
    }
    assert {p.tobytes() for p in made} == want and len(want) == 8
    both = np.stack([patch.ravel(), -patch.ravel()])
    assert (np.sign(mirrored(both, rng, 5).sum(1)) == [1, -1]).all()  # each stays in its place
    assert not np.array_equal(mirrored(made, rng, 5), made)
