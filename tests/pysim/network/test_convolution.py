"""pysim.network.convolution: lines, blocks and fan-out against the definition, cell by cell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv


@st.composite
def convolutions(draw):
    groups = draw(st.integers(1, 3))
    source = (groups * draw(st.integers(1, 2)), draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    padding = (draw(st.integers(0, 2)), draw(st.integers(0, 2)))
    kernel = tuple(
        draw(st.integers(1, min(4, n + 2 * p))) for n, p in zip(source[1:], padding, strict=True)
    )
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    return Conv.make(
        source,
        groups * draw(st.integers(1, 2)),
        kernel,
        stride=stride,
        padding=padding,
        groups=groups,
    )


def matrix(conv: Conv, weights: np.ndarray) -> np.ndarray:
    """The dense matrix [line, neuron] by the definition."""
    out = np.zeros((*conv.source, *conv.target), np.int32)
    per_group = conv.source[0] // conv.groups
    for o in range(conv.target[0]):
        first = o // (conv.target[0] // conv.groups) * per_group
        for v in range(conv.target[1]):
            for u in range(conv.target[2]):
                for c in range(per_group):
                    for i in range(conv.kernel[0]):
                        for j in range(conv.kernel[1]):
                            y, x = (
                                v * conv.stride[0] + i - conv.padding[0],
                                u * conv.stride[1] + j - conv.padding[1],
                            )
                            if 0 <= y < conv.source[1] and 0 <= x < conv.source[2]:
                                out[first + c, y, x, o, v, u] = weights[o, c, i, j]
    return out.reshape(np.prod(conv.source), -1)


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.integers(0, 2**32 - 1))
def test_equals_the_definition(conv, seed):
    rng = np.random.default_rng(seed)
    conv.check("here")
    weights = rng.integers(-3, 4, conv.weights_shape, dtype=np.int32)
    full = matrix(conv, weights)
    np.testing.assert_array_equal(conv.fanout(weights), np.count_nonzero(full, axis=1))
    neurons = np.flatnonzero(rng.random(full.shape[1]) < 0.5)
    reach = matrix(conv, np.ones_like(weights))[:, neurons].any(axis=1)
    np.testing.assert_array_equal(conv.lines(neurons), np.flatnonzero(reach))
    lines = np.flatnonzero(rng.random(full.shape[0]) < 0.7)
    np.testing.assert_array_equal(conv.block(weights, lines, neurons), full[np.ix_(lines, neurons)])
    assert Conv.from_dict(conv.to_dict()) == conv


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"target": (2, 3, 4)}, "target height of the convolution of here must be 4"),
        ({"groups": 2}, "groups of the convolution of here must divide 1 and 2 channels, not 2"),
        (
            {"stride": (0, 1)},
            r"stride of the convolution of here must be 2 sizes of 1..65536, not \(0, 1\)",
        ),
        ({"kernel": (9, 1)}, "target height of the convolution of here must be 0"),
    ],
)
def test_refuses(change, says):
    good = {"source": (1, 6, 6), "target": (2, 4, 4), "kernel": (3, 3)}
    with pytest.raises(InputError, match=says):
        Conv(**(good | change)).check("here")
