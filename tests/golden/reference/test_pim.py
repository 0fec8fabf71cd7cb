"""The PIM golden: against the chip model with all effects on, against plain integer products with
none, and as torch modules."""

from itertools import product

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spikeloop.golden.nets.pim_layers import PimConv2d, PimConv3d, PimLinear
from spikeloop.golden.reference.pim import _generate, calibrate, run
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim import model as pim
from spikeloop.pysim.pim.layer import LAYOUTS, PimLayer, PimParams
from spikeloop.pysim.pim.window import PimWindow
from tests.make.pim_cases import random_images, random_layer

SMALL = PimParams(
    banks=1,
    columns=16,
    rows=8,
    weight_bits=2,
    pixel_bits=2,
    pulse_bits=2,
    active_rows=2,
    share=2,
    adc_bits=5,
)


@pytest.mark.parametrize("case", range(60))
def test_golden_is_the_chip_model_with_all_effects_on(case: int, seed: int) -> None:
    rng = np.random.default_rng([seed, case])
    layer = random_layer(rng)
    images, streams = random_images(rng, layer, 3), rng.integers(0, 1 << 40, 3)
    ours, chip = run(layer, images, streams), pim.run(layer, images, streams)
    assert np.array_equal(ours.codes, chip.codes), (
        f"seed {seed}, case {case}: {layer.params}, {layer.window}"
    )
    assert np.array_equal(ours.currents, chip.currents)
    assert (ours.saturated.sum(), ours.clipped.sum()) == (
        chip.counters["n_sat"],
        chip.counters["n_clip"],
    )


@pytest.mark.parametrize(("layout", "pulse_bits"), [("merged", 2), ("sliced", 2), ("sliced", 1)])
def test_ideal_settings_are_the_exact_dot_product_for_all_inputs(
    layout: str, pulse_bits: int
) -> None:
    """All 256 images of 4 pixels of 2 bits times all 256 rows of 4 weights of 2 bits, 2 rows at a
    time."""
    p = PimParams(
        banks=4,
        columns=16,
        rows=256,
        weight_bits=2,
        pixel_bits=2,
        pulse_bits=pulse_bits,
        active_rows=2,
        layout=layout,
        share=2,
        adc_bits=5,
    )
    images, weights = (
        np.array(list(product(range(4), repeat=4))),
        np.array(list(product(range(-2, 2), repeat=4))),
    )
    layer = PimLayer.make(p, PimWindow.make((4,)), weights)
    exact = images @ weights.T
    for result in (run(layer, images).currents, pim.run(layer, images).currents):
        assert np.array_equal(result[:, :, 0], exact)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dims", [0, 2, 3])
def test_ideal_settings_are_torchs_own_convolution(
    layout: str, dims: int, rng: np.random.Generator
) -> None:
    p = PimParams(
        banks=2, columns=64, rows=128, layout=layout, share=2, adc_bits=20, current_bits=32
    )
    window = PimWindow.make(
        (2, 5, 6, 4)[: dims + 1],
        (3, 2, 3)[:dims],
        stride=(2, 1, 1)[:dims],
        padding=(1, 0, 2)[:dims],
    )
    weights = rng.integers(-32, 32, (7, window.source[0], *window.kernel))
    images = rng.integers(0, 256, (3, *window.source))
    x, w = torch.from_numpy(images).double(), torch.from_numpy(weights).double()
    way = {2: F.conv2d, 3: F.conv3d}
    exact = (
        way[dims](x, w, stride=window.stride, padding=window.padding) if dims else F.linear(x, w)
    )
    layer = PimLayer.make(p, window, weights)
    for result in (run(layer, images).currents, pim.run(layer, images).currents):
        assert np.array_equal(result, exact.reshape(3, 7, -1).long().numpy())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_codes_are_monotone_in_the_analogue_value(layout: str, rng: np.random.Generator) -> None:
    """One pixel times weight 1, every pixel value, many gains, offsets and shifts, no noise: codes
    never fall."""
    for _ in range(20):
        p = PimParams(
            banks=1,
            columns=16,
            rows=8,
            weight_bits=2,
            active_rows=8,
            layout=layout,
            share=2,
            adc_bits=int(rng.integers(3, 9)),
        )
        layer = PimLayer.make(
            p,
            PimWindow.make((1,)),
            np.full((p.words, 1), 1),
            gain=rng.integers(0, 8192, (1, p.units)),
            offset=rng.integers(-512, 512, (1, p.units)),
            shift=int(rng.integers(0, 9)),
            limit=int(rng.integers(1, 256)),
        )
        codes = run(layer, np.arange(256)[:, None]).codes
        assert (np.diff(codes.reshape(256, -1), axis=0) >= 0).all()
        assert codes.max() > codes.min()


def test_leaps_of_the_generator_are_its_steps() -> None:
    start, state = torch.tensor([1, 2463534242, 0xFFFFFFFF]), [1, 2463534242, 0xFFFFFFFF]
    words = _generate(start, 1000)
    assert int(words[1, 0]) == 723471715  # Marsaglia 2003: the first word after this seed
    for step in range(1000):
        for n in range(3):
            s = state[n]
            s ^= s << 13 & 0xFFFFFFFF
            s ^= s >> 17
            state[n] = s ^ s << 5 & 0xFFFFFFFF
        assert words[:, step].tolist() == state


def test_noise_has_the_stated_spread() -> None:
    """sigma 110 is about one LSB: 0.009 sigma; the mean is near 0."""
    p = PimParams(banks=1, adc_bits=10)
    layer = PimLayer.make(
        p, PimWindow.make((1, 40, 40), (1, 1)), np.zeros((42, 1), int), sigma=110, seed=5
    )
    codes = run(layer, np.zeros((3, 1, 40, 40), int), np.arange(3)).codes
    assert abs(codes.std() - (0.009 * 110) ** 2**0.5) < 0.1 and abs(codes.mean()) < 0.05
    assert len({codes[n].tobytes() for n in range(3)}) == 3  # streams differ


def test_calibration_gives_the_largest_value_a_code(rng: np.random.Generator) -> None:
    p = PimParams(banks=1)
    layer = PimLayer.make(p, PimWindow.make((32,)), rng.integers(-32, 32, (42, 32)))
    images = rng.integers(0, 256, (50, 32))
    shift, limit = calibrate(layer, images)
    largest = np.abs(images @ layer.weights.T).max()
    assert limit == largest and (limit + (1 << shift >> 1)) >> shift <= 127 < (
        limit + (1 << shift >> 2)
    ) >> (shift - 1)
    fitted = PimLayer.make(p, layer.window, layer.weights, shift=shift, limit=limit)
    assert not run(fitted, images).clipped.any()
    assert calibrate(layer, images, 90.0)[1] < limit


def test_bad_calibrations_are_refused() -> None:
    layer = PimLayer.make(SMALL, PimWindow.make((2,)), np.ones((2, 2), int))
    with pytest.raises(InputError, match="must be at least 1, not none"):
        calibrate(layer, np.zeros((0, 2), int))
    with pytest.raises(InputError, match="percentile"):
        calibrate(layer, np.zeros((1, 2), int), 101.0)
    with pytest.raises(InputError, match="one number per image"):
        run(layer, np.zeros((2, 2), int), np.zeros(3, int))


def modules(**settings: object) -> dict[str, torch.nn.Module]:
    p = PimParams(banks=1, rows=128, adc_bits=settings.pop("adc_bits", 8))  # type: ignore[arg-type]
    return {
        "linear": PimLinear(p, 20, 5, **settings),
        "conv2d": PimConv2d(p, (2, 6, 5), 5, (3, 3), padding=1, **settings),
        "conv3d": PimConv3d(p, (1, 4, 6, 5), 5, (3, 3, 2), stride=(1, 2, 1), **settings),
    }


@pytest.mark.parametrize("kind", ["linear", "conv2d", "conv3d"])
def test_modules_compute_what_the_macro_does_and_learn(kind: str, rng: np.random.Generator) -> None:
    torch.manual_seed(0)
    module = modules(sigma=20, seed=3)[kind]
    images = rng.integers(0, 256, (4, *module.window.source))
    module.calibrate(images)
    module.eval()
    out = module(torch.from_numpy(images))
    layer = module.layer()
    want = pim.run(layer, images).currents * 2.0**layer.shift / module.scale
    assert np.allclose(out.detach().numpy().reshape(want.shape), want, rtol=1e-5, atol=1e-3)
    out.square().mean().backward()
    assert module.weight.grad is not None and module.weight.grad.abs().sum() > 0
    module.train()
    assert not torch.equal(
        module(torch.from_numpy(images)), module(torch.from_numpy(images))
    )  # noise goes on


def test_a_lossless_module_has_the_gradient_of_its_ideal(rng: np.random.Generator) -> None:
    torch.manual_seed(0)
    module = modules(adc_bits=20)["conv2d"]
    x = torch.from_numpy(rng.integers(0, 256, (2, 2, 6, 5))).float()
    error = (module(x) - F.conv2d(x, module.weight, padding=1)).abs().max()
    assert error <= 0.5 / module.scale * 255 * 18  # rounding of the weights only
    module(x).sum().backward()
    ours = module.weight.grad.clone()
    module.weight.grad = None
    F.conv2d(x, module.weight, padding=1).sum().backward()
    assert torch.equal(ours, module.weight.grad)


def test_fractions_are_refused() -> None:
    with pytest.raises(InputError, match="whole numbers"):
        modules()["linear"](torch.full((1, 20), 0.5))
