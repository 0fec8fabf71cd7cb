"""The Verilated chip: every way to build it, to fill it and to run it gives the same trace."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from spikeloop.cosim.verilator import chip as native
from spikeloop.cosim.verilator.backend import Verilated
from spikeloop.cosim.verilator.build import Options, build
from spikeloop.cosim.verilator.chip import ChipModel
from spikeloop.pysim.chip.memory_map import CHIP_ID, MemoryMap
from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.cosim import FAST_BUILD
from tests.cosim.conftest import Small
from tests.cosim.icarus.test_backend import draw, same
from tests.make.networks import random_network, random_stimulus

TINY = PRESETS["tiny"]
VARIANTS = {
    "enables": TINY.replace(clock_gates=False),
    "integers": TINY.replace(sliced=False),
    "both": TINY.replace(clock_gates=False, sliced=False),
}


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_forms_of_the_chip_are_the_same_chip(seed: int, variant: str) -> None:
    """Clock gates or enables, bit planes or integers: the same traces on random networks."""
    for number in range(8):
        rng = np.random.default_rng(100 * seed + number)
        network = random_network(rng, TINY)
        stimulus = random_stimulus(rng, network, 4, density=0.2)
        with (
            Verilated(pack(network, chip=TINY)) as default,
            Verilated(pack(network, chip=VARIANTS[variant]), FAST_BUILD) as other,
        ):
            same(default.run(stimulus), other.run(stimulus))


@pytest.mark.slow
def test_the_edges_of_known_clocks_need_gates() -> None:
    cycles = {
        chip.clock_gates: build(chip, FAST_BUILD).with_name("cycle.h").read_text()
        for chip in (TINY, VARIANTS["enables"])
    }
    assert "#define RISE" in cycles[True] and not cycles[False]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        replace(FAST_BUILD, direct=False),
        replace(FAST_BUILD, compiler="g++", direct=False),
        Options(compiler="g++"),
        Options(compiler="clang++"),
    ],
    ids=repr,
)
def test_builds_agree(seed: int, options: Options) -> None:
    """Each compiler, with and without the model's evaluation wrapper, against pysim."""
    if options.compiler and not shutil.which(options.compiler):
        pytest.skip(f"{options.compiler} is not installed")
    for number in range(4):
        _, image, stimulus = draw(200 + seed + number, samples=4)
        with Verilated(image, options) as chip:
            same(Core(image).run(stimulus), chip.run(stimulus))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 3])
def test_workers_share_the_samples_and_keep_their_order(seed: int, workers: int) -> None:
    _, image, stimulus = draw(seed, samples=7)
    with Verilated(image) as one, Verilated(image, workers=workers) as many:
        same(one.run(stimulus), many.run(stimulus))
        same(
            one.run(stimulus.take(slice(0, 1))), many.run(stimulus.take(slice(0, 1)))
        )  # fewer samples than workers


def load_and_read_back(image: Image, stimulus: Stimulus) -> None:
    """Load through the port and read every word back; the run is that after a direct fill."""
    loaded, filled = ChipModel(image.chip, FAST_BUILD), ChipModel(image.chip, FAST_BUILD)
    try:
        loaded.load(image)
        filled.fill(image)
        for memory in MemoryMap(image.chip).loaded:
            rows = image.rows(memory.name)
            words = np.zeros((len(rows), memory.chunks * 4), np.uint8)
            words[:, : rows.shape[1]] = rows
            back = [
                [loaded.read(memory.address(row, chunk)) for chunk in range(memory.chunks)]
                for row in range(len(rows))
            ]
            np.testing.assert_array_equal(
                np.array(back, np.uint32), words.view("<u4"), err_msg=memory.name
            )
        same(filled.run(image, stimulus), loaded.run(image, stimulus))
        same(Core(image).run(stimulus), loaded.run(image, stimulus))
    finally:
        loaded.close()
        filled.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "chip, samples", [(TINY, 3), (PRESETS["zou2021"], 1)], ids=["tiny", "zou2021"]
)
def test_an_image_through_the_load_port(seed: int, chip: Chip, samples: int) -> None:
    _, image, stimulus = draw(seed, chip, samples)
    load_and_read_back(image, stimulus)


@pytest.mark.slow
def test_waves_name_the_signals_and_hold_the_run(small: Small, tmp_path) -> None:
    one = small.stimulus.take(slice(0, 1))
    with Verilated(small.image) as chip:
        path = chip.waves(one, tmp_path / "new" / "difference.fst")
        assert path == tmp_path / "new" / "difference.vcd"
        text = path.read_text()
        for signal in ("busy", "count_spikes_out", "v_next", "number", "wdata"):
            assert f" {signal} " in text, signal
        assert "$var wire" in text and " $1 " not in text.split("$enddefinitions")[0]
        cycles = int(chip.run(one).counters["cycles"].sum())
        assert int(text.rsplit("#", 1)[1].split()[0]) >= 2 * cycles  # time counts half cycles
        blocked = tmp_path / "file"
        blocked.write_text("")
        with pytest.raises(InputError, match="wave file must be writable"):
            chip.waves(one, blocked / "waves.vcd")


@pytest.mark.slow
def test_a_chip_that_hangs_is_an_error_not_a_wait(small: Small, monkeypatch) -> None:
    monkeypatch.setattr(native, "CYCLE_LIMIT", 45)
    with Verilated(small.image) as chip, pytest.raises(TimeoutError, match="did not end"):
        chip.run(small.stimulus)


@pytest.mark.slow
def test_the_chip_is_a_link(small: Small) -> None:
    registers = MemoryMap(TINY).registers
    chip = ChipModel(TINY)
    try:
        assert chip.read(registers["id"].address) == CHIP_ID
        assert chip.read(registers["fingerprint"].address) == TINY.fingerprint()
        chip.fill(small.image)
        chip.clear()
        chip.send([(3, 1), (4, 2)])
        chip.tick()
        first = chip.counters()
        assert first["spikes_in"] == 1
        chip.tick()
        counters = chip.counters()
        own = first["spikes_out"]  # of hidden neurons: each is an event for the second tick
        assert (counters["spikes_in"], counters["ticks"], counters["dropped"]) == (2 + own, 2, 0)
        chip.zero()
        assert not any(chip.counters().values())
    finally:
        chip.close()
        chip.close()
