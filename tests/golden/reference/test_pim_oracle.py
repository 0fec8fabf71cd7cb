"""The ideal ADC against quantisers that are not ours: torch's, and AIHWKit-Lightning's analogue
linear layer where that is installed.

Both round halves to even, ours rounds them up (docs/pim.md, step 5). Conversions that lie on a half
are therefore counted apart. There the codes differ by one if the code below is even, and not at all
if it is odd. Everywhere else they are equal.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from spikeloop.golden.reference.pim import run
from spikeloop.pysim.pim.layer import LAYOUTS, PimLayer, PimParams
from spikeloop.pysim.pim.window import PimWindow

COUNT, CHANNELS, ROWS, TOGETHER = 200, 10, 24, 8


def layer_of(weights: np.ndarray, layout: str, bits: int, shift: int, **tables: Any) -> PimLayer:
    p = PimParams(
        banks=1,
        columns=60,
        rows=ROWS,
        weight_bits=6,
        active_rows=TOGETHER,
        layout=layout,
        share=2,
        adc_bits=bits,
    )
    return PimLayer.make(p, PimWindow.make((ROWS,)), weights, shift=shift, **tables)


def bit_lines(weights: np.ndarray, pixels: np.ndarray, layout: str) -> np.ndarray:
    """v of every conversion, int64 ``[image, row group, channel, split]``, by plain products."""
    parts = (
        weights[:, None] if layout == "merged" else weights[:, None] >> np.arange(6)[:, None] & 1
    )
    return np.einsum(
        "ngr,csgr->ngcs",
        pixels.reshape(len(pixels), -1, TOGETHER),
        parts.reshape(*parts.shape[:2], -1, TOGETHER),
    )


def counted(codes: np.ndarray, want: np.ndarray, v: np.ndarray, shift: int) -> tuple[int, int, int]:
    """Conversions that differ from the oracle and may not, conversions on a half, and those of them
    that differ."""
    half = v & (1 << shift) - 1 == 1 << shift >> 1 if shift else np.zeros(v.shape, bool)
    may = np.where(half & (v >> shift & 1 == 0), 1, 0)
    wrong = (codes != want) & (codes - want != may)
    return int(wrong.sum()), int(half.sum()), int((codes != want)[half].sum())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("bits", "shift"), [(4, 8), (6, 5), (8, 3), (8, 5), (10, 0)])
def test_the_ideal_adc_is_torchs_quantiser(
    layout: str, bits: int, shift: int, rng: np.random.Generator
) -> None:
    weights, pixels = rng.integers(-32, 32, (CHANNELS, ROWS)), rng.integers(0, 256, (COUNT, ROWS))
    shift = shift if layout == "merged" else max(0, shift - 3)  # single bits make smaller sums
    layer = layer_of(weights, layout, bits, shift)
    v = bit_lines(weights, pixels, layout)
    least, greatest = layer.params.code_range
    want = (
        torch.fake_quantize_per_tensor_affine(
            torch.from_numpy(v).float(), 2.0**shift, 0, least, greatest
        )
        .long()
        .numpy()
        >> shift
    )
    wrong, halves, differ = counted(run(layer, pixels).codes.reshape(v.shape), want, v, shift)
    assert wrong == 0 and (v > greatest << shift).any() and len(np.unique(want)) > 8
    if shift:
        assert 0 < differ < halves < v.size / 3
    offset = np.zeros((1, layer.params.units), np.int64)
    offset[0, 3] = 16  # one LSB, of one unit
    for broken in (replace(layer, offset=offset), replace(layer, gain=layer.gain + 64)):
        assert counted(run(broken, pixels).codes.reshape(v.shape), want, v, shift)[0] > 0


@pytest.mark.parametrize(("bits", "shift"), [(6, 7), (8, 5), (8, 7)])
def test_a_layer_of_row_groups_is_aihwkits_of_tiles(
    bits: int, shift: int, rng: np.random.Generator
) -> None:
    """Its tiles are our row groups; it clips to the symmetric range, as our discharge clip can."""
    kit = pytest.importorskip(
        "aihwkit_lightning.nn.modules.linear",
        reason="package aihwkit-lightning is not installed: pip install -e '.[oracles]'",
    )
    configs = pytest.importorskip("aihwkit_lightning.simulator.configs")
    weights, pixels = rng.integers(-32, 32, (CHANNELS, ROWS)), rng.integers(0, 256, (COUNT, ROWS))
    weights[
        :, ::TOGETHER
    ] = -32  # every tile reaches the greatest weight, from which the kit takes its ADC's range
    greatest = (1 << bits - 1) - 1
    config = configs.TorchInferenceRPUConfig()
    config.mapping.max_input_size = TOGETHER
    config.pre_post.input_range.enable = True
    config.forward.out_res, config.forward.out_bound = (
        2.0 * greatest,
        greatest * 2.0**shift / (256 * 32),
    )
    oracle = kit.AnalogLinear(ROWS, CHANNELS, bias=False, rpu_config=config).eval()
    with torch.no_grad():
        oracle.weight.copy_(torch.from_numpy(weights).float())
        oracle.input_range.fill_(256.0)
        got = oracle(torch.from_numpy(pixels).float()).long().numpy()
    v = bit_lines(weights, pixels, "merged")[..., 0]
    held = v.clip(-greatest << shift, greatest << shift)
    half = (held & (1 << shift) - 1 == 1 << shift >> 1).sum(1)
    up = ((held & (1 << shift) - 1 == 1 << shift >> 1) & (held >> shift & 1 == 0)).sum(
        1
    )  # what our halves add
    layer = layer_of(weights, "merged", bits, shift, limit=greatest << shift)
    ours = run(layer, pixels).currents[:, :, 0]
    assert np.array_equal(ours - up, got >> shift) and (got % (1 << shift) == 0).all()
    assert 0 < (up > 0).sum() < (half > 0).sum() < half.size / 2 and (held != v).any()
    assert not np.array_equal(
        run(replace(layer, gain=layer.gain + 16), pixels).currents[:, :, 0] - up, got >> shift
    )
