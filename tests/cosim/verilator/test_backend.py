"""Parts that take turns on one Verilated chip of two banks, loaded through its port while it runs.

Their spikes are the model's, their cycles those of the schedule.
"""

import numpy as np
import pytest

from spikeloop.cosim.backends import open_backend
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.cosim.verilator.backend import PingPong, VerilatedParts
from spikeloop.cosim.verilator.chip import ChipModel
from spikeloop.pysim.bundle.program import Program, compile_program
from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.cost.turns import at_pins, jobs, pauses, schedule
from spikeloop.pysim.cost.work import measure
from spikeloop.pysim.image.loading import load_rows, load_stream, load_words
from spikeloop.pysim.traces.trace import Trace
from tests.campaigns.regression.cases import CHIPS
from tests.campaigns.regression.chip import differences
from tests.cosim import FAST_BUILD
from tests.pysim.mapping.test_partition import CHIP, conv_network, stimulus

BANKED = CHIP.replace(banks=2)
SAMPLES = 24


def same(a: Trace, b: Trace) -> None:
    for kind in ("spikes", "membranes", "counters"):
        assert getattr(a, kind).keys() == getattr(b, kind).keys()
        for name, array in getattr(a, kind).items():
            np.testing.assert_array_equal(
                array, getattr(b, kind)[name], err_msg=f"{kind} of {name}"
            )


def test_the_words_of_the_stream_are_the_image(rng: np.random.Generator) -> None:
    program = compile_program(conv_network(rng), BANKED)
    assert isinstance(program, Program)
    image, map_ = program.parts[3].image, MemoryMap(BANKED)
    for bank in (0, 1):
        addresses, words = load_stream(image, bank)
        assert len(addresses) == len(words) == load_words(image) == len(np.unique(addresses))
        found = dict(zip(addresses.tolist(), words.tolist(), strict=True))
        for memory in map_.loaded:
            rows = np.array(
                [
                    [
                        found[memory.address(row, chunk) + (bank << map_.address_bits - 1)]
                        for chunk in range(memory.chunks)
                    ]
                    for row in range(load_rows(image, memory))
                ],
                "<u4",
            ).view(np.uint8)
            np.testing.assert_array_equal(
                rows[:, : image.rows(memory.name).shape[1]], image.rows(memory.name)[: len(rows)]
            )


@pytest.mark.slow
@pytest.mark.parametrize("recurrent", [False, True])
def test_a_program_through_the_load_port_takes_the_cycles_of_its_schedule(
    recurrent: bool, rng: np.random.Generator
) -> None:
    """Hundreds of loads of a dozen parts.

    With one sample a load, runs wait for the port. With all samples a load, loading is hidden.
    """
    network = conv_network(rng, recurrent=recurrent)
    program, stim = compile_program(network, BANKED), stimulus(rng, network, SAMPLES)
    assert isinstance(program, Program) and len(program.parts) > 10
    with VerilatedParts(
        program, options=FAST_BUILD
    ) as direct:  # memories filled by the back door, bank 0 alone
        expected = direct.run(stim)
    works = jobs(program, at_pins(program, measure(program, stim).cycles))
    for batch in (1, 5, SAMPLES):
        plan = schedule(works, batch=batch)
        with PingPong(program, batch=batch, options=FAST_BUILD) as chip:
            same(expected, chip.run(stim))
            print(
                f"{len(program.parts)} parts, {batch} samples a load: {chip.clock:,} cycles, "
                f"{plan.total + pauses(program, plan):,} "
                f"predicted; loads {plan.loading:,}, hidden {plan.hidden:,}"
            )
            assert chip.clock == plan.total + pauses(program, plan)
        hidden = plan.hidden / plan.loading
        assert plan.total == plan.running + plan.loading - plan.hidden
        assert 0 < hidden < 0.5 if batch == 1 else hidden > 0.9 if batch == SAMPLES else True, (
            batch,
            hidden,
        )


@pytest.mark.slow
def test_the_bank_at_rest_takes_words_and_the_one_that_runs_does_not() -> None:
    assert CHIPS["banked"] == BANKED
    assert list(differences(ChipModel(BANKED, FAST_BUILD), BANKED, count=4)) == []


@pytest.mark.slow
def test_the_command_line_takes_turns_on_two_banks(rng: np.random.Generator) -> None:
    network = conv_network(rng)
    program, stim = compile_program(network, BANKED), stimulus(rng, network)
    assert isinstance(program, Program)
    result = compare(
        Case(network, stim),
        ["golden", "pysim", "verilator"],
        lambda name: open_backend(
            name, network, program, **({"options": FAST_BUILD} if name == "verilator" else {})
        ),
    )
    assert result.failures() == [] and result.cycles_measured == result.cycles_predicted
    with open_backend("verilator", network, program, options=FAST_BUILD) as backend:
        assert isinstance(backend, PingPong)
