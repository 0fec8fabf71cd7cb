"""Synaptic currents and adaptations drawn at random: no form of the chip departs from golden.

Each test says how many neuron-ticks it compared. In each of them spikes and all states are
compared, and every counter.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.backends import open_backend
from spikeloop.cosim.board.virtual import BoardModel
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.cosim.verilator.backend import PingPong
from spikeloop.cosim.verilator.chip import ChipModel, MeshChipModel
from spikeloop.pysim.bundle.program import Program, compile_program
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.image.image import Bundle
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.campaigns.regression import chip as chip_regression
from tests.campaigns.regression import pim_chip as pim_chip_regression
from tests.campaigns.regression.cases import CHIPS
from tests.campaigns.regression.mesh import chip as mesh_regression
from tests.campaigns.regression.states import APART, FORMS, Form, Run, on_board, silent, tally
from tests.cosim import FAST_BUILD
from tests.make.neurons.states import give_states
from tests.pysim.mapping.test_partition import conv_network, stimulus

FROM_VERILATOR = ("preset tiny", "two banks, axon extension", "mesh of 2 x 1")
NEURON_TICKS = 40_000  # on each of them; a million over all forms is the campaign's work


def agree(form: Form, neuron_ticks: int, seed: int) -> None:
    """golden == pysim == the form on random networks, whose states all move."""
    done = tally(form, neuron_ticks, seed)
    print(*done.pairs.values(), dict(done.moved), sep="\n")
    assert done.first is None and all(pair.different == 0 for pair in done.pairs.values())
    assert done.pairs[form.name].neuron_ticks >= neuron_ticks
    assert silent(form, done.moved) == []


@pytest.mark.slow
@pytest.mark.parametrize("form", FROM_VERILATOR)
def test_golden_pysim_and_verilator(form: str, seed: int) -> None:
    agree(FORMS[form], NEURON_TICKS, seed)


@pytest.mark.slow
@pytest.mark.icarus
def test_icarus(seed: int) -> None:
    agree(APART["Icarus"], 3_000, seed)


@pytest.mark.slow
def test_a_virtual_board(seed: int) -> None:
    @contextmanager
    def board(chip: Chip) -> Iterator[Run]:
        with on_board(BoardModel(chip, optimise=False)) as run:
            yield run

    agree(Form(CHIPS["states"], board, "board", samples=6), 4_000, seed)


@pytest.mark.slow
def test_the_netlist_after_synthesis(seed: int) -> None:
    agree(APART["netlist"], 1_000, seed)


@pytest.mark.parametrize("part", ["synaptic", "adaptations", "membranes", "spikes", "counters"])
def test_a_value_that_differs_is_found(part: str, seed: int) -> None:
    """Every array of a trace is compared, and so are the cycles, which golden does not count."""

    @contextmanager
    def wrong(chip: Chip) -> Iterator[Run]:
        def run(_: Network, bundle: Bundle, stimulus: Stimulus) -> Trace:
            trace = Core(bundle.images[0], "numpy").run(stimulus)
            arrays = getattr(trace, part)
            name = "cycles" if part == "counters" else sorted(arrays)[-1]
            changed = arrays[name].copy()
            changed[(1, 2, 0)[: changed.ndim]] ^= 1
            return replace(trace, **{part: arrays | {name: changed}})

        yield run

    done = tally(Form(CHIPS["states"], wrong, "wrong", samples=2), 1, seed)
    words = {"synaptic": "synaptic current", "counters": "cycles"}
    assert done.pairs["wrong"].different == 1 and done.pairs["numpy"].different == 0
    assert done.first and f"network 0 of seed {seed}, sample 1, tick " in done.first
    assert f": {words.get(part, part[:-1])} is " in done.first


@pytest.mark.slow
def test_a_mesh(seed: int) -> None:
    chip = FORMS["mesh of 2 x 1"].chip
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
        trace = backend.run(stim)
    currents, adaptations = (
        sum(int(np.count_nonzero(values)) for values in part.values())
        for part in (trace.synaptic, trace.adaptations)
    )
    print(
        f"{len(program.parts)} parts: {result.pairs[-1].neuron_ticks:,} neuron-ticks, "
        f"{currents:,} currents, {adaptations:,} adaptations"
    )
    assert min(currents, adaptations) > 0
