"""The PIM macro's RTL: exactly pysim and golden, on many geometries; ideal settings; and seeded faults, each of which must be noticed."""

import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from cosim.pim import PimModel
from golden import pim as golden
from pysim.errors import InputError
from pysim.pim_params import PimLayer, PimParams, PimWindow
from tests.cocotb.test_pim import MACROS
from tests.fault_list import Fault
from tests.faults import environment, plant, stale
from tests.pim_cases import random_images, random_layer, random_params
from tests.pim_regression import first_difference

GEOMETRIES = 50

FAULTS = {  # on which macro of tests/cocotb/test_pim.py
    "merged": [
        Fault("stuck-order", "pim_unit.py", "(self.cells & ~self.stuck0) | self.stuck1", "(self.cells | self.stuck1) & ~self.stuck0",
              "a cell stuck at both is 0"),
        Fault("weights-unsigned", "pim_unit.py", "value.as_signed() if p.merged else value", "value", "the top column counts up"),
        Fault("limit-one-sided", "pim_unit.py", "below.eq(total < -self.limit)", "below.eq(0)", "the clip acts above only"),
        Fault("drop-rounds", "pim_unit.py", "(part * keep) >> 8", "(part * keep + 128) >> 8", "segments are rounded, not floored"),
        Fault("noise-steps-always", "pim_adc.py", "with m.Elif(self.enable):", "with m.Else():",
              "the generators of idle converters step too"),
        Fault("noise-before-step", "pim_adc.py", "sum(word[at:at + 8]", "sum(state[at:at + 8]", "noise is that of the word before"),
        Fault("xorshift", "pim_adc.py", "(left >> 17)", "(left >> 15)", "another generator"),
        Fault("zero-seed", "pim_adc.py", "Mux(self.seed == 0, 1, self.seed)", "self.seed ^ 1", "seeds are off by one bit"),
        Fault("truncates", "pim_adc.py", "((apart + 8) << 8)", "(apart << 8)", "codes are floored, not rounded"),
        Fault("offset-scale", "pim_adc.py", "((apart + 8) << 8) << self.shift", "(((apart + 8) << 8) << self.shift >> 1)",
              "offsets count half"),
        Fault("lowest-code", "pim_adc.py", "low, high = p.code_range", "low, high = -p.code_range[1], p.code_range[1]",
              "the least code is missing"),
        Fault("clip-uncounted", "pim_adc.py", "was_over | above | below", "above | below", "the discharge clip is not counted"),
        Fault("sums-kept", "pim_adc.py", "Mux(self.first, 0, ring[0])", "ring[0]", "sums go on over outputs"),
        Fault("table-late", "pim.py", "self.round + 1, 0))", "self.round, 0))", "gains are those of the round before"),
        Fault("pass-address", "pim.py", "self.address.eq(self.address + 1), self.pass_.eq", "self.address.eq(self.address), self.pass_.eq",
              "a pass begins in the last row group of the one before"),
        Fault("capacity", "pim.py", "self.words_left - p.capacity)", "self.words_left - p.words)", "a pass counts as one bank"),
        Fault("currents-wrap", "pim.py", "Mux(above, bound - 1, Mux(below, -bound, total))[:p.current_bits]", "total[:p.current_bits]",
              "currents wrap"),
        Fault("one-too-many", "pim.py", "enable.eq(used > self.round + mine.start)", "enable.eq(used >= self.round + mine.start)",
              "one unit without a channel is converted"),
        Fault("silent-rows", "pim.py", "Mux(self.rows_left < p.active_rows, self.rows_left, p.active_rows)", "p.active_rows",
              "products of rows that do not exist are counted"),
    ],
    "serial": [
        Fault("pulse-weight", "pim_adc.py", "code << self.pulse * p.pulse_bits", "code << self.pulse", "pulses weigh 1, 2, 4"),
        Fault("sign-column", "pim.py", "(-1 if j and j == p.splits - 1 else 1)", "1", "the top column counts up"),
        Fault("pulse-order", "pim.py", "Cat(Cat(f[p.pulse_bits:], f[:p.pulse_bits]) for f in field)", "Cat(field)",
              "every pulse is the first"),
        Fault("last-group-early", "pim.py", "Mux(self.pulse == p.pulses - 1, ~last_group, 1)", "~last_group | (self.pulse == 0)",
              "the last row group ends after its second pulse"),
    ],
}


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
        assert np.array_equal(ours.codes, want.codes) and np.array_equal(ours.currents, want.currents), f"seed {seed}, {number}"
        assert (ours.counters["n_sat"], ours.counters["n_clip"]) == (want.saturated.sum(), want.clipped.sum())
    model.close()


@pytest.mark.slow
@pytest.mark.parametrize("geometry", range(GEOMETRIES))
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
    """All 256 images of 4 pixels of 2 bits times all 256 rows of 4 weights of 2 bits, 2 rows at a time."""
    p = PimParams(banks=4, columns=16, rows=32, weight_bits=2, pixel_bits=2, pulse_bits=2, active_rows=2, share=4, adc_bits=5)
    images, weights = np.array(list(product(range(4), repeat=4))), np.array(list(product(range(-2, 2), repeat=4)))
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


def test_every_fault_applies_to_the_sources_as_they_are() -> None:
    assert stale([fault for faults in FAULTS.values() for fault in faults]) == []


@pytest.mark.slow
@pytest.mark.parametrize(("macro", "fault"), [(macro, fault) for macro, faults in FAULTS.items() for fault in (None, *faults)],
                         ids=lambda value: value if isinstance(value, str) else value.name if value else "unmutated")
def test_seeded_faults_are_caught(macro: str, fault: Fault | None, tmp_path: Path, seed: int) -> None:
    """The unmutated copy of the tree shows no difference."""
    tree = plant(fault, tmp_path / "tree")
    done = subprocess.run([sys.executable, "-m", "tests.pim_regression", macro, str(seed)], cwd=tree, capture_output=True, text=True,
                          check=True, env=environment(tree, own_cache=True))
    print(f"{fault.name if fault else 'unmutated'}: {done.stdout.strip()}")
    assert (done.stdout.strip() == "no difference") == (fault is None), done.stdout
