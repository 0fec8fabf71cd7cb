"""A chip with oscillators: RTL = pysim = golden; what no backend runs is refused."""

from dataclasses import replace

import numpy as np
import pytest

from spikeloop.cosim.backends import open_backend
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.cosim.verilator.chip import ChipModel
from spikeloop.pysim.bundle.program import compile_program
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.campaigns.macros.onn_chip import CHIPS, differences, random_case
from tests.cosim import FAST_BUILD

CHIP = CHIPS["relaxation"]


@pytest.mark.parametrize("name", ["relaxation", pytest.param("phase", marks=pytest.mark.slow)])
def test_rtl_is_the_chip_model(name: str, seed: int) -> None:
    model = ChipModel(CHIPS[name], FAST_BUILD)
    assert list(differences(model, CHIPS[name], 12, seed=seed)) == []


def test_three_backends_agree(seed: int) -> None:
    network, stimulus = random_case(np.random.default_rng([seed, 1]), CHIP)
    bundle = compile_program(network, CHIP)
    result = compare(
        Case(network, stimulus, allow_silent=True),
        ["golden", "pysim", "verilator"],
        lambda name: open_backend(
            name, network, bundle, **({"options": FAST_BUILD} if name == "verilator" else {})
        ),
    )
    assert result.different == 0, result.first
    assert result.pairs[1].recalled == stimulus.samples * (5 * network.onn.net.size + 4)
    assert result.pairs[0].counters_different.keys() >= {"onn_steps", "onn_clips"}
    assert result.total("onn_cycles", "verilator") == result.total("onn_cycles", "pysim") > 0


@pytest.mark.parametrize("cell", list(CHIPS))
def test_another_coupling_is_found(cell: str, seed: int) -> None:
    """The comparison is checked too: a net of another coupling does not recall the same."""
    chip = CHIPS[cell]
    found = []
    for number in range(20):
        network, stimulus = random_case(np.random.default_rng([seed, 2, number]), chip)
        other = network.onn.net.with_(reference=(network.onn.net["reference"] + 1) % 2)
        wrong = replace(network, onn=replace(network.onn, net=other))
        result = compare(
            Case(network, stimulus, allow_silent=True),
            ["golden", "pysim"],
            lambda name: (
                open_backend("golden", wrong, compile_program(wrong, chip))  # noqa: B023
                if name == "golden"
                else open_backend(name, network, compile_program(network, chip))  # noqa: B023
            ),
        )
        found += [result.first] if result.pairs[0].recalled_different else []
    assert found and {first.population for first in found} == {"pixels"}
    assert "population pixels" in str(found[0])


def test_files_keep_oscillators(seed: int, tmp_path) -> None:
    network, stimulus = random_case(np.random.default_rng([seed, 3]), CHIP)
    again = Network.load(network.save(tmp_path / "net.safetensors"))
    assert again.sha256() == network.sha256() and again.onn.net.settings == network.onn.net.settings
    image = Image.load(compile_program(network, CHIP).save(tmp_path / "image"))
    assert np.array_equal(image.onn_net.couplings, network.onn.net.couplings)
    assert image.onn_net.settings == network.onn.net.settings and image.chip == CHIP
    kept = Stimulus.load(stimulus.save(tmp_path / "x.npz"))
    a, b = (open_backend("pysim", network, image).run(x) for x in (stimulus, kept))
    assert np.array_equal(a.recalled["pixels"], b.recalled["pixels"])
    loaded = Trace.load(a.save(tmp_path / "trace.npz"))
    assert np.array_equal(a.recalled["pixels"], loaded.recalled["pixels"])


def test_what_does_not_fit_is_refused(seed: int) -> None:
    network, stimulus = random_case(np.random.default_rng([seed, 4]), CHIP)
    narrow, starts = CHIP.replace(columns=16), stimulus.starts["pixels"]
    mesh = PRESETS["tiny"].replace(mesh_width=2)
    for chip, text in (
        (narrow, "network with oscillators must fit one core: words of network"),
        (CHIPS["phase"], "cell of the net must be 'phase', the macro's"),
        (mesh, "macro of oscillators must be a single core of one bank"),
    ):
        with pytest.raises(InputError, match=text):
            compile_program(network, chip)
    with pytest.raises(InputError, match="must be run by golden, pysim, verilator, not icarus"):
        open_backend("icarus", network, compile_program(network, CHIP))
    for given, text in (
        ({}, "starts of the stimulus must be those of pixels, not missing"),
        ({"pixels": starts.astype(np.int32)}, "starts of 'pixels' must be uint16 of shape"),
        ({"pixels": starts[:, 1:]}, "starts of 'pixels' must be uint16 of shape"),
    ):
        with pytest.raises(InputError, match=text):
            replace(stimulus, starts=given).check(network)
    with pytest.raises(InputError, match="input of the oscillators must be one of lines, pixels"):
        replace(network, onn=replace(network.onn, input="near"))
