"""The PIM macro's RTL: exactly pysim and golden, on many geometries; and ideal settings."""

from itertools import product

import numpy as np
import pytest

from spikeloop.cosim.macros.pim import PimModel
from spikeloop.golden.reference import pim as golden
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.layer import PimLayer, PimParams
from spikeloop.pysim.pim.window import PimWindow
from tests.campaigns.regression.pim import first_difference
from tests.make.pim_cases import MACROS, random_images, random_layer, random_params


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "geometry" in metafunc.fixturenames:
        metafunc.parametrize("geometry", range(metafunc.config.getoption("--geometries")))


@pytest.mark.parametrize("macro", MACROS)
def test_rtl_is_the_chip_model(macro: str, seed: int) -> None:
    found, count = first_difference(MACROS[macro], [[seed, n] for n in range(16)])
    assert found is None
    assert count > 1000


def test_rtl_is_the_golden(seed: int) -> None:
    model = PimModel(MACROS["merged"], optimise=False)
    for number in range(16):
        rng = np.random.default_rng([seed, 1000 + number])
        layer = random_layer(rng, MACROS["merged"])
        images, streams = random_images(rng, layer, 2), rng.integers(0, 1 << 40, 2)
        model.load(layer)
        ours, want = model.run(images, streams), golden.run(layer, images, streams)
        assert np.array_equal(ours.codes, want.codes) and np.array_equal(
            ours.currents, want.currents
        ), f"seed {seed}, {number}"
        assert (ours.counters["n_sat"], ours.counters["n_clip"]) == (
            want.saturated.sum(),
            want.clipped.sum(),
        )
    model.close()


@pytest.mark.slow
def test_rtl_is_chip_model_and_golden_on_many_geometries(geometry: int, seed: int) -> None:
    """A macro of its own each, four layers; the golden sees the same codes as pysim."""
    rng = np.random.default_rng([seed, geometry])
    params = random_params(rng, columns=40, rows=32)
    found, _ = first_difference(params, [[seed, geometry, n] for n in range(4)])
    assert found is None
    layer = random_layer(np.random.default_rng([seed, geometry, 9]), params)
    images = random_images(rng, layer, 2)
    model = PimModel(params, optimise=False)
    model.load(layer)
    assert np.array_equal(model.run(images).codes, golden.run(layer, images).codes)
    model.close()


def test_ideal_settings_are_the_exact_product_for_all_inputs() -> None:
    """All 256 images of 4 pixels and all 256 rows of 4 weights, 2 bits each; 2 rows at a time."""
    p = PimParams(
        banks=4,
        columns=16,
        rows=32,
        weight_bits=2,
        pixel_bits=2,
        pulse_bits=2,
        active_rows=2,
        share=4,
        adc_bits=5,
    )
    images, weights = (
        np.array(list(product(range(4), repeat=4))),
        np.array(list(product(range(-2, 2), repeat=4))),
    )
    layer = PimLayer.make(p, PimWindow.make((4,)), weights)
    model = PimModel(p, optimise=False)
    model.load(layer)
    assert np.array_equal(model.run(images).currents[:, :, 0], images @ weights.T)
    model.close()


def test_a_model_asks_for_its_layer() -> None:
    model = PimModel(MACROS["merged"], optimise=False)
    with pytest.raises(InputError, match="loaded with a layer"):
        model.run(np.zeros((1, 1), int))
    with pytest.raises(InputError, match="made for this macro"):
        model.load(random_layer(np.random.default_rng(0), MACROS["serial"]))
    model.close()
