"""Coloured digits: what is drawn, from what, and what is refused."""

import numpy as np
import pytest

from spikeloop.golden.data.coloured import DISTANCE, GRAIN, SHAPE, coloured, coloured_data
from spikeloop.golden.data.datasets import load_mnist
from spikeloop.pysim.common.errors import InputError
from tests.make.rule_nets import small_mnist


def test_an_image_looks_the_same_wherever_it_stands(rng: np.random.Generator) -> None:
    images = load_mnist().test_images[:50]
    order = rng.permutation(50)
    np.testing.assert_array_equal(coloured(images)[order], coloured(images[order]))
    assert len({image.tobytes() for image in coloured(images)}) == 50


def test_ink_is_brighter_than_paper() -> None:
    """Means over the channels, up to the grain, of the whole ink and of what is no ink."""
    images = load_mnist().test_images[:200]
    middle = images.reshape(-1, 28, 28)[:, 2:-2, 2:-2]
    bright = coloured(images).reshape(-1, *SHAPE).mean(1) / 255
    for grey, colour in zip(middle, bright, strict=True):
        ink, paper = colour[grey > 250], colour[grey == 0]
        assert np.median(ink) > np.median(paper) + DISTANCE - 3 * GRAIN


def test_colours_differ_and_run() -> None:
    """A blank page twice as bright as another, and brighter at one end than at the other."""
    blanks = np.zeros((40, 784), np.uint8)
    blanks[np.arange(40), 0] = np.arange(40)  # in a corner that is cut off
    pages = coloured(blanks).reshape(-1, *SHAPE)
    means = pages.mean((2, 3))
    assert means.max() > 2 * means.min()
    ends = pages[..., :4].mean((2, 3)) - pages[..., -4:].mean((2, 3))
    assert (np.abs(ends) > 25).any(1).mean() > 0.5


def test_a_data_set_in_colour_says_so() -> None:
    data = small_mnist(28, 28, train=3, test=2)
    small = coloured_data(data)
    assert small.source == f"{data.source}-coloured" and small.pixels == np.prod(SHAPE)
    assert len(small.train_images) == 3 and len(small.test_images) == 2


@pytest.mark.parametrize(
    "images", [np.zeros((2, 64), np.uint8), np.zeros((2, 784)), np.zeros(784, np.uint8)]
)
def test_other_images_are_refused(images: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"images to colour must be uint8 of shape \(n, 784\)"):
        coloured(images)
