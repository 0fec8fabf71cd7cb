"""An independent oracle: PAIBox's simulator of the same chip family, skipped where it is absent.

Spikes and membranes of every step are compared.
"""

from typing import Any

import numpy as np
import pytest

from spikeloop.golden.reference.integer import run
from spikeloop.pysim.network.elements import Edge, Input, LowBound, Population, Reset
from spikeloop.pysim.network.graph import Network

pb = pytest.importorskip(
    "paibox", reason="package paibox is not installed: pip install -e '.[oracles]'"
)

THRESHOLD, FLOOR = 40, -50


def by_paibox(
    weights: np.ndarray, spikes: np.ndarray, reset_v: int | None, leak: int
) -> tuple[np.ndarray, np.ndarray]:
    """Spikes and voltages ``[step, neuron]``."""
    lines, size = weights.shape

    class Net(pb.Network):
        def __init__(self) -> None:
            super().__init__()
            self.inputs: Any = pb.InputProj(input=None, shape_out=(lines,))
            self.neurons: Any = pb.LIF(
                (size,), THRESHOLD, reset_v=reset_v, leak_v=leak, neg_threshold=FLOOR
            )
            self.synapses: Any = pb.FullConn(
                self.inputs,
                self.neurons,
                weights=weights.astype(np.int8),
                conn_type=pb.SynConnType.All2All,
            )
            self.spikes, self.voltages = (
                pb.Probe(self.neurons, "spike"),
                pb.Probe(self.neurons, "voltage"),
            )

    net = Net()
    simulator = pb.Simulator(net)
    for step in spikes:
        net.inputs.input = step
        simulator.run(1)
    return np.array(simulator.data[net.spikes]).astype(np.uint8), np.array(
        simulator.data[net.voltages]
    )


def ours(
    weights: np.ndarray, steps: int, reset_v: int | None, leak: int, **changes: Any
) -> Network:
    population = Population.make(
        "out",
        weights.shape[1],
        **{
            "v_th": THRESHOLD,
            "bias": leak,
            "reset": Reset.SOFT if reset_v is None else Reset.HARD,
            "v_reset": reset_v or 0,
            "low": LowBound.CLIP,
            "v_low": FLOOR,
            **changes,
        },
    )
    return Network(
        name="oracle",
        inputs=(Input(name="x", size=weights.shape[0]),),
        populations=(population,),
        steps=steps,
        output="out",
        edges=(Edge(source="x", target="out", weights=weights.astype(np.int32)),),
    )


@pytest.mark.parametrize("reset_v", [None, 0, 5])
@pytest.mark.parametrize("leak", [0, -3, 2])
def test_every_spike_and_membrane(reset_v: int | None, leak: int, rng: np.random.Generator) -> None:
    weights = rng.integers(-20, 21, (200, 128))
    spikes = (rng.random((60, 200)) < 0.1).astype(np.uint8)
    want, v = by_paibox(weights, spikes, reset_v, leak)
    got = run(ours(weights, 60, reset_v, leak), {"x": spikes[None]})
    np.testing.assert_array_equal(got.spikes["out"][0], want)
    np.testing.assert_array_equal(got.membranes["out"][0], v)
    assert 0.01 < want.mean() < 0.99 and (v == FLOOR).any()
    for wrong in ({"v_th": THRESHOLD + 1}, {"v_low": FLOOR - 1}, {"bias": leak + 1}):
        assert not np.array_equal(
            run(ours(weights, 60, reset_v, leak, **wrong), {"x": spikes[None]}).membranes["out"][0],
            v,
        )


def test_a_whole_core_of_1152_axons(rng: np.random.Generator) -> None:
    weights = rng.integers(-128, 128, (1152, 1024))
    spikes = (rng.random((30, 1152)) < 0.1).astype(np.uint8)
    want, v = by_paibox(weights, spikes, None, -3)
    got = run(ours(weights, 30, None, -3), {"x": spikes[None]})
    np.testing.assert_array_equal(got.spikes["out"][0], want)
    np.testing.assert_array_equal(got.membranes["out"][0], v)
    assert want.any()
