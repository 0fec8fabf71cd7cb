"""A chip with a source: RTL = pysim = golden; what no backend runs is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

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
from spikeloop.pysim.sources.kinds import source_of
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.campaigns.macros.sources import CHIPS, differences, random_case
from tests.cosim import FAST_BUILD

CHIP = CHIPS["relaxation"]
KEYS = {"relaxation": "onn", "phase": "onn", "dendritic": "dendritic"}


@pytest.mark.parametrize(
    "name", ["relaxation", pytest.param("phase", marks=pytest.mark.slow), "dendritic"]
)
def test_rtl_is_the_chip_model(name: str, seed: int) -> None:
    model = ChipModel(CHIPS[name], FAST_BUILD)
    assert list(differences(model, CHIPS[name], 12, seed=seed)) == []


@pytest.mark.parametrize("name", ["relaxation", "dendritic"])
def test_three_backends_agree(name: str, seed: int) -> None:
    network, stimulus = random_case(np.random.default_rng([seed, 1]), CHIPS[name])
    bundle = compile_program(network, CHIPS[name])
    result = compare(
        Case(network, stimulus, allow_silent=True),
        ["golden", "pysim", "verilator"],
        lambda name: open_backend(
            name, network, bundle, **({"options": FAST_BUILD} if name == "verilator" else {})
        ),
    )
    assert result.different == 0, result.first
    if network.onn:
        values, counted = 5 * network.onn.net.size + 4, {"onn_steps", "onn_clips"}
    else:
        n, size = network.dendritic.net.inputs, network.dendritic.net.neurons
        values = 3 + 9 * size + size * size + 2 * n + size * n
        counted = {f"dendritic_{name}" for name in ("steps", "inputs", "spikes", "saturations")}
    assert result.pairs[1].ends == stimulus.samples * values
    assert result.pairs[0].counters_different.keys() >= counted
    cycles = f"{KEYS[name]}_cycles"
    assert result.total(cycles, "verilator") == result.total(cycles, "pysim") > 0


def found(wrong: Network, network: Network, stimulus: Stimulus, chip: Any) -> Any:
    """golden of ``wrong`` beside pysim of ``network``."""
    return compare(
        Case(network, stimulus, allow_silent=True),
        ["golden", "pysim"],
        lambda name: (
            open_backend("golden", wrong, compile_program(wrong, chip))
            if name == "golden"
            else open_backend(name, network, compile_program(network, chip))
        ),
    )


@pytest.mark.parametrize("cell", ["relaxation", "phase"])
def test_another_coupling_is_found(cell: str, seed: int) -> None:
    """The comparison is checked too: a net of another coupling does not recall the same."""
    firsts = []
    for number in range(20):
        network, stimulus = random_case(np.random.default_rng([seed, 2, number]), CHIPS[cell])
        other = network.onn.net.with_(reference=(network.onn.net["reference"] + 1) % 2)
        wrong = replace(network, onn=replace(network.onn, net=other))
        result = found(wrong, network, stimulus, CHIPS[cell])
        firsts += [result.first] if result.pairs[0].ends_different else []
    assert firsts and {first.population for first in firsts} == {"pixels"}
    assert "population pixels" in str(firsts[0])


def test_another_weight_is_found(seed: int) -> None:
    network, stimulus = random_case(np.random.default_rng([seed, 2]), CHIPS["dendritic"])
    state = network.dendritic.state
    weights = state.weights.copy()
    weights[1, 3] ^= 1 << 20
    other = replace(network.dendritic, state=replace(state, weights=weights))
    wrong = replace(network, dendritic=other)
    result = found(wrong, network, stimulus, CHIPS["dendritic"])
    assert result.pairs[0].ends_different > 0 and result.first.population == "pixels"


@pytest.mark.parametrize("name", ["relaxation", "dendritic"])
def test_files_keep_a_source(name: str, seed: int, tmp_path: Path) -> None:
    chip = CHIPS[name]
    network, stimulus = random_case(np.random.default_rng([seed, 3]), chip)
    again = Network.load(network.save(tmp_path / "net.safetensors"))
    assert again.sha256() == network.sha256()
    assert again.source.net.settings == network.source.net.settings
    image = Image.load(compile_program(network, chip).save(tmp_path / "image"))
    source = source_of(image)
    assert source.net.settings == network.source.net.settings and image.chip == chip
    if network.onn:
        assert np.array_equal(source.net.couplings, network.onn.net.couplings)
    else:
        assert source.state.same(network.dendritic.state) and again.dendritic.state.same(
            network.dendritic.state
        )
        assert np.array_equal(source.net.table, network.dendritic.net.table)
    kept = Stimulus.load(stimulus.save(tmp_path / "x.npz"))
    a, b = (open_backend("pysim", network, image).run(x) for x in (stimulus, kept))
    assert np.array_equal(a.ends["pixels"], b.ends["pixels"])
    loaded = Trace.load(a.save(tmp_path / "trace.npz"))
    assert np.array_equal(a.ends["pixels"], loaded.ends["pixels"])


@pytest.mark.parametrize("name", ["relaxation", "dendritic"])
def test_what_does_not_fit_is_refused(name: str, seed: int) -> None:
    chip, key = CHIPS[name], KEYS[name]
    network, stimulus = random_case(np.random.default_rng([seed, 4]), chip)
    source, what = network.source, network.source.what
    starts, mesh = stimulus.starts["pixels"], PRESETS["tiny"].replace(mesh_width=2)
    for other, text in (
        (chip.replace(columns=16), f"network with {what} must fit one core: words of network"),
        (mesh, f"macro of {what} must be a single core of one bank"),
    ):
        with pytest.raises(InputError, match=text):
            compile_program(network, other)
    with pytest.raises(InputError, match="must be run by golden, pysim, verilator, not icarus"):
        open_backend("icarus", network, compile_program(network, chip))
    for given, text in (
        ({}, "starts of the stimulus must be those of pixels, not missing"),
        ({"pixels": starts.astype(np.int32)}, "starts of 'pixels' must be uint16 of shape"),
        ({"pixels": starts[:, 1:]}, "starts of 'pixels' must be uint16 of shape"),
    ):
        with pytest.raises(InputError, match=text):
            replace(stimulus, starts=given).check(network)
    with pytest.raises(InputError, match=f"input of the {what} must be one of lines, pixels"):
        replace(network, **{key: replace(source, input="near")})
    with pytest.raises(InputError, match=f"as many as its {what}, {source.size}, not 1"):
        source.check({"pixels": 1})


@pytest.mark.parametrize("name", ["relaxation", "dendritic"])
def test_a_manifest_of_another_net_is_refused(name: str, seed: int) -> None:
    """golden and the other backends would not run the same."""
    network, _ = random_case(np.random.default_rng([seed, 6]), CHIPS[name])
    image = compile_program(network, CHIPS[name])
    assert source_of(image).head == image.source_head
    key, size = ("onn", "oscillators") if network.onn else ("dendritic", "neurons")
    head = getattr(image.network, key)
    larger = replace(head, **{size: getattr(head, size) + 1})
    for chip, other in ((image.chip, larger), (PRESETS["tiny"], head)):
        wrong = replace(image, network=replace(image.network, **{key: other}), chip=chip)
        with pytest.raises(InputError, match="must be what it holds, "):
            source_of(wrong)


def test_what_only_one_kind_refuses(seed: int) -> None:
    network, _ = random_case(np.random.default_rng([seed, 5]), CHIP)
    with pytest.raises(InputError, match="cell of the net must be 'phase', the macro's"):
        compile_program(network, CHIPS["phase"])
    chip = CHIPS["dendritic"]
    other, _ = random_case(np.random.default_rng([seed, 5]), chip)
    small = replace(chip.dendritic, inputs=8)
    with pytest.raises(InputError, match="inputs of the net must be 8 at most"):
        compile_program(other, chip.replace(dendritic=small))
    with pytest.raises(InputError, match="'pixels', which dendritic neurons feed, must be at most"):
        compile_program(other, chip.replace(delay_max=other.start_of("far")))
    with pytest.raises(InputError, match="oscillators or dendritic neurons as a source, not both"):
        replace(other, onn=network.onn)
    with pytest.raises(InputError, match="and without another macro"):
        chip.replace(onn=CHIP.onn)
