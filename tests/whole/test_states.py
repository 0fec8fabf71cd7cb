"""Synaptic currents and adaptations drawn at random: no form of the chip departs from golden.

Each test says how many neuron-ticks it compared. In each of them spikes and all states are
compared, and every counter.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.backends import open_backend
from spikeloop.cosim.board import fpga
from spikeloop.cosim.board.link import Board
from spikeloop.cosim.board.session import Session
from spikeloop.cosim.board.virtual import BoardModel, Wire
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.cosim.compare.diff import Side, diff
from spikeloop.cosim.verilator.backend import PingPong
from spikeloop.cosim.verilator.chip import ChipModel, MeshChipModel
from spikeloop.pysim.bundle.program import Program, compile_program
from spikeloop.pysim.chip.params import Chip, preset
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.campaigns.regression import chip as chip_regression
from tests.campaigns.regression import mesh as mesh_regression
from tests.campaigns.regression import pim_chip as pim_chip_regression
from tests.campaigns.regression.chip import CHIPS
from tests.cosim import FAST_BUILD
from tests.make.networks import random_network, random_stimulus
from tests.make.neurons.states import WITH_STATES, give_states
from tests.pysim.mapping.test_partition import conv_network, stimulus

NEURON_TICKS = 1_000_000
SMALL = CHIPS["states"]
ON_FPGA = preset("hx8k").replace(
    axons=12, columns=4, lanes=1, current_bits=8, adaptation_bits=8, membrane_bits=9
)


def draw(chip: Chip, number: int, seed: int, samples: int) -> tuple[Network, Image, Stimulus]:
    rng = np.random.default_rng([seed, number])
    network = random_network(rng, chip)
    return network, pack(network, chip=chip), random_stimulus(rng, network, samples, 0.2)


def moved(trace: Trace) -> tuple[int, int]:
    """Neuron-ticks with a current other than 0, and with an adaptation."""
    return tuple(
        sum(int(np.count_nonzero(values)) for values in part.values())
        for part in (trace.synaptic, trace.adaptations)
    )


def agree(
    chip: Chip,
    numbers: range,
    seed: int,
    name: str,
    opener: Callable[[Network, Image], Backend],
    samples: int = 2,
) -> None:
    """golden == pysim == the backend ``name`` on random networks."""
    compared, currents, adaptations = 0, 0, 0
    for number in numbers:
        network, image, stim = draw(chip, number, seed, samples)

        def backend(which: str, network: Network = network, image: Image = image) -> Backend:
            if which == name:
                return opener(network, image)
            return open_backend(which, network, image)

        result = compare(Case(network, stim), ["golden", "pysim", name], backend)
        different = [(pair.different, pair.first) for pair in result.pairs]
        assert different == [(0, None)] * 2, f"network {number}"
        assert result.cycles_measured == result.cycles_predicted
        compared += result.pairs[-1].neuron_ticks
        with open_backend("pysim", network, image) as model:
            y, a = moved(model.run(stim))
        currents, adaptations = currents + y, adaptations + a
    print(f"{name}: {compared:,} neuron-ticks, {currents:,} currents, {adaptations:,} adaptations")
    assert min(currents, adaptations) > 0


@pytest.mark.slow
def test_a_million_neuron_ticks_on_golden_pysim_and_verilator(seed: int) -> None:
    model, compared, moving, number = ChipModel(WITH_STATES), 0, np.zeros(2, int), 0
    while compared < NEURON_TICKS:
        network, image, stim = draw(WITH_STATES, number, seed, 64)
        model.fill(image)
        rtl = Side("RTL", model.run(image, stim))
        traces = {}
        for name in ("golden", "pysim"):
            with open_backend(name, network, image) as backend:
                traces[name] = Side(name, backend.run(stim))
        golden = diff(network, traces["golden"], traces["pysim"])
        pysim = diff(network, traces["pysim"], rtl)
        assert (golden.different, pysim.different) == (0, 0), (number, golden.first, pysim.first)
        compared, number = compared + pysim.neuron_ticks, number + 1
        moving += moved(rtl.trace)
    model.close()
    print(f"{number} networks: {compared:,} neuron-ticks, 0 different on golden, pysim and RTL")
    print(f"of them {moving[0]:,} with a current and {moving[1]:,} with an adaptation")
    assert moving.min() > NEURON_TICKS / 10


@pytest.mark.slow
@pytest.mark.icarus
def test_icarus(seed: int) -> None:
    agree(
        SMALL,
        range(6),
        seed,
        "icarus",
        lambda network, image: open_backend("icarus", network, image),
        samples=8,
    )


@pytest.mark.slow
def test_a_virtual_board(seed: int) -> None:
    model = BoardModel(SMALL, optimise=False)
    agree(SMALL, range(8), seed, "board", lambda _, i: Board(Session(Wire(model)), i), 6)


@pytest.mark.slow
def test_the_netlist_after_synthesis(seed: int) -> None:
    model = BoardModel(ON_FPGA, library=fpga.netlist_board(ON_FPGA))
    agree(ON_FPGA, range(12), seed, "board", lambda _, i: Board(Session(Wire(model)), i), 8)


@pytest.mark.slow
def test_a_mesh(seed: int) -> None:
    chip = CHIPS["mesh"].replace(mesh_width=2, mesh_height=1, current_bits=11, adaptation_bits=9)
    model = MeshChipModel(chip, FAST_BUILD)
    assert list(mesh_regression.differences(model, chip, 3, seed=seed, contended=False)) == []


@pytest.mark.slow
def test_two_banks_and_axon_extension(seed: int) -> None:
    chip = CHIPS["states-banked"]
    assert list(chip_regression.differences(ChipModel(chip, FAST_BUILD), chip, seed=seed)) == []


@pytest.mark.slow
def test_a_pim_layer_in_front_of_currents(seed: int) -> None:
    chip = CHIPS["pim-states"]
    model = ChipModel(chip, FAST_BUILD)
    assert list(pim_chip_regression.differences(model, chip, 6, seed=seed)) == []


@pytest.mark.slow
def test_parts_that_take_turns(rng: np.random.Generator) -> None:
    """On two banks: each part is loaded through the port while another runs."""
    chip = CHIPS["states-banked"]
    plain = replace(conv_network(rng), membrane_bits=chip.membrane_bits)
    network = give_states(rng, plain, chip, spread=2.0)
    program, stim = compile_program(network, chip), stimulus(rng, network, 6)
    assert isinstance(program, Program)

    def opener(name: str) -> Backend:
        options = {"options": FAST_BUILD} if name == "verilator" else {}
        return open_backend(name, network, program, **options)

    result = compare(Case(network, stim), ["golden", "pysim", "verilator"], opener)
    assert result.failures() == [] and result.cycles_measured == result.cycles_predicted
    with opener("verilator") as backend:
        assert isinstance(backend, PingPong)
        currents, adaptations = moved(backend.run(stim))
    print(
        f"{len(program.parts)} parts: {result.pairs[-1].neuron_ticks:,} neuron-ticks, "
        f"{currents:,} currents, {adaptations:,} adaptations"
    )
    assert min(currents, adaptations) > 0
