"""Encoders against their definition, pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloop.golden.data.encoders import CHUNK, Encoder, grey, level_crossing, plane_weights
from spikeloop.pysim.common.errors import InputError

GREYS = np.arange(256, dtype=np.uint8)[None]


@given(steps=st.integers(1, 300), threshold=st.integers(1, 255))
def test_rank_order_follows_its_definition(steps: int, threshold: int):
    spikes = Encoder(name="rank_order", steps=steps, threshold=threshold)(GREYS)
    assert spikes.shape == (1, steps, 256) and spikes.dtype == np.uint8
    times = []
    for value in range(256):
        when = np.flatnonzero(spikes[0, :, value]).tolist()
        if value < threshold:
            assert when == []
        else:
            # part of the range threshold..255, counted from the top, that the grey value lies in
            assert when == [(255 - value) * steps // (256 - threshold)]
            times += when
    assert (
        times == sorted(times, reverse=True) and times[-1] == 0
    )  # brighter is never later; the brightest comes first


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


@given(signal=st.lists(st.integers(0, 255), min_size=1, max_size=30), level=st.integers(1, 255))
def test_level_crossing_follows_the_signal(signal: list[int], level: int):
    """By the definition, one crossing after another: ON for at least one level upwards, OFF
    downwards."""
    spikes = level_crossing(np.array(signal, np.uint8).reshape(1, -1, 1), level=level)
    assert spikes.shape == (1, len(signal), 2) and spikes.dtype == np.uint8
    held = 0
    for x, (on, off) in zip(signal, spikes[0].tolist(), strict=True):
        before = held
        while x >= held + level:
            held += level
        while x <= held - level:
            held -= level
        assert (on, off) == (held > before, held < before)
        assert abs(x - held) < level  # the levels follow the signal


def test_level_crossing_reads_images_by_columns():
    images = np.zeros((2, 9), np.uint8)
    images[1] = [0, 200, 200, 90, 90, 0, 200, 90, 200]
    spikes = Encoder(name="level_crossing", steps=3, threshold=100)(images)
    assert spikes.shape == (2, 3, 6) and not spikes[0].any()
    # levels held: row 0: 0 2 2, row 1: none, row 2: 2 1 2
    assert spikes[1].tolist() == [[0, 0, 1, 0, 0, 0], [1, 0, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0]]
    assert Encoder(name="level_crossing", steps=28).lines(784) == 56 and Encoder().lines(783) == 783
    with pytest.raises(
        InputError,
        match="steps of the encoder must be the side of the square images it reads by columns, "
        "not 8 for 784",
    ):
        Encoder(name="level_crossing")(np.zeros((1, 784), np.uint8))


def test_level_crossing_reads_signals_of_any_length():
    """Two signals of three steps are the first two rows of the square image above."""
    encoder = Encoder(name="level_crossing", steps=3, threshold=100)
    signals = np.array([[0, 200, 200, 90, 90, 0]], np.uint8)
    assert encoder(signals)[0].tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert encoder.lines(6) == 4
    with pytest.raises(InputError, match=r"must divide the 8 pixels .* not be 3"):
        encoder.lines(8)


@pytest.mark.parametrize("planes", range(1, 9))
def test_bit_planes_add_up_to_the_upper_bits_in_every_step(planes: int):
    encoder = Encoder(name="bit_planes", steps=3, planes=planes)
    spikes = encoder(GREYS).reshape(3, planes, 256)
    assert encoder.lines(256) == planes * 256
    for step in spikes:
        assert np.array_equal(
            (step << np.arange(planes)[:, None]).sum(0), GREYS[0] // 2 ** (8 - planes)
        )


@pytest.mark.parametrize("planes", range(1, 9))
def test_weights_of_planes_see_the_whole_pixel(planes: int, rng: np.random.Generator):
    images = rng.integers(0, 256, (20, 12), np.uint8)
    weights = rng.integers(-50, 51, (12, 3))
    lines = Encoder(name="bit_planes", steps=1, planes=planes)(images)[:, 0].astype(int)
    value = images // 2 ** (8 - planes)
    np.testing.assert_array_equal(lines @ plane_weights(weights, planes, axis=0), value @ weights)
    np.testing.assert_allclose(grey(images, planes) * (2**planes - 1), value, rtol=1e-15)


def test_sequence_shows_one_part_a_step():
    image = np.array([[0x10, 0x20, 0x30, 0x40, 0xFF, 0x00]], np.uint8)
    spikes = Encoder(name="sequence", steps=3, planes=4)(
        image
    )  # lines: bit 0 of the two pixels of the part, bit 1, ...
    assert spikes.tolist() == [
        [[1, 0, 0, 1, 0, 0, 0, 0], [1, 0, 1, 0, 0, 1, 0, 0], [1, 0, 1, 0, 1, 0, 1, 0]]
    ]
    assert Encoder(name="sequence", steps=6, planes=1)(image).tolist() == [
        [[0], [0], [0], [0], [1], [0]]
    ]  # pixel by pixel
    assert Encoder(name="sequence", steps=28).lines(784) == 112
    with pytest.raises(
        InputError,
        match="steps of the encoder must divide the 6 pixels that it reads in equal parts, "
        "not be 4",
    ):
        Encoder(name="sequence", steps=4)(image)


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


@pytest.mark.parametrize(
    "fields, message",
    [
        (
            {"name": "latency"},
            "encoder must be one of rank_order, rate, level_crossing, bit_planes, sequence, "
            "not 'latency'",
        ),
        ({"steps": 0}, r"steps of the encoder must be in 1\.\.65536, not 0"),
        ({"steps": 2.0}, r"steps of the encoder must be in 1\.\.65536, not 2\.0"),
        ({"threshold": 0}, r"threshold of the encoder must be in 1\.\.255, not 0"),
        ({"threshold": 256}, r"threshold of the encoder must be in 1\.\.255, not 256"),
        ({"planes": 0}, r"planes of the encoder must be in 1\.\.8, not 0"),
        ({"planes": 9}, r"planes of the encoder must be in 1\.\.8, not 9"),
        ({"seed": -1}, "seed of the encoder must be in .*, not -1"),
    ],
)
def test_bad_choices_are_refused(fields: dict, message: str):
    with pytest.raises(InputError, match=message):
        Encoder(**fields)


def test_bad_images_are_refused():
    with pytest.raises(
        InputError, match=r"images must be uint8 \[image, pixel\], not float64 of shape \(2, 3\)"
    ):
        Encoder()(np.zeros((2, 3)))
