"""Minimal stimuli: a difference is shown again by one sample, few steps, few spikes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.backends import Golden
from spikeloop.cosim.compare.compare import compare
from spikeloop.cosim.compare.shrink import keep_evidence, minimise
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
    """A chip whose CLEAR forgets the membranes: the third sample after a reset, and all later ones, are wrong."""

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
        small.network,
        small.stimulus,
        ["right", "wrong"],
        lambda name: Golden(small.network if name == "right" else wrong),
    )
    with Golden(small.network) as right, Golden(wrong) as other:
        minimal = minimise(small.network, small.stimulus, (right, other), result.first)
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
            small.network,
            small.stimulus,
            ["right", "sticky"],
            lambda name: right if name == "right" else sticky,
            workers=1,
            chunk=6,
        )
        minimal = minimise(small.network, small.stimulus, (right, sticky), result.first)
    assert minimal.history == 2
    assert minimal.stimulus.samples == 3
    assert minimal.spikes == 0  # the membrane is wrong without any input


def test_a_difference_that_does_not_come_again(small: Small) -> None:
    wrong = broken(small.network, 0, 0)
    result = compare(
        small.network,
        small.stimulus,
        ["right", "wrong"],
        lambda name: Golden(small.network if name == "right" else wrong),
    )
    with Golden(small.network) as one, Golden(small.network) as other:
        assert minimise(small.network, small.stimulus, (one, other), result.first) is None


def test_the_search_is_bounded(small: Small) -> None:
    wrong, runs = broken(small.network, 5, 3), 0

    class Counting(Golden):
        def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
            nonlocal runs
            runs += 1
            return super().run(stimulus, membranes=membranes)

    result = compare(
        small.network,
        small.stimulus,
        ["right", "wrong"],
        lambda name: Golden(small.network if name == "right" else wrong),
    )
    with Golden(small.network) as right, Counting(wrong) as other:
        minimal = minimise(small.network, small.stimulus, (right, other), result.first, runs=3)
    assert runs <= 3
    assert minimal is not None


def test_evidence_is_left_and_told(small: Small, tmp_path: Path) -> None:
    wrong = broken(small.network, 5, 3)

    class Waving(Golden):
        def waves(self, stimulus: Stimulus, path: Path) -> Path | None:
            path.with_suffix(".vcd").write_text(f"{stimulus.samples}")
            return path.with_suffix(".vcd")

    def opener(name: str) -> Backend:
        return Golden(small.network) if name == "golden" else Waving(wrong)

    result = compare(small.network, small.stimulus, ["golden", "verilator"], opener)
    evidence = keep_evidence(
        small.network,
        small.stimulus,
        result.first,
        opener,
        tmp_path,
        image=Path("my image"),
        network_file=Path("n.safetensors"),
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["difference.npz", "difference.vcd"]
    again = Stimulus.load(evidence.stimulus)
    assert compare(small.network, again, ["golden", "verilator"], opener).different > 0
    text = str(evidence)
    assert f"first difference: {result.first}" in text
    assert "hidden1, neuron 3" in text
    assert (
        f"spikeloop compare 'my image' --network n.safetensors --stimulus {tmp_path}/difference.npz --backends golden,verilator"
        in text
    )
