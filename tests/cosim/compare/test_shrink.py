"""Minimal stimuli: a difference is shown again by one sample, few steps, few spikes."""

from dataclasses import replace

import numpy as np
import pytest

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.backends import Golden
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.cosim.compare.shrink import minimise
from spikeloop.pysim.network.elements import Edge
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.cosim.conftest import Small


def broken(network: Network, source: int, target: int) -> Network:
    """One weight of the first edge is off by one."""
    weights = network.edges[0].weights.copy()
    weights[source, target] -= 1
    edge = network.edges[0]
    return replace(
        network,
        edges=(
            Edge(source=edge.source, target=edge.target, weights=weights, delay=edge.delay),
            *network.edges[1:],
        ),
    )


class Sticky(Backend):
    """A chip whose CLEAR forgets the membranes: from the third sample on all are wrong."""

    name = "sticky"

    def __init__(self, network: Network) -> None:
        self.inner = Golden(network)

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        trace = self.inner.run(stimulus, membranes=membranes)
        if membranes:
            trace.membranes["hidden1"][2:] += 1
        return trace


@pytest.mark.parametrize("source, target", [(0, 0), (5, 3), (11, 8)])
def test_one_wrong_weight_needs_a_spike_or_two(small: Small, source: int, target: int) -> None:
    wrong = broken(small.network, source, target)
    result = compare(
        Case(small.network, small.stimulus),
        ["right", "wrong"],
        lambda name: Golden(small.network if name == "right" else wrong),
    )
    with Golden(small.network) as right, Golden(wrong) as other:
        minimal = minimise(Case(small.network, small.stimulus), (right, other), result.first)
        assert minimal.stimulus.samples == 1
        assert minimal.history == 0
        assert (
            1 <= minimal.spikes <= 2
        )  # two where the neuron must be held below its threshold to show it
        assert minimal.steps <= result.first.step + 1
        dense = minimal.stimulus.dense(small.network)["pixels"]
        assert source in np.argwhere(dense)[:, 2]
        assert minimal.difference.neuron == target
        minimal.stimulus.check(small.network)


def test_state_that_outlives_clear_keeps_its_history(small: Small) -> None:
    with Golden(small.network) as right, Sticky(small.network) as sticky:
        result = compare(
            Case(small.network, small.stimulus),
            ["right", "sticky"],
            lambda name: right if name == "right" else sticky,
            workers=1,
            chunk=6,
        )
        minimal = minimise(Case(small.network, small.stimulus), (right, sticky), result.first)
    assert minimal.history == 2
    assert minimal.stimulus.samples == 3
    assert minimal.spikes == 0  # the membrane is wrong without any input


def test_a_difference_that_does_not_come_again(small: Small) -> None:
    wrong = broken(small.network, 0, 0)
    result = compare(
        Case(small.network, small.stimulus),
        ["right", "wrong"],
        lambda name: Golden(small.network if name == "right" else wrong),
    )
    with Golden(small.network) as one, Golden(small.network) as other:
        assert minimise(Case(small.network, small.stimulus), (one, other), result.first) is None


def test_the_search_is_bounded(small: Small) -> None:
    wrong, runs = broken(small.network, 5, 3), 0

    class Counting(Golden):
        def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
            nonlocal runs
            runs += 1
            return super().run(stimulus, membranes=membranes)

    result = compare(
        Case(small.network, small.stimulus),
        ["right", "wrong"],
        lambda name: Golden(small.network if name == "right" else wrong),
    )
    with Golden(small.network) as right, Counting(wrong) as other:
        minimal = minimise(
            Case(small.network, small.stimulus), (right, other), result.first, runs=3
        )
    assert runs <= 3
    assert minimal is not None
