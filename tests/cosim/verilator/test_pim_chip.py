"""A chip with a PIM macro: RTL = pysim = golden for random layers, whole and in parts.

The layers are loaded in every way. What no backend runs is refused.
"""

from dataclasses import replace

import numpy as np
import pytest

from spikeloop.cosim.backends import open_backend
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.cosim.verilator.backend import Verilated
from spikeloop.cosim.verilator.chip import ChipModel
from spikeloop.pysim.bundle.program import Program, compile_program
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.pack import pack
from tests.campaigns.regression.cases import CHIPS
from tests.campaigns.regression.pim_chip import differences, random_case
from tests.cosim import FAST_BUILD

CHIP = CHIPS["pim"]


def test_rtl_is_the_chip_model(seed: int) -> None:
    assert list(differences(ChipModel(CHIP, FAST_BUILD), CHIP, 24, seed=seed)) == []


@pytest.mark.parametrize("columns", [CHIP.columns, 96])
@pytest.mark.parametrize("held", [True, False])
def test_three_backends_agree(held: bool, columns: int, seed: int) -> None:
    """On 96 columns the neurons of the layer take turns on the core."""
    rng = np.random.default_rng([seed, 1])
    while True:
        network, stimulus = random_case(rng, CHIP, held=held)
        if network.populations[0].size > 24:
            break
    bundle = compile_program(network, CHIP.replace(columns=columns))
    assert isinstance(bundle, Program) == (columns == 96)
    result = compare(
        Case(network, stimulus),
        ["golden", "pysim", "verilator"],
        lambda name: open_backend(
            name, network, bundle, **({"options": FAST_BUILD} if name == "verilator" else {})
        ),
    )
    assert result.different == 0 and result.pairs[1].currents == 4 * network.populations[0].size * (
        1 if held else 4
    ), result.first
    assert result.pairs[0].counters_different.keys() >= {"n_sat", "n_clip"}
    assert result.total("pim_cycles", "verilator") == result.total("pim_cycles", "pysim") > 0


def test_the_load_port_fills_the_macro(seed: int) -> None:
    network, stimulus = random_case(np.random.default_rng([seed, 2]), CHIP, held=True)
    image = pack(network, chip=CHIP)
    with (
        Verilated(image, FAST_BUILD) as one,
        Verilated(image, FAST_BUILD, through_load_port=True) as other,
    ):
        a, b = one.run(stimulus), other.run(stimulus)
    assert np.array_equal(a.currents["driven"], b.currents["driven"]) and np.array_equal(
        a.membranes["out"], b.membranes["out"]
    )


def test_a_changed_current_is_found(seed: int) -> None:
    """The comparison is checked too: another bias of one channel is a difference of currents."""
    network, stimulus = random_case(np.random.default_rng([seed, 3]), CHIP, held=True)
    layer = network.pim.layer
    bias = layer.bias.copy()
    bias[0] += -1 if bias[0] > 0 else 1
    other = replace(network, pim=replace(network.pim, layer=replace(layer, bias=bias)))
    bundle = compile_program(network, CHIP)
    result = compare(
        Case(network, stimulus),
        ["golden", "pysim"],
        lambda name: (
            open_backend("golden", other, compile_program(other, CHIP))
            if name == "golden"
            else open_backend(name, network, bundle)
        ),
    )
    assert (
        result.first is not None
        and result.first.field == "current"
        and result.pairs[0].currents_different
    )
    assert "current" in str(result.first) and "currents compared" in str(result.pairs[0])


def test_icarus_says_that_it_has_no_pixels() -> None:
    network, _ = random_case(np.random.default_rng(4), CHIP, held=True)
    with pytest.raises(
        InputError, match="with a PIM layer must be run by golden, pysim, verilator, not icarus"
    ):
        open_backend("icarus", network, compile_program(network, CHIP))
