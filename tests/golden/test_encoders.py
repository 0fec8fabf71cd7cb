"""Encoders against their definition, pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.encoders import CHUNK, Encoder
from pysim.network import InputError

GREYS = np.arange(256, dtype=np.uint8)[None]


@given(steps=st.integers(1, 300), threshold=st.integers(1, 255))
def test_rank_order_follows_its_definition(steps: int, threshold: int):
    spikes = Encoder(name="rank_order", steps=steps, threshold=threshold)(GREYS)
    assert spikes.shape == (1, steps, 256) and spikes.dtype == np.uint8
    times = []
    for grey in range(256):
        when = np.flatnonzero(spikes[0, :, grey]).tolist()
        if grey < threshold:
            assert when == []
        else:
            # part of the range threshold..255, counted from the top, that the grey value lies in
            assert when == [(255 - grey) * steps // (256 - threshold)]
            times += when
    assert times == sorted(times, reverse=True) and times[-1] == 0  # brighter is never later; the brightest comes first


def test_rate_has_the_pixel_as_probability():
    images = np.repeat(GREYS, 400, 0)
    spikes = Encoder(name="rate", steps=10, seed=5)(images)
    assert set(np.unique(spikes)) == {0, 1}
    share = spikes.mean((0, 1))
    assert share[0] == 0 and share[255] == 1
    # 4,000 draws per grey value: 5 standard deviations are below 0.04
    assert np.abs(share - np.arange(256) / 255).max() < 0.04
    pairs = spikes.astype(float) - np.arange(256) / 255
    assert abs((pairs[:, 1:] * pairs[:, :-1]).mean()) < 0.005  # independent from step to step


@pytest.mark.parametrize("name", ["rate", "rank_order"])
def test_encoding_is_repeatable_and_prefix_true(name: str):
    images = np.random.default_rng(1).integers(0, 256, (CHUNK + 30, 20), np.uint8)
    encoder = Encoder(name=name, steps=6, seed=7)
    whole = encoder(images)
    assert np.array_equal(whole, encoder(images))
    for count in (1, 40, CHUNK, CHUNK + 7):
        assert np.array_equal(whole[:count], encoder(images[:count]))
    if name == "rate":
        assert not np.array_equal(whole, Encoder(name=name, steps=6, seed=8)(images))


@pytest.mark.parametrize("fields, message", [
    ({"name": "latency"}, "encoder must be one of rank_order, rate, not 'latency'"),
    ({"steps": 0}, r"steps of the encoder must be in 1\.\.65536, not 0"),
    ({"steps": 2.0}, r"steps of the encoder must be in 1\.\.65536, not 2\.0"),
    ({"threshold": 0}, r"threshold of the encoder must be in 1\.\.255, not 0"),
    ({"threshold": 256}, r"threshold of the encoder must be in 1\.\.255, not 256"),
    ({"seed": -1}, "seed of the encoder must be in .*, not -1"),
])
def test_bad_choices_are_refused(fields: dict, message: str):
    with pytest.raises(InputError, match=message):
        Encoder(**fields)


def test_bad_images_are_refused():
    with pytest.raises(InputError, match=r"images must be uint8 \[image, pixel\], not float64 of shape \(2, 3\)"):
        Encoder()(np.zeros((2, 3)))
