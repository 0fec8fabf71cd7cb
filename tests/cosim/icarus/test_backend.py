"""pysim == Verilator == Icarus on random networks: spikes, membranes, every counter."""

import numpy as np
import pytest

from spikeloop.cosim import backend as link
from spikeloop.cosim import backends
from spikeloop.cosim.backend import Backend
from spikeloop.cosim.icarus import backend as icarus
from spikeloop.cosim.icarus.backend import Icarus, cycle_limit
from spikeloop.cosim.verilator.backend import Verilated
from spikeloop.cosim.verilator.chip import ChipModel
from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.export import export
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.cosim.conftest import Small
from tests.make.networks import random_network, random_stimulus

TINY = PRESETS["tiny"]
NETWORKS = 24
SAMPLES = 2


def same(expected: Trace, got: Trace) -> None:
    """Every array of the traces, with its shape and dtype."""
    for kind in ("spikes", "membranes", "counters"):
        a, b = getattr(expected, kind), getattr(got, kind)
        assert list(a) == list(b), kind
        for name in a:
            assert a[name].dtype == b[name].dtype
            np.testing.assert_array_equal(a[name], b[name], err_msg=f"{kind} of {name}")


def draw(seed: int, chip=TINY, samples: int = SAMPLES) -> tuple[Network, Image, Stimulus]:
    rng = np.random.default_rng(seed)
    network = random_network(rng, chip)
    return network, pack(network, chip=chip), random_stimulus(rng, network, samples, density=0.2)


@pytest.mark.icarus
@pytest.mark.slow
@pytest.mark.parametrize("number", range(NETWORKS))
def test_three_ways_agree_on_random_networks(seed: int, number: int) -> None:
    _, image, stimulus = draw(1000 * seed + number)
    predicted = Core(image).run(stimulus)
    for kind in (Verilated, Icarus):
        with kind(image) as chip:
            same(predicted, chip.run(stimulus))


@pytest.mark.icarus
@pytest.mark.slow
def test_both_simulators_read_the_mem_files_themselves(seed: int, tmp_path) -> None:
    """Every bit of every loaded memory, read from +NAME=FILE by Icarus and by Verilator."""
    _, image, stimulus = draw(seed)
    export(image, "mem", tmp_path)
    model = ChipModel(
        TINY, memories={m.name: tmp_path / f"{m.name}.mem" for m in MemoryMap(TINY).loaded}
    )
    try:
        for memory in MemoryMap(TINY).loaded:
            rows = image.rows(memory.name)
            np.testing.assert_array_equal(
                model.memory(memory.name)[: len(rows), : rows.shape[1]], rows, err_msg=memory.name
            )
        model.write(MemoryMap(TINY).registers["steps"].address, image.steps)
        trace = model.run(image, stimulus)
    finally:
        model.close()
    with Icarus(image) as simulator:
        same(trace, simulator.run(stimulus))


@pytest.mark.icarus
@pytest.mark.slow
def test_one_image_at_the_papers_size(seed: int) -> None:
    _, image, stimulus = draw(seed, PRESETS["zou2021"], samples=1)
    with Icarus(image) as simulator:
        same(Core(image).run(stimulus), simulator.run(stimulus))


@pytest.mark.icarus
def test_without_membranes(small: Small) -> None:
    with Icarus(small.image) as simulator:
        trace = simulator.run(small.stimulus.take(slice(0, 1)), membranes=False)
        assert trace.membranes == {}
        np.testing.assert_array_equal(
            trace.spikes["output"],
            Core(small.image).run(small.stimulus.take(slice(0, 1))).spikes["output"],
        )


@pytest.mark.icarus
@pytest.mark.parametrize("suffix, start", [("fst", b"\0"), ("vcd", b"$date")])
def test_waves(small: Small, tmp_path, suffix: str, start: bytes) -> None:
    with Icarus(small.image) as simulator:
        path = simulator.waves(
            small.stimulus.take(slice(0, 1)), tmp_path / "new" / f"waves.{suffix}"
        )
    assert path.name == f"waves.{suffix}"
    data = path.read_bytes()
    assert data.startswith(start)
    if suffix == "vcd":
        for signal in (b" busy ", b" count_spikes_out ", b" v_next "):
            assert signal in data


@pytest.mark.icarus
def test_waves_into_a_place_that_is_none(small: Small, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with (
        Icarus(small.image) as simulator,
        pytest.raises(InputError, match="wave file must be writable"),
    ):
        simulator.waves(small.stimulus, tmp_path / "file" / "waves.fst")


@pytest.mark.icarus
def test_a_chip_that_hangs_is_named_with_its_sample_and_tick(small: Small, monkeypatch) -> None:
    monkeypatch.setattr(
        icarus, "cycle_limit", lambda chip: 45
    )  # CLEAR of the tiny chip fits, a tick does not
    with (
        Icarus(small.image) as simulator,
        pytest.raises(TimeoutError, match=r"sample 0, tick \d+, not idle after 45 cycles"),
    ):
        simulator.run(small.stimulus)


@pytest.mark.icarus
def test_a_run_that_takes_too_long_is_ended(small: Small) -> None:
    with (
        Icarus(small.image, timeout=0.001) as simulator,
        pytest.raises(TimeoutError, match=r"6 samples within 0\.001 s"),
    ):
        simulator.run(small.stimulus)


@pytest.mark.icarus
def test_state_that_is_not_defined_is_no_trace(small: Small) -> None:
    with Icarus(small.image) as simulator:
        text = simulator._simulate(small.stimulus)
        line = text.index(b"\n") + 1
        with pytest.raises(RuntimeError, match=r"undefined \(x\) in Icarus at sample 0, tick 2"):
            simulator._traces(
                text[: 3 * line + 40] + b"x" + text[3 * line + 41 :], small.stimulus.samples, True
            )


def test_the_limit_is_more_than_any_tick_takes(seed: int) -> None:
    for number in range(10):
        _, image, stimulus = draw(seed + number)
        assert 0 < Core(image).run(stimulus).counters["cycles"].max() < cycle_limit(TINY)


def test_without_icarus_the_sentence_says_how_to_get_it(small: Small, monkeypatch) -> None:
    monkeypatch.setattr(link.shutil, "which", lambda program: None)
    with pytest.raises(InputError, match=r"iverilog.*apt-get install -y iverilog"):
        Icarus(small.image)


def test_it_is_a_backend() -> None:
    assert issubclass(Icarus, Backend)
    assert Icarus.name in backends.BACKENDS
