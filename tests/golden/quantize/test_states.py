"""Bits below the point of currents and adaptations, and their decays as shifts."""

import numpy as np
import pytest

from spikeloop.golden.quantize.states import (
    ADAPTATION_BITS,
    CURRENT_BITS,
    CURRENT_ROOM,
    HEADROOM,
    MEMBRANE_ROOM,
    adaptation_arrays,
    current_arrays,
    decay_arrays,
    finer,
    spare_bits,
)
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import Population, StateUse


def value(arrays: dict[str, np.ndarray], prefix: str) -> np.ndarray:
    """The factors that the arrays of a decay make, [page, neuron]."""
    terms = arrays[f"{prefix}sign"] * 2.0 ** -arrays[f"{prefix}shift"].astype(float)
    return arrays[f"{prefix}k0"] + terms.sum(axis=1)


def test_decays_by_page_and_neuron() -> None:
    decays = [[0.5, 0.75, 0.0], [1.0, 0.9, 0.625]]
    arrays, error = decay_arrays("current_", decays)
    assert arrays["current_k0"].shape == (2, 3) and arrays["current_sign"].shape == (2, 3, 3)
    made = value(arrays, "current_")
    assert np.abs(made - decays).max() == pytest.approx(error) and error == pytest.approx(0.0015625)
    exact = np.array([[0.5, 0.75, 0.0], [1.0, np.nan, 0.625]])
    assert ((made == exact) | np.isnan(exact)).all()


@pytest.mark.parametrize("terms", [1, 2, 3])
def test_fewer_terms_are_no_better(terms: int) -> None:
    decays = [np.linspace(0.01, 0.99, 37)]
    arrays, error = decay_arrays("leak_", decays, terms)
    assert (np.count_nonzero(arrays["leak_sign"], axis=1) <= terms).all()
    assert error <= decay_arrays("leak_", decays, terms - 1)[1]


def test_spare_bits_fill_nine_tenths() -> None:
    assert spare_bits(0.9 * 2**10, 16, 20) == 6
    assert spare_bits(0.91 * 2**10, 16, 20) == 5
    assert spare_bits(0.0, 16, 20) == 20 and spare_bits(1e9, 16, 20) == 0


@pytest.mark.parametrize("reach", [0.5, 40.0, 3e4])
@pytest.mark.parametrize("membrane", [0.25, 60.0, 1e5])
def test_a_current_has_room_and_no_more(reach: float, membrane: float) -> None:
    scale = 30.0
    arrays, unit, error = current_arrays(np.full(4, 0.75), "old", scale, reach, membrane)
    p = Population.make("p", 4, **arrays)
    assert error == 0 and (p.current == StateUse.OLD).all()
    assert unit == scale * finer(p)[0]
    gain, fraction = int(p.gain[0]), int(p.fraction[0])
    most = CURRENT_ROOM * reach * scale * 2.0**gain
    assert most < 2 ** (CURRENT_BITS - 1) and (gain == 15 or 2.3 * most > 2 ** (CURRENT_BITS - 1))
    assert MEMBRANE_ROOM * membrane * unit <= HEADROOM or fraction == CURRENT_BITS
    assert fraction == 0 or 2.3 * MEMBRANE_ROOM * membrane * unit > HEADROOM


def test_an_adaptation_is_in_units_of_the_membrane() -> None:
    arrays, error = adaptation_arrays(np.full(3, 0.9), np.full(3, 1.5), "new", 200.0, 7.0)
    scale = arrays["adaptation_scale"]
    assert 7.0 * 200 * 2.0**scale < 2**ADAPTATION_BITS < 2.3 * 7.0 * 200 * 2.0**scale
    assert (arrays["adaptation_step"] == 300 << scale).all() and 0 < error < 0.002


@pytest.mark.parametrize("decay", [-0.1, 1.5, np.nan])
def test_decays_are_checked(decay: float) -> None:
    with pytest.raises(InputError, match=r"decay of a synaptic current must be in 0\.\.1, not"):
        current_arrays(np.array([0.5, decay]), "new", 1.0, 1.0, 1.0)
    with pytest.raises(InputError, match=r"decay of an adaptation must be in 0\.\.1, not"):
        adaptation_arrays(np.array([decay]), np.ones(1), "new", 1.0, 1.0)


def test_a_step_down_is_refused() -> None:
    with pytest.raises(InputError, match=r"step of an adaptation must be 0 or more, not -0\.5"):
        adaptation_arrays(np.ones(2), np.array([1.0, -0.5]), "new", 1.0, 1.0)
