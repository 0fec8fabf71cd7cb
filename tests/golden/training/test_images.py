"""Training images that are turned, moved and scaled."""

import numpy as np
import pytest

from spikeloop.golden.training.images import warped

SIDE = 21


def bar() -> np.ndarray:
    """A horizontal bar right of the middle, uint8 ``[1, pixels]``."""
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[9:12, 11:19] = 200
    return image.reshape(1, -1)


def middle(image: np.ndarray) -> tuple[float, float]:
    """Mean row and column of the ink, from the middle of the image."""
    maps = image.reshape(SIDE, SIDE).astype(float)
    rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    return (maps * rows).sum() / maps.sum(), (maps * columns).sum() / maps.sum()


def test_nothing_to_do_changes_nothing(rng: np.random.Generator):
    images = rng.integers(0, 256, (5, SIDE * SIDE), np.uint8)
    same = warped(images, rng, degrees=0.0, move=0.0, scale=(1.0, 1.0))
    assert same.dtype == np.uint8 and same.shape == images.shape
    assert np.abs(same.astype(int) - images).max() <= 1  # rounding of the places


@pytest.mark.parametrize("degrees", [10.0, 30.0])
def test_angles_reach_both_ends_and_no_further(degrees: float, rng: np.random.Generator):
    images = bar().repeat(400, 0)
    seen = warped(images, rng, degrees=degrees, move=0.0, scale=(1.0, 1.0))
    angles = [np.degrees(np.arctan2(*middle(image))) for image in seen]
    assert -degrees - 1 < min(angles) < -0.9 * degrees
    assert 0.9 * degrees < max(angles) < degrees + 1


def test_moves_and_scales_reach_both_ends(rng: np.random.Generator):
    images = bar().repeat(400, 0)
    moved = [middle(x) for x in warped(images, rng, degrees=0, move=0.1, scale=(1.0, 1.0))]
    row, column = middle(images[0])
    for found, at in zip(zip(*moved, strict=True), (row, column), strict=True):
        assert -0.1 * SIDE - 0.1 < min(found) - at < -0.09 * SIDE
        assert 0.09 * SIDE < max(found) - at < 0.1 * SIDE + 0.1
    # The image moves by as much when it is turned and scaled as well.
    images[:] = 0
    images.reshape(-1, SIDE, SIDE)[:, 9:12, 9:12] = 200
    moved = [middle(x) for x in warped(images, rng, degrees=90, move=0.1, scale=(0.7, 0.8))]
    assert 0.09 * SIDE < np.abs(moved).max() < 0.1 * SIDE + 0.2
    images = bar().repeat(400, 0)
    sizes = [
        middle(x)[1] / column for x in warped(images, rng, degrees=0, move=0, scale=(0.8, 1.2))
    ]
    assert 0.78 < min(sizes) < 0.82 and 1.15 < max(sizes) < 1.22
