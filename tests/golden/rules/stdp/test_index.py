"""The tail index: known processes have theirs, and the choices of the estimate matter."""

import math

import numpy as np
import pytest

from spikeloop.golden.rules.stdp.index import tail_index
from spikeloop.pysim.common.errors import InputError


@pytest.mark.parametrize("pooled", [False, True])
def test_gauss_and_cauchy_have_their_indices(rng: np.random.Generator, pooled: bool) -> None:
    for alpha, draw in ((2.0, rng.standard_normal), (1.0, rng.standard_cauchy)):
        x = draw((100, 50, 100))
        x[rng.random(x.shape) < 0.5] = 0  # images in which a weight did not change
        assert tail_index(x, pooled=pooled) == pytest.approx(alpha, rel=0.03)


def test_synapses_are_not_mixed_unless_asked_for(rng: np.random.Generator) -> None:
    """Changes of one image that share a sign: pooled, the sums grow as the block does."""
    x = np.abs(rng.standard_normal((2000, 100))) * rng.choice([-1, 1], (2000, 1))
    assert tail_index(x) == pytest.approx(2.0, rel=0.1)
    assert tail_index(x, pooled=True) < 1.1


def test_what_cannot_be_estimated_is_not(rng: np.random.Generator) -> None:
    assert math.isnan(tail_index(np.zeros((100, 5))))
    assert math.isnan(tail_index(rng.standard_normal((95, 10))))  # 90 whole blocks
    assert tail_index(rng.standard_normal((105, 10))) > 0  # 100
    with pytest.raises(InputError, match="increments of a block must be at least 2, not 1"):
        tail_index(np.ones((9, 9)), 1)
