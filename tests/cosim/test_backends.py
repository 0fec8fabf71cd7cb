"""The backends by name, and the RTL through each of its doors: harness, Icarus, load port."""

from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.backends import BACKENDS, check_names, open_backend
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.cosim.link import Link, LinkBackend
from spikeloop.pysim.bundle.open import load_bundle, map_network
from spikeloop.pysim.bundle.program import Program
from spikeloop.pysim.chip.params import PRESETS, preset
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.conftest import ICARUS
from tests.cosim.conftest import Small, small_network
from tests.make.small import spontaneous_network, spontaneous_stimulus


@pytest.mark.parametrize("name", ["", "modelsim", "Golden", "golden ", ":x"])
def test_unknown_names(small: Small, name: str) -> None:
    with pytest.raises(InputError, match="backend must be one of golden, pysim, verilator, icarus"):
        open_backend(name, small.network, small.image)


def test_every_name_is_known() -> None:
    check_names([name for name in BACKENDS if name != "icarus" or ICARUS])


def test_the_network_must_be_the_images(small: Small) -> None:
    with pytest.raises(InputError, match=r"network must be the one image 'small' was packed from"):
        open_backend("golden", small_network("other"), small.image)


@pytest.mark.parametrize("name", ["golden", "pysim"])
def test_models_repeat_themselves(small: Small, name: str) -> None:
    """Each run begins from CLEAR: samples alone, in another order or twice do the same."""
    with open_backend(name, small.network, small.image) as backend:
        whole = backend.run(small.stimulus)
        order = np.array([4, 1, 1, 5])
        part = backend.run(small.stimulus.take(order))
        for kind in ("spikes", "membranes", "counters"):
            for key, array in getattr(whole, kind).items():
                np.testing.assert_array_equal(getattr(part, kind)[key], array[order])
        assert backend.run(small.stimulus, membranes=False).membranes == {}


@pytest.mark.icarus
@pytest.mark.parametrize("inputs", [True, False])
@pytest.mark.parametrize("size", [4, 25])
def test_parts_without_inputs_are_legal(
    rng: np.random.Generator, tmp_path: Path, size: int, inputs: bool
) -> None:
    """Neurons that fire by their bias alone, on every way to run one core, from files."""
    network = spontaneous_network(rng, size, inputs)
    bundle = load_bundle(map_network(network, PRESETS["tiny"]).save(tmp_path / "bundle"))
    stimulus = Stimulus.load(
        spontaneous_stimulus(rng, inputs, samples=3).save(tmp_path / "stimulus.npz")
    )
    if size > 4:
        assert isinstance(bundle, Program) and any(not part.lines for part in bundle.parts)
    names = ["golden", "pysim", "verilator", "icarus"]
    result = compare(
        Case(network, stimulus), names, lambda name: open_backend(name, network, bundle), workers=1
    )
    assert result.failures() == []
    assert (result.samples, result.different) == (3, 0)
    assert result.cycles_measured == result.cycles_predicted
    with open_backend("golden", network, bundle) as golden:
        spikes = golden.run(stimulus).spikes
    assert all(packed.any() for packed in spikes.values())


@pytest.mark.slow
def test_all_doors_of_the_rtl_open_on_the_same_chip(small: Small, tmp_path: Path) -> None:
    """Memories filled directly, over the link's few verbs, and by Icarus from the image's files."""
    from spikeloop.cosim.verilator.chip import ChipModel

    def opener(name: str):
        if name == "board":
            return LinkBackend(ChipModel(small.image.chip), small.image)
        return open_backend(name, small.network, small.image)

    names = ["golden", "pysim", "verilator", "board", *(["icarus"] if ICARUS else [])]
    result = compare(Case(small.network, small.stimulus), names, opener, workers=1)
    assert result.failures() == []
    assert result.different == 0
    assert result.cycles_measured == result.cycles_predicted
    assert all(pair.counter_values == 8 * 36 for pair in result.pairs[1:])


class Fake(Link):
    """A link with memories and registers, and nothing behind them."""

    def __init__(self, image: Image, **registers: int) -> None:
        from spikeloop.pysim.chip.memory_map import MemoryMap

        self.chip, self.cells, self.stuck = image.chip, {}, None
        for name, register in MemoryMap(image.chip).registers.items():
            self.cells[register.address] = registers.get(name, register.reset)

    def write(self, address: int, value: int) -> None:
        self.cells[address] = value if address != self.stuck else value ^ 1

    def read(self, address: int) -> int:
        return self.cells.get(address, 0)

    def send(self, events) -> None: ...

    def receive(self) -> list[tuple[int, int]]:
        return []


@pytest.mark.parametrize(
    "registers, message",
    [
        ({"id": 5}, "register id of the chip must be 0x53504c50"),
        ({"version": 7}, "not 0x7"),
        ({"fingerprint": 0}, "register fingerprint"),
    ],
)
def test_a_link_meets_its_own_chip(small: Small, registers: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LinkBackend(Fake(small.image, **registers), small.image)


def test_a_link_reads_back_what_it_loads(small: Small) -> None:
    from spikeloop.pysim.chip.memory_map import MemoryMap

    link = Fake(small.image)
    LinkBackend(link, small.image)
    link.stuck = MemoryMap(small.image.chip).memories["synapse"].address(9, 0)
    with pytest.raises(
        InputError, match="row 9 of memory synapse must read back as it was written"
    ):
        LinkBackend(link, small.image)


def test_images_of_one_network_differ_by_chip(small: Small) -> None:
    other = pack(small.network, chip=preset("default"))
    assert other.network.sha256 == small.image.network.sha256
    result = compare(
        Case(small.network, small.stimulus),
        ["tiny", "default"],
        lambda name: open_backend("pysim", small.network, small.image if name == "tiny" else other),
    )
    assert result.pairs[0].neuron_ticks_different == 0  # the same membranes, in other cycles
    assert result.pairs[0].counters_different["cycles"] > 0
