"""The engines: against each other and golden, by hand, from any state, and their cycles."""

from dataclasses import replace

import numpy as np
import pytest

from spikeloop.golden.dendrites import integer as golden
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.settings import UNITS
from spikeloop.pysim.dendrites.state import DendriticState, fresh
from spikeloop.pysim.dendrites.trace import differences
from spikeloop.pysim.dendritic import numba_engine, numpy_engine
from spikeloop.pysim.dendritic.contents import net_chunks, state_chunks, state_of
from spikeloop.pysim.dendritic.cycles import show_cycles
from spikeloop.pysim.dendritic.memories import memories
from spikeloop.pysim.dendritic.params import DendriticParams
from tests.make.dendrites.random import random_case, random_params

OTHERS = (numpy_engine.show, golden.show)


def test_all_writings_agree(seed: int) -> None:
    compared, events = 0, np.zeros(4, np.int64)
    for n in range(40):
        rng = np.random.default_rng([seed, n])
        case = random_case(rng, random_params(rng), 40)
        state = case.state
        for show in case.shows:
            given = (case.net, case.stimuli[show.stimulus], state, show.steps)
            kind = {"learn": show.learn, "plastic": show.plastic}
            want = numba_engine.show(*given, **kind)
            for other in OTHERS:
                found = differences(want, other(*given, **kind), ("numba", other.__module__))
                assert found.first is None, (n, found.first)
                compared += found.compared
            state = want.state
            events += (want.inputs, want.spikes, want.clips, want.saturations)
    assert compared > 300_000 and events.min() > 50, events


def test_a_difference_is_named(seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = random_case(rng, DendriticParams(inputs=9, neurons=3, stimuli=1))
    given = (case.net, case.stimuli[0], case.state, 5)
    one, other = (numpy_engine.show(*given, learn=True) for _ in range(2))
    assert differences(one, other).first is None
    other.units[3, 2, 1] += 1
    assert differences(one, other).different == 1
    assert differences(one, other).first.startswith("step 3, neuron 1, mean: ")
    changed = other.state.weights.copy()
    changed[2, 8] ^= 1
    other = replace(
        numpy_engine.show(*given, learn=True), state=replace(one.state, weights=changed)
    )
    assert differences(one, other).first.startswith("state, weight of input 8 onto neuron 2: ")


def test_a_run_goes_on_from_any_state(seed: int) -> None:
    net = DendriticNet.make({"inputs": 30, "neurons": 3, "warm_up": 4, "spike_gain": 20000})
    stimulus = np.random.default_rng(seed).integers(0, 9000, 30)
    whole = numba_engine.show(net, stimulus, fresh(net, seed), 50, learn=True)
    state, parts = fresh(net, seed), []
    for steps in (1, 19, 30):
        parts.append(numba_engine.show(net, stimulus, state, steps, learn=True))
        state = parts[-1].state
    assert np.array_equal(np.concatenate([part.units for part in parts]), whole.units)
    assert state.same(whole.state) and not state.same(fresh(net, seed))
    assert sum(part.spikes for part in parts) == whole.spikes > 0


def small(**settings: int) -> tuple[DendriticNet, DendriticState]:
    """Eight inputs, two neurons, no noise, no inhibition of its own, behind the warm-up."""
    usual = {"inputs": 8, "neurons": 2, "warm_up": 0, "noise": 0}
    net = DendriticNet.make({**usual, **settings})
    return net, replace(fresh(net, 1), age=1)


def test_a_single_psp() -> None:
    net, state = small()
    spike, silence = np.full(8, 65535), np.zeros(8, int)
    state = numpy_engine.show(net, spike, state, 1, learn=False).state
    assert state.currents.tolist() == state.psps.tolist() == [21408] * 8
    heights = []
    for _ in range(200):
        state = numpy_engine.show(net, silence, state, 1, learn=False).state
        heights.append(int(state.psps[0]))
    assert max(heights) / 65536 == pytest.approx(1, abs=0.001) and np.argmax(heights) == 6
    assert (21408 + sum(heights)) / 65536 == pytest.approx(24.5, rel=0.01)
    assert heights[-1] < 48  # what is left is below 3 units of what the products see


def test_spikes_at_once_lower_inhibition_both_ways() -> None:
    net, state = small(spike_gain=65535)
    net = DendriticNet.make(net.settings, np.full(1024, 65535))
    trace = numpy_engine.show(net, np.zeros(8, int), state, 1, learn=True)
    assert trace.field("f").tolist() == [[65535] * 2] and trace.spikes == 2
    assert trace.field("trace_p").tolist() == [[-176161] * 2]
    # ((88080 - 176161) 52428 + 2^23) >> 24 = -275, once as a row and once as a column
    assert trace.state.inhibition.tolist() == [[0, 52428 - 550], [52428 - 550, 0]]


def test_the_warm_up_ends_behind_its_last_step() -> None:
    net, state = small(warm_up=3, rate=0, decay=1)
    last = numpy_engine.show(net, np.zeros(8, int), replace(state, age=3), 1, learn=True)
    assert np.array_equal(last.state.weights, state.weights) and last.state.age == 4
    assert not last.field("f").any() and last.state.units[1].tolist() == [0, 0]
    first = numpy_engine.show(net, np.zeros(8, int), last.state, 1, learn=True)
    assert np.array_equal(first.state.weights, state.weights - ((state.weights + 1) >> 1))
    assert first.field("f").all()


def test_a_frozen_show_moves_nothing_that_learns() -> None:
    net, state = small()
    end = numpy_engine.show(net, np.full(8, 9000), state, 40, learn=False).state
    same = ("mean", "var", "trace_p", "trace_d", "rn", "rs")
    rows = [list(UNITS).index(name) for name in same]
    assert np.array_equal(end.units[rows], state.units[rows]) and end.rin != state.rin
    assert np.array_equal(end.weights, state.weights) and end.age == state.age


def test_memories_give_back_what_they_were_given(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for n in range(6):
        p = random_params(rng)
        case = random_case(rng, p)
        table = {
            memory.name: np.zeros((memory.rows, memory.chunks), np.uint32) for memory in memories(p)
        }
        chunks = [*state_chunks(p, case.net, case.state), *net_chunks(p, case.net, case.stimuli)]
        for memory, row, index, data in chunks:
            table[list(table)[memory]][row, index] = data
        assert state_of(p, case.net, table).same(case.state), n
        for memory in memories(p):
            assert table[memory.name].max() >> memory.chunk == 0
        held = table["stimuli"].reshape(p.stimuli, p.inputs)[:, : case.net.inputs]
        assert np.array_equal(held, case.stimuli)


def test_cycles_by_hand() -> None:
    net = DendriticNet.make({})
    frozen, young, grown = 1358 + 8 + 2 + 9 + 1, 1358 + 8 + 2 + 3 + 1, 1432
    assert show_cycles(net, 0, 5, learn=False, plastic=True) == 5 * frozen + 2
    assert show_cycles(net, 0, 801, learn=True, plastic=True) == 801 * young + 2
    assert show_cycles(net, 800, 3, learn=True, plastic=True) == young + 2 * grown + 1358 + 2
    assert show_cycles(net, 801, 1, learn=True, plastic=False) == grown - 10 + 1358 + 2


def test_a_macro_refuses_what_does_not_fit() -> None:
    net, _ = small()
    with pytest.raises(
        InputError, match="neurons of the net must be 2 at most, the macro's, not 8"
    ):
        DendriticParams(inputs=1353, neurons=2, stimuli=1).check(DendriticNet.make({}), 1)
    with pytest.raises(InputError, match="stimuli of the net must be 1 at most"):
        net_chunks(DendriticParams.of(net, 1), net, np.zeros((2, 8), int))
    with pytest.raises(
        InputError, match=r"inputs of a macro of dendritic neurons must be in 8\.\."
    ):
        DendriticParams(inputs=2049)
