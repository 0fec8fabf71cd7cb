"""Dendritic neurons as a source: what a frozen net keeps, names of last values, files, heads."""

from dataclasses import replace

import numpy as np
import pytest

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.settings import UNITS
from spikeloop.pysim.dendrites.source import DendriticHead, DendriticSource, starts
from spikeloop.pysim.dendrites.state import fresh
from spikeloop.pysim.dendritic import numpy_engine


@pytest.fixture
def source() -> DendriticSource:
    settings = {"inputs": 9, "neurons": 3, "warm_up": 2, "spike_gain": 60000, "stat_shift": 3}
    net = DendriticNet.make({**settings, "rate": 200_000, "impulse": 65535})
    state = fresh(net, 3)
    units = state.units.copy()
    units[[list(UNITS).index(name) for name in ("u", "trace_p", "trace_d")]] = 1000
    weights = state.weights // 4  # none beyond 1
    state = replace(state, weights=weights, units=units, age=50)
    return DendriticSource(input="x", net=net, state=state)


def test_a_frozen_net_spikes_and_keeps_weights_and_inhibition(source: DendriticSource) -> None:
    threshold, frozen = np.full(9, 30000), source.frozen()
    learnt = numpy_engine.show(source.net, threshold, source.state, 40, learn=True)
    kept = numpy_engine.show(frozen.net, threshold, frozen.state, 40, learn=True)
    assert kept.spikes > 0 and kept.state.units[2].any()  # mean goes on
    for name in ("weights", "inhibition"):
        before = getattr(source.state, name)
        assert np.array_equal(getattr(kept.state, name), before)
        assert not np.array_equal(getattr(learnt.state, name), before)
    assert not frozen.state.units[[0, 1, 4, 5]].any() and not frozen.state.psps.any()


def test_every_last_value_has_a_name(source: DendriticSource) -> None:
    state = replace(source.state, rin=(7 << 32) + 5, age=9)
    state.units[3] = (3 << 32) + np.arange(3)
    state.units[7] = (1 << 32) - 1
    words = state.words()
    named = {source.place_of(at): int(word) for at, word in enumerate(words)}
    assert len(named) == words.size == 3 + 9 * 3 + 9 + 2 * 9 + 27 and words.dtype == np.int32
    assert (named["age", 0], named["rin", 0], named["rin, upper half", 0]) == (9, 5, 7)
    assert (named["var", 2], named["var, upper half", 2], named["rs", 1]) == (2, 3, -1)
    assert named["inhibition of 2 by", 0] == state.inhibition[2, 0] != 0
    assert named["psp", 8] == state.psps[8]
    assert named["weight onto 1 of", 4] == state.weights[1, 4]
    with pytest.raises(IndexError):
        source.place_of(words.size)


def test_starts_are_a_seed_and_thresholds(source: DendriticSource) -> None:
    given = starts(np.arange(18).reshape(2, 9), np.array([65535, 1]))
    assert given.dtype == np.uint16 and given[:, 0].tolist() == [65535, 1] and given[1, 9] == 17
    source.head.check(given, 2)
    with pytest.raises(InputError, match="must be uint16 of shape"):
        source.head.check(given, 3)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"neurons": 1}, "dendritic neurons of x must be in 2..16, not 1"),
        ({"inputs": 4}, "inputs of the dendritic neurons of x must be in 8..2048, not 4"),
        ({"input": 3}, "input of the dendritic neurons of x must be text, not 3"),
        ({"more": 3}, "dendritic neurons of x must be exactly input, inputs, neurons"),
    ],
)
def test_a_wrong_head_is_refused(source: DendriticSource, change: dict, text: str) -> None:
    values = source.head.to_dict()
    assert DendriticHead.from_dict(values, "x") == source.head
    with pytest.raises(InputError, match=text):
        DendriticHead.from_dict({**values, **change}, "x")


def test_a_file_without_an_array_is_refused(source: DendriticSource) -> None:
    values, arrays = source.to_dict(), source.tensors()
    with pytest.raises(InputError, match="must be exactly input, settings"):
        DendriticSource.from_file({**values, "more": 1}, dict(arrays), "x")
    wrong = {**arrays, "dendritic.psps": arrays["dendritic.psps"].astype(np.int32)}
    with pytest.raises(InputError, match=r"dendritic\.psps in x must be int64, not int32"):
        DendriticSource.from_file(values, wrong, "x")
    again = DendriticSource.from_file(values, arrays, "x")
    assert again.state.same(source.state) and not arrays
