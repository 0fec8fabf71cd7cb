"""Explicit current control: conversions and nets that are refused."""

import numpy as np
import pytest

from spikeloop.golden.rules.ecc.net import IMAGE, Branch, Cnn, Layer, convert
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv
from tests.golden.rules.ecc.test_net import POINT, random_cnn


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"eta": 1.5}, r"eta must be in 0\.\.1, not 1\.5"),
        (
            {"bits": 14, "planes": 4},
            r"weight bits must be in 2\.\.13 for 4 bits of a pixel, not 14",
        ),
        ({"bits": 1}, r"weight bits must be in 2\.\.13 for 4 bits of a pixel, not 1"),
        ({"planes": 9}, r"bits of a pixel must be in 1\.\.8, not 9"),
        (
            {"membrane_bits": 8},
            r"threshold of layer 'one' must be in 1\.\.127, not \d+: use fewer bits",
        ),
    ],
)
def test_bad_conversions_are_refused(given_: dict, message: str):
    cnn = random_cnn(np.random.default_rng(0))
    with pytest.raises(InputError, match=message):
        convert(cnn, {"one": 1.0, "two": 1.0, "three": 1.0, "four": 1.0}, **{"steps": 4, **given_})


def test_bad_nets_are_refused(rng: np.random.Generator):
    one = Branch(source=IMAGE, conv=POINT, weights=np.ones((1, 1, 1, 1)))
    with pytest.raises(
        InputError,
        match="source of branch here->a must be 'image' or a layer before it, not 'here'",
    ):
        Cnn(
            layers=(
                Layer(
                    name="a",
                    branches=(Branch(source="here", conv=POINT, weights=one.weights),),
                    bias=np.zeros(1),
                ),
            )
        )
    two = Branch(source="a", conv=Conv.make((2, 1, 1), 1, (1, 1)), weights=one.weights)
    with pytest.raises(
        InputError,
        match=r"maps of branch a->b must be \(1, 1, 1\) and \(1, 1, 1\), "
        r"not \(2, 1, 1\) and \(1, 1, 1\)",
    ):
        Cnn(
            layers=(
                Layer(name="a", branches=(one,), bias=np.zeros(1)),
                Layer(name="b", branches=(two,), bias=np.zeros(1)),
            )
        )
    with pytest.raises(
        InputError, match=r"weights of branch image->a must be of shape \(1, 1, 1, 1\), not \(2,\)"
    ):
        Cnn(
            layers=(
                Layer(
                    name="a",
                    branches=(Branch(source=IMAGE, conv=POINT, weights=np.ones(2)),),
                    bias=np.zeros(1),
                ),
            )
        )
    silent = Cnn(
        layers=(
            Layer(name="a", branches=(one,), bias=np.full(1, -9.0)),
            Layer(
                name="b",
                branches=(Branch(source="a", conv=POINT, weights=one.weights),),
                bias=np.zeros(1),
            ),
        )
    )
    with pytest.raises(
        InputError,
        match="layer 'a' must be active on some image, not silent on all 2: train it longer",
    ):
        silent.maxima(rng.random((2, 1, 1, 1)))
    with pytest.raises(
        InputError,
        match="branches of layer 'a' must come from different layers, not twice from 'image'",
    ):
        Cnn(layers=(Layer(name="a", branches=(one, one), bias=np.zeros(1)),))
    beside = Cnn(
        layers=(
            Layer(name="a", branches=(one,), bias=np.zeros(1)),
            Layer(
                name="b",
                branches=(Branch(source="a", conv=POINT, weights=one.weights), one),
                bias=np.zeros(1),
            ),
        )
    )
    with pytest.raises(InputError, match="layer 'b' must see the whole image alone or not at all"):
        convert(beside, {"a": 1.0}, steps=2)
