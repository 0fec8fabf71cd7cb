"""pysim.pim.front and pysim.image.pim: memories of a PIM layer, and the chip model with one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.backends import Golden, Parts, Pysim
from spikeloop.cosim.compare.diff import Side, diff
from spikeloop.pysim.bundle.open import load_bundle
from spikeloop.pysim.bundle.program import Program, compile_program
from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pim import pack_pim, unpack_layer
from spikeloop.pysim.mapping.place import place
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.model.ticks import numba_engine as fast
from spikeloop.pysim.pim.front import PimFront, padded, padded_rows, tables
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.make.pim_cases import CHIP, pim_network, pim_stimulus, random_layer, random_window


def test_tables_address_the_pixels_of_the_window() -> None:
    rng = np.random.default_rng(1)
    for _ in range(40):
        window = random_window(rng, 40)
        taps, windows = tables(window)
        pixel = np.full(
            int(np.prod(padded(window))), -1
        )  # what lies in the padded map: -1 in the border
        pixel[padded_rows(window)] = np.arange(np.prod(window.source))
        assert np.array_equal(
            pixel[windows[:, None] + taps], window.address(np.arange(window.positions))
        )


def test_memories_hold_the_layer() -> None:
    rng = np.random.default_rng(2)
    for _ in range(12):
        layer = random_layer(rng)
        network = pim_network(rng, layer=layer)
        roomy = CHIP.replace(axons=4096, columns=16384)
        chip = roomy.replace(pim=PimFront.of(network.pim.head))
        again = unpack_layer(network.pim.head, pack_pim(network, place(network, chip)))
        for name in ("weights", "bias", "gain", "offset", "keep"):
            assert np.array_equal(getattr(again, name), getattr(layer, name)), name
        used = layer.params.words * layer.params.weight_bits
        assert all(
            np.array_equal(getattr(again, name)[..., :used], getattr(layer, name)[..., :used])
            for name in ("stuck0", "stuck1")
        )


@pytest.mark.parametrize("held", [True, False])
def test_chip_model_equals_golden(held: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    network = pim_network(rng, held=held)
    stimulus = pim_stimulus(rng, network, 7)
    want = Golden(network).run(stimulus)
    image = compile_program(network, CHIP)
    assert isinstance(image, Image) and image.chip.pim == PimFront.of(network.pim.head)
    again = load_bundle(image.save(tmp_path / "image"))
    assert again.chip == image.chip and Chip.from_dict(image.chip.to_dict()) == image.chip
    for engine in ("numpy", "numba") if fast.AVAILABLE else ("numpy",):
        pair = diff(network, Side("golden", want), Side("pysim", Core(again, engine).run(stimulus)))
        assert (
            not pair.different
            and pair.currents == 7 * 32 * (1 if held else 4)
            and pair.counter_values
        ), pair.first


def test_parts_take_their_currents(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    network = pim_network(rng)
    program = compile_program(network, CHIP.replace(columns=64))
    assert isinstance(program, Program) and program.cores_of()["first"] > 1
    assert program.chip == load_bundle(program.save(tmp_path / "program")).chip
    stimulus = pim_stimulus(rng, network, 5)
    with Parts("pysim", program, Pysim) as parts:
        trace = parts.run(stimulus)
    pair = diff(network, Side("golden", Golden(network).run(stimulus)), Side("parts", trace))
    assert not pair.different and pair.currents == 5 * 32, pair.first
    assert (
        trace.counters["n_adc"].sum()
        == 5 * program.cores_of()["first"] * network.pim.layer.conversions
    )


def test_chip_and_layer_must_agree() -> None:
    network = pim_network(np.random.default_rng(5))
    front = PimFront.of(network.pim.head)
    other = network.pim.layer.params.__class__(
        **{**network.pim.layer.params.to_dict(), "adc_bits": 7}
    )
    with pytest.raises(
        InputError, match=r"macro of the chip must be the one .* \(adc_bits 6, not 7\)"
    ):
        compile_program(
            network, CHIP.replace(pim=PimFront(macro=other, pixels=64, positions=16, currents=32))
        )
    with pytest.raises(InputError, match=r"pim\.pixels must be at least 64 .* not 32"):
        compile_program(
            network,
            CHIP.replace(pim=PimFront(macro=front.macro, pixels=32, positions=16, currents=32)),
        )
    for change in ({"mesh_width": 2}, {"clock_gates": False}, {"banks": 2}):
        with pytest.raises(InputError, match="single core of one bank with clock_gates"):
            PRESETS["tiny"].replace(pim=front, **change)
    with pytest.raises(InputError, match=r"pim\.pixels must be in 1\.\."):
        PimFront(macro=front.macro, pixels=0, positions=1, currents=1)
    with pytest.raises(InputError, match="chip parameter pim must be exactly"):
        Chip.from_dict({**CHIP.to_dict(), "pim": {"luck": 1}})


def test_a_chip_without_macro_is_what_it_was() -> None:
    """No trace of it in manifests, and so in the fingerprint that the chip's register holds."""
    assert (
        "pim" not in PRESETS["tiny"].to_dict()
        and Chip.from_dict(PRESETS["tiny"].to_dict()) == PRESETS["tiny"]
    )


def test_a_network_without_pixels_runs_on_a_chip_with_a_macro() -> None:
    rng = np.random.default_rng(6)
    network = pim_network(rng)
    chip = CHIP.replace(pim=PimFront.of(network.pim.head))
    plain = replace(network, pim=None)
    stimulus = Stimulus(pim_stimulus(rng, network, 3).spikes)
    assert not diff(
        plain,
        Side("golden", Golden(plain).run(stimulus)),
        Side("pysim", Core(compile_program(plain, chip)).run(stimulus)),
    ).different
