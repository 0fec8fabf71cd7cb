"""A planted difference of a second state is found, counted and named; so is a state that lacks."""

from dataclasses import replace

import numpy as np
import pytest

from spikeloop.cosim.compare.diff import Side, diff
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.network.elements import StateUse
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.trace import STATE_NAMES, Trace
from tests.cosim.conftest import Small, small_network

CHIP = PRESETS["tiny"].replace(current_bits=12, adaptation_bits=9)
PARTS = ("synaptic", "adaptations")


@pytest.fixture(scope="module")
def network() -> Network:
    """The hidden neurons have both states, the output none."""
    plain = small_network()
    hidden, output = plain.populations
    hidden = replace(
        hidden,
        current=np.full_like(hidden.current, StateUse.NEW),
        adaptation=np.full_like(hidden.adaptation, StateUse.OLD),
        adaptation_step=np.full_like(hidden.adaptation_step, 2),
    )
    return replace(plain, populations=(hidden, output), current_bits=12, adaptation_bits=9)


@pytest.fixture(scope="module")
def truth(small: Small, network: Network) -> Trace:
    trace = Core(pack(network, chip=CHIP)).run(small.stimulus)
    assert all(getattr(trace, part)["hidden1"].any() for part in PARTS)
    return trace


def edited(trace: Trace, part: str, population: str, values: np.ndarray | None) -> Trace:
    """The trace with other values of a state of a population; without them for None."""
    arrays = {key: array for key, array in getattr(trace, part).items() if key != population}
    return replace(trace, **{part: arrays if values is None else {**arrays, population: values}})


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize("population, neuron", [("hidden1", 8), ("output", 0)])
def test_one_value_is_found_and_named(
    network: Network, truth: Trace, part: str, by: int, population: str, neuron: int
) -> None:
    values = getattr(truth, part)[population].copy()
    expected = int(values[3, 2, neuron])
    values[3, 2, neuron] += by
    pair = diff(network, Side("a", truth), Side("b", edited(truth, part, population, values)))
    start = network.population(population).start
    assert pair.different == pair.neuron_ticks_different == 1
    assert pair.states_different[part] == 1 and sum(pair.states_different.values()) == 1
    assert (pair.spikes_different, pair.membranes_different) == (0, 0)
    assert str(pair.first) == (
        f"sample 3, tick {2 + start} (step 2), core 0, population {population}, neuron {neuron}: "
        f"{STATE_NAMES[part]} is {expected} in a, {expected + by} in b"
    )


@pytest.mark.parametrize("part", PARTS)
def test_all_values_are_compared(network: Network, truth: Trace, part: str) -> None:
    pair = diff(network, Side("a", truth), Side("b", truth))
    assert pair.different == 0 and pair.neuron_ticks == 6 * 5 * (9 + 3)
    values = getattr(truth, part)["hidden1"] + 1
    pair = diff(network, Side("a", truth), Side("b", edited(truth, part, "hidden1", values)))
    assert pair.states_different[part] == pair.neuron_ticks_different == values.size


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("side", [0, 1])
def test_a_trace_without_the_state_is_refused(
    network: Network, truth: Trace, part: str, side: int
) -> None:
    traces = [truth, truth]
    traces[side] = edited(truth, part, "hidden1", None)
    with pytest.raises(InputError, match=f"trace of {'ab'[side]} must hold the {part} of"):
        diff(network, Side("a", traces[0]), Side("b", traces[1]))


@pytest.mark.parametrize("part", PARTS)
def test_a_trace_of_another_shape_is_refused(network: Network, truth: Trace, part: str) -> None:
    short = edited(truth, part, "hidden1", getattr(truth, part)["hidden1"][:, :, :-1])
    with pytest.raises(InputError, match=f"{part} of population 'hidden1'"):
        diff(network, Side("a", truth), Side("b", short))


def test_without_membranes_no_state_is_compared(network: Network, truth: Trace) -> None:
    bare = replace(truth, membranes={}, synaptic={}, adaptations={})
    pair = diff(network, Side("a", truth), Side("b", bare), membranes=False)
    assert pair.different == 0 and pair.states_different == {}
